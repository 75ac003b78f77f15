//! Refusals, each with the code, reason, message and details that Kubernetes gives it.
use std::fmt;

use super::{Cause, Details, Reason, Status};
use crate::field::{FieldError, quote};
use crate::resource::{GroupKind, GroupResource};

impl Status {
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
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn refusals_are_worded_as_kubernetes_words_them() {
        let streams = GroupResource::new("image.openshift.io", "imagestreams");
        let secrets = GroupResource::new("", "secrets");
        let kind = GroupKind {
            group: "image.openshift.io".into(),
            kind: "ImageStream".into(),
        };
        let required = FieldError::required("metadata.name", "name or generateName is required");
        let invalid = FieldError::invalid("spec.tags[0].name", "a\"b", "bad");
        let details =
            |name: &str| json!({"name": name, "group": "image.openshift.io", "kind": "imagestreams"});
        for (status, code, reason, message, want) in [
            (
                Status::not_found(&streams, "app"),
                404,
                "NotFound",
                "imagestreams.image.openshift.io \"app\" not found",
                details("app"),
            ),
            (
                Status::not_found(&secrets, "s"),
                404,
                "NotFound",
                "secrets \"s\" not found",
                json!({"name": "s", "kind": "secrets"}),
            ),
            (
                Status::already_exists(&streams, "app"),
                409,
                "AlreadyExists",
                "imagestreams.image.openshift.io \"app\" already exists",
                details("app"),
            ),
            (
                Status::stale(&streams, "app"),
                409,
                "Conflict",
                "Operation cannot be fulfilled on imagestreams.image.openshift.io \"app\": the object has been \
                 modified; please apply your changes to the latest version and try again",
                details("app"),
            ),
            (
                Status::invalid(&kind, "x", std::slice::from_ref(&required)),
                422,
                "Invalid",
                "ImageStream.image.openshift.io \"x\" is invalid: metadata.name: Required value: name or generateName \
                 is required",
                json!({
                    "name": "x", "group": "image.openshift.io", "kind": "ImageStream",
                    "causes": [{
                        "reason": "FieldValueRequired",
                        "message": "Required value: name or generateName is required",
                        "field": "metadata.name",
                    }],
                }),
            ),
            (
                Status::forbidden(&streams, "app", "no"),
                403,
                "Forbidden",
                "imagestreams.image.openshift.io \"app\" is forbidden: no",
                details("app"),
            ),
            (
                Status::forbidden(&streams, "", "no"),
                403,
                "Forbidden",
                "imagestreams.image.openshift.io is forbidden: no",
                json!({"group": "image.openshift.io", "kind": "imagestreams"}),
            ),
            (
                Status::forbidden(&GroupResource::default(), "", "no"),
                403,
                "Forbidden",
                "forbidden: no",
                json!({}),
            ),
            (
                Status::unauthorized(""),
                401,
                "Unauthorized",
                "Unauthorized",
                Value::Null,
            ),
            (
                Status::server_timeout(&streams, "create", 2),
                500,
                "ServerTimeout",
                "The create operation against imagestreams.image.openshift.io could not be completed at this time, please \
                 try again.",
                json!({
                    "name": "create", "group": "image.openshift.io", "kind": "imagestreams", "retryAfterSeconds": 2,
                }),
            ),
            (
                Status::internal("broken"),
                500,
                "InternalError",
                "Internal error occurred: broken",
                json!({"causes": [{"message": "broken"}]}),
            ),
            (
                Status::too_large(5),
                413,
                "RequestEntityTooLarge",
                "Request entity too large: limit is 5",
                Value::Null,
            ),
            (
                Status::too_old(3, 7),
                410,
                "Expired",
                "too old resource version: 3 (7)",
                Value::Null,
            ),
        ] {
            let wire: Value = serde_json::from_slice(&status.to_json()).unwrap();
            assert_eq!(
                (status.code(), &wire["reason"], &wire["message"], &wire["details"]),
                (code, &json!(reason), &json!(message), &want),
                "{status}"
            );
            assert_eq!(wire["status"], "Failure", "{status}");
            assert_eq!(Status::from_json(&status.to_json()).unwrap(), status, "{status}");
        }
        let two = Status::invalid(&kind, "x", &[required, invalid]);
        let want = "is invalid: [metadata.name: Required value: name or generateName is required, spec.tags[0].name: \
                    Invalid value: \"a\\\"b\": bad]";
        assert!(two.message().ends_with(want), "{two}");
        let success: Value = serde_json::from_slice(&Status::success(None).to_json()).unwrap();
        assert_eq!(
            success,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        );
    }

    #[test]
    fn field_errors_read_as_in_kubernetes() {
        for (error, want) in [
            (FieldError::required("a", ""), "a: Required value"),
            (
                FieldError::invalid("a.b", "x", "no"),
                "a.b: Invalid value: \"x\": no",
            ),
            (FieldError::invalid("a", 5, "no"), "a: Invalid value: 5: no"),
            (
                FieldError::invalid("a", json!({"k": 1}), "no"),
                "a: Invalid value: {\"k\":1}: no",
            ),
            (FieldError::duplicate("a[1]", "x"), "a[1]: Duplicate value: \"x\""),
            (FieldError::not_found("a", "x"), "a: Not found: \"x\""),
            (
                FieldError::not_supported("a", "x", &["y", "z"]),
                "a: Unsupported value: \"x\": supported values: \"y\", \"z\"",
            ),
            (
                FieldError::forbidden("a", "may not change"),
                "a: Forbidden: may not change",
            ),
            (
                FieldError::too_long("a", 63),
                "a: Too long: may not be more than 63 bytes",
            ),
            (
                FieldError::too_many("a", 5, 3),
                "a: Too many: 5: must have at most 3 items",
            ),
        ] {
            assert_eq!(error.to_string(), want);
        }
    }
}
