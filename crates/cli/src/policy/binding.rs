//! Role bindings as they are before and after a change. Nothing here asks a server.
use serde_json::{Value, json};

use super::subject::{GROUP, same};

/// Bindings that every project has: without subjects they stay, because a missing one is made again with its subjects.
const KEPT: [&str; 3] = [
    "system:image-pullers",
    "system:image-builders",
    "system:deployers",
];

/// What is to be written.
#[derive(Debug, PartialEq)]
pub(super) enum Write {
    /// A new binding.
    Create(Value),
    /// A binding with other subjects.
    Update(Value),
    /// A binding that nobody would be in any more, as it was seen.
    Delete(Value),
}

/// The reference to a role.
pub(super) fn role_ref(kind: &str, role: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": kind, "name": role})
}

fn name(binding: &Value) -> &str {
    binding
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn subjects(binding: &Value) -> Vec<Value> {
    binding
        .get("subjects")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// Whether `binding` is one of the role.
fn gives(binding: &Value, role: &Value) -> bool {
    ["kind", "name"]
        .iter()
        .all(|field| binding.pointer(&format!("/roleRef/{field}")) == role.get(field))
}

/// How to add `wanted` to the role: to the binding `named`, else to an existing one, else to a new one, whose name is the
/// role's if that is free. Nothing is written when all have the role already.
///
/// # Errors
/// The name of the role that the binding `named` gives instead.
pub(super) fn add(
    existing: &[Value],
    kind: &str,
    role: &Value,
    named: Option<&str>,
    wanted: &[Value],
) -> Result<Option<Write>, String> {
    let target = match named {
        Some(wanted_name) => existing.iter().find(|binding| name(binding) == wanted_name),
        None => existing.iter().find(|binding| gives(binding, role)),
    };
    if let Some(binding) = target {
        if !gives(binding, role) {
            let other = binding.pointer("/roleRef/name").and_then(Value::as_str);
            return Err(other.unwrap_or_default().to_owned());
        }
        let held: Vec<Value> = match named {
            Some(_) => subjects(binding),
            None => existing
                .iter()
                .filter(|binding| gives(binding, role))
                .flat_map(subjects)
                .collect(),
        };
        let mut after = subjects(binding);
        let before = after.len();
        for subject in wanted {
            if !held.iter().chain(&after).any(|known| same(known, subject)) {
                after.push(subject.clone());
            }
        }
        if after.len() == before {
            return Ok(None);
        }
        let mut binding = binding.clone();
        binding["subjects"] = after.into();
        return Ok(Some(Write::Update(binding)));
    }
    let role_name = role.get("name").and_then(Value::as_str).unwrap_or_default();
    let free = |candidate: &String| !existing.iter().any(|binding| name(binding) == candidate.as_str());
    let new = match named {
        Some(named) => named.to_owned(),
        None => std::iter::once(role_name.to_owned())
            .chain((0..=existing.len()).map(|number| format!("{role_name}-{number}")))
            .find(free)
            .unwrap_or_else(|| role_name.to_owned()),
    };
    Ok(Some(Write::Create(json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": new}, "roleRef": role, "subjects": wanted,
    }))))
}

/// How to take the role from `unwanted`: from the binding `named`, else from each one of the role.
pub(super) fn remove(
    existing: &[Value],
    role: &Value,
    named: Option<&str>,
    unwanted: &[Value],
) -> Vec<Write> {
    let touched = existing.iter().filter(|binding| {
        gives(binding, role) && named.is_none_or(|wanted_name| name(binding) == wanted_name)
    });
    touched
        .filter_map(|binding| {
            let before = subjects(binding);
            let mut after = before.clone();
            after.retain(|subject| !unwanted.iter().any(|gone| same(gone, subject)));
            if after.len() == before.len() {
                return None;
            }
            if after.is_empty() && !KEPT.contains(&name(binding)) {
                return Some(Write::Delete(binding.clone()));
            }
            let mut binding = binding.clone();
            binding["subjects"] = after.into();
            Some(Write::Update(binding))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::subject::user, *};

    fn binding(name: &str, role: &str, users: &[&str]) -> Value {
        let subjects: Vec<Value> = users.iter().map(|name| user(name)).collect();
        json!({"metadata": {"name": name, "resourceVersion": "7"}, "roleRef": role_ref("ClusterRole", role),
               "subjects": subjects})
    }

    #[test]
    fn a_subject_joins_a_binding_or_gets_one() {
        let view = role_ref("ClusterRole", "view");
        let alice = [user("alice")];
        let Ok(Some(Write::Create(created))) = add(&[], "RoleBinding", &view, None, &alice) else {
            panic!("a new binding");
        };
        assert_eq!(name(&created), "view");
        assert_eq!(created["apiVersion"], "rbac.authorization.k8s.io/v1");

        let taken = [binding("view", "edit", &[]), binding("view-0", "edit", &[])];
        let Ok(Some(Write::Create(created))) = add(&taken, "RoleBinding", &view, None, &alice) else {
            panic!("a new binding");
        };
        assert_eq!(name(&created), "view-1");

        let bob = [binding("viewers", "view", &["bob"])];
        let joined = add(&bob, "RoleBinding", &view, None, &alice).unwrap();
        assert_eq!(
            joined,
            Some(Write::Update(binding("viewers", "view", &["bob", "alice"])))
        );

        let there = [binding("a", "view", &["bob"]), binding("b", "view", &["alice"])];
        assert_eq!(add(&there, "RoleBinding", &view, None, &alice).unwrap(), None);
        // A binding that is named gets the subject although another one has it.
        assert!(matches!(
            add(&there, "RoleBinding", &view, Some("a"), &alice).unwrap(),
            Some(Write::Update(_))
        ));
        assert_eq!(
            add(&taken, "RoleBinding", &view, Some("view"), &alice),
            Err("edit".to_owned())
        );
        // A project's own role of the same name is another role.
        let local = role_ref("Role", "view");
        assert!(matches!(
            add(&bob, "RoleBinding", &local, None, &alice).unwrap(),
            Some(Write::Create(_))
        ));
    }

    #[test]
    fn a_subject_leaves_every_binding_of_the_role() {
        let view = role_ref("ClusterRole", "view");
        let existing = [
            binding("a", "view", &["alice", "bob"]),
            binding("b", "view", &["alice"]),
            binding("c", "edit", &["alice"]),
            binding("system:image-pullers", "view", &["alice"]),
        ];
        assert_eq!(
            remove(&existing, &view, None, &[user("alice")]),
            [
                Write::Update(binding("a", "view", &["bob"])),
                Write::Delete(existing[1].clone()),
                Write::Update(binding("system:image-pullers", "view", &[])),
            ]
        );
        assert_eq!(
            remove(&existing, &view, Some("b"), &[user("alice")]),
            [Write::Delete(existing[1].clone())]
        );
        assert_eq!(remove(&existing, &view, None, &[user("carol")]), []);
    }
}
