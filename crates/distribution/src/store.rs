//! Content in storage: blobs by digest, and the links that make them part of repositories.

mod memory;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_blobs::{self as blobs, Driver, DriverExt as _, Source, Stat, Step};
use berth_oci::media_type::{DOCKER_SCHEMA1_SIGNED, OCI_INDEX, OCI_MANIFEST};
use berth_oci::{Algorithm, Digest, RepositoryName, Tag};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::memory::{Link, Memory};
use crate::{Config, layout, limits};

/// A manifest as it is served.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: Arc<str>,
}

/// How much an answer may rely on memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Storage is asked: a client may skip an upload because of the answer.
    Checked,
    /// What was seen in the last seconds will do.
    Remembered,
}

pub(crate) struct Store {
    driver: Arc<dyn Driver>,
    memory: Memory,
    redirect: bool,
}

impl Store {
    pub(crate) fn new(driver: Arc<dyn Driver>, config: &Config) -> Self {
        Self {
            driver,
            memory: Memory::new(config),
            redirect: config.redirect,
        }
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// Size and age of a blob.
    pub(crate) async fn blob(&self, digest: &Digest) -> blobs::Result<Option<Stat>> {
        self.driver.stat(&layout::data(digest)).await
    }

    /// The bytes of a blob.
    pub(crate) async fn open(&self, digest: &Digest) -> blobs::Result<Option<Source>> {
        self.driver.open(&layout::data(digest)).await
    }

    /// Where a client may fetch a blob itself.
    pub(crate) async fn signed_url(
        &self,
        digest: &Digest,
        method: blobs::Method,
    ) -> blobs::Result<Option<String>> {
        if !self.redirect {
            return Ok(None);
        }
        self.driver
            .signed_url(&layout::data(digest), method, limits::SIGNED_URL_AGE)
            .await
    }

    /// The bytes of a small blob; none when it is missing or larger than `limit` bytes.
    pub(crate) async fn small(&self, digest: &Digest, limit: u64) -> blobs::Result<Option<Bytes>> {
        match self.blob(digest).await? {
            Some(stat) if stat.size <= limit => self.driver.read(&layout::data(digest)).await,
            Some(_) | None => Ok(None),
        }
    }

    /// Starts the grace period of a blob anew, unless that happened lately: whoever found it "already there" counts on it
    /// until the manifest arrives.
    pub(crate) async fn refresh(&self, digest: &Digest, stat: &Stat) -> blobs::Result<()> {
        let age = SystemTime::now()
            .duration_since(stat.modified)
            .unwrap_or(Duration::ZERO);
        if age < limits::REFRESH_AGE {
            return Ok(());
        }
        self.driver.touch(&layout::data(digest)).await?;
        Ok(())
    }

    /// The blob that a repository calls by this digest. docker-registry stores every blob by its sha256 and lets links of
    /// other algorithms point there.
    pub(crate) async fn layer(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        freshness: Freshness,
    ) -> blobs::Result<Option<Digest>> {
        self.follow(Link::Layer, name, digest, freshness).await
    }

    /// Whether a repository has the link of a manifest.
    pub(crate) async fn has_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        freshness: Freshness,
    ) -> blobs::Result<bool> {
        Ok(self
            .follow(Link::Manifest, name, digest, freshness)
            .await?
            .is_some())
    }

    async fn follow(
        &self,
        link: Link,
        name: &RepositoryName,
        digest: &Digest,
        freshness: Freshness,
    ) -> blobs::Result<Option<Digest>> {
        if freshness == Freshness::Remembered
            && let Some(target) = self.memory.link(link, name, digest)
        {
            return Ok(Some(target));
        }
        let seen = self.memory.generation();
        let path = link.path(name, digest);
        // The content of a canonical link is known; only its existence matters.
        let target = if digest.algorithm() == Algorithm::Sha256 {
            self.driver.stat(&path).await?.map(|_| *digest)
        } else {
            self.driver
                .read(&path)
                .await?
                .map(|content| read_link(&content).unwrap_or(*digest))
        };
        if let Some(target) = target {
            self.memory.remember_link(link, name, digest, target, seen);
            if link == Link::Layer {
                self.memory.remember_holder(digest, name);
            }
        }
        Ok(target)
    }

    /// What makes a blob part of a repository.
    pub(crate) fn layer_step(name: &RepositoryName, digest: &Digest) -> Step {
        link_step(layout::layer_link(name, digest), digest)
    }

    /// What makes a manifest part of a repository.
    pub(crate) fn manifest_step(name: &RepositoryName, digest: &Digest) -> Step {
        link_step(layout::manifest_link(name, digest), digest)
    }

    /// Makes a blob that is in storage part of a repository, durably; `false` when it is not there after all.
    pub(crate) async fn link_layer(&self, name: &RepositoryName, digest: &Digest) -> blobs::Result<bool> {
        let touch = Step::Touch {
            path: layout::data(digest),
        };
        match self
            .driver
            .commit(vec![touch, Self::layer_step(name, digest)])
            .await
        {
            Ok(()) => {
                self.memory.remember_holder(digest, name);
                Ok(true)
            }
            Err(blobs::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes that a repository has a blob, for mounts that name no source.
    pub(crate) fn remember_holder(&self, name: &RepositoryName, digest: &Digest) {
        self.memory.remember_holder(digest, name);
    }

    /// Removes a blob from a repository; `false` when it was not part of it.
    pub(crate) async fn unlink_layer(&self, name: &RepositoryName, digest: &Digest) -> blobs::Result<bool> {
        self.unlink(Link::Layer, name, digest).await
    }

    /// Removes a manifest from a repository; `false` when it was not part of it.
    pub(crate) async fn unlink_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> blobs::Result<bool> {
        self.unlink(Link::Manifest, name, digest).await
    }

    async fn unlink(&self, link: Link, name: &RepositoryName, digest: &Digest) -> blobs::Result<bool> {
        let removed = self.driver.delete(&link.path(name, digest)).await?;
        self.memory.forget_link(link, name, digest);
        Ok(removed)
    }

    /// Repositories that had a blob lately.
    pub(crate) fn holders(&self, digest: &Digest) -> Vec<RepositoryName> {
        self.memory.holders(digest)
    }

    /// The manifest with this digest, from whatever repository.
    pub(crate) async fn manifest(&self, digest: &Digest) -> blobs::Result<Option<Stored>> {
        if let Some(stored) = self.memory.manifest(digest) {
            return Ok(Some(stored));
        }
        let Some(bytes) = self.small(digest, limits::MANIFEST_LIMIT as u64).await? else {
            return Ok(None);
        };
        // Another registry on the same storage may be writing these bytes in place, and disks rot.
        if !digest.matches(&bytes) {
            tracing::error!(%digest, "the manifest in storage is not what its digest says");
            return Ok(None);
        }
        let Some(media_type) = media_type(&bytes) else {
            return Ok(None);
        };
        let stored = Stored {
            bytes,
            media_type: media_type.into(),
        };
        self.memory.remember_manifest(*digest, stored.clone());
        Ok(Some(stored))
    }

    /// Forgets everything about a blob whose bytes were removed from storage by someone else in this process.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.memory.forget(digest);
    }

    /// What a tag kept in storage points to.
    pub(crate) async fn tag(&self, name: &RepositoryName, tag: &Tag) -> blobs::Result<Option<Digest>> {
        Ok(self
            .driver
            .read(&layout::tag_current(name, tag))
            .await?
            .and_then(|content| read_link(&content)))
    }

    /// What points a tag kept in storage to a manifest, durably: first the history, then the tag itself.
    pub(crate) fn tag_steps(name: &RepositoryName, tag: &Tag, digest: &Digest) -> [Step; 2] {
        let bytes = Bytes::from(digest.to_string());
        [
            Step::Ensure {
                path: layout::tag_index(name, tag, digest),
                bytes: bytes.clone(),
            },
            Step::Put {
                path: layout::tag_current(name, tag),
                bytes,
            },
        ]
    }

    /// The same for a tag whose truth is elsewhere. Storage shows it to other registries, which do not sync it either.
    pub(crate) fn tag_copy_steps(name: &RepositoryName, tag: &Tag, digest: &Digest) -> [Step; 2] {
        let bytes = Bytes::from(digest.to_string());
        [
            Step::Stash {
                path: layout::tag_index(name, tag, digest),
                bytes: bytes.clone(),
            },
            Step::Stash {
                path: layout::tag_current(name, tag),
                bytes,
            },
        ]
    }

    /// Removes a tag kept in storage; `false` when there was none. What it points to goes first, in one step.
    pub(crate) async fn delete_tag(&self, name: &RepositoryName, tag: &Tag) -> blobs::Result<bool> {
        let removed = self.driver.delete(&layout::tag_current(name, tag)).await?;
        self.driver.delete_tree(&layout::tag(name, tag)).await?;
        Ok(removed)
    }
}

/// The content of a link follows from its path, so that an existing one only has to be made durable.
fn link_step(path: blobs::BlobPath, digest: &Digest) -> Step {
    Step::Ensure {
        path,
        bytes: digest.to_string().into(),
    }
}

/// The digest in a link.
fn read_link(content: &[u8]) -> Option<Digest> {
    std::str::from_utf8(content).ok()?.trim().parse().ok()
}

/// The media type that stored bytes are served with; none when they are no manifest.
///
/// Storage does not keep it: it is in the bytes, except that OCI manifests may leave it out, where the fields tell them
/// apart as docker-registry does.
fn media_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        #[serde(borrow, default)]
        media_type: Option<Cow<'a, str>>,
        #[serde(default)]
        schema_version: Option<u64>,
        #[serde(default)]
        manifests: Option<IgnoredAny>,
        #[serde(default)]
        config: Option<IgnoredAny>,
        #[serde(default)]
        layers: Option<IgnoredAny>,
    }
    let head: Head<'_> = serde_json::from_slice(bytes).ok()?;
    let inferred = match head {
        Head {
            media_type: Some(media_type),
            ..
        } if !media_type.is_empty() => return Some(media_type.into_owned()),
        Head {
            schema_version: Some(1),
            ..
        } => DOCKER_SCHEMA1_SIGNED,
        Head {
            manifests: Some(_), ..
        } => OCI_INDEX,
        Head { config: Some(_), .. } | Head { layers: Some(_), .. } => OCI_MANIFEST,
        Head { .. } => return None,
    };
    Some(inferred.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_stored_bytes() {
        for (bytes, want) in [
            (
                r#"{"schemaVersion":2,"mediaType":"a/b","manifests":[]}"#,
                Some("a/b"),
            ),
            (r#"{"schemaVersion":2,"manifests":[]}"#, Some(OCI_INDEX)),
            (
                r#"{"schemaVersion":2,"mediaType":"","manifests":[]}"#,
                Some(OCI_INDEX),
            ),
            (
                r#"{"schemaVersion":2,"config":{},"layers":[]}"#,
                Some(OCI_MANIFEST),
            ),
            (
                r#"{"schemaVersion":1,"fsLayers":[]}"#,
                Some(DOCKER_SCHEMA1_SIGNED),
            ),
            ("{}", None),
            ("[]", None),
            ("", None),
            ("\u{1f8b}gzip", None),
        ] {
            assert_eq!(media_type(bytes.as_bytes()).as_deref(), want, "{bytes}");
        }
    }

    #[test]
    fn links() {
        let digest = Digest::sha256(b"x");
        for (content, want) in [
            (digest.to_string(), Some(digest)),
            (format!("{digest}\n"), Some(digest)),
            (String::new(), None),
            ("sha256:zz".to_owned(), None),
        ] {
            assert_eq!(read_link(content.as_bytes()), want, "{content}");
        }
    }
}
