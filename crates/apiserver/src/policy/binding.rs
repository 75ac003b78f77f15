//! Bindings of this group and of RBAC: other shapes of subjects and roles, and two lists of names beside them.

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::status::Status;
use berth_apimachinery::table::{Column, Table};
use serde_json::{Map, Value, json};

use super::{GROUP, VERSION};
use crate::rbac;

/// Prefix of the user names of service accounts.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Names and columns.
pub(super) fn resource(namespaced: bool) -> Resource {
    let resource = if namespaced {
        Resource::namespaced(GROUP, VERSION, "RoleBinding", "rolebindings")
    } else {
        Resource::cluster(GROUP, VERSION, "ClusterRoleBinding", "clusterrolebindings")
    };
    let columns = vec![
        Column::name(),
        Column::new("Role", "The role that is granted."),
        Column::new("Users", "Users that get the role."),
        Column::new("Groups", "Groups that get the role."),
        Column::new("Service Accounts", "Service accounts that get the role."),
    ];
    resource.with_table(Table::new(columns, |binding, _now| {
        let role = |field: &str| binding.str_at(&["roleRef", field]);
        let subjects = |kinds: &[&str]| {
            let names = list(binding, "subjects")
                .iter()
                .filter(|subject| kinds.contains(&text(subject, "kind")));
            let names: Vec<String> = names
                .map(|subject| match text(subject, "namespace") {
                    "" => text(subject, "name").to_owned(),
                    namespace => format!("{namespace}/{}", text(subject, "name")),
                })
                .collect();
            names.join(", ")
        };
        vec![
            binding.name().into(),
            format!("{}/{}", role("namespace"), role("name")).into(),
            subjects(&["User", "SystemUser"]).into(),
            subjects(&["Group", "SystemGroup"]).into(),
            subjects(&["ServiceAccount"]).into(),
        ]
    }))
}

fn list<'a>(binding: &'a Object, field: &str) -> &'a [Value] {
    binding
        .get(field)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether only a system may have this name: people's names have no colon and are no path.
fn is_system(name: &str) -> bool {
    name.contains(':') || name == "~" || berth_apimachinery::names::path_segment(name).is_err()
}

/// A binding of RBAC as one of this group, but for kind and version.
pub(super) fn from_rbac(binding: &mut Object) {
    let (mut subjects, mut users, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for subject in list(binding, "subjects") {
        let name = text(subject, "name");
        let kind = match (text(subject, "kind"), is_system(name)) {
            ("User", false) => "User",
            ("User", true) => "SystemUser",
            ("Group", false) => "Group",
            ("Group", true) => "SystemGroup",
            _ => "ServiceAccount",
        };
        let mut reference = json!({ "kind": kind, "name": name });
        match kind {
            "ServiceAccount" => {
                let namespace = match text(subject, "namespace") {
                    "" => binding.namespace(),
                    namespace => namespace,
                };
                reference["namespace"] = namespace.into();
                users.push(format!("{SERVICE_ACCOUNT}{namespace}:{name}"));
            }
            "User" | "SystemUser" => users.push(name.to_owned()),
            _ => groups.push(name.to_owned()),
        }
        subjects.push(reference);
    }
    let mut role = json!({ "name": binding.str_at(&["roleRef", "name"]) });
    if binding.str_at(&["roleRef", "kind"]) == "Role" {
        role["namespace"] = binding.namespace().into();
    }
    let names = |names: Vec<String>| {
        if names.is_empty() {
            Value::Null
        } else {
            json!(names)
        }
    };
    binding.remove("roleRef");
    binding.remove("subjects");
    binding.set("userNames", names(users));
    binding.set("groupNames", names(groups));
    binding.set("subjects", subjects);
    binding.set("roleRef", role);
}

/// A binding of this group as one of RBAC, but for kind and version. Names, if any are given, say who is bound, and
/// subjects otherwise: clients that know subjects leave the names out.
///
/// # Errors
/// 400 for a role of another namespace.
pub(super) fn to_rbac(binding: &mut Object) -> Result<(), Status> {
    let given = |field: &str| binding.get(field).is_some_and(|names| !names.is_null());
    let subjects: Vec<Value> = if given("userNames") || given("groupNames") {
        let users = list(binding, "userNames")
            .iter()
            .filter_map(Value::as_str)
            .map(user);
        let groups = list(binding, "groupNames")
            .iter()
            .filter_map(Value::as_str)
            .map(|name| person("Group", name));
        users.chain(groups).collect()
    } else {
        list(binding, "subjects")
            .iter()
            .map(|reference| subject(reference, binding.namespace()))
            .collect()
    };
    let role_namespace = binding.str_at(&["roleRef", "namespace"]);
    let kind = if role_namespace.is_empty() {
        "ClusterRole"
    } else {
        "Role"
    };
    if !role_namespace.is_empty() && role_namespace != binding.namespace() {
        return Err(Status::bad_request(format!(
            "the role binding {:?} refers to a role in namespace {role_namespace:?}, but may only refer to one in its own \
             namespace {:?} or to a cluster role",
            binding.name(),
            binding.namespace()
        )));
    }
    let role = json!({ "apiGroup": rbac::GROUP, "kind": kind, "name": binding.str_at(&["roleRef", "name"]) });
    for field in ["userNames", "groupNames", "subjects", "roleRef"] {
        binding.remove(field);
    }
    binding.set("subjects", subjects);
    binding.set("roleRef", role);
    Ok(())
}

fn person(kind: &str, name: &str) -> Value {
    json!({ "apiGroup": rbac::GROUP, "kind": kind, "name": name })
}

fn account(namespace: &str, name: &str) -> Value {
    json!({ "kind": "ServiceAccount", "namespace": namespace, "name": name })
}

/// A user name as a subject; that of a service account as the account.
fn user(name: &str) -> Value {
    match name
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, name)) => account(namespace, name),
        None => person("User", name),
    }
}

/// A subject of this group as one of RBAC. What is none stays as it is, so that validation names it.
fn subject(reference: &Value, own: &str) -> Value {
    let name = text(reference, "name");
    match text(reference, "kind") {
        "User" | "SystemUser" => person("User", name),
        "Group" | "SystemGroup" => person("Group", name),
        "ServiceAccount" => match text(reference, "namespace") {
            "" => account(own, name),
            namespace => account(namespace, name),
        },
        kind => Value::Object(Map::from_iter([
            ("kind".to_owned(), kind.into()),
            ("name".to_owned(), name.into()),
        ])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(fields: &Value) -> Object {
        let mut object = Object::from_value(json!({"metadata": {"name": "b", "namespace": "demo"}})).unwrap();
        for (key, value) in fields.as_object().unwrap() {
            object.set(key, value.clone());
        }
        object
    }

    fn part(object: &Object, fields: &[&str]) -> Value {
        fields
            .iter()
            .map(|field| {
                (
                    (*field).to_owned(),
                    object.get(field).cloned().unwrap_or_default(),
                )
            })
            .collect()
    }

    const OLD: [&str; 4] = ["userNames", "groupNames", "subjects", "roleRef"];

    #[test]
    fn bindings_go_there_and_back() {
        let all = json!({
            "subjects": [
                {"apiGroup": rbac::GROUP, "kind": "User", "name": "ann"},
                {"apiGroup": rbac::GROUP, "kind": "User", "name": "system:admin"},
                {"kind": "ServiceAccount", "namespace": "demo", "name": "ci"},
                {"apiGroup": rbac::GROUP, "kind": "Group", "name": "team"},
                {"apiGroup": rbac::GROUP, "kind": "Group", "name": "system:unauthenticated"},
            ],
            "roleRef": {"apiGroup": rbac::GROUP, "kind": "ClusterRole", "name": "view"},
        });
        let mut object = binding(&all);
        from_rbac(&mut object);
        assert_eq!(
            part(&object, &OLD),
            json!({
                "userNames": ["ann", "system:admin", "system:serviceaccount:demo:ci"],
                "groupNames": ["team", "system:unauthenticated"],
                "subjects": [
                    {"kind": "User", "name": "ann"}, {"kind": "SystemUser", "name": "system:admin"},
                    {"kind": "ServiceAccount", "namespace": "demo", "name": "ci"},
                    {"kind": "Group", "name": "team"}, {"kind": "SystemGroup", "name": "system:unauthenticated"},
                ],
                "roleRef": {"name": "view"},
            })
        );
        to_rbac(&mut object).unwrap();
        assert_eq!(part(&object, &["subjects", "roleRef"]), all);
    }

    #[test]
    fn names_win_over_subjects() {
        let ann = json!({"apiGroup": rbac::GROUP, "kind": "User", "name": "ann"});
        let bob = json!([{"kind": "User", "name": "bob"}]);
        for (fields, want) in [
            (json!({"userNames": ["ann"], "subjects": bob}), json!([ann])),
            (json!({"userNames": [], "subjects": bob}), json!([])),
            (
                json!({"userNames": null, "groupNames": null, "subjects": [{"kind": "User", "name": "ann"}]}),
                json!([ann]),
            ),
            (
                json!({"userNames": ["system:serviceaccount:a:b"]}),
                json!([{"kind": "ServiceAccount", "namespace": "a", "name": "b"}]),
            ),
            (
                json!({"subjects": [{"kind": "ServiceAccount", "name": "b"}]}),
                json!([{"kind": "ServiceAccount", "namespace": "demo", "name": "b"}]),
            ),
            (
                json!({"subjects": [{"kind": "Robot", "name": "b"}]}),
                json!([{"kind": "Robot", "name": "b"}]),
            ),
        ] {
            let mut object = binding(&fields);
            object.set("roleRef", json!({"name": "view"}));
            to_rbac(&mut object).unwrap();
            assert_eq!(object.get("subjects"), Some(&want), "{fields}");
        }
    }

    #[test]
    fn roles_are_the_namespaces_own_or_the_clusters() {
        for (namespace, want) in [("", Some("ClusterRole")), ("demo", Some("Role")), ("other", None)] {
            let mut object = binding(&json!({"roleRef": {"name": "r", "namespace": namespace}}));
            let got = to_rbac(&mut object)
                .ok()
                .map(|()| object.str_at(&["roleRef", "kind"]).to_owned());
            assert_eq!(got.as_deref(), want, "{namespace}");
        }
    }
}
