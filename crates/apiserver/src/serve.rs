//! The server itself: what was put together, and the paths that are no resources.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::health::{Check, Scope};
use berth_apimachinery::openapi::OpenApi;
use berth_apimachinery::protobuf::Kinds;
use berth_apimachinery::server::{ApiServer, Body, RawHandler, Version};
use berth_apimachinery::status::Status;
use berth_store::Store;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};

use crate::assemble::{Assembled, assemble};
use crate::{Config, Controllers, Error};

/// How OpenShift's typed clients encode its kinds.
const PROTOBUF: &str = include_str!("../schemas/protobuf.txt");

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
    .protobuf(Kinds::with(&[PROTOBUF]).map_err(Error::Protobuf)?)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A message of one byte each for tag and length: short texts and messages.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 128);
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
        let types = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), field(1, &types), field(2, message)].concat()
    }

    #[test]
    fn what_typed_clients_send_is_read() {
        let kinds = Kinds::with(&[PROTOBUF]).unwrap();
        let name = |name: &str| field(1, &field(1, name.as_bytes()));
        let from = [field(1, b"ImageStreamTag"), field(3, b"app:v1")].concat();
        let tag = [field(1, b"stable"), field(3, &from), vec![5 << 3, 0]].concat();
        let image = field(3, &field(1, br#"{"Size":7}"#));
        for (api_version, kind, message, want) in [
            (
                "image.openshift.io/v1",
                "ImageStreamTag",
                [name("app:stable"), field(2, &tag), field(6, &[3 << 3, 1])].concat(),
                json!({
                    "metadata": {"name": "app:stable"}, "lookupPolicy": {"local": true},
                    "tag": {"name": "stable", "from": {"kind": "ImageStreamTag", "name": "app:v1"}, "generation": 0},
                }),
            ),
            (
                "image.openshift.io/v1",
                "ImageStreamMapping",
                [name("app"), field(2, &image), field(3, b"v1")].concat(),
                json!({"metadata": {"name": "app"}, "image": {"dockerImageMetadata": {"Size": 7}}, "tag": "v1"}),
            ),
            (
                "authorization.openshift.io/v1",
                "SubjectAccessReview",
                [
                    field(1, &field(2, b"get")),
                    field(2, b"ann"),
                    field(4, &field(1, b"user:info")),
                ]
                .concat(),
                json!({"verb": "get", "user": "ann", "scopes": ["user:info"]}),
            ),
            (
                "authorization.openshift.io/v1",
                "RoleBinding",
                [name("b"), field(2, b""), field(5, &field(3, b"view"))].concat(),
                json!({"metadata": {"name": "b"}, "userNames": [], "roleRef": {"name": "view"}}),
            ),
            (
                "user.openshift.io/v1",
                "Group",
                [name("team"), field(2, &field(1, b"ann"))].concat(),
                json!({"metadata": {"name": "team"}, "users": ["ann"]}),
            ),
        ] {
            let mut want = want;
            want["apiVersion"] = api_version.into();
            want["kind"] = kind.into();
            let got = kinds.decode(&body(api_version, kind, &message));
            assert_eq!(got, Ok(want), "{kind}");
        }
    }
}
