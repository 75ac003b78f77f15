//! The notation in which the default roles are written down.

use serde_json::{Value, json};

/// Reading verbs.
pub(super) const READ: &[&str] = &["get", "list", "watch"];
/// Every standard verb.
pub(super) const RW: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// The standard verbs that change something.
pub(super) const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
/// The core group.
pub(super) const CORE: &[&str] = &[""];

/// One policy rule of a default role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    verbs: &'static [&'static str],
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    names: &'static [&'static str],
    urls: &'static [&'static str],
}

/// `verbs` on `resources` of `groups`.
pub(super) const fn on(
    verbs: &'static [&'static str],
    groups: &'static [&'static str],
    resources: &'static [&'static str],
) -> Rule {
    Rule {
        verbs,
        groups,
        resources,
        names: &[],
        urls: &[],
    }
}

/// `verbs` on paths that are not resources.
pub(super) const fn urls(verbs: &'static [&'static str], urls: &'static [&'static str]) -> Rule {
    Rule {
        verbs,
        groups: &[],
        resources: &[],
        names: &[],
        urls,
    }
}

impl Rule {
    /// Only for objects of these names.
    pub(super) const fn named(mut self, names: &'static [&'static str]) -> Rule {
        self.names = names;
        self
    }

    /// The rule as it stands in a role object.
    pub(super) fn to_json(self) -> Value {
        let mut rule = json!({ "verbs": self.verbs });
        let parts = [
            ("apiGroups", self.groups),
            ("resources", self.resources),
            ("resourceNames", self.names),
            ("nonResourceURLs", self.urls),
        ];
        for (key, values) in parts.into_iter().filter(|(_, values)| !values.is_empty()) {
            rule[key] = json!(values);
        }
        rule
    }
}
