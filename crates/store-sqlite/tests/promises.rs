//! The promises of a store, kept in memory and on disk.

use std::sync::Arc;

use async_trait::async_trait;
use berth_store::{Change, Event, Expect, Key, Page, Result, Revision, Store, Versioned};
use berth_store_sqlite::SqliteStore;
use futures_util::stream::BoxStream;
use tempfile::TempDir;

mod in_memory {
    use super::*;

    berth_store::suite!(SqliteStore::in_memory());
}

mod on_disk {
    use super::*;

    berth_store::suite!(OnDisk::new());
}

/// A store in a directory that goes with it.
struct OnDisk {
    store: SqliteStore,
    _directory: TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("there is a temporary directory");
        Self {
            store: SqliteStore::open(directory.path().join("store.db")).expect("the store opens"),
            _directory: directory,
        }
    }
}

#[async_trait]
impl Store for OnDisk {
    async fn get(&self, key: &Key, at: Option<Revision>) -> Result<Option<Versioned>> {
        self.store.get(key, at).await
    }

    async fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page> {
        self.store.list(prefix, after, limit, at).await
    }

    async fn commit(&self, change: Change, expect: Expect) -> Result<Revision> {
        self.store.commit(change, expect).await
    }

    async fn watch(&self, prefix: &Key, from: Revision) -> Result<BoxStream<'static, Result<Event>>> {
        self.store.watch(prefix, from).await
    }

    async fn revision(&self) -> Result<Revision> {
        self.store.revision().await
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        self.store.compact(before).await
    }
}

proptest::proptest! {
    #[test]
    fn agrees_with_the_model(operations: Vec<[u8; 4]>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let store = Arc::new(SqliteStore::in_memory());
        runtime.block_on(berth_store::suite::agrees_with_the_model(store, &operations));
    }
}
