//! Who may do what: the port that decides before a request acts.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::RepositoryName;
use http::request::Parts;

use crate::Refusal;

/// What a request is about to do, and therefore what its caller must be allowed to do.
///
/// References are as the client spelled them: whether they parse is nobody's business before the caller is authorized,
/// so that a stranger learns nothing from a syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// `GET /v2/`: any valid identity, no permission.
    Identity,
    /// `GET /v2/_catalog`: listing every repository.
    Catalog,
    /// Reading manifests, blobs, tags, referrers and the status of uploads.
    Pull(RepositoryName),
    /// Writing blobs and manifests; includes the right to pull, since an answer may reveal what is already there.
    Push(RepositoryName),
    /// Cancelling an upload.
    CancelUpload(RepositoryName),
    /// Deleting a tag.
    DeleteTag {
        /// The repository that has the tag.
        name: RepositoryName,
        /// The tag, as the client spelled it.
        tag: String,
    },
    /// Deleting a manifest and every tag that points to it.
    DeleteManifest {
        /// The repository that has the manifest.
        name: RepositoryName,
        /// The digest, as the client spelled it.
        digest: String,
    },
    /// Removing a blob from a repository.
    DeleteBlob {
        /// The repository that has the blob.
        name: RepositoryName,
        /// The digest, as the client spelled it.
        digest: String,
    },
}

impl Needs {
    /// The repository the request is about, if it is about one.
    #[must_use]
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Identity | Self::Catalog => None,
            Self::Pull(name) | Self::Push(name) | Self::CancelUpload(name) => Some(name),
            Self::DeleteTag { name, .. }
            | Self::DeleteManifest { name, .. }
            | Self::DeleteBlob { name, .. } => Some(name),
        }
    }
}

/// An authorized caller. The distribution protocol only carries it; what it means belongs to the adapter that made it.
///
/// It is put into the extensions of every response, for the access log.
#[derive(Clone)]
pub struct Caller {
    name: Arc<str>,
    identity: Arc<dyn Any + Send + Sync>,
}

impl Caller {
    /// A caller called `name` in logs, with whatever the adapter wants to find again in [`Self::identity`].
    pub fn new<T: Any + Send + Sync>(name: impl Into<Arc<str>>, identity: T) -> Self {
        Self {
            name: name.into(),
            identity: Arc::new(identity),
        }
    }

    /// A caller whose identity is shared with a cache of the adapter.
    pub fn shared<T: Any + Send + Sync>(name: impl Into<Arc<str>>, identity: Arc<T>) -> Self {
        Self {
            name: name.into(),
            identity,
        }
    }

    /// The name for logs.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What the adapter attached, if it is a `T`.
    #[must_use]
    pub fn identity<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.identity.downcast_ref()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Authenticates and authorizes every request, once, before anything else happens.
///
/// Promises of an adapter: a decision is never older than 10 seconds, and a refusal says whether credentials are
/// missing (401 with a challenge) or do not suffice (403).
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// The caller of the request with this head, when it may do what `needs` says.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    async fn authorize(&self, head: &Parts, needs: &Needs) -> Result<Caller, Refusal>;

    /// Whether an authorized caller may also pull from `repository`: the source of a mount. A mount never fails for lack
    /// of this right, it becomes an ordinary upload.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with, when it cannot be decided.
    async fn may_pull(&self, caller: &Caller, repository: &RepositoryName) -> Result<bool, Refusal>;
}
