//! The token endpoint: where clients that got a Bearer challenge change their credentials for a token.
//!
//! The token that a client gets is the one it brought: Kubernetes issues tokens, the registry only checks them. Scopes are
//! not looked at, since every request is authorized for itself; a name that is none of this registry is explained to the
//! request that uses it, where clients show the explanation.

use berth_distribution::{Body, Caller, Refusal};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use serde_json::json;

use crate::{
    access::Gate,
    credentials::{ANONYMOUS_TOKEN, Credentials},
};

/// Where it is; whatever follows is ignored.
pub(crate) const PATH: &str = "/openshift/token";

/// `GET /openshift/token`.
pub(crate) async fn serve(gate: &Gate, head: &Parts) -> Result<Response<Body>, Refusal> {
    if head.method != Method::GET {
        return Ok(crate::service::method_not_allowed("GET"));
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
