//! What exists from the first start: namespaces, roles, bindings, the accounts of Berth's own parts.
//!
//! Each start brings back what is missing: a standard rule of a role, a standard subject of a binding. What an
//! administrator added stays, and so does everything about an object that carries
//! `rbac.authorization.kubernetes.io/autoupdate: "false"`.

mod bindings;
mod reconcile;
mod roles;
mod rule;

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Gvk;
use berth_apimachinery::status::{Reason, Status};
use berth_apimachinery::storage::Storage;
use futures_util::future::join_all;
use serde_json::{Value, json};

pub(crate) use self::bindings::IMMORTAL_NAMESPACES;
pub use self::bindings::REGISTRY_NAMESPACE;
use crate::core::namespace;
use crate::defaults::NamespaceDefaults;
use crate::{core, rbac};

const RBAC_GROUP: &str = rbac::GROUP;
/// Annotation that lets a start repair an object.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
/// Label of everything that comes from here.
const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// Prefix of the labels by which roles are joined.
const AGGREGATE_TO: &str = "rbac.authorization.k8s.io/aggregate-to-";
const DESCRIPTION: &str = "openshift.io/description";
/// Namespace whose images everyone may pull.
const SHARED_NAMESPACE: &str = "openshift";

/// Brings everything into being, and repairs it.
///
/// # Errors
/// What the store answers.
pub(crate) async fn run(core: &core::Storages, rbac: &rbac::Storages) -> Result<(), Status> {
    // Roles first: whatever refers to them finds them.
    all(roles::CLUSTER_ROLES
        .iter()
        .map(|role| sync(&rbac.cluster_roles, cluster_role(role))))
    .await?;
    crate::controllers::aggregate_now(&rbac.cluster_roles).await?;
    let bindings = bindings::CLUSTER_ROLE_BINDINGS.iter();
    all(bindings.map(|binding| sync(&rbac.cluster_role_bindings, cluster_role_binding(binding)))).await?;
    all(bindings::NAMESPACES
        .iter()
        .map(|name| ensure(&core.namespaces, namespace_object(name))))
    .await?;
    let defaults = NamespaceDefaults::new(core.service_accounts.clone(), rbac.role_bindings.clone());
    let namespaces = core.namespaces.list("");
    all(namespaces.iter().map(|entry| defaults.ensure(entry.object()))).await?;
    all(bindings::SERVICE_ACCOUNTS
        .iter()
        .map(|(namespace, name)| ensure(&core.service_accounts, service_account(namespace, name))))
    .await?;
    sync(&rbac.roles, shared_role()).await?;
    sync(&rbac.role_bindings, shared_binding()).await
}

/// All at once, since the store puts concurrent writes into one transaction.
async fn all(writes: impl Iterator<Item = impl Future<Output = Result<(), Status>>>) -> Result<(), Status> {
    join_all(writes).await.into_iter().collect()
}

/// Creates an object unless there is one of its name.
async fn ensure(storage: &Storage, object: Object) -> Result<(), Status> {
    if storage.get(object.namespace(), object.name()).is_some() {
        return Ok(());
    }
    match storage.create(object).await {
        Err(status) if status.reason() != Reason::AlreadyExists => Err(status),
        _ => Ok(()),
    }
}

/// Creates a role or binding, or repairs the one there is.
async fn sync(storage: &Storage, wanted: Object) -> Result<(), Status> {
    let (namespace, name) = (wanted.namespace().to_owned(), wanted.name().to_owned());
    let Some(stored) = storage.get(&namespace, &name) else {
        return ensure(storage, wanted).await;
    };
    match reconcile::plan(&wanted, stored.object()) {
        reconcile::Plan::Leave => Ok(()),
        reconcile::Plan::Update(_) => {
            let update = |stored: &Object| match reconcile::plan(&wanted, stored) {
                reconcile::Plan::Update(object) => Ok(Some(object)),
                reconcile::Plan::Leave | reconcile::Plan::Replace => Ok(None),
            };
            storage.update(&namespace, &name, update).await.map(drop)
        }
        reconcile::Plan::Replace => {
            storage
                .delete(
                    &namespace,
                    &name,
                    &berth_apimachinery::options::Preconditions::default(),
                )
                .await?;
            ensure(storage, wanted).await
        }
    }
}

fn standard(kind: &str, name: &str) -> Object {
    let mut object = Object::new(&Gvk::new(RBAC_GROUP, "v1", kind), name);
    object.set_label(BOOTSTRAPPING.0, BOOTSTRAPPING.1);
    object.set_annotation(AUTOUPDATE, "true");
    object
}

fn cluster_role(role: &roles::RoleDefault) -> Object {
    let mut object = standard("ClusterRole", role.name);
    if !role.description.is_empty() {
        object.set_annotation(DESCRIPTION, role.description);
    }
    for target in role.aggregate_to {
        object.set_label(&format!("{AGGREGATE_TO}{target}"), "true");
    }
    if role.aggregates.is_empty() {
        object.set("rules", rules(role.rules));
    } else {
        let selector = |name: &&str| json!({"matchLabels": {format!("{AGGREGATE_TO}{name}"): "true"}});
        let selectors: Vec<Value> = role.aggregates.iter().map(selector).collect();
        object.set("aggregationRule", json!({ "clusterRoleSelectors": selectors }));
        object.set("rules", json!([]));
    }
    object
}

fn rules(rules: &[rule::Rule]) -> Value {
    rules.iter().map(|rule| rule.to_json()).collect()
}

fn role_ref(kind: &str, name: &str) -> Value {
    json!({"apiGroup": RBAC_GROUP, "kind": kind, "name": name})
}

fn cluster_role_binding(binding: &bindings::BindingDefault) -> Object {
    let mut object = standard("ClusterRoleBinding", binding.name);
    object.set("roleRef", role_ref("ClusterRole", binding.role));
    object.set(
        "subjects",
        binding
            .subjects
            .iter()
            .map(|subject| subject.to_json())
            .collect::<Value>(),
    );
    object
}

fn namespace_object(name: &str) -> Object {
    let mut object = Object::new(&Gvk::new("", "v1", "Namespace"), name);
    object.set_label(namespace::NAME_LABEL, name);
    object.set("spec", json!({"finalizers": [namespace::FINALIZER]}));
    object.set("status", json!({"phase": "Active"}));
    object
}

fn service_account(namespace: &str, name: &str) -> Object {
    let mut object = Object::new(&Gvk::new("", "v1", "ServiceAccount"), name);
    object.set_namespace(namespace);
    object
}

fn shared_role() -> Object {
    let mut object = standard("Role", "shared-resource-viewer");
    object.set_namespace(SHARED_NAMESPACE);
    object.set("rules", rules(roles::SHARED_RESOURCE_VIEWER));
    object
}

fn shared_binding() -> Object {
    let mut object = standard("RoleBinding", "shared-resource-viewers");
    object.set_namespace(SHARED_NAMESPACE);
    object.set("roleRef", role_ref("Role", "shared-resource-viewer"));
    object.set(
        "subjects",
        json!([bindings::Subject::Group("system:authenticated").to_json()]),
    );
    object
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_default_refers_to_what_exists() {
        let names: BTreeSet<&str> = roles::CLUSTER_ROLES.iter().map(|role| role.name).collect();
        assert_eq!(names.len(), roles::CLUSTER_ROLES.len(), "names are unique");
        for binding in bindings::CLUSTER_ROLE_BINDINGS {
            assert!(names.contains(binding.role), "{}", binding.name);
        }
        let joined: BTreeSet<&str> = roles::CLUSTER_ROLES
            .iter()
            .flat_map(|role| role.aggregates)
            .copied()
            .collect();
        for role in roles::CLUSTER_ROLES {
            assert!(
                role.aggregates.is_empty() || role.rules.is_empty(),
                "{}: rules of a joined role are lost",
                role.name
            );
            for target in role.aggregate_to {
                assert!(joined.contains(target), "{}", role.name);
            }
        }
    }

    #[test]
    fn defaults_are_valid() {
        for role in roles::CLUSTER_ROLES {
            let object = cluster_role(role);
            assert_eq!(rbac::problems(&object), Vec::<String>::new(), "{}", role.name);
        }
        for binding in bindings::CLUSTER_ROLE_BINDINGS {
            let object = cluster_role_binding(binding);
            assert_eq!(rbac::problems(&object), Vec::<String>::new(), "{}", binding.name);
        }
        for object in [shared_role(), shared_binding()] {
            assert_eq!(rbac::problems(&object), Vec::<String>::new(), "{}", object.name());
        }
    }
}
