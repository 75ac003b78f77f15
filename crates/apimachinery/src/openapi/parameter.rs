//! Parameters of requests.
use serde_json::{Value, json};

/// A parameter in the query or the path.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    kind: &'static str,
    place: &'static str,
    description: &'static str,
}

const fn query(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        place: "query",
        description,
    }
}

pub(super) const NAME: &Parameter = &Parameter {
    name: "name",
    kind: "string",
    place: "path",
    description: "Name of the object.",
};
pub(super) const NAMESPACE: &Parameter = &Parameter {
    name: "namespace",
    kind: "string",
    place: "path",
    description: "Namespace of the object.",
};
pub(super) const PRETTY: &Parameter = &query("pretty", "string", "If true, the answer is indented.");

const DRY_RUN: &Parameter = &query(
    "dryRun",
    "string",
    "All: the request is checked and answered, but nothing is stored.",
);
const FIELD_MANAGER: &Parameter = &query(
    "fieldManager",
    "string",
    "Name of the client that makes the change.",
);
const FIELD_VALIDATION: &Parameter = &query(
    "fieldValidation",
    "string",
    "What to do about unknown and duplicate fields: Ignore drops them, Warn also warns, Strict refuses the request.",
);
const FORCE: &Parameter = &query(
    "force",
    "boolean",
    "For apply patches: take over fields that others manage.",
);

/// Parameters of writes.
pub(super) const WRITE: &[&Parameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
/// Parameters of patches.
pub(super) const PATCH: &[&Parameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
/// Parameters of deletions.
pub(super) const DELETE: &[&Parameter] = &[
    DRY_RUN,
    &query(
        "gracePeriodSeconds",
        "integer",
        "Seconds that the object may take to end; zero means at once.",
    ),
    &query("orphanDependents", "boolean", "Older form of propagationPolicy."),
    &query(
        "propagationPolicy",
        "string",
        "What happens to dependents: Orphan, Background or Foreground.",
    ),
];
/// Parameters of lists.
pub(super) const LIST: &[&Parameter] = &[
    &query(
        "allowWatchBookmarks",
        "boolean",
        "A watch may send BOOKMARK events.",
    ),
    &query("continue", "string", "Token of the previous page."),
    &query("fieldSelector", "string", "Only objects whose fields match."),
    &query("labelSelector", "string", "Only objects whose labels match."),
    &query("limit", "integer", "Objects per page."),
    &query(
        "resourceVersion",
        "string",
        "Version to read at, or to watch from.",
    ),
    &query(
        "resourceVersionMatch",
        "string",
        "How resourceVersion is meant: NotOlderThan or Exact.",
    ),
    &query(
        "sendInitialEvents",
        "boolean",
        "A watch begins with what is there.",
    ),
    &query("timeoutSeconds", "integer", "How long a watch may last."),
    &query(
        "watch",
        "boolean",
        "Send changes as they happen instead of a list.",
    ),
];

impl Parameter {
    fn required(&self) -> bool {
        self.place == "path"
    }

    pub(super) fn v2(&self) -> Value {
        let mut value = json!({
            "name": self.name, "in": self.place, "description": self.description, "type": self.kind, "uniqueItems": true,
        });
        if self.required() {
            value["required"] = json!(true);
        }
        value
    }

    pub(super) fn v3(&self) -> Value {
        let mut value = json!({
            "name": self.name, "in": self.place, "description": self.description,
            "schema": {"type": self.kind, "uniqueItems": true},
        });
        if self.required() {
            value["required"] = json!(true);
        }
        value
    }
}
