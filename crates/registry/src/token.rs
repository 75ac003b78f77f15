//! The token endpoint: where clients that got a Bearer challenge change their credentials for a token.
//!
//! The token that a client gets is the one it brought: Kubernetes issues tokens, the registry only checks them. What a
//! scope asks for is not looked at, since every request is authorized for itself. Only a repository name that this registry
//! cannot have is refused here already: `podman` and `docker` ask for a token before anything else and show the reason,
//! while the request that comes next is often a HEAD, whose answer cannot carry one.

use berth_distribution::{Body, Caller, Refusal};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::{
    access::Gate,
    credentials::{ANONYMOUS_TOKEN, Credentials},
    refuse,
};

/// Where it is; whatever follows is ignored.
pub(crate) const PATH: &str = "/openshift/token";

/// `GET /openshift/token`.
pub(crate) async fn serve(gate: &Gate, head: &Parts) -> Result<Response<Body>, Refusal> {
    if head.method != Method::GET {
        return Ok(crate::service::method_not_allowed("GET"));
    }
    if let Some(name) = foreign_name(head.uri.query().unwrap_or_default()) {
        return Ok(explained(&refuse::not_two_parts(&name).message));
    }
    if !head.headers.contains_key(header::AUTHORIZATION) {
        return Ok(granted(ANONYMOUS_TOKEN));
    }
    let token = match Credentials::of(&head.headers) {
        Credentials::Token(token) if Credentials::is_basic(&head.headers) => token,
        Credentials::Token(_) | Credentials::Missing | Credentials::Anonymous | Credentials::Undecodable => {
            return Ok(unauthorized());
        }
    };
    match gate.identities().resolve(&token).await? {
        Some(who) => {
            let mut response = granted(token.expose());
            response
                .extensions_mut()
                .insert(Caller::shared(who.name.clone(), who));
            Ok(response)
        }
        None => Ok(unauthorized()),
    }
}

/// The first repository of the query's scopes that is no `<project>/<image stream>`. What is no scope is ignored.
///
/// Spec: Docker registry, "Token scope" (`type[(class)]:name:actions`, several separated by spaces).
fn foreign_name(query: &str) -> Option<String> {
    let decode = |value: &str| {
        let value = value.replace('+', " ");
        percent_decode_str(&value)
            .decode_utf8()
            .ok()
            .map(std::borrow::Cow::into_owned)
    };
    let scopes = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="))
        .filter_map(decode);
    for scopes in scopes {
        for scope in scopes.split_whitespace() {
            let mut parts = scope.split(':');
            let (Some(kind), Some(name), Some(_actions), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let kind = kind.split('(').next().unwrap_or_default();
            if matches!(kind, "repository" | "signature")
                && name.split('/').filter(|part| !part.is_empty()).count() != 2
            {
                return Some(name.to_owned());
            }
        }
    }
    None
}

/// A refusal in the form that clients of token servers understand.
fn explained(details: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(json!({ "details": details }).to_string()));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn granted(token: &str) -> Response<Body> {
    let body = json!({ "token": token, "access_token": token }).to_string();
    let mut response = Response::new(Body::full(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn unauthorized() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

#[cfg(test)]
mod tests {
    use super::foreign_name;

    #[test]
    fn finds_names_that_cannot_be() {
        for (query, want) in [
            ("", None),
            ("service=r&account=x", None),
            ("scope=repository:demo/app:pull,push", None),
            ("scope=repository%3Ademo%2Fapp%3Apull", None),
            ("scope=repository:demo/a/b:pull", Some("demo/a/b")),
            ("scope=repository:app:pull", Some("app")),
            ("scope=repository(plugin):app:pull", Some("app")),
            ("scope=signature:app:get", Some("app")),
            ("scope=registry:catalog:*", None),
            ("scope=repository:host:5000/demo/app:pull", None),
            ("scope=nonsense&scope=repository", None),
            (
                "scope=repository:demo/app:pull&scope=repository:a/b/c:pull",
                Some("a/b/c"),
            ),
            ("scope=repository:demo/app:pull+repository:x:pull", Some("x")),
            ("scope=repository:%ff:pull", None),
        ] {
            assert_eq!(foreign_name(query).as_deref(), want, "{query}");
        }
    }
}
