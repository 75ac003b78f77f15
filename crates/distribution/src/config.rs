//! What an operator decides about the protocol.

use std::time::Duration;

use crate::limits;

/// How URLs in `Location` and `Link` are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Urls {
    /// Paths only: right behind every proxy.
    #[default]
    Relative,
    /// This base, as in `https://registry.example.com`, in front of every path.
    Fixed(String),
    /// From the request's `Forwarded`, `X-Forwarded-Proto` and `X-Forwarded-Host`, else from its `Host`. The scheme is
    /// [`Scheme`] in the extensions of the request where no header names it.
    Request,
}

/// The scheme by which a request arrived, put into its extensions by the HTTP layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// What a manifest may refer to that is not in the repository. Subjects and foreign layers always may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sparse {
    /// Nothing.
    Refused,
    /// Manifests listed by an index: lists are often copied for some of their platforms only.
    Indexes,
    /// Also some layers of an OCI manifest, when its config and at least one of its layers are there: the distribution
    /// specification knows sparse images, too. One whose content is missing altogether is a mistake and refused.
    #[default]
    Layers,
    /// Also all blobs of a manifest.
    Everything,
}

/// What an operator decides about the protocol. The default is complete.
#[derive(Clone, Debug)]
pub struct Config {
    /// Signs the ids and the state of uploads. Replicas share it, and it outlives a restart; when empty, one is made for
    /// this process, and every upload is written about in storage as soon as it starts.
    pub secret: Vec<u8>,
    /// How URLs are written.
    pub urls: Urls,
    /// Whether blobs may be read from the object store directly, by a redirect to a signed URL.
    pub redirect: bool,
    /// What may be missing from a manifest.
    pub sparse: Sparse,
    /// Whether blobs, manifests and tags may be deleted.
    pub delete: bool,
    /// Whether nothing may be written at all.
    pub read_only: bool,
    /// Smallest chunk a client should send, in bytes; 0 says nothing.
    pub chunk_min: u64,
    /// Request bodies that are being received at once.
    pub concurrent_uploads: usize,
    /// How long a request waits for its turn to upload.
    pub upload_queue: Duration,
    /// Time within which a request body has to make progress.
    pub idle_limit: Duration,
    /// Age at which an upload session that saw no byte is purged.
    pub upload_age: Duration,
    /// Time between two purges; the first comes after a tenth of it.
    pub purge_interval: Duration,
    /// Whether abandoned upload sessions are purged.
    pub purge: bool,
    /// Bytes of manifests kept in memory.
    pub manifest_cache: u64,
    /// How long a remembered membership answers a read; at most 10 seconds.
    pub membership_age: Duration,
    /// Largest page of repositories.
    pub catalog_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            secret: Vec::new(),
            urls: Urls::default(),
            redirect: true,
            sparse: Sparse::default(),
            delete: true,
            read_only: false,
            chunk_min: 0,
            concurrent_uploads: limits::CONCURRENT_UPLOADS,
            upload_queue: limits::UPLOAD_QUEUE,
            idle_limit: limits::IDLE_LIMIT,
            upload_age: limits::UPLOAD_AGE,
            purge_interval: limits::PURGE_INTERVAL,
            purge: true,
            manifest_cache: limits::MANIFEST_CACHE,
            membership_age: limits::MEMBERSHIP_AGE,
            catalog_limit: limits::CATALOG_LIMIT,
        }
    }
}
