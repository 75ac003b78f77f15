//! Quotas: every creation in a namespace that has one is charged to it first.
//!
//! The charge is a compare-and-swap on the quota's status, so that two creations at once cannot both take the last
//! place, also in two processes. Counting again ([`crate::controllers`]) gives back what was deleted, or what a
//! creation that failed had taken. A count must not miss objects that were charged and are not stored yet: they are
//! remembered until they are seen, or until they must have failed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::GroupResource;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use serde_json::Value;
use tokio::time::Instant;

use crate::core::resource_quota::{self, Charge};

/// Every stored resource, by name. Filled once all are registered.
pub(crate) type Registry = Arc<OnceLock<BTreeMap<GroupResource, Storage>>>;

/// A creation that was charged and is not stored after this time has failed.
pub(crate) const PENDING: Duration = Duration::from_secs(5);

/// Locks that namespaces share, so that their number does not grow.
const SERIALS: usize = 64;

/// A creation that was charged and is not stored yet.
struct Pending {
    namespace: String,
    resource: GroupResource,
    since: Instant,
}

/// Charges and counts.
pub(crate) struct Quota {
    quotas: Storage,
    registry: Registry,
    serials: [tokio::sync::Mutex<()>; SERIALS],
    pending: Mutex<Vec<Pending>>,
    /// Namespaces whose quotas were charged or whose content changed, until somebody takes them.
    dirty: Mutex<BTreeSet<String>>,
    wake: tokio::sync::Notify,
}

impl Quota {
    /// Quotas of `quotas`, over the objects of `registry`.
    pub(crate) fn new(quotas: Storage, registry: Registry) -> Quota {
        Quota {
            quotas,
            registry,
            serials: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            pending: Mutex::default(),
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

    /// The quota's status as counted now, with what is about to be stored.
    fn counted_status(&self, quota: &Object) -> Value {
        let namespace = quota.namespace();
        let pending = |resource: &GroupResource| {
            let waiting = self.pending();
            let count = waiting
                .iter()
                .filter(|one| one.namespace == namespace && one.resource == *resource)
                .count();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        // In this order: what is stored between the two is counted twice, and again when it is seen; never not at all.
        resource_quota::status(quota, |resource| {
            let pending = pending(resource);
            pending.saturating_add(self.count(resource, namespace))
        })
    }

    /// What is charged and not stored yet, without what has failed.
    fn pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|one| one.since.elapsed() < PENDING);
        pending
    }

    /// Whether a later count may come out lower without anything being deleted.
    pub(crate) fn has_pending(&self, namespace: &str) -> bool {
        self.pending().iter().any(|one| one.namespace == namespace)
    }

    /// Forgets one pending creation.
    fn settle(&self, namespace: &str, resource: &GroupResource) {
        let mut pending = self.pending();
        if let Some(index) = pending
            .iter()
            .position(|one| one.namespace == namespace && one.resource == *resource)
        {
            pending.swap_remove(index);
        }
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
        let quotas = self.quotas.list(namespace);
        let limited = |quota: &Object| {
            let hard = resource_quota::quantities(quota, &["spec", "hard"]);
            hard.keys()
                .any(|name| resource_quota::counted(name).as_ref() == Some(resource))
        };
        let quotas: Vec<&Object> = quotas
            .iter()
            .map(|entry| entry.object())
            .filter(|quota| limited(quota))
            .collect();
        if quotas.is_empty() {
            return Ok(());
        }
        // Most refusals end here, before anything is written.
        for quota in &quotas {
            self.charged(quota, resource, name)?;
        }
        if dry_run {
            return Ok(());
        }
        let _serial = self.serial(namespace).await;
        for quota in &quotas {
            self.charge(quota, resource, name).await.inspect_err(|_| {
                // The quotas before this one were charged for nothing.
                self.mark(namespace);
            })?;
        }
        let pending = Pending {
            namespace: namespace.to_owned(),
            resource: resource.clone(),
            since: Instant::now(),
        };
        self.pending().push(pending);
        self.mark(namespace);
        Ok(())
    }

    /// Lets one writer at a time see to a namespace's quotas: a count between a charge and its being remembered would
    /// take the charge away.
    async fn serial(&self, namespace: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = std::hash::DefaultHasher::new();
        namespace.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % SERIALS as u64).unwrap_or_default();
        self.serials[index].lock().await
    }

    /// Writes the status of every quota of a namespace, as counted now.
    ///
    /// # Errors
    /// What the store answers.
    pub(crate) async fn count_again(&self, namespace: &str) -> Result<(), Status> {
        let _serial = self.serial(namespace).await;
        for entry in self.quotas.list(namespace) {
            let update = |current: &Object| {
                let mut counted = current.clone();
                counted.set("status", self.counted_status(current));
                Ok(Some(counted))
            };
            match self.quotas.update(namespace, entry.object().name(), update).await {
                Err(status) if status.code() != 404 => return Err(status),
                _ => {}
            }
        }
        Ok(())
    }

    /// The status of a quota with one object more.
    fn charged(&self, quota: &Object, resource: &GroupResource, name: &str) -> Result<Option<Value>, Status> {
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
    }

    async fn charge(&self, quota: &Object, resource: &GroupResource, name: &str) -> Result<(), Status> {
        let namespace = quota.namespace();
        let update = |quota: &Object| {
            let Some(status) = self.charged(quota, resource, name)? else {
                return Ok(None);
            };
            let mut charged = quota.clone();
            charged.set("status", status);
            Ok(Some(charged))
        };
        match self.quotas.update(namespace, quota.name(), update).await {
            // The quota was deleted meanwhile.
            Err(status) if status.code() == 404 => Ok(()),
            other => other.map(drop),
        }
    }

    /// An object came (or went).
    pub(crate) fn changed(&self, namespace: &str, resource: &GroupResource, came: bool) {
        if came {
            self.settle(namespace, resource);
        }
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
