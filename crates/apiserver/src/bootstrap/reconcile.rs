//! What a start changes about a role or binding that is there already. Pure.

use berth_apimachinery::authz::rbac::{Rule, uncovered};
use berth_apimachinery::object::Object;
use serde_json::{Map, Value, json};

use super::AUTOUPDATE;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing is missing, or nobody may touch it.
    Leave,
    /// Write this.
    Update(Object),
    /// Another role is bound: a binding's role cannot change, so it is made anew.
    Replace,
}

/// Adds to `stored` what `wanted` has and it lacks.
pub(super) fn plan(wanted: &Object, stored: &Object) -> Plan {
    if stored.annotation(AUTOUPDATE) == Some("false") {
        return Plan::Leave;
    }
    if wanted.get("roleRef") != stored.get("roleRef") {
        return Plan::Replace;
    }
    let mut object = stored.clone();
    for (key, value) in wanted.label_map() {
        object.set_label(&key, &value);
    }
    for (key, value) in wanted.annotation_map() {
        // An annotation that somebody changed is theirs.
        if object.annotation(&key).is_none() {
            object.set_annotation(&key, &value);
        }
    }
    if wanted.get("aggregationRule").is_some() {
        add_selectors(wanted, &mut object);
    } else {
        add_rules(wanted, &mut object);
    }
    add_items(wanted, &mut object, "subjects");
    if object == *stored {
        Plan::Leave
    } else {
        Plan::Update(object)
    }
}

/// Rules whose rights the stored rules do not cover.
fn add_rules(wanted: &Object, object: &mut Object) {
    let held = Rule::list(object.get("rules"));
    let wanted = Rule::list(wanted.get("rules"));
    let missing: Vec<Value> = wanted
        .iter()
        .filter(|rule| !uncovered(&held, std::slice::from_ref(*rule)).is_empty())
        .map(|rule| json!(rule))
        .collect();
    if !missing.is_empty() {
        list_mut(object.fields_mut(), "rules").extend(missing);
    }
}

fn add_selectors(wanted: &Object, object: &mut Object) {
    let selectors = wanted
        .at(&["aggregationRule", "clusterRoleSelectors"])
        .and_then(Value::as_array);
    let rule = object
        .fields_mut()
        .entry("aggregationRule")
        .or_insert_with(|| json!({}));
    if !rule.is_object() {
        *rule = json!({});
    }
    if let Some(rule) = rule.as_object_mut() {
        add_missing(list_mut(rule, "clusterRoleSelectors"), selectors);
    }
}

fn add_items(wanted: &Object, object: &mut Object, field: &str) {
    let Some(items) = wanted.get(field).and_then(Value::as_array) else {
        return;
    };
    add_missing(list_mut(object.fields_mut(), field), Some(items));
}

fn add_missing(list: &mut Vec<Value>, wanted: Option<&Vec<Value>>) {
    for item in wanted.into_iter().flatten() {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// A list field; made when it is missing or no list.
fn list_mut<'a>(fields: &'a mut Map<String, Value>, field: &str) -> &'a mut Vec<Value> {
    let value = fields
        .entry(field.to_owned())
        .or_insert_with(|| Value::Array(Vec::new()));
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("made a list above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rules: &Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "a", "labels": {"std": "1"}}, "rules": rules}))
            .unwrap()
    }

    fn rule(verbs: &[&str]) -> Value {
        json!({"verbs": verbs, "apiGroups": [""], "resources": ["x"]})
    }

    #[test]
    fn missing_rules_come_back_and_added_ones_stay() {
        let wanted = role(&json!([rule(&["get"]), rule(&["list"])]));
        for (stored, want) in [
            (json!([rule(&["get", "list", "watch"])]), None),
            (
                json!([rule(&["get"])]),
                Some(json!([rule(&["get"]), rule(&["list"])])),
            ),
            (
                json!([rule(&["delete"])]),
                Some(json!([rule(&["delete"]), rule(&["get"]), rule(&["list"])])),
            ),
            (json!(null), Some(json!([rule(&["get"]), rule(&["list"])]))),
        ] {
            let got = plan(&wanted, &role(&stored));
            match want {
                None => assert_eq!(got, Plan::Leave, "{stored}"),
                Some(want) => {
                    let Plan::Update(object) = got else {
                        panic!("{stored}: {got:?}")
                    };
                    assert_eq!(object.get("rules"), Some(&want), "{stored}");
                }
            }
        }
    }

    #[test]
    fn hands_off_when_told_so() {
        let mut stored = role(&json!([]));
        stored.set_annotation(AUTOUPDATE, "false");
        assert_eq!(plan(&role(&json!([rule(&["get"])])), &stored), Plan::Leave);
    }

    #[test]
    fn bindings_keep_their_subjects_and_get_the_standard_ones() {
        let binding = |role: &str, subjects: Value| {
            Object::from_value(
                json!({"metadata": {"name": "b"}, "roleRef": {"name": role}, "subjects": subjects}),
            )
            .unwrap()
        };
        let wanted = binding("r", json!([{"name": "std"}]));
        assert_eq!(plan(&wanted, &binding("other", json!([]))), Plan::Replace);
        assert_eq!(
            plan(&wanted, &binding("r", json!([{"name": "mine"}, {"name": "std"}]))),
            Plan::Leave
        );
        let Plan::Update(object) = plan(&wanted, &binding("r", json!([{"name": "mine"}]))) else {
            panic!()
        };
        assert_eq!(
            object.get("subjects"),
            Some(&json!([{"name": "mine"}, {"name": "std"}]))
        );
    }

    #[test]
    fn joined_roles_get_their_selectors_and_keep_their_rules() {
        let with = |selectors: Value| {
            let mut object = role(&json!([rule(&["get"])]));
            object.set("aggregationRule", json!({ "clusterRoleSelectors": selectors }));
            object
        };
        let mut wanted = with(json!(["std"]));
        wanted.set("rules", json!([]));
        let Plan::Update(object) = plan(&wanted, &with(json!(["mine"]))) else {
            panic!()
        };
        assert_eq!(
            object.at(&["aggregationRule", "clusterRoleSelectors"]),
            Some(&json!(["mine", "std"]))
        );
        assert_eq!(object.get("rules"), Some(&json!([rule(&["get"])])));
    }
}
