//! Every bound of the protocol, by name. Those an operator may change are in [`Config`](crate::Config), with these as
//! defaults; docs/limits.md lists them.

use std::time::Duration;

/// Largest manifest, in bytes: what the OCI specification asks every registry to take, and what others refuse beyond.
pub const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;

/// Largest config blob that is read to be recorded with its manifest, in bytes.
pub const CONFIG_LIMIT: u64 = 4 * 1024 * 1024;

/// Indexes that are looked into to find how deep a pushed index is nested.
pub const NESTED_INDEXES: usize = 1024;

/// Blobs of a manifest that are looked up at once.
pub const LOOKUPS: usize = 8;

/// Largest page of tags or repositories.
pub const PAGE_LIMIT: usize = 10_000;

/// Tags in one page when the client does not ask for a number. Many clients do not know pages.
pub const TAG_PAGE: usize = PAGE_LIMIT;

/// Repositories in one page when the client does not ask for a number.
pub const CATALOG_PAGE: usize = 100;

/// Largest page of repositories unless configured otherwise.
pub const CATALOG_LIMIT: usize = 1000;

/// Most referrers that are looked at for one page.
pub const REFERRER_PAGE: usize = 1000;

/// Size at which a page of referrers ends, in bytes: clients read it like a manifest.
pub const REFERRER_BYTES: usize = MANIFEST_LIMIT - 64 * 1024;

/// Most `tag` parameters of one manifest push.
pub const TAG_PARAMETERS: usize = 64;

/// How long a client may use a redirect to the object store.
pub const SIGNED_URL_AGE: Duration = Duration::from_secs(20 * 60);

/// Request bodies that are being received at once.
pub const CONCURRENT_UPLOADS: usize = 256;

/// How long a request waits for its turn to upload before it is told to come back.
pub const UPLOAD_QUEUE: Duration = Duration::from_secs(10);

/// Bytes that have to arrive within every [`IDLE_LIMIT`] of a request body, unless it ends.
pub const PROGRESS: usize = 16 * 1024;

/// Time within which a request body has to make progress.
pub const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Upload sessions whose hash state is kept in memory. Others are resumed from storage.
pub const LIVE_SESSIONS: usize = 4096;

/// Ended upload sessions that are remembered, so that their ids are not taken for those of sessions that have not begun.
pub const ENDED_SESSIONS: usize = 16 * 1024;

/// Blobs up to this many bytes that arrive in one request are verified before anything is written, and are sent whole.
pub const SMALL_BLOB: usize = 64 * 1024;

/// Bytes between two hash states persisted with a session: what another replica hashes again at most.
pub const CHECKPOINT: u64 = 16 * 1024 * 1024;

/// Bytes of manifests kept in memory.
pub const MANIFEST_CACHE: u64 = 8 * 1024 * 1024;

/// Memberships (this repository has that content) kept in memory.
pub const MEMBERSHIP_CACHE: usize = 16 * 1024;

/// How long a remembered membership answers a read. Deletions in this process end it at once.
pub const MEMBERSHIP_AGE: Duration = Duration::from_secs(10);

/// Blobs whose repositories are remembered for mounts that name no source.
pub const MOUNT_MEMORY: usize = 8 * 1024;

/// Age after which content that a push finds already there is refreshed, so that the grace period of garbage collection
/// starts anew.
pub const REFRESH_AGE: Duration = Duration::from_secs(15 * 60);

/// Age after which an upload session that saw no byte is purged.
pub const UPLOAD_AGE: Duration = Duration::from_secs(168 * 3600);

/// Time between two purges.
pub const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
