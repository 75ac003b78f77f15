//! A registry over memory, with a stand-in for the cluster that answers as told and can fail.

pub(crate) mod api;
pub(crate) mod cluster;
pub(crate) mod image;
pub(crate) mod push;

use std::sync::Arc;

use base64::Engine as _;
use berth_blobs::MemoryDriver;
use berth_client::{Client, Token, TokenSource};
use berth_registry::{Config, Registry};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use self::api::Api;

/// The host that clients of the tests reach the registry as.
pub(crate) const HOST: &str = "REGISTRY";

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The codes of the error body; none when there is no such body.
    pub(crate) fn codes(&self) -> Option<Vec<String>> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let errors = body.get("errors")?.as_array()?;
        Some(
            errors
                .iter()
                .map(|error| error["code"].as_str().expect("a code").to_owned())
                .collect(),
        )
    }

    /// The message of the first error.
    pub(crate) fn message(&self) -> String {
        self.json()["errors"][0]["message"]
            .as_str()
            .expect("a message")
            .to_owned()
    }
}

/// Credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As<'a> {
    Nobody,
    Basic(&'a str),
    Bearer(&'a str),
}

/// A client of a registry in this process.
#[derive(Clone)]
pub(crate) struct Peer(pub(crate) Registry);

impl Peer {
    pub(crate) async fn send(
        &self,
        who: As<'_>,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST);
        request = match who {
            As::Nobody => request,
            As::Bearer(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            As::Basic(token) => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("anything:{token}"));
                request.header(header::AUTHORIZATION, format!("Basic {pair}"))
            }
        };
        if !body.is_empty() {
            request = request.header(header::CONTENT_LENGTH, body.len());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::copy_from_slice(body)))
            .expect("a request");
        let response = self.0.serve(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, who: As<'_>, path: &str) -> Answer {
        self.send(who, Method::GET, path, &[], b"").await
    }

    /// Uploads a blob in one request.
    pub(crate) async fn push_blob(&self, who: As<'_>, repository: &str, bytes: &[u8]) -> Answer {
        let digest = berth_oci::Digest::sha256(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.send(
            who,
            Method::POST,
            &path,
            &[("content-type", "application/octet-stream")],
            bytes,
        )
        .await
    }

    pub(crate) async fn push_manifest(
        &self,
        who: As<'_>,
        repository: &str,
        reference: &str,
        manifest: &image::Manifest,
    ) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send(
            who,
            Method::PUT,
            &path,
            &[("content-type", manifest.media_type)],
            &manifest.bytes,
        )
        .await
    }
}

/// The configuration of all tests.
pub(crate) fn config() -> Config {
    Config {
        realm: "openshift".to_owned(),
        metrics: true,
        ..Config::new("registry.svc:5000")
    }
}

/// A registry over memory and `api`.
pub(crate) fn registry(api: &Api) -> Peer {
    with(api, config())
}

pub(crate) fn with(api: &Api, config: Config) -> Peer {
    let own = TokenSource::new(Token::new("registry-token").expect("a token"));
    let client = Client::in_process(api.service(), own);
    Peer(Registry::new(
        config,
        berth_distribution::Config::default(),
        Arc::new(MemoryDriver::new()),
        client,
    ))
}
