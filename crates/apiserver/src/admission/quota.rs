//! Quotas: every creation in a namespace that has one is charged to it first.
//!
//! The charge is a compare-and-swap on the quota's status, so that two creations at once cannot both take the last
//! place, also in two processes. Counting again ([`crate::controllers`]) gives back what a creation that failed
//! afterwards had taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::GroupResource;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use serde_json::Value;

use crate::core::resource_quota::{self, Charge};

/// Every stored resource, by name. Filled once all are registered.
pub(crate) type Registry = Arc<OnceLock<BTreeMap<GroupResource, Storage>>>;

/// Charges and counts.
pub(crate) struct Quota {
    quotas: Storage,
    registry: Registry,
    /// Namespaces whose quotas were charged or whose content changed, until somebody takes them.
    dirty: Mutex<std::collections::BTreeSet<String>>,
    wake: tokio::sync::Notify,
}

impl Quota {
    /// Quotas of `quotas`, over the objects of `registry`.
    pub(crate) fn new(quotas: Storage, registry: Registry) -> Quota {
        Quota {
            quotas,
            registry,
            dirty: Mutex::default(),
            wake: tokio::sync::Notify::new(),
        }
    }

    /// Number of objects of a resource in a namespace; 0 for a resource that is not stored here.
    pub(crate) fn count(&self, resource: &GroupResource, namespace: &str) -> i64 {
        let storage = self.registry.get().and_then(|registry| registry.get(resource));
        storage.map_or(0, |storage| {
            i64::try_from(storage.list(namespace).len()).unwrap_or(i64::MAX)
        })
    }

    /// The quota's status as counted now.
    pub(crate) fn counted_status(&self, quota: &Object) -> Value {
        resource_quota::status(quota, |resource| self.count(resource, quota.namespace()))
    }

    /// Charges one new object to every quota of its namespace that limits its resource.
    ///
    /// # Errors
    /// 403 `exceeded quota: …`, worded as Kubernetes does; the registry recognizes it by these words.
    pub(crate) async fn admit(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        dry_run: bool,
    ) -> Result<(), Status> {
        for quota in self.quotas.list(namespace) {
            let decide = |quota: &Object| -> Result<Option<Value>, Status> {
                let status = if resource_quota::is_current(quota) {
                    quota.get("status").cloned().unwrap_or_default()
                } else {
                    self.counted_status(quota)
                };
                match resource_quota::charge(quota, &status, resource, 1) {
                    Charge::Unlimited => Ok(None),
                    Charge::Allowed(status) => Ok(Some(status)),
                    Charge::Exceeded(text) => Err(Status::forbidden(resource, name, text)),
                }
            };
            if decide(quota.object())?.is_none() || dry_run {
                continue;
            }
            let name = quota.object().name();
            let update = |quota: &Object| {
                let Some(status) = decide(quota)? else {
                    return Ok(None);
                };
                let mut charged = quota.clone();
                charged.set("status", status);
                Ok(Some(charged))
            };
            match self.quotas.update(namespace, name, update).await {
                Ok(_) => self.mark(namespace),
                // The quota was deleted meanwhile.
                Err(status) if status.code() == 404 => {}
                Err(status) => return Err(status),
            }
        }
        Ok(())
    }

    /// Content of a namespace came or went.
    pub(crate) fn changed(&self, namespace: &str) {
        if !namespace.is_empty() && !self.quotas.list(namespace).is_empty() {
            self.mark(namespace);
        }
    }

    /// Asks for the quotas of a namespace to be counted again.
    pub(crate) fn mark(&self, namespace: &str) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(namespace.to_owned());
        self.wake.notify_one();
    }

    /// Waits for namespaces to be counted again, and takes them.
    pub(crate) async fn marked(&self) -> Vec<String> {
        loop {
            let taken = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken.into_iter().collect();
            }
            self.wake.notified().await;
        }
    }
}
