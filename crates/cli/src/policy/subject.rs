//! Subjects of role bindings.
use serde_json::{Value, json};

use crate::{
    Output,
    api::{Api, segment},
    error::Result,
};

/// API group of roles and bindings, and of subjects that are no service account.
pub(super) const GROUP: &str = "rbac.authorization.k8s.io";
/// What the user name of a service account begins with.
const ACCOUNT: &str = "system:serviceaccount:";

/// A user; a service account under its user name is a service account.
pub(super) fn user(name: &str) -> Value {
    match name.strip_prefix(ACCOUNT).and_then(|rest| rest.split_once(':')) {
        Some((namespace, account)) => service_account(namespace, account),
        None => json!({"apiGroup": GROUP, "kind": "User", "name": name}),
    }
}

/// A service account of a project.
pub(super) fn service_account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}

/// A group.
pub(super) fn group(name: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": "Group", "name": name})
}

/// What makes a subject itself; the group is left out by some writers.
fn key(subject: &Value) -> [&str; 3] {
    let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
    [text("kind"), text("namespace"), text("name")]
}

/// Whether two subjects are the same one.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    key(one) == key(other)
}

/// Warns of a subject that does not exist, since its name may be misspelt; it may also come later, so that is all.
pub(super) async fn check(api: &Api, subject: &Value, output: &mut Output<'_>) -> Result<()> {
    let [kind, namespace, name] = key(subject);
    // Names with a colon belong to the system: nobody makes objects for them.
    let path = match kind {
        "ServiceAccount" => format!(
            "/api/v1/namespaces/{}/serviceaccounts/{}",
            segment(namespace),
            segment(name)
        ),
        _ if name.contains(':') => return Ok(()),
        "Group" => format!("/apis/user.openshift.io/v1/groups/{}", segment(name)),
        _ => format!("/apis/user.openshift.io/v1/users/{}", segment(name)),
    };
    match api.get(&path).await {
        Err(error) if error.is(404) => output.warning(format_args!("{kind} '{name}' not found")),
        // Who may give rights need not be allowed to read users.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_has_two_names() {
        let account = user("system:serviceaccount:demo:builder");
        assert_eq!(account, service_account("demo", "builder"));
        assert!(same(
            &json!({"kind": "User", "name": "a"}),
            &json!({"kind": "User", "name": "a", "apiGroup": GROUP})
        ));
        for (one, other) in [
            (user("a"), group("a")),
            (service_account("x", "a"), service_account("y", "a")),
        ] {
            assert!(!same(&one, &other));
        }
    }
}
