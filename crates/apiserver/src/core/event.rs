//! `v1 Event`: reports about objects, kept for an hour.

use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};
use jiff::{SignedDuration, Timestamp};

/// How long an event is kept after it was last written (kube-apiserver's `--event-ttl`).
pub(crate) const TIME_TO_LIVE: SignedDuration = SignedDuration::from_hours(1);
/// Namespace of events about objects that have none.
const DEFAULT_NAMESPACE: &str = "default";

/// When an event was last seen; the earliest moment for one that does not say.
pub(crate) fn last_seen(event: &Object) -> Timestamp {
    let times = [
        event.str_at(&["series", "lastObservedTime"]),
        event.str_at(&["lastTimestamp"]),
        event.str_at(&["eventTime"]),
        event.str_at(&["firstTimestamp"]),
        event.meta("creationTimestamp"),
    ];
    times
        .iter()
        .filter_map(|time| time.parse().ok())
        .max()
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How often an event was seen.
pub(super) fn count(event: &Object) -> i64 {
    let number = |path: &[&str]| event.at(path).and_then(serde_json::Value::as_i64);
    number(&["series", "count"])
        .or_else(|| number(&["count"]))
        .unwrap_or(1)
}

/// Everything that is wrong with an event, in Kubernetes' words.
pub(super) fn validate(event: &Object) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let involved = event.str_at(&["involvedObject", "namespace"]);
    let own = event.namespace();
    if involved.is_empty() {
        if own != DEFAULT_NAMESPACE && own != "kube-system" {
            errors.push(FieldError::invalid(
                "involvedObject.namespace",
                involved,
                "does not match event.namespace",
            ));
        }
    } else if involved != own {
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            involved,
            "does not match event.namespace",
        ));
    }
    errors
}

/// Names of the fields by which events may be selected.
const SELECTABLE: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "type",
    "source",
];

/// The fields by which events may be selected.
pub(super) fn selectable(event: &Object) -> Vec<(&'static str, String)> {
    let value = |name: &'static str| event.str_at(&name.split('.').collect::<Vec<_>>()).to_owned();
    let mut fields: Vec<_> = SELECTABLE
        .iter()
        .filter(|name| **name != "source")
        .map(|name| (*name, value(name)))
        .collect();
    let source = match event.str_at(&["source", "component"]) {
        "" => event.str_at(&["reportingComponent"]),
        component => component,
    };
    fields.push(("source", source.to_owned()));
    fields
}

/// Names and columns.
pub(super) fn resource() -> Resource {
    let resource = Resource::namespaced("", "v1", "Event", "events").with_short_names(&["ev"]);
    resource.with_table(table(|_| None))
}

/// The columns; `view` gives the event as one of the core group, if it is none.
pub(crate) fn table(view: impl Fn(&Object) -> Option<Object> + Send + Sync + 'static) -> Table {
    let columns = vec![
        Column::new("Last Seen", "When this was last seen."),
        Column::new("Type", "Normal or Warning."),
        Column::new("Reason", "A word that says why the event was sent."),
        Column::new("Object", "The object that the event is about."),
        Column::new("Subobject", "The part of the object that the event is about.").wide(),
        Column::new("Source", "The component that reported the event.").wide(),
        Column::new("Message", "A sentence for people."),
        Column::new("First Seen", "When this was first seen.").wide(),
        Column::new("Count", "How often this was seen.").wide(),
        Column {
            priority: 1,
            ..Column::name()
        },
    ];
    Table::new(columns, move |event, now| match view(event) {
        Some(event) => row(&event, now),
        None => row(event, now),
    })
}

fn row(event: &Object, now: Timestamp) -> Vec<serde_json::Value> {
    let first = event.str_at(&["firstTimestamp"]).parse().ok();
    let first = first.or_else(|| event.str_at(&["eventTime"]).parse().ok());
    let last = event.str_at(&["lastTimestamp"]).parse().ok();
    let last = event
        .str_at(&["series", "lastObservedTime"])
        .parse()
        .ok()
        .or(last)
        .or(first);
    let involved = |field: &str| event.str_at(&["involvedObject", field]);
    let object = match involved("name") {
        "" => involved("kind").to_lowercase(),
        name => format!("{}/{name}", involved("kind").to_lowercase()),
    };
    let component = match event.str_at(&["source", "component"]) {
        "" => event.str_at(&["reportingComponent"]),
        component => component,
    };
    let source = match event.str_at(&["source", "host"]) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    vec![
        table::since(last, now).into(),
        event.str_at(&["type"]).into(),
        event.str_at(&["reason"]).into(),
        object.into(),
        involved("fieldPath").into(),
        source.into(),
        event.str_at(&["message"]).trim().into(),
        table::since(first.or(last), now).into(),
        count(event).into(),
        event.name().into(),
    ]
}

/// The rules of events.
#[derive(Debug)]
pub(super) struct EventStrategy;

impl Strategy for EventStrategy {
    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        validate(object)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        selectable(object)
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        SELECTABLE
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn event_lives_beside_its_object() {
        for (namespace, involved, fine) in [
            ("demo", json!({"namespace": "demo"}), true),
            ("demo", json!({"namespace": "other"}), false),
            ("demo", json!({}), false),
            ("default", json!({}), true),
        ] {
            let event = json!({"metadata": {"namespace": namespace}, "involvedObject": involved});
            let errors = validate(&Object::from_value(event.clone()).unwrap());
            assert_eq!(errors.is_empty(), fine, "{event}: {errors:?}");
        }
    }

    #[test]
    fn the_last_of_all_times_counts() {
        let event = Object::from_value(json!({
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": null,
            "series": {"count": 7, "lastObservedTime": "2026-01-01T00:05:00.123456Z"},
        }))
        .unwrap();
        assert_eq!(last_seen(&event).to_string(), "2026-01-01T00:05:00.123456Z");
        assert_eq!(count(&event), 7);
    }
}
