//! What an integration knows about repositories beyond the bytes in storage: tags, membership, recorded manifests.

use async_trait::async_trait;
use berth_oci::{Digest, Manifest, RepositoryName, Tag};
use bytes::Bytes;

use crate::{Caller, Refusal};

/// Whether content belongs to a repository, as far as the adapter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does, whatever the links in storage say.
    Yes,
    /// It does not, whatever the links in storage say.
    No,
    /// The link in storage decides.
    Unknown,
}

/// One page of a sorted list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The names, in bytewise order.
    pub names: Vec<String>,
    /// Whether more follow after the last of `names`.
    pub more: bool,
}

/// A verified manifest whose bytes are durable in storage, about to become part of its repository.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The digest the client will find it by.
    pub digest: Digest,
    /// The media type it is served with.
    pub media_type: String,
    /// Its exact bytes.
    pub bytes: Bytes,
    /// The same, parsed.
    pub manifest: Manifest,
    /// The bytes of the config blob of an image manifest; none for an index, for a config of more than
    /// [`CONFIG_LIMIT`](crate::limits::CONFIG_LIMIT) bytes, and for one that is not in storage.
    pub config: Option<Bytes>,
    /// The tags it is pushed with; none when it was pushed by digest alone.
    pub tags: Vec<Tag>,
    /// Blobs and manifests that it names and that the repository does not hold, where that is allowed at all. Naming them
    /// proves nothing: whoever records the manifest must not take them for content of the repository.
    pub missing: Vec<Digest>,
}

/// What the integration knows of repositories.
///
/// Every method is called for a caller whom [`Access`](crate::Access) let through. A [`Refusal`] is answered to the
/// client as it is: `NAME_UNKNOWN` for a repository that does not exist, `DENIED` with a reason for a quota.
///
/// Promises of an adapter: a read sees every write that was acknowledged before the read began, in this process; lists
/// are sorted bytewise; deleting is immediate in this process.
#[async_trait]
pub trait Repositories: Send + Sync + 'static {
    /// The digest `tag` points to now; none when the repository exists without such a tag.
    async fn resolve_tag(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, Refusal>;

    /// At most `limit` tags that sort after `after`.
    async fn tags(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Names, Refusal>;

    /// At most `limit` repositories that sort after `after`.
    async fn catalog(&self, caller: &Caller, after: Option<&str>, limit: usize) -> Result<Names, Refusal>;

    /// Whether a manifest belongs to the repository. Asked before the revision link in storage, on every read.
    async fn holds_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Membership, Refusal>;

    /// Whether a blob belongs to the repository. Asked before the layer link in storage, on every read.
    async fn holds_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Membership, Refusal>;

    /// Whether content belongs to the repository although no link in storage says so: asked when its bytes are in storage,
    /// [`Self::holds_manifest`] or [`Self::holds_blob`] said [`Membership::Unknown`] and there is no link.
    async fn holds_unlinked(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Refusal> {
        let _ = (caller, name, digest);
        Ok(false)
    }

    /// Whether anything may be pushed to the repository now: called when an upload starts or finishes, so that a missing
    /// project or a full quota is told before the bytes are sent. `size` is the size of the blob where it is known.
    async fn admit_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        size: Option<u64>,
    ) -> Result<(), Refusal> {
        let _ = (caller, name, size);
        Ok(())
    }

    /// Records a pushed manifest with its tags. When this returns, every later read of the tags finds the manifest. It
    /// runs before anything in storage makes the manifest visible: a refusal leaves only unreferenced bytes behind.
    async fn record_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        pushed: &Pushed,
    ) -> Result<(), Refusal>;

    /// Whether [`Self::record_manifest`] wants [`Pushed::config`].
    fn wants_config(&self) -> bool {
        true
    }

    /// Whether [`Self::resolve_tag`] reads this tag from storage, so that writing it there is what sets it. The others are
    /// in storage only for other registries to see, and need not survive a power failure there.
    fn is_in_storage(&self, tag: &Tag) -> bool {
        let _ = tag;
        true
    }

    /// Removes a tag; `false` when there was none. Tags kept in storage are removed by the protocol itself.
    async fn delete_tag(&self, caller: &Caller, name: &RepositoryName, tag: &Tag) -> Result<bool, Refusal>;

    /// Removes a manifest and every tag that points to it; `false` when the adapter knew nothing of it, in which case
    /// only what is in storage decides whether there was one. Links and tags in storage are removed by the protocol itself.
    async fn delete_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Refusal>;
}
