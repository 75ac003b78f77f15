//! [`Database`]: a store and its image in memory, which [`Feed`] keeps current.
mod feed;
mod progress;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use berth_store::Store;

pub use self::feed::Feed;
use self::progress::Progress;
use crate::cache::Cache;
use crate::status::Status;

/// How long a write waits for memory to catch up with it.
pub const CATCH_UP: Duration = Duration::from_secs(30);

/// How long a read waits for a resource version that memory has not reached.
pub const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

/// A store and its image in memory. Cheap to clone.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    /// By `/<group|core>/<plural>`.
    caches: RwLock<BTreeMap<String, Arc<Cache>>>,
    progress: Progress,
}

impl Database {
    /// An empty image of a store, and the feed that fills it. Register every [`Storage`](crate::storage::Storage)
    /// before the feed loads.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> (Self, Feed) {
        let database = Self(Arc::new(Inner {
            store,
            caches: RwLock::default(),
            progress: Progress::default(),
        }));
        (database.clone(), Feed::new(database))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// The revision up to which memory has seen everything.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.progress.current()
    }

    pub(crate) fn register(&self, cache: Arc<Cache>) {
        let mut caches = self.0.caches.write().unwrap_or_else(PoisonError::into_inner);
        caches.insert(cache.prefix.clone(), cache);
    }

    /// Waits until memory has seen a revision that this process wrote.
    pub(crate) async fn caught_up(&self, revision: u64) -> Result<(), Status> {
        match tokio::time::timeout(CATCH_UP, self.0.progress.reach(revision)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Status::timeout(
                "the write is stored, but reads do not show it yet",
            )),
        }
    }

    /// Waits a little for a revision that a client has seen elsewhere.
    ///
    /// # Errors
    /// 504 "Too large resource version" when it does not come.
    pub async fn fresh(&self, revision: u64) -> Result<(), Status> {
        match tokio::time::timeout(FRESHNESS_WAIT, self.0.progress.reach(revision)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Status::too_new(revision, self.revision())),
        }
    }
}
