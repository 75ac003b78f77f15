//! [`Status`]: an answer that is not an object, worded as Kubernetes words it (`k8s.io/apimachinery/pkg/api/errors`).
mod refusals;

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Machine-readable cause of a failure: `reason` of a Status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Kubernetes' own words")]
pub enum Reason {
    #[serde(rename = "")]
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    ServiceUnavailable,
}

impl Reason {
    /// The reason as it is written in a Status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::Invalid => "Invalid",
            Self::ServerTimeout => "ServerTimeout",
            Self::Timeout => "Timeout",
            Self::TooManyRequests => "TooManyRequests",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Machine-readable cause.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What a human reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The field that is wrong, if one is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// `details` of a Status: what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Name of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind or resource, as the constructor in Kubernetes has it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Uid of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// What was wrong, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which a repeated request may succeed; 0 says nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A failure (or the success of a deletion), as every client of Kubernetes understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    code: u16,
    reason: Reason,
    message: String,
    details: Option<Details>,
    /// The continue token that a list may go on with, inconsistently.
    continue_token: String,
}

impl Status {
    /// A status from its parts.
    #[must_use]
    pub fn new(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner {
            code,
            reason,
            message,
            details: None,
            continue_token: String::new(),
        }))
    }

    /// The same with `details`.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The same with a hint when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// The same with one more cause.
    #[must_use]
    pub fn with_cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        self.0.details.get_or_insert_default().causes.push(Cause {
            reason: reason.into(),
            message: message.into(),
            field: field.into(),
        });
        self
    }

    /// The same with a token to continue a list with.
    #[must_use]
    pub fn with_continue(mut self, token: String) -> Self {
        self.0.continue_token = token;
        self
    }

    /// HTTP status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// HTTP status code.
    #[must_use]
    pub fn http(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Machine-readable cause.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What a human reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the status is about.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.0.details.as_ref()
    }

    /// Whether this is a lost race for an object.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.0.reason == Reason::Conflict
    }

    /// Whether the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.reason == Reason::NotFound
    }

    /// Whether the object exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.0.reason == Reason::AlreadyExists
    }

    /// Success without an object to show, as the answer to a deletion; `details` say what was deleted.
    #[must_use]
    pub fn success(details: Option<Details>) -> Self {
        let mut status = Self::new(200, Reason::Unknown, "");
        status.0.details = details;
        status
    }

    /// The wire form, kind `Status` of `v1`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let inner = &self.0;
        let wire = Wire {
            kind: "Status",
            api_version: "v1",
            metadata: ListMeta {
                r#continue: &inner.continue_token,
            },
            status: if inner.code < 400 { "Success" } else { "Failure" },
            message: &inner.message,
            reason: inner.reason.as_str(),
            details: inner.details.as_ref(),
            // Kubernetes leaves the code out of what succeeded.
            code: (inner.code >= 400).then_some(inner.code),
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// When the bytes are no Status.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(default)]
            message: String,
            #[serde(default)]
            reason: String,
            #[serde(default)]
            details: Option<Details>,
            #[serde(default)]
            code: u16,
        }
        let read: Read = serde_json::from_slice(bytes)?;
        let reason = serde_json::from_value(read.reason.into()).unwrap_or(Reason::Unknown);
        let mut status = Self::new(read.code, reason, read.message);
        status.0.details = read.details;
        Ok(status)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta<'a>,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

#[derive(Serialize)]
struct ListMeta<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    r#continue: &'a str,
}

impl Details {
    /// Details about one object.
    #[must_use]
    pub fn of(group: &str, kind: &str, name: &str) -> Self {
        Self {
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Status {}
