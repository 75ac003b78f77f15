//! `RoleBinding` and `ClusterRoleBinding`.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::authz::rbac::{Escalation, RoleRef};
use berth_apimachinery::context::Context;
use berth_apimachinery::field::FieldErrors;
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::status::Status;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};
use serde_json::Value;

use super::validation::{GROUP, default_binding, validate_binding};

/// Names and columns.
pub(super) fn resource(namespaced: bool) -> Resource {
    let resource = if namespaced {
        Resource::namespaced(GROUP, "v1", "RoleBinding", "rolebindings")
    } else {
        Resource::cluster(GROUP, "v1", "ClusterRoleBinding", "clusterrolebindings")
    };
    let columns = vec![
        Column::name(),
        Column::new("Role", "The role that is granted."),
        Column::age(),
        Column::new("Users", "Users that get the role.").wide(),
        Column::new("Groups", "Groups that get the role.").wide(),
        Column::new("ServiceAccounts", "Service accounts that get the role.").wide(),
    ];
    resource.with_table(Table::new(columns, |binding, now| {
        let role = |field: &str| binding.str_at(&["roleRef", field]);
        vec![
            binding.name().into(),
            format!("{}/{}", role("kind"), role("name")).into(),
            table::age(binding, now).into(),
            subjects(binding, "User").into(),
            subjects(binding, "Group").into(),
            subjects(binding, "ServiceAccount").into(),
        ]
    }))
}

/// The names of all subjects of a kind.
fn subjects(binding: &Object, kind: &str) -> String {
    let text = |subject: &Value, field: &str| -> String {
        subject
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let all = binding
        .get("subjects")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let names = all
        .filter(|subject| text(subject, "kind") == kind)
        .map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
            _ => text(subject, "name"),
        });
    names.collect::<Vec<_>>().join(", ")
}

/// The rules of bindings.
pub(super) struct BindingStrategy {
    escalation: Arc<Escalation>,
    namespaced: bool,
}

impl BindingStrategy {
    pub(super) fn new(escalation: Arc<Escalation>, namespaced: bool) -> BindingStrategy {
        BindingStrategy {
            escalation,
            namespaced,
        }
    }
}

#[async_trait]
impl Strategy for BindingStrategy {
    fn defaults(&self, object: &mut Object) {
        default_binding(object);
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        let kinds: &[&str] = if self.namespaced {
            &["ClusterRole", "Role"]
        } else {
            &["ClusterRole"]
        };
        validate_binding(object, old, kinds)
    }

    async fn check(&self, cx: &Context, object: &Object, old: Option<&Object>) -> Result<(), Status> {
        if let Some(old) = old
            && old.get("roleRef") == object.get("roleRef")
            && old.get("subjects") == object.get("subjects")
        {
            return Ok(());
        }
        let role = RoleRef::of(object);
        self.escalation
            .check_binding(&cx.user, object.namespace(), object.name(), &role)
            .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_list_subjects_by_kind() {
        let binding = Object::from_value(json!({"subjects": [
            {"kind": "User", "name": "ann"}, {"kind": "User", "name": "bob"}, {"kind": "Group", "name": "g"},
            {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
        ]}))
        .unwrap();
        for (kind, want) in [("User", "ann, bob"), ("Group", "g"), ("ServiceAccount", "n/s")] {
            assert_eq!(subjects(&binding, kind), want);
        }
    }
}
