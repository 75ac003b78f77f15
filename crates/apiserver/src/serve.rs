//! The server itself: what was put together, and the paths that are no resources.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::health::{Check, Scope};
use berth_apimachinery::openapi::OpenApi;
use berth_apimachinery::server::{ApiServer, Body, RawHandler, Version};
use berth_apimachinery::status::Status;
use berth_store::Store;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};

use crate::assemble::{Assembled, assemble};
use crate::{Config, Controllers, Error};

/// The version of the Kubernetes API that is spoken.
const KUBERNETES_MINOR: u32 = 32;

/// Builds a server over what the store holds, after writing what must exist from the first start.
///
/// The server answers from now on; [`Controllers::run`] must run beside it, started before its listeners and stopped
/// after them, since writes wait for memory to follow the store.
///
/// # Errors
/// [`Error`]; nothing is left running.
pub async fn build(config: Config) -> Result<(ApiServer, Controllers), Error> {
    let Assembled {
        definitions,
        endpoints,
        authenticator,
        authorizer,
        admission,
        tokens,
        oauth,
        controllers,
    } = assemble(&config).await?;
    let openapi = OpenApi::new(definitions, &endpoints);
    let mut builder = ApiServer::builder(Version::kubernetes(
        KUBERNETES_MINOR,
        "berth",
        env!("CARGO_PKG_VERSION"),
    ))
    .authenticator(authenticator)
    .authorizer(authorizer)
    .admission(admission)
    .check(
        "store",
        Scope::Ready,
        Arc::new(StoreAnswers(Arc::clone(&config.store))),
    )
    .raw("/openapi", Arc::new(Documents(openapi)));
    let configuration = tokens.openid_configuration(&config.issuer).to_string();
    for (path, content_type, text) in [
        (
            "/.well-known/openid-configuration",
            "application/json",
            Bytes::from(configuration),
        ),
        (
            "/openid/v1/jwks",
            "application/jwk-set+json",
            Bytes::from(tokens.jwks()),
        ),
    ] {
        builder = builder.raw(path, Arc::new(Fixed { content_type, text }));
    }
    for (path, handler) in oauth.iter().flat_map(berth_oauth::OAuth::handlers) {
        builder = builder.raw(path, handler);
    }
    for endpoint in endpoints {
        builder = builder.endpoint(endpoint);
    }
    Ok((builder.build(), controllers))
}

/// Ready while the store answers.
struct StoreAnswers(Arc<dyn Store>);

#[async_trait]
impl Check for StoreAnswers {
    async fn check(&self) -> Result<(), String> {
        self.0
            .revision()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// The OpenAPI documents.
struct Documents(OpenApi);

#[async_trait]
impl RawHandler for Documents {
    async fn handle(&self, _cx: &Context, request: &Parts, _body: Bytes) -> Result<Response<Body>, Status> {
        let found = self
            .0
            .respond(request.uri.path(), request.uri.query(), &request.headers);
        found
            .map(|response| response.map(Body::from))
            .ok_or_else(Status::no_such_resource)
    }
}

/// A document that never changes.
struct Fixed {
    content_type: &'static str,
    text: Bytes,
}

#[async_trait]
impl RawHandler for Fixed {
    async fn handle(&self, _cx: &Context, _request: &Parts, _body: Bytes) -> Result<Response<Body>, Status> {
        let response = Response::builder()
            .status(StatusCode::OK)
            .header(CONTENT_TYPE, self.content_type)
            .header(CACHE_CONTROL, "public, max-age=3600");
        response
            .body(Body::from(self.text.clone()))
            .map_err(Status::internal)
    }
}
