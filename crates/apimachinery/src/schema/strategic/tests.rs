use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Definitions;

const FILE: &str = "
demo.v1.Thing:
  type: object
  properties:
    name: {type: string}
    tags:
      type: array
      items: {$ref: demo.v1.Tag}
      x-kubernetes-patch-strategy: merge
      x-kubernetes-patch-merge-key: name
    set:
      type: array
      items: {type: string}
      x-kubernetes-patch-strategy: merge
    atomic: {type: array, items: {$ref: demo.v1.Tag}}
    whole:
      $ref: demo.v1.Tag
      x-kubernetes-patch-strategy: replace
    choice:
      $ref: demo.v1.Tag
      x-kubernetes-patch-strategy: retainKeys
    map: {type: object, additionalProperties: {type: string}}
demo.v1.Tag:
  type: object
  properties:
    name: {type: string}
    value: {type: integer}
    nested:
      type: array
      items: {$ref: demo.v1.Tag}
      x-kubernetes-patch-strategy: merge
      x-kubernetes-patch-merge-key: name
";

fn merge(current: &Value, patch: &Value) -> Result<Value, String> {
    let definitions = Definitions::new(&[FILE]).unwrap();
    definitions
        .strategic_merge("demo.v1.Thing", current.clone(), patch)
        .map_err(|error| error.to_string())
}

#[test]
fn patches_are_merged() {
    for (current, patch, want) in [
        // Maps and scalars, as in a JSON merge patch.
        (
            json!({"name": "a", "map": {"x": "1", "y": "2"}}),
            json!({"name": "b", "map": {"y": null, "z": "3"}}),
            json!({"name": "b", "map": {"x": "1", "z": "3"}}),
        ),
        (
            json!({}),
            json!({"map": {"x": "1", "y": null}}),
            json!({"map": {"x": "1"}}),
        ),
        (
            json!({"map": {"x": "1"}}),
            json!({"map": {"$patch": "replace", "z": "3"}}),
            json!({"map": {"z": "3"}}),
        ),
        (
            json!({"name": "a", "map": {"x": "1"}}),
            json!({"map": {"$patch": "delete"}}),
            json!({"name": "a"}),
        ),
        (
            json!({"map": {"x": "1"}}),
            json!({"map": {"$patch": "merge", "z": "3"}}),
            json!({"map": {"x": "1", "z": "3"}}),
        ),
        (
            json!({"whole": {"name": "a", "value": 1}}),
            json!({"whole": {"value": 2}}),
            json!({"whole": {"value": 2}}),
        ),
        // Lists without a strategy are replaced.
        (
            json!({"atomic": [{"name": "a"}]}),
            json!({"atomic": [{"name": "b"}]}),
            json!({"atomic": [{"name": "b"}]}),
        ),
        // Lists of objects are maps by their key.
        (
            json!({"tags": [{"name": "a", "value": 1}, {"name": "b", "value": 2}]}),
            json!({"tags": [{"name": "b", "value": 3}, {"name": "c"}]}),
            json!({"tags": [{"name": "a", "value": 1}, {"name": "b", "value": 3}, {"name": "c"}]}),
        ),
        (
            json!({"tags": [{"name": "a"}, {"name": "b"}]}),
            json!({"tags": [{"name": "a", "$patch": "delete"}, {"name": "c"}]}),
            json!({"tags": [{"name": "b"}, {"name": "c"}]}),
        ),
        (
            json!({"tags": [{"name": "a"}, {"name": "b"}]}),
            json!({"tags": [{"$patch": "replace"}, {"name": "c"}]}),
            json!({"tags": [{"name": "c"}]}),
        ),
        (
            json!({"tags": [{"name": "a"}]}),
            json!({"tags": []}),
            json!({"tags": [{"name": "a"}]}),
        ),
        (
            json!({"tags": [{"name": "a", "nested": [{"name": "x", "value": 1}, {"name": "y"}]}]}),
            json!({"tags": [{"name": "a", "nested": [{"name": "x", "value": 2}, {"name": "y", "$patch": "delete"}]}]}),
            json!({"tags": [{"name": "a", "nested": [{"name": "x", "value": 2}]}]}),
        ),
        // Sets of scalars.
        (
            json!({"set": ["a", "b"]}),
            json!({"set": ["b", "c"]}),
            json!({"set": ["a", "b", "c"]}),
        ),
        (
            json!({"set": ["a", "b", "c"]}),
            json!({"$deleteFromPrimitiveList/set": ["a", "x"]}),
            json!({"set": ["b", "c"]}),
        ),
        (
            json!({"set": ["a", "b"]}),
            json!({"$deleteFromPrimitiveList/set": ["a"], "$setElementOrder/set": ["c", "b"], "set": ["c"]}),
            json!({"set": ["c", "b"]}),
        ),
        (
            json!({"name": "a"}),
            json!({"$deleteFromPrimitiveList/set": ["a"]}),
            json!({"name": "a"}),
        ),
        // Orders; what only the server knows keeps its place.
        (
            json!({"tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
            json!({"$setElementOrder/tags": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
            json!({"tags": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
        ),
        (
            json!({"tags": [{"name": "a"}, {"name": "server"}, {"name": "c"}]}),
            json!({"$setElementOrder/tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "tags": [{"name": "b", "value": 1}]}),
            json!({"tags": [{"name": "a"}, {"name": "server"}, {"name": "b", "value": 1}, {"name": "c"}]}),
        ),
        // A union of which only the retained members stay.
        (
            json!({"choice": {"name": "a", "value": 1}}),
            json!({"choice": {"$retainKeys": ["value"], "value": 2}}),
            json!({"choice": {"value": 2}}),
        ),
        // Directives mean nothing where there was nothing, and never get stored.
        (
            json!({}),
            json!({"tags": [{"$patch": "delete", "name": "a"}, {"name": "b"}], "choice": {"$retainKeys": ["name"], "name": "x"}}),
            json!({"tags": [{"name": "b"}], "choice": {"name": "x"}}),
        ),
        (
            json!({}),
            json!({"tags": [{"$patch": "replace"}, {"name": "b"}]}),
            json!({"tags": [{"name": "b"}]}),
        ),
    ] {
        assert_eq!(merge(&current, &patch), Ok(want), "{current} with {patch}");
    }
}

#[test]
fn patches_that_do_not_fit_are_refused() {
    let current = json!({"tags": [{"name": "a"}], "choice": {"name": "x"}});
    for (patch, want) in [
        (json!([]), "a strategic merge patch needs an object at \"\""),
        (
            json!({"tags": [{"value": 1}]}),
            "an element of \"tags\" does not contain declared merge key: name",
        ),
        (
            json!({"tags": [{"$patch": "delete"}]}),
            "an element of \"tags\" does not contain declared merge key: name",
        ),
        (
            json!({"tags": ["a", {"name": "b"}]}),
            "the elements of \"tags\" are not all of one type",
        ),
        (json!({"map": {"$patch": "bad"}}), "unknown patch type: \"bad\""),
        (
            json!({"choice": {"$patch": "bad"}}),
            "unknown patch type: \"bad\"",
        ),
        (
            json!({"$deleteFromPrimitiveList/set": "a"}),
            "directive \"$deleteFromPrimitiveList/set\" has a wrong type",
        ),
        (
            json!({"$setElementOrder/tags": "a"}),
            "directive \"$setElementOrder/tags\" has a wrong type",
        ),
        (
            json!({"$setElementOrder/tags": [{"name": "b"}], "tags": [{"name": "c"}]}),
            "the order in patch list for \"tags\" doesn't match its directive",
        ),
        (
            json!({"choice": {"$retainKeys": ["name"], "value": 1}}),
            "the order in patch list for \"value\" doesn't match its directive",
        ),
    ] {
        let got = merge(&current, &patch);
        if patch.get("map").is_some() {
            // `map` does not exist yet, so its directive is only dropped.
            assert!(got.is_ok(), "{patch}");
            continue;
        }
        assert_eq!(got, Err(want.to_owned()), "{patch}");
    }
}

fn any_tag(depth: u32) -> BoxedStrategy<Value> {
    let nested = if depth == 0 {
        Just(Vec::new()).boxed()
    } else {
        prop::collection::vec(any_tag(depth - 1), 0..3).boxed()
    };
    ("[a-c]", prop::option::of(0..9_i32), nested)
        .prop_map(|(name, value, nested)| {
            let mut tag = json!({"name": name});
            if let Some(value) = value {
                tag["value"] = json!(value);
            }
            if !nested.is_empty() {
                tag["nested"] = Value::Array(unique(nested));
            }
            tag
        })
        .boxed()
}

fn unique(list: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for item in list {
        if !kept.iter().any(|known| known["name"] == item["name"]) {
            kept.push(item);
        }
    }
    kept
}

fn any_thing() -> impl Strategy<Value = Value> {
    (
        prop::collection::vec(any_tag(1), 0..4),
        prop::collection::btree_set("[a-d]", 0..4),
        prop::option::of("[a-c]"),
    )
        .prop_map(|(tags, set, name)| {
            let mut thing = json!({"tags": unique(tags), "set": set});
            if let Some(name) = name {
                thing["name"] = json!(name);
            }
            thing
        })
}

#[test]
fn long_lists_take_no_longer_than_they_must() {
    let set: Vec<String> = (0..50_000).map(|index| format!("{index}")).collect();
    let tags: Vec<Value> = set.iter().map(|name| json!({"name": name, "value": 1})).collect();
    let order: Vec<Value> = set.iter().rev().map(|name| json!({"name": name})).collect();
    let current = json!({"set": set, "tags": tags});
    let reversed: Vec<Value> = tags.iter().rev().cloned().collect();
    let patch = json!({
        "set": set, "$deleteFromPrimitiveList/set": set, "tags": reversed, "$setElementOrder/tags": order,
        "$setElementOrder/set": set,
    });
    let started = std::time::Instant::now();
    let merged = merge(&current, &patch).unwrap();
    assert_eq!(merged["tags"][0]["name"], json!("49999"));
    assert_eq!(merged["set"].as_array().map(Vec::len), Some(50_000));
    // Comparing each with each would take minutes.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    /// A document is a patch that may be applied again without effect, and everything in it arrives.
    #[test]
    fn applying_twice_is_applying_once(current in any_thing(), patch in any_thing()) {
        let once = merge(&current, &patch).unwrap();
        let twice = merge(&once, &patch).unwrap();
        prop_assert_eq!(&twice, &once);
        let names = |thing: &Value, field: &str| -> Vec<Value> { thing[field].as_array().cloned().unwrap_or_default() };
        for item in names(&patch, "set").iter().chain(&names(&current, "set")) {
            prop_assert!(names(&once, "set").contains(item));
        }
        for tag in names(&patch, "tags") {
            let found = names(&once, "tags").into_iter().filter(|known| known["name"] == tag["name"]).count();
            prop_assert_eq!(found, 1);
        }
    }

    /// Merging into nothing gives the patch itself, and merging a document into itself changes nothing.
    #[test]
    fn identities_hold(thing in any_thing()) {
        prop_assert_eq!(&merge(&json!({}), &thing).unwrap(), &thing);
        prop_assert_eq!(&merge(&thing, &thing).unwrap(), &thing);
        prop_assert_eq!(&merge(&thing, &json!({})).unwrap(), &thing);
    }

    /// No patch, whatever it holds, panics or leaves a directive behind in a merged document.
    #[test]
    fn arbitrary_patches_do_not_panic(thing in any_thing(), patch in any_json()) {
        let _ = merge(&thing, &patch);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        prop_oneof![Just("delete"), Just("replace"), Just("merge"), Just("a")].prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof![
            Just("$patch"),
            Just("$retainKeys"),
            Just("$setElementOrder/tags"),
            Just("$deleteFromPrimitiveList/set"),
            Just("tags"),
            Just("set"),
            Just("name"),
            Just("whole"),
            Just("choice"),
            Just("map"),
            Just("nested"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
