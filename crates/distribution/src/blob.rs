//! Blobs: reading them, and removing them from a repository.

use std::sync::Arc;

use berth_blobs::{self as blobs, Source, Stat};
use berth_oci::digest::DigestError;
use berth_oci::range::{self, Selection};
use berth_oci::{Algorithm, Digest, RepositoryName};
use futures_util::TryStreamExt as _;
use http::HeaderMap;

use crate::body::{Body, FileRegion};
use crate::store::{Freshness, Store};
use crate::{Caller, Membership, Refusal, Repositories, conditional, limits};

/// Why a blob is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("\"{text}\" is not a digest: {source}")]
    DigestMalformed { text: String, source: DigestError },
    #[error("{digest} is not in {name}")]
    Unknown { name: RepositoryName, digest: Digest },
    #[error("the blob has {size} bytes, and none of them is asked for")]
    Unsatisfiable { size: u64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] blobs::Error),
}

/// Why storage or the integration could not say whether a blob is there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatError {
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

/// What a client gets of a blob.
pub(crate) enum Answer {
    /// It has the blob.
    NotModified,
    /// It shall fetch the blob there.
    Redirect(String),
    /// All of it.
    Whole {
        /// Length, in bytes.
        size: u64,
        body: Body,
    },
    /// The bytes `start..end` of `size`.
    Part {
        start: u64,
        end: u64,
        size: u64,
        body: Body,
    },
}

/// Blobs as repositories see them.
pub(crate) struct Blobs {
    store: Arc<Store>,
    repositories: Arc<dyn Repositories>,
}

impl Blobs {
    pub(crate) fn new(store: Arc<Store>, repositories: Arc<dyn Repositories>) -> Self {
        Self { store, repositories }
    }

    /// The blob that a repository calls by this digest, if it belongs to the repository. It may be missing in storage.
    async fn locate(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        freshness: Freshness,
    ) -> Result<Option<Digest>, StatError> {
        let held = self.repositories.holds_blob(caller, name, digest).await?;
        match held {
            Membership::No => return Ok(None),
            // Only a link can say that the digest stands for a blob of another name.
            Membership::Yes if digest.algorithm() == Algorithm::Sha256 => return Ok(Some(*digest)),
            Membership::Yes | Membership::Unknown => {}
        }
        if let Some(target) = self.store.layer(name, digest, freshness).await? {
            return Ok(Some(target));
        }
        // Most clients ask for a blob before they push it. When nobody has it, no integration needs to be asked.
        let belongs = held == Membership::Yes
            || (self.store.blob(digest).await?.is_some()
                && self.repositories.holds_unlinked(caller, name, digest).await?);
        Ok(belongs.then_some(*digest))
    }

    /// Digest, size and age of the blob behind a digest, as storage has it now.
    pub(crate) async fn stat(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(Digest, Stat)>, StatError> {
        let Some(target) = self.locate(caller, name, digest, Freshness::Checked).await? else {
            return Ok(None);
        };
        Ok(self.store.blob(&target).await?.map(|stat| (target, stat)))
    }

    /// Whether a blob exists, and how long it is.
    ///
    /// A client may skip its upload because of the answer, so it is always storage that gives it, and garbage collection
    /// is held off.
    ///
    /// Spec: OCI distribution, "Checking if content exists in the registry" (end-2).
    pub(crate) async fn head(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        headers: &HeaderMap,
    ) -> Result<Answer, Error> {
        let unknown = || Error::Unknown {
            name: name.clone(),
            digest: *digest,
        };
        let (target, stat) = self.stat(caller, name, digest).await?.ok_or_else(unknown)?;
        self.store.refresh(&target, &stat).await?;
        if conditional::not_modified(headers, digest) {
            return Ok(Answer::NotModified);
        }
        Ok(Answer::Whole {
            size: stat.size,
            body: Body::empty(),
        })
    }

    /// A blob, or the part of it that is asked for.
    ///
    /// Spec: OCI distribution, "Pulling blobs" (end-2); RFC 9110, sections 13 and 14.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        headers: &HeaderMap,
    ) -> Result<Answer, Error> {
        let unknown = || Error::Unknown {
            name: name.clone(),
            digest: *digest,
        };
        let target = self
            .locate(caller, name, digest, Freshness::Remembered)
            .await?
            .ok_or_else(unknown)?;
        if conditional::not_modified(headers, digest) {
            self.store.blob(&target).await?.ok_or_else(unknown)?;
            return Ok(Answer::NotModified);
        }
        if let Some(url) = self.store.signed_url(&target, blobs::Method::Get).await? {
            self.store.blob(&target).await?.ok_or_else(unknown)?;
            return Ok(Answer::Redirect(url));
        }
        let source = self.store.open(&target).await?.ok_or_else(unknown)?;
        let size = source.size();
        let selection = conditional::range(headers, digest)
            .map_or(Selection::Whole, |header| range::select(header, size));
        Ok(match selection {
            Selection::Whole => Answer::Whole {
                size,
                body: body(&source, 0, size).await?,
            },
            Selection::Part(part) => {
                let body = body(&source, part.start, part.end).await?;
                Answer::Part {
                    start: part.start,
                    end: part.end,
                    size,
                    body,
                }
            }
            Selection::Unsatisfiable => return Err(Error::Unsatisfiable { size }),
        })
    }

    /// Removes a blob from a repository. Its bytes stay for the other repositories, and for garbage collection.
    ///
    /// Spec: OCI distribution, "Deleting Blobs" (end-10).
    pub(crate) async fn delete(&self, name: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        if self.store.unlink_layer(name, digest).await? {
            Ok(())
        } else {
            Err(Error::Unknown {
                name: name.clone(),
                digest: *digest,
            })
        }
    }
}

/// The bytes `start..end` of a source: a little at once, much from the file or as a stream.
async fn body(source: &Source, start: u64, end: u64) -> Result<Body, blobs::Error> {
    let len = end - start;
    if len <= limits::SMALL_BLOB as u64 {
        return Ok(Body::full(source.bytes(start..end).await?));
    }
    let stream = Box::pin(source.stream(start..end).map_err(Into::into));
    Ok(match source.file() {
        Some(file) => Body::file(
            FileRegion {
                file: Arc::clone(file),
                offset: start,
                len,
            },
            stream,
        ),
        None => Body::stream(stream, len),
    })
}
