//! Manifests: reading, pushing and deleting them, by tag and by digest.

mod delete;
mod push;
mod turns;
mod verify;

use std::sync::Arc;

use berth_blobs as blobs;
use berth_oci::digest::DigestError;
use berth_oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use berth_oci::tag::TagError;
use berth_oci::{Accept, Digest, ManifestError, Reference, RepositoryName};
use http::HeaderMap;
use http::header::ACCEPT;

pub(crate) use self::push::Push;
use self::turns::Turns;
use crate::blob::{Blobs, StatError};
use crate::mismatch::Mismatch;
use crate::referrers::Referrers;
use crate::store::{Freshness, Store, Stored};
use crate::{Caller, Config, Membership, Refusal, Repositories, Sparse, conditional, incoming, limits};

/// Why a manifest is not served, taken or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("\"{text}\" is not a tag: {source}")]
    TagMalformed { text: String, source: TagError },
    #[error("\"{text}\" is not a digest: {source}")]
    DigestMalformed { text: String, source: DigestError },
    #[error("{reference} is not in {name}")]
    Unknown {
        name: RepositoryName,
        reference: Reference,
    },
    #[error("{what} manifest found, but accept header does not support {what} manifests")]
    NotAccepted { what: &'static str },
    #[error("a manifest has at most {limit} bytes")]
    TooLarge { limit: usize },
    #[error(transparent)]
    Invalid(#[from] ManifestError),
    #[error("{0}")]
    DigestMismatch(Box<Mismatch>),
    #[error("{} of the manifest's blobs are not in {name}, the first is {}; push them first", .missing.len(), first(.missing))]
    BlobsUnknown {
        name: RepositoryName,
        missing: Vec<Digest>,
    },
    #[error("{} of the index's manifests are not in {name}, the first is {}; push them first", .missing.len(), first(.missing))]
    ChildrenUnknown {
        name: RepositoryName,
        missing: Vec<Digest>,
    },
    #[error("{digest} has {held} bytes, but the manifest says {declared}")]
    SizeMismatch {
        digest: Box<Digest>,
        declared: u64,
        held: u64,
    },
    #[error("indexes are nested deeper than {limit} levels, or refer to more than {most} other indexes")]
    TooDeep { limit: usize, most: usize },
    #[error("a push has at most {limit} tag parameters")]
    TooManyTags { limit: usize },
    #[error(transparent)]
    Incoming(#[from] incoming::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] blobs::Error),
}

impl From<StatError> for Error {
    fn from(error: StatError) -> Self {
        match error {
            StatError::Refused(refusal) => Self::Refused(refusal),
            StatError::Store(error) => Self::Store(error),
        }
    }
}

fn first(digests: &[Digest]) -> String {
    digests.first().map(ToString::to_string).unwrap_or_default()
}

/// What a client gets of a manifest.
pub(crate) enum Answer {
    /// It has the manifest.
    NotModified(Digest),
    /// The manifest.
    Manifest(Digest, Stored),
}

/// Manifests as repositories see them.
pub(crate) struct Manifests {
    store: Arc<Store>,
    blobs: Arc<Blobs>,
    referrers: Arc<Referrers>,
    repositories: Arc<dyn Repositories>,
    tag_turns: Turns,
    sparse: Sparse,
    window: std::time::Duration,
}

impl Manifests {
    pub(crate) fn new(
        store: Arc<Store>,
        blobs: Arc<Blobs>,
        referrers: Arc<Referrers>,
        repositories: Arc<dyn Repositories>,
        config: &Config,
    ) -> Self {
        let tag_turns = Turns::default();
        Self {
            store,
            blobs,
            referrers,
            repositories,
            tag_turns,
            sparse: config.sparse,
            window: config.idle_limit,
        }
    }

    /// The manifest behind a reference.
    ///
    /// With [`Freshness::Checked`] storage is asked whether it is there, because a client may skip a push.
    ///
    /// Spec: OCI distribution, "Pulling manifests" (end-3).
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &str,
        headers: &HeaderMap,
        freshness: Freshness,
    ) -> Result<Answer, Error> {
        let reference = parse(reference)?;
        let unknown = || Error::Unknown {
            name: name.clone(),
            reference: reference.clone(),
        };
        let digest = match &reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => self
                .repositories
                .resolve_tag(caller, name, tag)
                .await?
                .ok_or_else(unknown)?,
        };
        if !self.holds(caller, name, &digest, freshness).await? {
            return Err(unknown());
        }
        if freshness == Freshness::Checked {
            let stat = self.store.blob(&digest).await?.ok_or_else(unknown)?;
            self.store.refresh(&digest, &stat).await?;
        }
        let stored = self.store.manifest(&digest).await?.ok_or_else(unknown)?;
        check_accept(headers, &stored.media_type)?;
        if conditional::not_modified(headers, &digest) {
            return Ok(Answer::NotModified(digest));
        }
        Ok(Answer::Manifest(digest, stored))
    }

    /// Whether a manifest belongs to a repository.
    pub(crate) async fn holds(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        freshness: Freshness,
    ) -> Result<bool, Error> {
        match self.repositories.holds_manifest(caller, name, digest).await? {
            Membership::Yes => Ok(true),
            Membership::No => Ok(false),
            Membership::Unknown => Ok(self.store.has_manifest(name, digest, freshness).await?
                || (self.store.blob(digest).await?.is_some()
                    && self.repositories.holds_unlinked(caller, name, digest).await?)),
        }
    }
}

/// Reads a reference.
pub(crate) fn parse(text: &str) -> Result<Reference, Error> {
    let shown = || text.chars().take(160).collect();
    if text.contains(':') {
        text.parse()
            .map(Reference::Digest)
            .map_err(|source| Error::DigestMalformed {
                text: shown(),
                source,
            })
    } else {
        text.parse()
            .map(Reference::Tag)
            .map_err(|source| Error::TagMalformed {
                text: shown(),
                source,
            })
    }
}

/// OCI's formats are only given to clients that can read them, as registries always did. A client that names nothing, or
/// everything, gets what is stored; Docker's formats are older than clients that say what they can read.
fn check_accept(headers: &HeaderMap, media_type: &str) -> Result<(), Error> {
    let what = match media_type {
        OCI_MANIFEST => "OCI",
        OCI_INDEX => "OCI index",
        _ => return Ok(()),
    };
    let accept = Accept::parse(
        headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok()),
    );
    if accept.allows(media_type) {
        Ok(())
    } else {
        Err(Error::NotAccepted { what })
    }
}

/// The limits of [`verify`] in words.
const fn too_deep() -> Error {
    Error::TooDeep {
        limit: berth_oci::manifest::INDEX_MAX_DEPTH,
        most: limits::NESTED_INDEXES,
    }
}

#[cfg(test)]
mod tests {
    use berth_oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

    use super::*;

    #[test]
    fn references() {
        assert!(matches!(parse("v1"), Ok(Reference::Tag(_))));
        assert!(matches!(
            parse(&Digest::sha256(b"").to_string()),
            Ok(Reference::Digest(_))
        ));
        assert!(matches!(
            parse("sha256:baddigeststring"),
            Err(Error::DigestMalformed { .. })
        ));
        assert!(matches!(parse("md5:00"), Err(Error::DigestMalformed { .. })));
        assert!(matches!(parse(".INVALID"), Err(Error::TagMalformed { .. })));
        assert!(matches!(parse(&"x".repeat(129)), Err(Error::TagMalformed { .. })));
    }

    #[test]
    fn formats_and_clients() {
        for (accept, media_type, good) in [
            (vec![], OCI_MANIFEST, true),
            (vec!["*/*"], OCI_MANIFEST, true),
            (vec!["application/*"], OCI_INDEX, true),
            (vec![OCI_MANIFEST], OCI_MANIFEST, true),
            (vec![OCI_INDEX, OCI_MANIFEST], OCI_MANIFEST, true),
            (
                vec!["application/json, application/vnd.oci.image.manifest.v1+json;q=0.5"],
                OCI_MANIFEST,
                true,
            ),
            (vec![DOCKER_MANIFEST], OCI_MANIFEST, false),
            (vec![OCI_MANIFEST], OCI_INDEX, false),
            (
                vec!["application/vnd.oci.image.manifest.v1+json;q=0"],
                OCI_MANIFEST,
                false,
            ),
            (vec![OCI_MANIFEST], DOCKER_MANIFEST, true),
            (vec![DOCKER_MANIFEST], DOCKER_LIST, true),
        ] {
            let headers: HeaderMap = accept
                .iter()
                .map(|value| (ACCEPT, value.parse().unwrap()))
                .collect();
            assert_eq!(
                check_accept(&headers, media_type).is_ok(),
                good,
                "{accept:?} {media_type}"
            );
        }
    }
}
