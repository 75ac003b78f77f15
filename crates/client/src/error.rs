use kube::core::{Status, response::reason};
use tower::BoxError;

/// The result of a request to the API server.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request to the API server has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with a failure; its `Status` says which.
    #[error("the API server answered {} {}: {}", .0.code, .0.reason, .0.message)]
    Api(Box<Status>),
    /// No answer came: connection refused or lost, TLS failure, or the service in this process is gone.
    #[error("the API server cannot be reached for {what}")]
    Unreachable {
        /// Method and path of the request.
        what: String,
        /// What the transport says.
        source: BoxError,
    },
    /// No answer came within [`crate::REQUEST_TIMEOUT`].
    #[error("the API server did not answer {what} in time")]
    TimedOut {
        /// Method and path of the request.
        what: String,
    },
    /// The answer is larger than [`crate::MAX_RESPONSE_BYTES`].
    #[error("the API server's answer to {what} is larger than {limit} bytes")]
    TooLarge {
        /// Method and path of the request.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// The answer is not the object that was asked for.
    #[error("the API server's answer to {what} is not a {kind}")]
    Answer {
        /// Method and path of the request.
        what: String,
        /// The kind that was expected.
        kind: &'static str,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// The request could not be put together: an object that does not serialize.
    #[error("the request for {what} cannot be written")]
    Request {
        /// Method and path of the request.
        what: String,
        /// Why.
        source: BoxError,
    },
    /// The client could not be configured.
    #[error("the client of the API server cannot be set up")]
    Configuration(#[source] Box<kube::Error>),
}

impl Error {
    /// The server's own words, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Api(status) => Some(status),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. }
            | Self::Answer { .. }
            | Self::Request { .. }
            | Self::Configuration(_) => None,
        }
    }

    /// Something that was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(Status::is_not_found)
    }

    /// The thing that does not exist is of the given kind, as `details.kind` has it (a plural resource name).
    #[must_use]
    pub fn is_not_found_of(&self, kind: &str) -> bool {
        self.status()
            .is_some_and(|status| status.is_not_found() && details_kind(status) == Some(kind))
    }

    /// An object of that name is there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.status().is_some_and(Status::is_already_exists)
    }

    /// The object changed meanwhile, or is being deleted.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status()
            .is_some_and(|status| status.is_conflict() && !status.is_already_exists())
    }

    /// The identity of the session may not do this, or admission (quota, limits) refused it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status().is_some_and(Status::is_forbidden)
    }

    /// The object does not hold what its kind demands.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.status().is_some_and(Status::is_invalid)
    }

    /// The token of the session is none (wrong, expired, revoked).
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.status()
            .is_some_and(|status| status.code == 401 || status.reason == reason::UNAUTHORIZED)
    }

    /// Nothing is known about the request's fate; the same request may succeed a moment later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Api(status) => status.code >= 500 || status.code == 429,
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::TooLarge { .. } | Self::Answer { .. } | Self::Request { .. } | Self::Configuration(_) => {
                false
            }
        }
    }

    /// How long the server asks to wait before the next try, in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.status()?
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|seconds| *seconds > 0)
    }
}

fn details_kind(status: &Status) -> Option<&str> {
    status.details.as_ref().map(|details| details.kind.as_str())
}

/// The failure that `body` describes; an answer that is no `Status` (a proxy's page) becomes one.
pub(crate) fn from_response(code: u16, body: &[u8]) -> Error {
    let status = serde_json::from_slice::<Status>(body)
        .ok()
        .filter(|status| status.code != 0 || !status.message.is_empty() || !status.reason.is_empty())
        .unwrap_or_else(|| Status::failure(excerpt(body).trim(), "").with_code(code));
    // `code` of the body and of the response agree in Kubernetes; where they do not, the response decides.
    let mut status = status.with_code(code);
    if status.reason.is_empty() {
        status.reason = reason_of(code).to_owned();
    }
    Error::Api(status.boxed())
}

/// The reason that Kubernetes would give with `code`, for answers that come from something before it.
fn reason_of(code: u16) -> &'static str {
    match code {
        400 => reason::BAD_REQUEST,
        401 => reason::UNAUTHORIZED,
        403 => reason::FORBIDDEN,
        404 => reason::NOT_FOUND,
        409 => reason::CONFLICT,
        410 => reason::GONE,
        422 => reason::INVALID,
        429 => reason::TOO_MANY_REQUESTS,
        _ => reason::UNKNOWN,
    }
}

/// The start of a text that is not ours, short enough for a message.
fn excerpt(body: &[u8]) -> String {
    /// Enough to recognise a proxy's error page, in bytes.
    const EXCERPT_BYTES: usize = 200;
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_answers() {
        let missing_project = br#"{"kind":"Status","status":"Failure","message":"namespaces \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"namespaces"},"code":404}"#;
        let error = from_response(404, missing_project);
        assert!(
            error.is_not_found_of("namespaces")
                && !error.is_not_found_of("imagestreams")
                && !error.is_unavailable()
        );

        let exists = from_response(409, br#"{"reason":"AlreadyExists","code":409}"#);
        assert!(exists.is_already_exists() && !exists.is_conflict());

        for (code, body, unavailable, unauthorized) in [
            (502, &b"<html>bad gateway</html>"[..], true, false),
            (
                429,
                br#"{"code":429,"reason":"TooManyRequests","details":{"retryAfterSeconds":2}}"#,
                true,
                false,
            ),
            (401, b"", false, true),
            (403, b"{}", false, false),
        ] {
            let error = from_response(code, body);
            assert_eq!(
                (error.is_unavailable(), error.is_unauthorized()),
                (unavailable, unauthorized),
                "{code}"
            );
            assert_eq!(error.is_forbidden(), code == 403, "{code}");
            assert_eq!(error.retry_after(), (code == 429).then_some(2), "{code}");
        }
    }
}
