//! [`Storage`]: the objects of one resource, read from memory and written with compare-and-swap.
mod continue_token;
mod filter;
mod list;
mod subscription;
mod turns;
mod watch;

use std::sync::Arc;

use berth_store::{Change as StoreChange, Error, Expect, Key, Revision};
use jiff::Timestamp;

pub use self::list::PAGE_LIMIT;
pub use self::subscription::{Notice, Subscription};
use self::turns::{Turn, Turns};
pub use self::watch::BOOKMARK_INTERVAL;
use crate::cache::{Cache, Observer};
use crate::database::Database;
use crate::entry::Entry;
use crate::object::Object;
use crate::options::Preconditions;
use crate::resource::Resource;
use crate::status::Status;
use crate::strategy::Strategy;

/// How often a write is tried again after it lost a race that its caller need not know of.
pub const ATTEMPTS: usize = 64;

/// The objects of one resource. Cheap to clone; resources, controllers and authorizers read and write through it.
///
/// Writes here run no strategy and no admission: they are for what the system itself keeps. Clients write through
/// [`StoredRest`](crate::stored_rest::StoredRest).
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    database: Database,
    resource: Resource,
    cache: Arc<Cache>,
    strategy: Arc<dyn Strategy>,
    turns: Turns,
}

/// Why a write did not happen.
pub(crate) enum Refused {
    /// The object changed since it was read.
    Raced,
    /// Something else.
    Failed(Status),
}

impl Storage {
    /// The objects of a resource, with parsed objects kept in memory once they were asked for.
    #[must_use]
    pub fn new(database: &Database, resource: Resource, strategy: Arc<dyn Strategy>) -> Self {
        Self::build(database, resource, strategy, true)
    }

    /// The same for resources with many or large objects: memory keeps only their bytes.
    #[must_use]
    pub fn lean(database: &Database, resource: Resource, strategy: Arc<dyn Strategy>) -> Self {
        Self::build(database, resource, strategy, false)
    }

    fn build(
        database: &Database,
        resource: Resource,
        strategy: Arc<dyn Strategy>,
        keep_parsed: bool,
    ) -> Self {
        let group = if resource.group().is_empty() {
            "core"
        } else {
            resource.group()
        };
        let prefix = format!("/{group}/{}", resource.plural());
        let cache = Arc::new(Cache::new(prefix, &strategy, keep_parsed));
        database.register(Arc::clone(&cache));
        Self(Arc::new(Inner {
            database: database.clone(),
            resource,
            cache,
            strategy,
            turns: Turns::default(),
        }))
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// The database that holds it.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn strategy(&self) -> &Arc<dyn Strategy> {
        &self.0.strategy
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        &self.0.cache
    }

    /// An object, from memory; the namespace of a cluster-scoped one is empty.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        if namespace.is_empty() {
            self.0.cache.get(name)
        } else {
            self.0.cache.get(&format!("{namespace}/{name}"))
        }
    }

    /// An object that must exist.
    ///
    /// # Errors
    /// 404.
    pub fn require(&self, namespace: &str, name: &str) -> Result<Arc<Entry>, Status> {
        self.get(namespace, name).ok_or_else(|| self.not_found(name))
    }

    /// All objects of a namespace, or of all namespaces if it is empty, from memory and sorted by namespace and name.
    #[must_use]
    pub fn list(&self, namespace: &str) -> Vec<Arc<Entry>> {
        let prefix = if namespace.is_empty() {
            String::new()
        } else {
            format!("{namespace}/")
        };
        let range = self.0.cache.range(&prefix, None, usize::MAX);
        range
            .items
            .iter()
            .map(|(_, slot)| self.0.cache.slot_entry(slot))
            .collect()
    }

    /// Calls `observer` for every object there is and then for every change, before the writer of the change returns.
    /// It runs where the store is followed: it must be quick and must not write or add observers.
    pub fn observe(&self, observer: Observer) {
        self.0.cache.observe(observer);
    }

    /// Every object there is and then every change, as a stream of notices for a controller.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(Arc::clone(&self.0.cache))
    }

    /// Stores a new object; uid and creation time are set if they are missing.
    ///
    /// # Errors
    /// 409 `AlreadyExists`, or what the store answers.
    pub async fn create(&self, mut object: Object) -> Result<Arc<Entry>, Status> {
        let resource = self.resource();
        if object.kind().is_empty() {
            object.set_gvk(resource.gvk());
        }
        if object.uid().is_empty() {
            object.set_uid(&uuid::Uuid::new_v4().to_string());
        }
        if object.creation_timestamp().is_none() {
            object.set_creation_timestamp(Timestamp::now());
        }
        match self.put(object, Expect::Absent).await {
            Ok(entry) => Ok(entry),
            Err((Refused::Raced, object)) => {
                Err(Status::already_exists(&resource.group_resource(), object.name()))
            }
            Err((Refused::Failed(status), _)) => Err(status),
        }
    }

    /// Changes an object until no other writer interferes. `change` gets what is stored, without decoration, and returns
    /// what shall be stored, or none to leave it; an unchanged object is not written.
    ///
    /// # Errors
    /// 404, what `change` returns, 409 after [`ATTEMPTS`] lost races, or what the store answers.
    pub async fn update(
        &self,
        namespace: &str,
        name: &str,
        mut change: impl FnMut(&Object) -> Result<Option<Object>, Status> + Send,
    ) -> Result<Arc<Entry>, Status> {
        let _turn = self.turn(namespace, name).await;
        for _ in 0..ATTEMPTS {
            let entry = self.require(namespace, name)?;
            let stored = entry.stored();
            let Some(wanted) = change(&stored)? else {
                return Ok(entry);
            };
            if wanted == stored {
                return Ok(entry);
            }
            match self
                .put(wanted, Expect::At(Revision::new(entry.revision())))
                .await
            {
                Ok(entry) => return Ok(entry),
                Err((Refused::Raced, _)) => self.catch_up().await?,
                Err((Refused::Failed(status), _)) => return Err(status),
            }
        }
        Err(Status::stale(&self.resource().group_resource(), name))
    }

    /// Removes an object at once, whatever its finalizers are, and returns what it was.
    ///
    /// # Errors
    /// 404, 409 when a precondition does not hold, or what the store answers.
    pub async fn delete(
        &self,
        namespace: &str,
        name: &str,
        preconditions: &Preconditions,
    ) -> Result<Arc<Entry>, Status> {
        for _ in 0..ATTEMPTS {
            let entry = self.require(namespace, name)?;
            self.check(preconditions, &entry)?;
            match self.remove(namespace, &entry, name).await {
                Ok(entry) => return Ok(entry),
                Err(Refused::Raced) => self.catch_up().await?,
                Err(Refused::Failed(status)) => return Err(status),
            }
        }
        Err(Status::stale(&self.resource().group_resource(), name))
    }

    pub(crate) fn not_found(&self, name: &str) -> Status {
        Status::not_found(&self.resource().group_resource(), name)
    }

    /// Waits for the updates of an object that came before, so that they do not race.
    pub(crate) async fn turn(&self, namespace: &str, name: &str) -> Turn {
        self.0.turns.wait(format!("{namespace}/{name}")).await
    }

    /// Checks preconditions against an object.
    pub(crate) fn check(&self, preconditions: &Preconditions, entry: &Entry) -> Result<(), Status> {
        let object = entry.object();
        let failed = |field: &str, wanted: &str, found: &str| {
            let message = format!(
                "Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {found}"
            );
            Err(Status::conflict(
                &self.resource().group_resource(),
                object.name(),
                message,
            ))
        };
        match (&preconditions.uid, &preconditions.resource_version) {
            (Some(uid), _) if uid != object.uid() => failed("UID", uid, object.uid()),
            (_, Some(version)) if version != object.resource_version() => {
                failed("ResourceVersion", version, object.resource_version())
            }
            _ => Ok(()),
        }
    }

    fn key(&self, namespace: &str, name: &str) -> Result<Key, Status> {
        let prefix = &self.0.cache.prefix;
        let bad = |error| Status::bad_request(format!("the name {name:?} cannot be stored: {error}"));
        let mut key = Key::new(prefix).map_err(bad)?;
        if !namespace.is_empty() {
            key = key.join(namespace).map_err(bad)?;
        }
        key.join(name).map_err(bad)
    }

    /// Writes an object if its key is as expected and waits until memory shows it. Gives the object back with an error.
    pub(crate) async fn put(
        &self,
        mut object: Object,
        expect: Expect,
    ) -> Result<Arc<Entry>, (Refused, Object)> {
        object.metadata_mut().remove("resourceVersion");
        let namespace = if self.resource().is_namespaced() {
            object.namespace()
        } else {
            ""
        };
        let key = match self.key(namespace, object.name()) {
            Ok(key) => key,
            Err(status) => return Err((Refused::Failed(status), object)),
        };
        let json: bytes::Bytes = match serde_json::to_vec(&object) {
            Ok(json) => json.into(),
            Err(error) => return Err((Refused::Failed(Status::internal(error)), object)),
        };
        let change = StoreChange::Put {
            key,
            value: json.clone(),
        };
        let revision = match self.0.database.store().commit(change, expect).await {
            Ok(revision) => revision.get(),
            Err(error) => return Err((refused(&error), object)),
        };
        if let Err(status) = self.0.database.caught_up(revision).await {
            return Err((Refused::Failed(status), object));
        }
        let shared = self.get(
            if self.resource().is_namespaced() {
                object.namespace()
            } else {
                ""
            },
            object.name(),
        );
        let entry = match shared {
            Some(entry) if entry.revision() == revision => entry,
            // Somebody has changed it again already; the caller gets what it wrote.
            _ => self.0.cache.entry(&json, revision),
        };
        entry.keep(object);
        Ok(entry)
    }

    /// Removes the object that `entry` shows, if it is still that, and returns it with the revision of its end.
    pub(crate) async fn remove(
        &self,
        namespace: &str,
        entry: &Entry,
        name: &str,
    ) -> Result<Arc<Entry>, Refused> {
        let key = self.key(namespace, name).map_err(Refused::Failed)?;
        let expect = Expect::At(Revision::new(entry.revision()));
        match self
            .0
            .database
            .store()
            .commit(StoreChange::Delete { key }, expect)
            .await
        {
            Ok(revision) => {
                self.0
                    .database
                    .caught_up(revision.get())
                    .await
                    .map_err(Refused::Failed)?;
                Ok(Arc::new(entry.at_revision(revision.get())))
            }
            Err(error) => Err(refused(&error)),
        }
    }

    /// Waits until memory shows everything that the store holds, before a lost race is tried again.
    ///
    /// # Errors
    /// What the store answers, or 504 when memory does not follow.
    pub async fn catch_up(&self) -> Result<(), Status> {
        let revision = self.0.database.store().revision().await;
        let revision = revision.map_err(|error| Status::from_store(&error))?;
        self.0.database.caught_up(revision.get()).await
    }
}

fn refused(error: &Error) -> Refused {
    match error {
        Error::Conflict { .. } => Refused::Raced,
        error => {
            tracing::error!(%error, source = ?std::error::Error::source(error), "a write was not stored");
            Refused::Failed(Status::from_store(error))
        }
    }
}
