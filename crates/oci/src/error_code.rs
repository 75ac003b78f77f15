//! Error codes of the distribution protocol and the JSON envelope they travel in.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// A code that tells a client what went wrong.
///
/// Spec: OCI distribution, "Error codes"; the others are Docker's (`errcode`) and OpenShift's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// Something failed that has no code of its own.
    Unknown,
    /// The operation is not supported.
    Unsupported,
    /// No valid credentials.
    Unauthorized,
    /// Valid credentials without the right.
    Denied,
    /// The service cannot answer now.
    Unavailable,
    /// Too many requests.
    TooManyRequests,
    /// A digest is malformed, or the content has another one.
    DigestInvalid,
    /// A length does not match the content.
    SizeInvalid,
    /// A range cannot be met.
    RangeInvalid,
    /// A repository name is malformed.
    NameInvalid,
    /// A tag is malformed.
    TagInvalid,
    /// The repository does not exist.
    NameUnknown,
    /// The manifest does not exist in the repository.
    ManifestUnknown,
    /// The manifest is malformed.
    ManifestInvalid,
    /// The manifest failed verification.
    ManifestUnverified,
    /// The manifest names content that is not in the repository.
    ManifestBlobUnknown,
    /// The blob does not exist in the repository.
    BlobUnknown,
    /// The upload session does not exist.
    BlobUploadUnknown,
    /// The upload cannot be continued as asked.
    BlobUploadInvalid,
    /// A page size is malformed or too large.
    PaginationNumberInvalid,
    /// A signature is malformed (OpenShift).
    SignatureInvalid,
    /// A signature of that name exists (OpenShift).
    SignatureExists,
    /// A manifest could not be fetched from the registry it was imported from (OpenShift).
    PullthroughManifest,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [ErrorCode; 23] = [
        ErrorCode::Unknown,
        ErrorCode::Unsupported,
        ErrorCode::Unauthorized,
        ErrorCode::Denied,
        ErrorCode::Unavailable,
        ErrorCode::TooManyRequests,
        ErrorCode::DigestInvalid,
        ErrorCode::SizeInvalid,
        ErrorCode::RangeInvalid,
        ErrorCode::NameInvalid,
        ErrorCode::TagInvalid,
        ErrorCode::NameUnknown,
        ErrorCode::ManifestUnknown,
        ErrorCode::ManifestInvalid,
        ErrorCode::ManifestUnverified,
        ErrorCode::ManifestBlobUnknown,
        ErrorCode::BlobUnknown,
        ErrorCode::BlobUploadUnknown,
        ErrorCode::BlobUploadInvalid,
        ErrorCode::PaginationNumberInvalid,
        ErrorCode::SignatureInvalid,
        ErrorCode::SignatureExists,
        ErrorCode::PullthroughManifest,
    ];

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            ErrorCode::Unknown => ("UNKNOWN", 500, "the registry failed in a way it has no name for"),
            ErrorCode::Unsupported => ("UNSUPPORTED", 405, "the operation is not supported"),
            ErrorCode::Unauthorized => ("UNAUTHORIZED", 401, "authentication required"),
            ErrorCode::Denied => ("DENIED", 403, "requested access to the resource is denied"),
            ErrorCode::Unavailable => ("UNAVAILABLE", 503, "the service is unavailable at the moment"),
            ErrorCode::TooManyRequests => ("TOOMANYREQUESTS", 429, "too many requests"),
            ErrorCode::DigestInvalid => (
                "DIGEST_INVALID",
                400,
                "the digest is malformed or is not that of the content",
            ),
            ErrorCode::SizeInvalid => (
                "SIZE_INVALID",
                400,
                "the declared length is not that of the content",
            ),
            ErrorCode::RangeInvalid => ("RANGE_INVALID", 416, "the content range cannot be accepted"),
            ErrorCode::NameInvalid => ("NAME_INVALID", 400, "the repository name is invalid"),
            ErrorCode::TagInvalid => ("TAG_INVALID", 400, "the tag is invalid"),
            ErrorCode::NameUnknown => ("NAME_UNKNOWN", 404, "the repository is not known to the registry"),
            ErrorCode::ManifestUnknown => (
                "MANIFEST_UNKNOWN",
                404,
                "the manifest is not known to the registry",
            ),
            ErrorCode::ManifestInvalid => ("MANIFEST_INVALID", 400, "the manifest is invalid"),
            ErrorCode::ManifestUnverified => ("MANIFEST_UNVERIFIED", 400, "the manifest failed verification"),
            ErrorCode::ManifestBlobUnknown => (
                "MANIFEST_BLOB_UNKNOWN",
                400,
                "the manifest names content that is not in the repository",
            ),
            ErrorCode::BlobUnknown => ("BLOB_UNKNOWN", 404, "the blob is not known to the registry"),
            ErrorCode::BlobUploadUnknown => (
                "BLOB_UPLOAD_UNKNOWN",
                404,
                "the upload is not known to the registry",
            ),
            ErrorCode::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", 404, "the upload cannot be continued"),
            ErrorCode::PaginationNumberInvalid => (
                "PAGINATION_NUMBER_INVALID",
                400,
                "the number of results asked for is invalid",
            ),
            ErrorCode::SignatureInvalid => ("SIGNATURE_INVALID", 400, "the signature is invalid"),
            ErrorCode::SignatureExists => ("SIGNATURE_EXISTS", 409, "a signature of that name exists"),
            ErrorCode::PullthroughManifest => (
                "OPENSHIFT_PULLTHROUGH_MANIFEST",
                404,
                "the manifest could not be fetched from its source",
            ),
        }
    }

    /// The code as it is spelled on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with the code unless the caller knows a better one.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// A sentence for a human, used when the caller has nothing more precise to say.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.row().2
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a known error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known error code")]
pub struct UnknownCode;

impl FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        ErrorCode::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownCode)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    /// A code that this registry does not know reads as [`ErrorCode::Unknown`], since other registries have their own.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?
            .parse()
            .unwrap_or(ErrorCode::Unknown))
    }
}

/// One error of an envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// What went wrong, for a program.
    pub code: ErrorCode,
    /// What went wrong, for a human.
    #[serde(default)]
    pub message: Cow<'static, str>,
    /// Values that help to find the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl ErrorEntry {
    /// The code with its own message and no detail.
    #[must_use]
    pub const fn new(code: ErrorCode) -> Self {
        ErrorEntry {
            code,
            message: Cow::Borrowed(code.message()),
            detail: None,
        }
    }

    /// Replaces the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets the detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Value>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl From<ErrorCode> for ErrorEntry {
    fn from(code: ErrorCode) -> Self {
        ErrorEntry::new(code)
    }
}

/// The body of an error answer: `{"errors":[{"code":…,"message":…,"detail":…}]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// At least one error; the first decides the status.
    pub errors: Vec<ErrorEntry>,
}

impl ErrorBody {
    /// The envelope as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and JSON values always serialize")
    }
}

impl From<ErrorEntry> for ErrorBody {
    fn from(entry: ErrorEntry) -> Self {
        ErrorBody { errors: vec![entry] }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_an_error_status() {
        let names: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!((400..600).contains(&code.status()), "{code}");
            assert!(!code.message().is_empty(), "{code}");
        }
    }

    #[test]
    fn writes_the_envelope() {
        let entry = ErrorEntry::new(ErrorCode::NameUnknown).with_detail(json!({"name": "a/b"}));
        assert_eq!(
            serde_json::from_slice::<Value>(&ErrorBody::from(entry).to_json()).unwrap(),
            json!({"errors": [{
                "code": "NAME_UNKNOWN",
                "message": "the repository is not known to the registry",
                "detail": {"name": "a/b"},
            }]})
        );
        let plain = ErrorBody::from(ErrorEntry::new(ErrorCode::Denied).with_message("no"));
        assert_eq!(
            plain.to_json(),
            br#"{"errors":[{"code":"DENIED","message":"no"}]}"#
        );
    }

    #[test]
    fn reads_codes_of_other_registries() {
        let body: ErrorBody =
            serde_json::from_str(r#"{"errors":[{"code":"TEAPOT","message":"x"}]}"#).unwrap();
        assert_eq!(body.errors[0].code, ErrorCode::Unknown);
    }
}
