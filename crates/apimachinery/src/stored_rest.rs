//! [`StoredRest`]: the eight verbs of a stored resource, over its [`Storage`] and its [`Strategy`].
mod create;
mod delete;
mod update;

use std::sync::Arc;

use async_trait::async_trait;

use crate::context::Context;
use crate::entry::Entry;
use crate::field::FieldError;
use crate::object::Object;
use crate::options::{DeleteOptions, ListOptions, WatchOptions};
use crate::rest::{Deleted, List, Rest, Transform, Updated, Verbs, WatchStream};
use crate::status::Status;
use crate::storage::Storage;
use crate::strategy::Strategy;

/// A stored resource, or with another strategy a view on it such as its status. Cheap to clone.
#[derive(Clone)]
pub struct StoredRest {
    storage: Storage,
    strategy: Arc<dyn Strategy>,
    verbs: Verbs,
}

impl StoredRest {
    /// The resource itself, with all verbs and the strategy of its storage.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        let strategy = Arc::clone(storage.strategy());
        Self {
            storage,
            strategy,
            verbs: Verbs::ALL,
        }
    }

    /// A subresource on the same objects, such as `status`: get, update and patch under another strategy.
    #[must_use]
    pub fn subresource(storage: Storage, strategy: Arc<dyn Strategy>) -> Self {
        Self {
            storage,
            strategy,
            verbs: Verbs::STATUS,
        }
    }

    /// The same with other verbs.
    #[must_use]
    pub fn with_verbs(mut self, verbs: Verbs) -> Self {
        self.verbs = verbs;
        self
    }

    /// The objects.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    fn namespace<'a>(&self, cx: &'a Context) -> Result<&'a str, Status> {
        if self.storage.resource().is_namespaced() {
            cx.require_namespace()
        } else {
            Ok("")
        }
    }

    fn invalid(&self, name: &str, errors: &[FieldError]) -> Status {
        Status::invalid(&self.storage.resource().group_kind(), name, errors)
    }
}

#[async_trait]
impl Rest for StoredRest {
    fn verbs(&self) -> Verbs {
        self.verbs
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        if let Some(version) = cx
            .query("resourceVersion")
            .and_then(|version| version.parse().ok())
        {
            self.storage.database().fresh(version).await?;
        }
        self.storage.require(self.namespace(cx)?, name)
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        self.storage.list_page(cx.namespace.as_deref(), options).await
    }

    async fn watch(&self, cx: &Context, options: &WatchOptions) -> Result<WatchStream, Status> {
        self.storage.watch_events(cx.namespace.as_deref(), options).await
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        object: Object,
    ) -> Result<Arc<Entry>, Status> {
        self.create_object(cx, object).await
    }

    async fn update(&self, cx: &Context, name: &str, transform: Transform<'_>) -> Result<Updated, Status> {
        self.update_object(cx, name, transform).await
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        self.delete_object(cx, name, options).await
    }

    async fn delete_collection(
        &self,
        cx: &Context,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<List, Status> {
        self.delete_objects(cx, list, options).await
    }
}
