//! What went wrong, in the words of the protocol. Messages begin with those that registries have always used, because
//! people and programs know them; what follows the colon names the cause.

use std::error::Error as _;

use berth_blobs as blobs;
use berth_oci::ErrorCode;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_RANGE};
use serde_json::json;

use crate::{Refusal, blob, incoming, listing, manifest, referrers, route, upload};

/// Seconds after which a client may try again what storage could not do.
const STORAGE_RETRY: u32 = 5;
/// Seconds after which a client may try again to upload.
const UPLOAD_RETRY: u32 = 1;

/// Everything that keeps a request from success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Route(#[from] route::Error),
    #[error("the method is not allowed here")]
    Method { allow: &'static str },
    #[error("deleting is disabled")]
    DeleteDisabled,
    #[error("the registry is read-only")]
    ReadOnly,
    #[error(transparent)]
    Blob(#[from] blob::Error),
    #[error(transparent)]
    Upload(#[from] upload::Error),
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Referrers(#[from] referrers::Error),
    #[error(transparent)]
    Listing(#[from] listing::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The answer to a request that failed.
pub(crate) fn refusal(error: Error) -> Refusal {
    match error {
        Error::Route(error) => route(&error),
        Error::Method { allow } => Refusal::of(
            ErrorCode::Unsupported,
            format!("the operation is unsupported: use {allow}"),
        )
        .with_header(ALLOW, allow),
        Error::DeleteDisabled => Refusal::of(
            ErrorCode::Unsupported,
            "the operation is unsupported: deleting is disabled",
        ),
        Error::ReadOnly => Refusal::of(
            ErrorCode::Unsupported,
            "the operation is unsupported: the registry is in read-only mode",
        ),
        Error::Blob(error) => blob(error),
        Error::Upload(error) => upload(error),
        Error::Manifest(error) => manifest(error),
        Error::Referrers(error) => referrers(error),
        Error::Listing(error) => listing(error),
        Error::Refused(refusal) => refusal,
    }
}

/// A message that begins as it always did and goes on with the cause.
fn text(known: &'static str, cause: impl std::fmt::Display) -> String {
    format!("{known}: {cause}")
}

const DIGEST: &str = "provided digest did not match uploaded content";
const BLOB_UNKNOWN: &str = "blob unknown to registry";
const MANIFEST_UNKNOWN: &str = "manifest unknown";
const MANIFEST_INVALID: &str = "manifest invalid";
const UPLOAD_UNKNOWN: &str = "blob upload unknown to registry";
const UPLOAD_INVALID: &str = "blob upload invalid";

fn route(error: &route::Error) -> Refusal {
    match error {
        route::Error::NotFound | route::Error::MissingSlash => {
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, error.to_string())
        }
        route::Error::NameInvalid { name, source } => Refusal::of(
            ErrorCode::NameInvalid,
            text("invalid repository name", format_args!("{error}; {source}")),
        )
        .with_detail(json!({ "name": name })),
    }
}

fn blob(error: blob::Error) -> Refusal {
    match error {
        blob::Error::DigestMalformed { ref text, .. } => {
            Refusal::of(ErrorCode::DigestInvalid, self::text(DIGEST, &error))
                .with_detail(json!({ "digest": text }))
        }
        blob::Error::Unknown { ref digest, .. } => {
            Refusal::of(ErrorCode::BlobUnknown, text(BLOB_UNKNOWN, &error))
                .with_detail(json!({ "digest": digest.to_string() }))
        }
        blob::Error::Unsatisfiable { size } => {
            Refusal::of(ErrorCode::RangeInvalid, text("invalid content range", &error))
                .with_header(CONTENT_RANGE, &format!("bytes */{size}"))
        }
        blob::Error::Refused(refusal) => refusal,
        blob::Error::Store(error) => storage(&error),
    }
}

fn upload(error: upload::Error) -> Refusal {
    let cause = error.to_string();
    match error {
        upload::Error::SessionUnknown { .. } => {
            Refusal::of(ErrorCode::BlobUploadUnknown, text(UPLOAD_UNKNOWN, cause))
        }
        upload::Error::SessionForeign => {
            Refusal::of(ErrorCode::BlobUploadInvalid, text(UPLOAD_INVALID, cause))
        }
        upload::Error::Busy { .. } => Refusal::new(
            StatusCode::CONFLICT,
            ErrorCode::BlobUploadInvalid,
            text(UPLOAD_INVALID, cause),
        )
        .retry_after(UPLOAD_RETRY),
        upload::Error::OutOfOrder { .. } | upload::Error::RangeMalformed { .. } => {
            Refusal::of(ErrorCode::RangeInvalid, text("invalid content range", cause))
        }
        upload::Error::LengthMismatch { .. } => Refusal::of(
            ErrorCode::SizeInvalid,
            text("provided length did not match content length", cause),
        ),
        upload::Error::DigestMissing
        | upload::Error::DigestMalformed { .. }
        | upload::Error::AlgorithmUnknown { .. }
        | upload::Error::DigestMismatch(_) => Refusal::of(ErrorCode::DigestInvalid, text(DIGEST, cause)),
        upload::Error::TooMany => Refusal::of(ErrorCode::TooManyRequests, text("too many requests", cause))
            .retry_after(UPLOAD_RETRY),
        upload::Error::Incoming(incoming::Error::Slow { .. }) => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::BlobUploadInvalid,
            text(UPLOAD_INVALID, cause),
        ),
        upload::Error::Incoming(incoming::Error::Body(_)) => Refusal::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::BlobUploadInvalid,
            text(UPLOAD_INVALID, cause),
        ),
        upload::Error::Refused(refusal) => refusal,
        upload::Error::Store(error) => storage(&error),
    }
}

fn manifest(error: manifest::Error) -> Refusal {
    let cause = error.to_string();
    match error {
        manifest::Error::TagMalformed { text, .. } => {
            Refusal::of(ErrorCode::TagInvalid, self::text("invalid tag", cause))
                .with_detail(json!({ "tag": text }))
        }
        manifest::Error::DigestMalformed { text, .. } => {
            Refusal::of(ErrorCode::DigestInvalid, self::text(DIGEST, cause))
                .with_detail(json!({ "digest": text }))
        }
        manifest::Error::Unknown { name, reference } => {
            Refusal::of(ErrorCode::ManifestUnknown, text(MANIFEST_UNKNOWN, cause))
                .with_detail(json!({ "name": name, "reference": reference.to_string() }))
        }
        manifest::Error::NotAccepted { .. } => Refusal::of(ErrorCode::ManifestUnknown, cause),
        manifest::Error::TooLarge { .. } => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::ManifestInvalid,
            text(MANIFEST_INVALID, cause),
        ),
        manifest::Error::Invalid(_)
        | manifest::Error::TooDeep { .. }
        | manifest::Error::TooManyTags { .. }
        | manifest::Error::SizeMismatch { .. } => {
            Refusal::of(ErrorCode::ManifestInvalid, text(MANIFEST_INVALID, cause))
        }
        manifest::Error::DigestMismatch(_) => Refusal::of(ErrorCode::DigestInvalid, text(DIGEST, cause)),
        manifest::Error::BlobsUnknown { missing, .. } => {
            Refusal::of(ErrorCode::ManifestBlobUnknown, text(BLOB_UNKNOWN, cause))
                .with_detail(missing_detail(&missing))
        }
        manifest::Error::ChildrenUnknown { missing, .. } => Refusal::of(
            ErrorCode::ManifestBlobUnknown,
            text("manifest unknown to registry", cause),
        )
        .with_detail(missing_detail(&missing)),
        manifest::Error::Incoming(incoming::Error::Slow { .. }) => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::ManifestInvalid,
            text(MANIFEST_INVALID, cause),
        ),
        manifest::Error::Incoming(incoming::Error::Body(_)) => {
            Refusal::of(ErrorCode::ManifestInvalid, text(MANIFEST_INVALID, cause))
        }
        manifest::Error::Refused(refusal) => refusal,
        manifest::Error::Store(error) => storage(&error),
    }
}

/// Which content is missing; the first of it also where older clients look.
fn missing_detail(missing: &[berth_oci::Digest]) -> serde_json::Value {
    const SHOWN: usize = 32;
    let shown: Vec<String> = missing.iter().take(SHOWN).map(ToString::to_string).collect();
    json!({ "digest": shown.first(), "missing": shown, "count": missing.len() })
}

fn referrers(error: referrers::Error) -> Refusal {
    match error {
        referrers::Error::DigestMalformed { ref text, .. } => {
            Refusal::of(ErrorCode::DigestInvalid, self::text(DIGEST, &error))
                .with_detail(json!({ "digest": text }))
        }
        referrers::Error::Refused(refusal) => refusal,
        referrers::Error::Store(error) => storage(&error),
    }
}

fn listing(error: listing::Error) -> Refusal {
    match error {
        listing::Error::PageSize { ref text, .. } => {
            let message = self::text("invalid number of results requested", &error);
            Refusal::of(ErrorCode::PaginationNumberInvalid, message).with_detail(json!({ "n": text }))
        }
        listing::Error::Refused(refusal) => refusal,
    }
}

/// The answer when storage fails: come back later where that may help, and no more about it than an operator finds in the
/// log.
pub(crate) fn storage(error: &blobs::Error) -> Refusal {
    tracing::error!(error = %chain(error), "storage failed");
    if matches!(error, blobs::Error::Full { .. }) {
        let message = "the registry's storage is full; an administrator has to make room";
        return Refusal::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unavailable, message);
    }
    if error.is_unavailable() || error.is_retryable() {
        return Refusal::of(
            ErrorCode::Unavailable,
            "the registry's storage is unavailable; try again",
        )
        .retry_after(STORAGE_RETRY);
    }
    Refusal::of(
        ErrorCode::Unknown,
        "unknown error: the registry's storage failed; the log of the registry says more",
    )
}

/// An error with what it is caused by.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Error {
    /// Whether the log says something about it that the answer does not.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source()
    }
}
