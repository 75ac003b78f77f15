//! Garbage: objects whose owners are gone, and owners that wait for their dependents (`propagationPolicy`).

mod index;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berth_apimachinery::cache::Change;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::{Object, OwnerReference};
use berth_apimachinery::options::{DeleteOptions, FOREGROUND, ORPHAN, Preconditions};
use berth_apimachinery::resource::{Endpoint, GroupKind, GroupResource};
use berth_apimachinery::rest::Rest;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::index::{Id, Index};
use self::plan::{Owner, Plan, plan};
use super::queue::Queue;

/// A stored resource, and how its objects are changed with all rules.
struct Kind {
    storage: Storage,
    rest: Arc<dyn Rest>,
}

/// Every stored kind that is served.
pub(super) struct Kinds {
    kinds: Vec<Kind>,
    by_name: BTreeMap<(String, String), usize>,
}

impl Kinds {
    /// The stored kinds among `endpoints`.
    pub(super) fn of(endpoints: &[Endpoint], storages: &BTreeMap<GroupResource, Storage>) -> Kinds {
        let mut kinds = Kinds {
            kinds: Vec::new(),
            by_name: BTreeMap::new(),
        };
        for endpoint in endpoints {
            if let Some(storage) = storages.get(&endpoint.resource.group_resource()) {
                let GroupKind { group, kind } = endpoint.resource.group_kind();
                kinds.by_name.insert((group, kind), kinds.kinds.len());
                kinds.kinds.push(Kind {
                    storage: storage.clone(),
                    rest: Arc::clone(&endpoint.rest),
                });
            }
        }
        kinds
    }

    fn entry(&self, id: &Id) -> Option<Arc<Entry>> {
        let (namespace, name) = split(&id.1);
        self.kinds.get(id.0)?.storage.get(namespace, name)
    }

    /// How it stands with the owner of an object in `namespace`.
    fn owner(&self, reference: &OwnerReference, namespace: &str) -> Owner {
        let group = reference
            .api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        let Some(index) = self.by_name.get(&(group.to_owned(), reference.kind.clone())) else {
            // Not served here, so nobody here can say that it is gone.
            return Owner::Present;
        };
        let storage = &self.kinds[*index].storage;
        let namespace = if storage.resource().is_namespaced() {
            namespace
        } else {
            ""
        };
        match storage.get(namespace, &reference.name) {
            Some(entry) if entry.object().uid() == reference.uid => {
                let waits = entry.object().is_deleting() && holds(entry.object(), FOREGROUND);
                if waits { Owner::Waiting } else { Owner::Present }
            }
            _ => Owner::Gone,
        }
    }
}

fn split(key: &str) -> (&str, &str) {
    key.split_once('/').unwrap_or(("", key))
}

fn holds(object: &Object, finalizer: &str) -> bool {
    object.finalizers().iter().any(|held| held == finalizer)
}

/// What the queue holds: an object that names owners, or one that waits for its dependents.
fn key_of(id: &Id) -> String {
    format!("{} {}", id.0, id.1)
}

fn id_of(key: &str) -> Option<Id> {
    let (index, key) = key.split_once(' ')?;
    Some((index.parse().ok()?, key.to_owned()))
}

/// What the observers of all storages note, and what the collector looks at.
#[derive(Default)]
struct Notes {
    index: Index,
    /// Owners that wait for their dependents, by UID.
    waiting: BTreeMap<String, Id>,
    /// Objects to look at.
    dirty: BTreeSet<Id>,
}

impl Notes {
    /// Takes in a change; true if there is something to look at. Most changes concern no owner and cost a search for
    /// two words.
    fn take(&mut self, id: Id, change: &Change) -> bool {
        let before = self.dirty.len();
        let Some(entry) = &change.entry else {
            for owner in self.index.owners(&id) {
                self.dirty.extend(self.waiting.get(owner).cloned());
            }
            self.index.set(&id, Vec::new());
            if let Some(old) = change
                .old
                .as_ref()
                .filter(|_| !self.index.is_empty() || !self.waiting.is_empty())
            {
                let uid = old.object().uid();
                self.waiting.remove(uid);
                self.dirty.extend(self.index.dependents(uid));
            }
            return self.dirty.len() > before;
        };
        if entry.metadata_mentions("deletionTimestamp") && waits(entry.object()) {
            self.waiting.insert(entry.object().uid().to_owned(), id.clone());
            self.dirty.insert(id.clone());
        }
        if entry.metadata_mentions("ownerReferences") || !self.index.owners(&id).is_empty() {
            let owners = entry.object().owner_references();
            self.index
                .set(&id, owners.into_iter().map(|owner| owner.uid).collect());
            self.dirty.insert(id);
        }
        self.dirty.len() > before
    }
}

/// The notes, and who is told of them.
#[derive(Default)]
struct Shared {
    notes: Mutex<Notes>,
    wake: Notify,
}

impl Shared {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to look at, and takes it.
    async fn dirty(&self) -> BTreeSet<Id> {
        loop {
            let dirty = std::mem::take(&mut self.notes().dirty);
            if !dirty.is_empty() {
                return dirty;
            }
            self.wake.notified().await;
        }
    }
}

/// Looks at what was noted.
struct Collector {
    kinds: Kinds,
    shared: Arc<Shared>,
    queue: Queue,
}

/// Collects garbage, until `stop`.
pub(super) async fn run(kinds: Kinds, stop: CancellationToken) {
    let shared = Arc::new(Shared::default());
    for (index, kind) in kinds.kinds.iter().enumerate() {
        let shared = Arc::clone(&shared);
        kind.storage.observe(Arc::new(move |change| {
            if shared.notes().take((index, change.key.to_string()), change) {
                shared.wake.notify_one();
            }
        }));
    }
    let mut collector = Collector {
        kinds,
        shared: Arc::clone(&shared),
        queue: Queue::default(),
    };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            dirty = shared.dirty() => dirty.iter().for_each(|id| collector.queue.add(key_of(id))),
            key = collector.queue.next() => match collector.pass(&key).await {
                Ok(()) => collector.queue.succeeded(&key),
                Err(error) => {
                    warn!(object = key, %error, "garbage could not be collected, trying again");
                    collector.queue.failed(&key);
                }
            },
        }
    }
}

impl Collector {
    async fn pass(&mut self, key: &str) -> Result<(), Status> {
        let Some(id) = id_of(key) else { return Ok(()) };
        let Some(entry) = self.kinds.entry(&id) else {
            return Ok(());
        };
        let object = entry.object();
        if waits(object) {
            return self.see_to_dependents(&id, object).await;
        }
        let states: Vec<_> = object
            .owner_references()
            .into_iter()
            .map(|reference| {
                let state = self.kinds.owner(&reference, object.namespace());
                (reference, state)
            })
            .collect();
        match plan(&states) {
            Plan::Leave => Ok(()),
            Plan::Delete => self.delete(&id, object).await,
            Plan::Forget(owners) => self.forget(&id, &owners).await,
        }
    }

    async fn delete(&self, id: &Id, object: &Object) -> Result<(), Status> {
        if object.is_deleting() {
            return Ok(());
        }
        let this = Preconditions {
            uid: Some(object.uid().to_owned()),
            resource_version: None,
        };
        let options = DeleteOptions {
            preconditions: this,
            ..DeleteOptions::default()
        };
        let (namespace, name) = split(&id.1);
        let cx = Context::system().in_namespace(namespace);
        gone_is_fine(
            self.kinds.kinds[id.0]
                .rest
                .delete(&cx, name, &options)
                .await
                .map(drop),
        )
    }

    /// Removes references to owners.
    async fn forget(&self, id: &Id, owners: &[String]) -> Result<(), Status> {
        let (namespace, name) = split(&id.1);
        let update = |object: &Object| {
            let mut changed = object.clone();
            if let Some(Value::Array(list)) = changed.metadata_mut().get_mut("ownerReferences") {
                list.retain(|reference| {
                    let uid = reference.get("uid").and_then(Value::as_str).unwrap_or_default();
                    !owners.iter().any(|owner| owner == uid)
                });
                if list.is_empty() {
                    changed.metadata_mut().remove("ownerReferences");
                }
            }
            Ok(Some(changed))
        };
        gone_is_fine(
            self.kinds.kinds[id.0]
                .storage
                .update(namespace, name, update)
                .await
                .map(drop),
        )
    }

    /// Deletes or releases the dependents of an owner that waits for that, and lets it go when that is done.
    async fn see_to_dependents(&mut self, id: &Id, owner: &Object) -> Result<(), Status> {
        let uid = owner.uid().to_owned();
        let dependents = self.shared.notes().index.dependents(&uid);
        if holds(owner, ORPHAN) {
            for dependent in &dependents {
                self.forget(dependent, std::slice::from_ref(&uid)).await?;
            }
            return self.release(id, ORPHAN).await;
        }
        let mut blocked = false;
        for dependent in &dependents {
            let Some(entry) = self.kinds.entry(dependent) else {
                continue;
            };
            let references = entry.object().owner_references();
            blocked |= references
                .iter()
                .any(|reference| reference.uid == uid && reference.block_owner_deletion == Some(true));
            self.queue.add(key_of(dependent));
        }
        if blocked {
            Ok(())
        } else {
            self.release(id, FOREGROUND).await
        }
    }

    /// Takes a finalizer away; the object goes if it was the last.
    async fn release(&mut self, id: &Id, finalizer: &str) -> Result<(), Status> {
        let (namespace, name) = split(&id.1);
        let without = |object: Option<&Object>| {
            let mut object = object.cloned().ok_or_else(Status::no_such_resource)?;
            let mut finalizers = object.finalizers();
            finalizers.retain(|held| held != finalizer);
            object.set_finalizers(&finalizers);
            Ok(object)
        };
        let cx = Context::system().in_namespace(namespace);
        gone_is_fine(
            self.kinds.kinds[id.0]
                .rest
                .update(&cx, name, &without)
                .await
                .map(drop),
        )
    }
}

/// Whether an object is being deleted and waits for its dependents.
fn waits(object: &Object) -> bool {
    object.is_deleting() && (holds(object, FOREGROUND) || holds(object, ORPHAN))
}

/// Somebody else was faster, or the object is another one by now.
fn gone_is_fine(result: Result<(), Status>) -> Result<(), Status> {
    match result {
        Err(status) if matches!(status.code(), 404 | 409) => Ok(()),
        other => other,
    }
}
