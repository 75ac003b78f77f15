//! What every namespace gets: service accounts, and bindings that let them use the namespace's images
//! (facts/image-api.md, section 10.3).

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Gvk;
use berth_apimachinery::status::{Reason, Status};
use berth_apimachinery::storage::Storage;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tracing::warn;

use crate::core::namespace;
use crate::rbac;

/// Accounts of every namespace.
pub(crate) const SERVICE_ACCOUNTS: [&str; 3] = ["default", "builder", "deployer"];

/// A binding of every namespace.
struct Binding {
    name: &'static str,
    role: &'static str,
    subject: fn(&str) -> Value,
}

const BINDINGS: [Binding; 3] = [
    Binding {
        name: "system:image-pullers",
        role: "system:image-puller",
        subject: all_accounts,
    },
    Binding {
        name: "system:image-builders",
        role: "system:image-builder",
        subject: |ns| account(ns, "builder"),
    },
    Binding {
        name: "system:deployers",
        role: "system:deployer",
        subject: |ns| account(ns, "deployer"),
    },
];

fn all_accounts(namespace: &str) -> Value {
    json!({"apiGroup": rbac::GROUP, "kind": "Group", "name": format!("system:serviceaccounts:{namespace}")})
}

fn account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
}

/// The service accounts that a namespace should have.
fn wanted_accounts(namespace: &str) -> Vec<Object> {
    let make = |name: &&str| {
        let mut account = Object::new(&Gvk::new("", "v1", "ServiceAccount"), name);
        account.set_namespace(namespace);
        account
    };
    SERVICE_ACCOUNTS.iter().map(make).collect()
}

/// The bindings that a namespace should have.
fn wanted_bindings(namespace: &str) -> Vec<Object> {
    let make = |binding: &Binding| {
        let mut object = Object::new(&Gvk::new(rbac::GROUP, "v1", "RoleBinding"), binding.name);
        object.set_namespace(namespace);
        let description = format!(
            "Gives {} to those who need it in this namespace. To disable it, remove the subjects: a deleted binding \
             is created again.",
            binding.role
        );
        object.set_annotation("openshift.io/description", &description);
        object.set(
            "roleRef",
            json!({"apiGroup": rbac::GROUP, "kind": "ClusterRole", "name": binding.role}),
        );
        object.set("subjects", json!([(binding.subject)(namespace)]));
        object
    };
    BINDINGS.iter().map(make).collect()
}

/// Creates what a namespace should have.
pub(crate) struct NamespaceDefaults {
    accounts: Storage,
    bindings: Storage,
}

impl NamespaceDefaults {
    /// Writes to these storages.
    pub(crate) fn new(accounts: Storage, bindings: Storage) -> NamespaceDefaults {
        NamespaceDefaults { accounts, bindings }
    }

    /// Creates what is missing in an active namespace. What is there is left as it is, so that a binding whose subjects
    /// were removed stays without them.
    ///
    /// # Errors
    /// The first failure; the rest was tried all the same.
    pub(crate) async fn ensure(&self, namespace: &Object) -> Result<(), Status> {
        if namespace.is_deleting() || namespace::phase(namespace) == "Terminating" {
            return Ok(());
        }
        let name = namespace.name();
        let accounts = wanted_accounts(name)
            .into_iter()
            .map(|object| (&self.accounts, object));
        let bindings = wanted_bindings(name)
            .into_iter()
            .map(|object| (&self.bindings, object));
        let missing = accounts
            .chain(bindings)
            .filter(|(storage, object)| storage.get(name, object.name()).is_none());
        // All at once: the store puts concurrent writes into one transaction.
        let results = join_all(missing.map(|(storage, object)| storage.create(object))).await;
        results.into_iter().try_for_each(|result| match result {
            Err(status) if status.reason() != Reason::AlreadyExists => Err(status),
            _ => Ok(()),
        })
    }

    /// The same; a failure is logged, since the controller will try again.
    pub(crate) async fn ensure_logged(&self, namespace: &Object) {
        if let Err(error) = self.ensure(namespace).await {
            warn!(namespace = namespace.name(), %error, "default accounts and bindings are missing for now");
        }
    }
}
