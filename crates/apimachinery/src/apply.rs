//! Server-side apply: a manager states the fields it wants, and the server remembers whose they are.
//!
//! Only appliers own fields here; other writes are not tracked. So an applied object shows what was applied by whom in
//! `metadata.managedFields`, a field that its applier drops from the configuration goes away, and two appliers that
//! want different values conflict. What Kubernetes adds, a conflict with a plain update, does not arise.
//!
//! Source: Kubernetes, "Server-Side Apply"; structured-merge-diff for the form of field sets.
mod fields;
mod merge;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::fields::{Contest, FieldSet, Walk};
use crate::object::{Object, format_time};
use crate::resource::GroupResource;
use crate::schema_port::ObjectSchema;
use crate::status::{Reason, Status};

/// Media type of an applied configuration.
pub const MEDIA_TYPE: &str = "application/apply-patch+yaml";

/// Most managers whose fields are remembered; the one that applied longest ago is forgotten first.
pub const MANAGERS_LIMIT: usize = 64;

/// Most pairs of items that merging a list may compare: 2000 with 2000.
pub const PAIRS_LIMIT: usize = 4_000_000;

/// Metadata that is not a matter of ownership.
const UNOWNED: [&str; 11] = [
    "name",
    "namespace",
    "generateName",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
    "managedFields",
];

/// A configuration to apply.
pub struct Apply<'a> {
    /// What the manager wants, conformed to the schema.
    pub wanted: &'a Object,
    /// Who applies.
    pub manager: &'a str,
    /// Subresource that is applied to; empty for the object.
    pub subresource: &'a str,
    /// Take fields from other managers.
    pub force: bool,
    /// When.
    pub now: Timestamp,
    /// Schema of the kind, if there is one: without, lists are replaced.
    pub schema: Option<&'a dyn ObjectSchema>,
}

impl Apply<'_> {
    /// The object that results when the configuration is applied to `current`, or to nothing.
    ///
    /// # Errors
    /// 409 when another manager wants different values and `force` is not set, 413 for lists that are too long to be
    /// merged item by item.
    pub fn to(&self, current: Option<&Object>, resource: &GroupResource) -> Result<Object, Status> {
        let walk = Walk::new(self.schema);
        let mut config = self.wanted.to_value();
        if let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let owned = self.owned(walk, &config);
        let Some(current) = current else {
            let mut object = self.wanted.clone();
            object
                .metadata_mut()
                .insert("managedFields".into(), json!([self.entry(&owned, None)]));
            return Ok(object);
        };
        let mut entries = match current.at(&["metadata", "managedFields"]) {
            Some(Value::Array(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        let mine = entries
            .iter()
            .position(|entry| self.is_mine(entry))
            .map(|index| entries.remove(index));
        let live = current.to_value();
        let (longest, wanted) = (
            walk.longest(&mut Vec::new(), &live),
            walk.longest(&mut Vec::new(), &config),
        );
        if longest.max(wanted).saturating_mul(wanted) > PAIRS_LIMIT {
            let message =
                format!("Request entity too large: a list of {longest} items cannot take {wanted} by apply");
            return Err(Status::new(413, Reason::RequestEntityTooLarge, message));
        }
        self.settle(
            walk,
            &owned,
            &config,
            &live,
            &mut entries,
            resource,
            current.name(),
        )?;

        let mut value = merge::merge(walk, &mut Vec::new(), Some(live), &config);
        if let Some(before) = mine.as_ref().and_then(fields_of) {
            let others: Vec<&FieldSet> = entries.iter().filter_map(fields_of).collect();
            let mut keep = others;
            keep.push(&owned);
            merge::prune(walk, &mut Vec::new(), &mut value, before, &keep);
        }
        entries.push(self.entry(&owned, mine.as_ref()));
        if entries.len() > MANAGERS_LIMIT {
            entries.remove(0);
        }
        let mut object =
            Object::from_value(value).ok_or_else(|| Status::bad_request("the configuration is no object"))?;
        object
            .metadata_mut()
            .insert("managedFields".into(), entries.into());
        Ok(object)
    }

    /// The fields that the configuration makes its manager own.
    fn owned(&self, walk: Walk<'_>, config: &Value) -> FieldSet {
        let mut owned = walk.fields(&mut Vec::new(), config);
        for field in ["f:apiVersion", "f:kind"] {
            owned.remove(field);
        }
        if self.subresource.is_empty() {
            owned.remove("f:status");
        }
        let only_unowned = match owned.get_mut("f:metadata").and_then(Value::as_object_mut) {
            Some(metadata) => {
                metadata
                    .retain(|field, _| !UNOWNED.iter().any(|name| field.strip_prefix("f:") == Some(name)));
                metadata.is_empty()
            }
            None => false,
        };
        if only_unowned {
            owned.remove("f:metadata");
        }
        owned
    }

    fn is_mine(&self, entry: &Value) -> bool {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        text("manager") == self.manager
            && text("operation") == "Apply"
            && text("subresource") == self.subresource
    }

    /// The manager's entry; an unchanged one keeps its time, so that applying again changes nothing.
    fn entry(&self, owned: &FieldSet, before: Option<&Value>) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": "Apply",
            "apiVersion": self.wanted.api_version(),
            "time": format_time(self.now),
            "fieldsType": "FieldsV1",
            "fieldsV1": owned,
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.into();
        }
        if let Some(before) = before {
            let time = before.get("time").cloned();
            if before.get("fieldsV1") == entry.get("fieldsV1")
                && before.get("apiVersion") == entry.get("apiVersion")
            {
                entry["time"] = time.unwrap_or_default();
            }
        }
        entry
    }

    /// Finds fields that others own and want otherwise; takes them away with `force`.
    #[expect(
        clippy::too_many_arguments,
        reason = "both sides of a conflict and where it is"
    )]
    fn settle(
        &self,
        walk: Walk<'_>,
        owned: &FieldSet,
        config: &Value,
        live: &Value,
        entries: &mut Vec<Value>,
        resource: &GroupResource,
        name: &str,
    ) -> Result<(), Status> {
        let mut conflicts: Vec<(String, String, String)> = Vec::new();
        for entry in entries.iter_mut() {
            let text = |field: &str| {
                entry
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let (manager, version) = (text("manager"), text("apiVersion"));
            let Some(theirs) = entry.get_mut("fieldsV1").and_then(Value::as_object_mut) else {
                continue;
            };
            let mut contest = Contest::new(walk, self.force);
            contest.search(owned, theirs, (config, live), "");
            conflicts.extend(
                contest
                    .found
                    .into_iter()
                    .map(|field| (manager.clone(), version.clone(), field)),
            );
        }
        if conflicts.is_empty() || self.force {
            entries.retain(|entry| fields_of(entry).is_none_or(|fields| !fields.is_empty()));
            return Ok(());
        }
        Err(refusal(&conflicts, resource, name))
    }
}

fn fields_of(entry: &Value) -> Option<&FieldSet> {
    entry.get("fieldsV1")?.as_object()
}

/// The 409 for fields that others own, with a cause for each.
fn refusal(conflicts: &[(String, String, String)], resource: &GroupResource, name: &str) -> Status {
    let plural = if conflicts.len() == 1 { "" } else { "s" };
    let with = |manager: &str, version: &str| format!("conflict with {manager:?} using {version}");
    let message = match conflicts {
        [(manager, version, field)] => {
            format!(
                "Apply failed with 1 conflict: {}: {field}",
                with(manager, version)
            )
        }
        many => {
            let lines: Vec<String> = many
                .iter()
                .map(|(manager, version, field)| format!("{}: {field}", with(manager, version)))
                .collect();
            format!(
                "Apply failed with {} conflict{plural}: {}",
                many.len(),
                lines.join("; ")
            )
        }
    };
    let details = crate::status::Details::of(&resource.group, &resource.resource, name);
    let status = Status::new(409, Reason::Conflict, message).with_details(details);
    conflicts
        .iter()
        .fold(status, |status, (manager, version, field)| {
            status.with_cause("FieldManagerConflict", &with(manager, version), field)
        })
}

/// An object from a map, for the walks.
fn object_of(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema_port::Topology;

    /// `spec.tags` by name, `spec.set` as a set, `spec.whole` replaced.
    struct Toy;

    impl ObjectSchema for Toy {
        fn conform(&self, _: &mut Object) -> Result<Vec<String>, Status> {
            Ok(Vec::new())
        }

        fn strategic_merge(&self, current: Value, _: &Value) -> Result<Value, Status> {
            Ok(current)
        }

        fn topology(&self, path: &[&str]) -> Topology {
            match path {
                ["spec", "tags"] => Topology::Keyed("name".into()),
                ["spec", "set"] => Topology::Set,
                ["spec", "whole"] => Topology::Atomic,
                _ => Topology::Natural,
            }
        }
    }

    fn object(spec: &Value) -> Object {
        let value = json!({"kind": "Toy", "apiVersion": "v1", "metadata": {"name": "x"}, "spec": spec});
        Object::from_value(value).unwrap()
    }

    fn apply(current: Option<&Object>, manager: &str, force: bool, spec: &Value) -> Result<Object, Status> {
        let wanted = object(spec);
        let apply = Apply {
            wanted: &wanted,
            manager,
            subresource: "",
            force,
            now: Timestamp::UNIX_EPOCH,
            schema: Some(&Toy),
        };
        apply.to(current, &GroupResource::new("", "toys"))
    }

    #[test]
    fn what_is_no_longer_wanted_goes() {
        let first = json!({"a": 1, "m": {"x": 1, "y": 2}, "tags": [{"name": "t", "v": 1}, {"name": "u", "v": 2}],
            "set": ["p", "q"], "list": [1, 2], "whole": {"k": 1}});
        let mut current = apply(None, "one", false, &first).unwrap();
        assert_eq!(current.get("spec"), Some(&first));
        // Somebody else adds what the applier never mentions.
        current.fields_mut()["spec"]["other"] = 7.into();
        current.fields_mut()["spec"]["tags"][0]["extra"] = 8.into();
        current.fields_mut()["spec"]["set"] = json!(["p", "q", "r"]);
        let second = json!({"m": {"y": 3}, "tags": [{"name": "t"}, {"name": "w"}], "set": ["q"], "list": [2],
            "whole": {"l": 2}});
        let current = apply(Some(&current), "one", false, &second).unwrap();
        let want = json!({"m": {"y": 3}, "other": 7, "tags": [{"name": "t", "extra": 8}, {"name": "w"}],
            "set": ["q", "r"], "list": [2], "whole": {"l": 2}});
        assert_eq!(current.get("spec"), Some(&want));
        // Applying the same again changes nothing, not even the time.
        assert_eq!(apply(Some(&current), "one", false, &second).unwrap(), current);
    }

    #[test]
    fn two_managers_share_or_conflict() {
        let current = apply(
            None,
            "one",
            false,
            &json!({"a": 1, "tags": [{"name": "t", "v": 1}]}),
        )
        .unwrap();
        let shared = apply(Some(&current), "two", false, &json!({"a": 1, "b": 2})).unwrap();
        assert_eq!(
            shared.get("spec"),
            Some(&json!({"a": 1, "b": 2, "tags": [{"name": "t", "v": 1}]}))
        );
        // What both own stays when one lets go.
        let left = apply(Some(&shared), "one", false, &json!({})).unwrap();
        assert_eq!(left.get("spec"), Some(&json!({"a": 1, "b": 2})));

        let wanted = json!({"a": 5, "tags": [{"name": "t", "v": 6}]});
        let refused = apply(Some(&shared), "three", false, &wanted).unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (409, Reason::Conflict));
        assert_eq!(
            refused.message(),
            "Apply failed with 3 conflicts: conflict with \"one\" using v1: .spec.a; conflict with \"one\" using v1: \
             .spec.tags[name=\"t\"].v; conflict with \"two\" using v1: .spec.a"
        );
        let taken = apply(Some(&shared), "three", true, &wanted).unwrap();
        assert_eq!(
            taken.get("spec"),
            Some(&json!({"a": 5, "b": 2, "tags": [{"name": "t", "v": 6}]}))
        );
        // The loser no longer owns it, so it cannot take it away.
        let after = apply(Some(&taken), "one", false, &json!({})).unwrap();
        assert_eq!(after.at(&["spec", "a"]), Some(&json!(5)));
    }

    #[test]
    fn long_lists_are_not_merged() {
        let tags =
            |count: usize| json!({"tags": (0..count).map(|name| json!({"name": name})).collect::<Vec<_>>()});
        let current = object(&tags(50_000));
        assert_eq!(
            apply(Some(&current), "m", false, &tags(100)).unwrap_err().code(),
            413
        );
        assert!(apply(Some(&current), "m", false, &tags(10)).is_ok());
    }

    #[test]
    fn field_sets_look_like_those_of_kubernetes() {
        let current = apply(
            None,
            "m",
            false,
            &json!({"tags": [{"name": "t", "v": 1}], "set": ["p"]}),
        )
        .unwrap();
        let entry = current.at(&["metadata", "managedFields"]).unwrap()[0].clone();
        assert_eq!(
            entry,
            json!({
                "manager": "m", "operation": "Apply", "apiVersion": "v1", "time": "1970-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {
                    "f:set": {"v:\"p\"": {}},
                    "f:tags": {"k:{\"name\":\"t\"}": {".": {}, "f:name": {}, "f:v": {}}},
                }},
            })
        );
    }

    proptest::proptest! {
        /// Whatever was there, what is applied is there afterwards; and letting go of everything restores the rest.
        #[test]
        fn applied_fields_win_and_leave(
            live in proptest::collection::btree_map("[a-d]", 0..4_u8, 0..4),
            wanted in proptest::collection::btree_map("[a-d]", 0..4_u8, 0..4),
        ) {
            let current = object(&json!(live));
            let applied = apply(Some(&current), "m", false, &json!(wanted)).unwrap();
            for (field, value) in &wanted {
                proptest::prop_assert_eq!(applied.at(&["spec", field]), Some(&json!(value)));
            }
            let left = apply(Some(&applied), "m", false, &json!({})).unwrap();
            for field in live.keys().chain(wanted.keys()) {
                let stays = live.contains_key(field) && !wanted.contains_key(field);
                proptest::prop_assert_eq!(left.at(&["spec", field]).is_some(), stays);
            }
        }
    }
}
