//! Enters an event into the JSON of a stream without reading its whole history.
//!
//! A stream is one object, and its history only grows. A push changes the newest event of a few tags, so only those are read into
//! types, where the rules apply, and put back. What a push costs beyond that is reading and writing the JSON once.

use std::collections::BTreeSet;

use berth_api::{ImageStream, NamedTagEventList, ObjectMeta, TagEvent};
use berth_apimachinery::{object::Object, status::Status};
use berth_imagestream::history;
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// Enters `event`, under the stream's generation, into the history of `tag` and hands it on to the tags that follow it. Returns
/// whether anything changed.
///
/// # Errors
/// 400 if the object is not a stream.
pub(super) fn record(object: &mut Object, tag: &str, event: &TagEvent) -> Result<bool, Status> {
    let before = newest(object, tag)?;
    let mut after = before.clone();
    let event = TagEvent {
        generation: after.metadata.generation,
        ..event.clone()
    };
    if !history::record(&mut after, tag, event.clone()) {
        return Ok(false);
    }
    history::update_followers(&mut after, tag, &event);
    for (tag, list) in &after.status.tags {
        let old = before.status.tags.get(tag);
        if old != Some(list) {
            put_back(object, tag, old, list)?;
        }
    }
    Ok(true)
}

/// The stream with nothing but what a push into `tag` looks at: of `tag` and of every wanted tag the newest event.
fn newest(object: &Object, tag: &str) -> Result<ImageStream, Status> {
    let read = |error: serde_json::Error| Status::bad_request(format!("the stream cannot be read: {error}"));
    let mut stream = ImageStream {
        metadata: ObjectMeta {
            name: object.name().to_owned(),
            namespace: object.namespace().to_owned(),
            generation: object.generation(),
            ..ObjectMeta::default()
        },
        ..ImageStream::default()
    };
    if let Some(spec) = object.get("spec") {
        stream.spec = berth_api::ImageStreamSpec::deserialize(spec).map_err(read)?;
    }
    let names: BTreeSet<&str> = stream.spec.tags.keys().map(String::as_str).chain([tag]).collect();
    let mut tags = Vec::new();
    for list in lists(object) {
        let Some(name) = list
            .get("tag")
            .and_then(Value::as_str)
            .filter(|name| names.contains(name))
        else {
            continue;
        };
        let newest = list
            .get("items")
            .and_then(Value::as_array)
            .and_then(|items| items.first());
        let items = newest
            .map(TagEvent::deserialize)
            .transpose()
            .map_err(read)?
            .into_iter()
            .collect();
        let conditions = list.get("conditions").filter(|value| !value.is_null());
        let conditions = conditions
            .map(Vec::deserialize)
            .transpose()
            .map_err(read)?
            .unwrap_or_default();
        tags.push(NamedTagEventList {
            tag: name.to_owned(),
            items,
            conditions,
        });
    }
    stream.status.tags = tags.into_iter().map(|list| (list.tag.clone(), list)).collect();
    Ok(stream)
}

fn lists(object: &Object) -> &[Value] {
    object
        .at(&["status", "tags"])
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Puts a changed list, of which only the newest events are known, back into the whole.
fn put_back(
    object: &mut Object,
    tag: &str,
    old: Option<&NamedTagEventList>,
    new: &NamedTagEventList,
) -> Result<(), Status> {
    let known = old.map_or(0, |list| list.items.len());
    let status = object
        .fields_mut()
        .entry("status")
        .or_insert_with(|| Value::Object(Map::new()));
    let tags = child(status, "tags");
    let name = |list: &Value| {
        list.get("tag")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let at = tags.iter().position(|list| name(list) == tag).unwrap_or_else(|| {
        let at = tags
            .iter()
            .position(|list| name(list).as_str() > tag)
            .unwrap_or(tags.len());
        tags.insert(at, serde_json::json!({"tag": tag, "items": []}));
        at
    });
    let list = &mut tags[at];
    if let Some(list) = list.as_object_mut() {
        list.remove("conditions");
    }
    let events = new
        .items
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>();
    let items = child(list, "items");
    items.splice(..known.min(items.len()), events.map_err(Status::internal)?);
    Ok(())
}

/// The list in a field of an object; made if it is not there.
fn child<'a>(parent: &'a mut Value, field: &str) -> &'a mut Vec<Value> {
    if !parent.is_object() {
        *parent = Value::Object(Map::new());
    }
    let value = &mut parent[field];
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(items) => items,
        _ => unreachable!("made an array above"),
    }
}

#[cfg(test)]
mod tests {
    use berth_api::{Kind as _, ObjectReference, TagEventCondition, TagReference, Time};
    use proptest::prelude::*;

    use super::*;

    fn event(image: &str, reference: &str) -> TagEvent {
        TagEvent {
            created: Time::parse("2026-01-01T00:00:00Z").ok(),
            image: image.into(),
            docker_image_reference: reference.into(),
            generation: 0,
        }
    }

    fn object(stream: &ImageStream) -> Object {
        Object::from_typed(&stream.clone().typed()).expect("a stream is an object")
    }

    proptest! {
        /// The short way leads to the same stream as the long one.
        #[test]
        fn it_is_what_the_rules_say(
            follows in proptest::collection::btree_map("[a-d]", "[a-d]", 0..4),
            failed in proptest::option::of("[a-d]"),
            pushes in proptest::collection::vec(("[a-d]", "[ABC]", "[rs]"), 1..20),
        ) {
            let mut stream = ImageStream::default();
            stream.metadata.name = "app".into();
            stream.metadata.namespace = "ns".into();
            stream.metadata.generation = 4;
            for (tag, source) in follows {
                let from = ObjectReference { kind: "ImageStreamTag".into(), name: source, ..ObjectReference::default() };
                let wanted = TagReference { name: tag.clone(), from: Some(from), ..TagReference::default() };
                stream.spec.tags.insert(tag, wanted);
            }
            if let Some(tag) = failed {
                let list = NamedTagEventList {
                    tag: tag.clone(),
                    conditions: vec![TagEventCondition::default()],
                    ..NamedTagEventList::default()
                };
                stream.status.tags.insert(tag, list);
            }
            let mut short = object(&stream);
            for (tag, image, reference) in pushes {
                let event = event(&image, &reference);
                let full = TagEvent { generation: 4, ..event.clone() };
                let changed = history::record(&mut stream, &tag, full.clone());
                if changed {
                    history::update_followers(&mut stream, &tag, &full);
                }
                prop_assert_eq!(record(&mut short, &tag, &event).unwrap(), changed);
                prop_assert_eq!(&short, &object(&stream));
            }
        }
    }

    #[test]
    fn strange_streams_are_repaired_or_refused() {
        let with = |status: Value| {
            let mut object = object(&ImageStream::default());
            object.set("status", status);
            object
        };
        for status in [
            Value::Null,
            serde_json::json!({}),
            serde_json::json!({"tags": null}),
            serde_json::json!({"tags": [{"tag": "t", "items": null}]}),
        ] {
            let mut object = with(status.clone());
            assert!(record(&mut object, "t", &event("A", "r")).unwrap(), "{status}");
            assert_eq!(lists(&object)[0]["items"][0]["image"], "A", "{status}");
        }
        let mut object = with(serde_json::json!({"tags": [{"tag": "t", "items": [5]}]}));
        assert_eq!(
            record(&mut object, "t", &event("A", "r")).unwrap_err().code(),
            400
        );
    }
}
