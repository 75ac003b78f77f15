//! [`Status`]: an answer that is not an object, worded as Kubernetes words it (`k8s.io/apimachinery/pkg/api/errors`).
use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::field::{FieldError, quote};
use crate::resource::{GroupKind, GroupResource};

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

    /// 404: the object does not exist.
    #[must_use]
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(
            404,
            Reason::NotFound,
            format!("{resource} {} not found", quote(name)),
        )
        .with_details(Details::of(&resource.group, &resource.resource, name))
    }

    /// 404: nothing is served at the path.
    #[must_use]
    pub fn no_such_resource() -> Self {
        Self::new(
            404,
            Reason::NotFound,
            "the server could not find the requested resource",
        )
        .with_details(Details::default())
    }

    /// 409: the object exists already.
    #[must_use]
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(
            409,
            Reason::AlreadyExists,
            format!("{resource} {} already exists", quote(name)),
        )
        .with_details(Details::of(&resource.group, &resource.resource, name))
    }

    /// 409: every generated name was taken.
    #[must_use]
    pub fn generate_name_conflict(resource: &GroupResource, name: &str) -> Self {
        let message = format!(
            "{resource} {} already exists, the server was not able to generate a unique name for the object",
            quote(name)
        );
        Self::new(409, Reason::AlreadyExists, message)
            .with_details(Details::of(&resource.group, &resource.resource, name))
            .with_retry_after(1)
    }

    /// 409 for another cause than a stale resource version.
    #[must_use]
    pub fn conflict(resource: &GroupResource, name: &str, cause: impl fmt::Display) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {resource} {}: {cause}",
            quote(name)
        );
        Self::new(409, Reason::Conflict, message).with_details(Details::of(
            &resource.group,
            &resource.resource,
            name,
        ))
    }

    /// 409: the resource version sent is not the current one.
    #[must_use]
    pub fn stale(resource: &GroupResource, name: &str) -> Self {
        const STALE: &str =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, STALE)
    }

    /// 422: fields are wrong. `kind` is the object's kind.
    #[must_use]
    pub fn invalid(kind: &GroupKind, name: &str, errors: &[FieldError]) -> Self {
        let mut texts: Vec<String> = Vec::with_capacity(errors.len());
        for error in errors {
            let text = error.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = Details::of(&kind.group, &kind.kind, name);
        details.causes = errors
            .iter()
            .map(|error| Cause {
                reason: error.kind.reason().to_owned(),
                message: error.body(),
                field: error.field.clone(),
            })
            .collect();
        Self::new(
            422,
            Reason::Invalid,
            format!("{kind} {} is invalid: {list}", quote(name)),
        )
        .with_details(details)
    }

    /// 403: `resource` and `name` may be empty.
    #[must_use]
    pub fn forbidden(resource: &GroupResource, name: &str, cause: impl fmt::Display) -> Self {
        let message = if resource.resource.is_empty() {
            format!("forbidden: {cause}")
        } else if name.is_empty() {
            format!("{resource} is forbidden: {cause}")
        } else {
            format!("{resource} {} is forbidden: {cause}", quote(name))
        };
        Self::new(403, Reason::Forbidden, message).with_details(Details::of(
            &resource.group,
            &resource.resource,
            name,
        ))
    }

    /// 401.
    #[must_use]
    pub fn unauthorized(message: impl Into<String>) -> Self {
        let message = message.into();
        let message = if message.is_empty() {
            "Unauthorized".to_owned()
        } else {
            message
        };
        Self::new(401, Reason::Unauthorized, message)
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, Reason::BadRequest, message)
    }

    /// 405: the resource knows no such action.
    #[must_use]
    pub fn not_supported(resource: &GroupResource, action: &str) -> Self {
        let message = format!(
            "{action} is not supported on resources of kind {}",
            quote(&resource.to_string())
        );
        Self::new(405, Reason::MethodNotAllowed, message).with_details(Details::of(
            &resource.group,
            &resource.resource,
            "",
        ))
    }

    /// 405: the path knows no such HTTP method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        const MESSAGE: &str = "the server does not allow this method on the requested resource";
        Self::new(405, Reason::MethodNotAllowed, MESSAGE).with_details(Details::default())
    }

    /// 406: none of the media types asked for can be produced.
    #[must_use]
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            accepted.join(", ")
        );
        Self::new(406, Reason::NotAcceptable, message)
    }

    /// 415: the body's media type cannot be read.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, Reason::UnsupportedMediaType, message)
    }

    /// 413: the body has more than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, Reason::RequestEntityTooLarge, message)
    }

    /// 410: the resource version or continue token is too old.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Expired, message)
    }

    /// 410 of a watch whose resource version is no longer in history.
    #[must_use]
    pub fn too_old(asked: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// 504: the resource version has not happened yet.
    #[must_use]
    pub fn too_new(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        Self::new(504, Reason::Timeout, format!("Timeout: {message}"))
            .with_retry_after(1)
            .with_cause("ResourceVersionTooLarge", "Too large resource version", "")
    }

    /// 504.
    #[must_use]
    pub fn timeout(message: impl fmt::Display) -> Self {
        Self::new(504, Reason::Timeout, format!("Timeout: {message}")).with_details(Details::default())
    }

    /// 500 with reason `ServerTimeout`: try again.
    #[must_use]
    pub fn server_timeout(resource: &GroupResource, operation: &str, retry_after: u32) -> Self {
        let message = format!(
            "The {operation} operation against {resource} could not be completed at this time, please try again."
        );
        Self::new(500, Reason::ServerTimeout, message)
            .with_details(Details::of(&resource.group, &resource.resource, operation))
            .with_retry_after(retry_after)
    }

    /// 429.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after: u32) -> Self {
        Self::new(429, Reason::TooManyRequests, message).with_retry_after(retry_after)
    }

    /// 503.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, Reason::ServiceUnavailable, message)
    }

    /// 500: something is wrong with this server.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        let cause = cause.to_string();
        Self::new(
            500,
            Reason::InternalError,
            format!("Internal error occurred: {cause}"),
        )
        .with_cause("", &cause, "")
    }

    /// What the store answered, where it is not about one object.
    #[must_use]
    pub fn from_store(error: &berth_store::Error) -> Self {
        use berth_store::Error;
        match error {
            Error::Conflict { key, .. } => {
                Self::new(409, Reason::Conflict, format!("{} changed", key.name()))
            }
            Error::Compacted { asked, oldest } => Self::too_old(asked.get(), oldest.get()),
            Error::Future { asked, current } => Self::too_new(asked.get(), current.get()),
            Error::TooLarge { size, limit } => Self::new(
                413,
                Reason::RequestEntityTooLarge,
                format!("Request entity too large: the object has {size} bytes, limit is {limit}"),
            ),
            Error::Full { .. } => {
                Self::new(507, Reason::ServiceUnavailable, error.to_string()).with_retry_after(10)
            }
            Error::Unavailable { .. } => Self::unavailable(error.to_string()).with_retry_after(1),
            Error::Closed => Self::unavailable(error.to_string()),
            Error::Broken { .. } => Self::internal(error),
        }
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
