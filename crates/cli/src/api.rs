//! Requests to a Kubernetes API, as JSON.
use std::{fmt::Write as _, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::error::{Error, Result, failed};

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// What needs no escape in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A server and the identity with which it is asked.
#[derive(Clone)]
pub(crate) struct Api {
    client: kube::Client,
    server: String,
    timeout: Duration,
}

impl Api {
    /// Prepares connections as `config` says; none is opened yet.
    pub(crate) fn new(config: kube::Config, server: &str, timeout: Duration) -> Result<Self> {
        let client = kube::Client::try_from(config).map_err(|error| {
            failed(format!(
                "the credentials for {server} cannot be used: {}",
                chain(&error)
            ))
        })?;
        Ok(Self {
            client,
            server: server.to_owned(),
            timeout,
        })
    }

    /// The server's base URL.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Sends a request and returns the answer, whatever its status, with at most [`MAX_ANSWER`] bytes of body.
    pub(crate) async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>> {
        let work = async {
            let answer = self.client.send(request.map(Body::from)).await;
            let (head, body) = answer.map_err(|error| self.unreachable(&error))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                let what = if error.is::<LengthLimitError>() {
                    "is too large".to_owned()
                } else {
                    format!("broke off: {error}")
                };
                failed(format!("the answer of {} {what}", self.server))
            })?;
            Ok(Response::from_parts(head, body.to_bytes().to_vec()))
        };
        tokio::time::timeout(self.timeout, work)
            .await
            .unwrap_or_else(|_| {
                let (server, limit) = (&self.server, self.timeout.as_secs());
                Err(failed(format!(
                    "{server} did not answer within {limit} seconds; see --request-timeout"
                )))
            })
    }

    /// Sends a request for JSON; an answer that is not a success becomes an error.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.call_for("application/json", method, path, body).await
    }

    /// As [`Api::call`], for a content type of the caller's choice.
    pub(crate) async fn call_for(
        &self,
        accept: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, accept);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = request
            .body(body)
            .map_err(|error| failed(format!("the path {path}: {error}")))?;
        let answer = self.exchange(request).await?;
        if !answer.status().is_success() {
            return Err(refusal(answer.status(), answer.body()));
        }
        serde_json::from_slice(answer.body()).map_err(|_| {
            failed(format!(
                "{} answered, but not as a Kubernetes API does; is the address right?",
                self.server
            ))
        })
    }

    /// Reads an object or a list.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Creates an object.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Replaces an object.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// Name of the user as whom this server sees us.
    pub(crate) async fn whoami(&self) -> Result<String> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let answer = match self
            .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review)
            .await
        {
            // Servers that have no such review, or do not grant it to this user, may still have users.
            Err(error) if error.is(404) || error.is(403) => {
                let user = self.get("/apis/user.openshift.io/v1/users/~").await;
                let user = user.map_err(|error| if error.is(403) { Error::Unauthorized } else { error })?;
                return text(&user, "/metadata/name", self);
            }
            answer => answer?,
        };
        text(&answer, "/status/userInfo/username", self)
    }

    /// Names and display names of the projects that the caller may see.
    pub(crate) async fn projects(&self) -> Result<Vec<(String, String)>> {
        let list = self.get("/apis/project.openshift.io/v1/projects").await?;
        let items = list.get("items").and_then(Value::as_array);
        let mut projects: Vec<(String, String)> = items
            .into_iter()
            .flatten()
            .filter_map(|project| {
                let name = project.pointer("/metadata/name")?.as_str()?.to_owned();
                let display = project.pointer("/metadata/annotations/openshift.io~1display-name");
                Some((
                    name,
                    display.and_then(Value::as_str).unwrap_or_default().to_owned(),
                ))
            })
            .collect();
        projects.sort();
        Ok(projects)
    }

    /// What a person can do about a server that cannot be talked to.
    fn unreachable(&self, error: &kube::Error) -> Error {
        let (server, why) = (&self.server, chain(error));
        failed(
            if why.contains("UnknownIssuer") || why.contains("CaUsedAsEndEntity") {
                format!(
                    "the certificate of {server} is signed by an authority that is not trusted here; name the authority's \
                 certificate with --certificate-authority FILE, or give up checking with --insecure-skip-tls-verify"
                )
            } else if why.contains("invalid peer certificate") {
                format!("the certificate of {server} is not valid for it: {why}")
            } else if why.contains("onnection refused") {
                format!(
                    "The connection to the server {server} was refused - is it running, and are host and port right?"
                )
            } else {
                format!("{server} cannot be reached: {why}")
            },
        )
    }
}

fn text(value: &Value, pointer: &str, api: &Api) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| failed(format!("{} did not say who you are", api.server)))
}

/// A refusal in the server's words, where it has some.
fn refusal(code: StatusCode, body: &[u8]) -> Error {
    if code == StatusCode::UNAUTHORIZED {
        return Error::Unauthorized;
    }
    let status: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| {
        status
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let name = code.canonical_reason().unwrap_or("Unknown");
    Error::Server {
        code: code.as_u16(),
        reason: field("reason").map_or_else(|| name.replace(' ', ""), str::to_owned),
        message: field("message").unwrap_or(name).to_owned(),
    }
}

/// A name as a segment of a path.
pub(crate) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// An error with its causes, in one line, none of them twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_the_servers_words() {
        let status =
            json!({"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}).to_string();
        for (code, body, want) in [
            (403, status.as_str(), "Error from server (Forbidden): no"),
            (404, "page not found", "Error from server (NotFound): Not Found"),
            (
                503,
                "",
                "Error from server (ServiceUnavailable): Service Unavailable",
            ),
            (
                401,
                "",
                "error: You must be logged in to the server (Unauthorized): run 'berth login'",
            ),
        ] {
            let error = refusal(StatusCode::from_u16(code).unwrap(), body.as_bytes());
            assert_eq!(error.to_string(), want);
            assert!(error.is(code), "{code}");
            assert_eq!(error.exit_code(), 1);
        }
    }

    #[test]
    fn names_stay_one_segment() {
        for (name, want) in [
            ("demo", "demo"),
            ("kube:admin", "kube%3Aadmin"),
            ("../x", "..%2Fx"),
            ("sha256~a-_", "sha256~a-_"),
        ] {
            assert_eq!(segment(name), want);
        }
    }
}
