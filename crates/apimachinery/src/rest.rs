//! [`Rest`]: what a resource or subresource can do.
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::context::Context;
use crate::entry::Entry;
use crate::object::Object;
use crate::options::{DeleteOptions, ListOptions, WatchOptions};
use crate::resource::GroupResource;
use crate::status::Status;

/// From the current object (none: it does not exist) to the wanted one; every PUT and PATCH is one. May be called several
/// times, once per attempt to write.
pub type Transform<'a> = &'a (dyn Fn(Option<&Object>) -> Result<Object, Status> + Send + Sync);

/// Which verbs exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "one flag per Kubernetes verb"
)]
pub struct Verbs {
    pub get: bool,
    pub list: bool,
    pub watch: bool,
    pub create: bool,
    pub update: bool,
    pub patch: bool,
    pub delete: bool,
    pub delete_collection: bool,
}

impl Verbs {
    /// None.
    pub const NONE: Self = Self {
        get: false,
        list: false,
        watch: false,
        create: false,
        update: false,
        patch: false,
        delete: false,
        delete_collection: false,
    };
    /// All eight, as a stored resource has them.
    pub const ALL: Self = Self {
        get: true,
        list: true,
        watch: true,
        create: true,
        update: true,
        patch: true,
        delete: true,
        delete_collection: true,
    };
    /// `get`, `update` and `patch`, as a status subresource has them.
    pub const STATUS: Self = Self {
        get: true,
        update: true,
        patch: true,
        ..Self::NONE
    };
    /// `create` alone, as a review has it.
    pub const CREATE: Self = Self {
        create: true,
        ..Self::NONE
    };
    /// `get` alone.
    pub const GET: Self = Self {
        get: true,
        ..Self::NONE
    };

    /// The verbs as discovery lists them, sorted.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.create, "create"),
            (self.delete, "delete"),
            (self.delete_collection, "deletecollection"),
            (self.get, "get"),
            (self.list, "list"),
            (self.patch, "patch"),
            (self.update, "update"),
            (self.watch, "watch"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
    }
}

/// A page of objects.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The objects.
    pub items: Vec<Arc<Entry>>,
    /// The list's `resourceVersion`; empty for none.
    pub resource_version: String,
    /// Where the next page begins; empty for none.
    pub continue_token: String,
    /// How many objects follow, where it is known.
    pub remaining: Option<u64>,
}

/// What an update did.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The object as it is now.
    pub object: Arc<Entry>,
    /// Whether it was created.
    pub created: bool,
}

/// What a deletion did.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; it was this.
    Gone(Arc<Entry>),
    /// The object waits for its finalizers, and is now this.
    Pending(Arc<Entry>),
    /// Done, and there is nothing to show.
    Done,
}

impl Deleted {
    /// The object, if there is one to show.
    #[must_use]
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Gone(entry) | Self::Pending(entry) => Some(entry),
            Self::Done => None,
        }
    }
}

/// What happened to a watched object.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// It exists now (for this watcher: it matches the selectors now).
    Added(Arc<Entry>),
    /// It changed.
    Modified(Arc<Entry>),
    /// It is gone (or does not match any more); its last state, with the resource version of the deletion.
    Deleted(Arc<Entry>),
    /// Nothing happened up to this resource version.
    Bookmark {
        /// The resource version.
        revision: u64,
        /// Whether the initial events end here.
        initial_events_end: bool,
    },
}

/// Events of a watch. An error ends it, after having been sent as an `ERROR` event.
pub type WatchStream = BoxStream<'static, Result<WatchEvent, Status>>;

/// What a resource or subresource can do. The default bodies answer 405; [`Rest::verbs`] says which are overridden.
///
/// Objects arrive decoded, conformed to the schema, with kind, API version and (where the path has them) namespace
/// and name checked. The context's `dry_run` must be honoured by every write.
#[async_trait]
pub trait Rest: Send + Sync + 'static {
    /// The verbs that work.
    fn verbs(&self) -> Verbs;

    /// One object.
    async fn get(&self, cx: &Context, _name: &str) -> Result<Arc<Entry>, Status> {
        Err(unsupported(cx, "get"))
    }

    /// A page of objects of the context's namespace, or of all.
    async fn list(&self, cx: &Context, _options: &ListOptions) -> Result<List, Status> {
        Err(unsupported(cx, "list"))
    }

    /// Events from a resource version on.
    async fn watch(&self, cx: &Context, _options: &WatchOptions) -> Result<WatchStream, Status> {
        Err(unsupported(cx, "watch"))
    }

    /// Creates an object. `parent` is the name of the object whose subresource is created.
    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        _object: Object,
    ) -> Result<Arc<Entry>, Status> {
        Err(unsupported(cx, "create"))
    }

    /// Changes an object. The resource finds the current object, calls `transform` and writes, again and again while it
    /// loses races that the client did not ask to hear of.
    async fn update(&self, cx: &Context, _name: &str, _transform: Transform<'_>) -> Result<Updated, Status> {
        Err(unsupported(cx, "update"))
    }

    /// Deletes an object.
    async fn delete(&self, cx: &Context, _name: &str, _options: &DeleteOptions) -> Result<Deleted, Status> {
        Err(unsupported(cx, "delete"))
    }

    /// Deletes all objects that match and returns them.
    async fn delete_collection(
        &self,
        cx: &Context,
        _list: &ListOptions,
        _options: &DeleteOptions,
    ) -> Result<List, Status> {
        Err(unsupported(cx, "deletecollection"))
    }

    /// Whether `get` returns a [`Rest::list`] kind of answer: then the server calls `list` for a GET of the path, as for
    /// `imagestreams/secrets`. Only for subresources; the parent's name is in the context.
    fn get_lists(&self) -> bool {
        false
    }
}

fn unsupported(cx: &Context, action: &str) -> Status {
    let resource = cx
        .resource
        .as_ref()
        .map_or_else(GroupResource::default, |resource| resource.group_resource());
    Status::not_supported(&resource, action)
}
