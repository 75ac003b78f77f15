//! An answer that is not a success, complete: what the client is told and how.

use std::borrow::Cow;
use std::fmt;

use berth_oci::{ErrorBody, ErrorCode, ErrorEntry};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{Body, RequestId};

/// A refusal to serve a request, as it is answered to the client.
///
/// The message names what was wrong, where, and what to do about it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the OCI error body.
    pub code: ErrorCode,
    /// The message of the OCI error body.
    pub message: Cow<'static, str>,
    /// The detail of the OCI error body.
    pub detail: Option<Value>,
    /// Headers that go with the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a refused request was told, in the extensions of the response, for the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code of the OCI error body.
    pub code: ErrorCode,
    /// The message of the OCI error body.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a status, a code and a message.
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
            headers: Vec::new(),
        }
    }

    /// A refusal with the status that goes with its code.
    pub fn of(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            message,
        )
    }

    /// The same with `detail` in its body.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The same with a header. A value that cannot be sent is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The same with a `WWW-Authenticate` header.
    #[must_use]
    pub fn with_challenge(self, challenge: &str) -> Self {
        self.with_header(WWW_AUTHENTICATE, challenge)
    }

    /// The same with a `Retry-After` header of that many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// The answer: status, headers and the OCI error body, in which the id of the request is named as
    /// `detail.requestId`. A detail that is not an object moves to `detail.detail`.
    #[must_use]
    pub fn response(&self, id: Option<&RequestId>) -> Response<Body> {
        let mut entry = ErrorEntry::new(self.code).with_message(self.message.clone());
        entry.detail = match (self.detail.clone(), id) {
            (detail, None) => detail,
            (None, Some(id)) => Some(json!({ "requestId": id.as_str() })),
            (Some(Value::Object(mut detail)), Some(id)) => {
                detail.insert("requestId".to_owned(), id.as_str().into());
                Some(Value::Object(detail))
            }
            (Some(detail), Some(id)) => Some(json!({ "detail": detail, "requestId": id.as_str() })),
        };
        let body = ErrorBody::from(entry).to_json();
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status;
        let (code, message) = (self.code, self.message.clone());
        response.extensions_mut().insert(Refused { code, message });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_request_is_named_in_every_detail() {
        let id = RequestId("r1".into());
        for (detail, id, want) in [
            (None, None, json!({})),
            (None, Some(&id), json!({"detail": {"requestId": "r1"}})),
            (Some(json!({"a": 1})), None, json!({"detail": {"a": 1}})),
            (
                Some(json!({"a": 1})),
                Some(&id),
                json!({"detail": {"a": 1, "requestId": "r1"}}),
            ),
            (
                Some(json!(["a"])),
                Some(&id),
                json!({"detail": {"detail": ["a"], "requestId": "r1"}}),
            ),
        ] {
            let mut refusal = Refusal::of(ErrorCode::NameUnknown, "no such repository").retry_after(3);
            refusal.detail = detail;
            let response = refusal.response(id);
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(response.headers()[RETRY_AFTER], "3");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let mut body: Value = serde_json::from_slice(&body).unwrap();
            let mut error = body["errors"][0].take();
            let error = error.as_object_mut().unwrap();
            assert_eq!(error.remove("code").unwrap(), "NAME_UNKNOWN");
            assert_eq!(error.remove("message").unwrap(), "no such repository");
            assert_eq!(Value::Object(error.clone()), want);
        }
    }
}
