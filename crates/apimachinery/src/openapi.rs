//! OpenAPI documents of a server: `/openapi/v2` (JSON and protobuf) and `/openapi/v3` (an index, and one document for
//! each group and version).
//!
//! Nothing is held but the finished bytes, and those only once somebody asked: a document is rendered from the
//! definitions' sources and the list of served resources, kept, and shared by all answers.
mod encode;
mod gnostic;
mod operation;
mod parameter;
mod render;
mod v2;
mod v3;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use prost::Message as _;
use serde_json::json;

use self::{operation::Served, render::Fragments};
use crate::{resource::Endpoint, schema::Definitions};

/// Changes whenever the rendering does, so that clients' caches of documents do not outlive it.
const RENDERING: &str = "1";
/// What kubectl asks for at `/openapi/v2`.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The same in the spelling of newer clients.
const PROTOBUF_DOTTED: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const JSON: &str = "application/json";

/// The OpenAPI documents of a server. Cheap to clone.
#[derive(Clone)]
pub struct OpenApi(Arc<Inner>);

struct Inner {
    definitions: Arc<Definitions>,
    served: Vec<Served>,
    hash: String,
    v2: OnceLock<Bytes>,
    v2_protobuf: OnceLock<Bytes>,
    v3: BTreeMap<String, OnceLock<Bytes>>,
}

impl OpenApi {
    /// The documents of a server with these definitions and endpoints. Nothing is rendered yet.
    #[must_use]
    pub fn new(definitions: Arc<Definitions>, endpoints: &[Endpoint]) -> Self {
        let served: Vec<Served> = endpoints.iter().map(Served::new).collect();
        let hash = fingerprint(&definitions, &served);
        let v3 = served
            .iter()
            .map(|served| (served.root.clone(), OnceLock::new()))
            .collect();
        Self(Arc::new(Inner {
            definitions,
            served,
            hash,
            v2: OnceLock::new(),
            v2_protobuf: OnceLock::new(),
            v3,
        }))
    }

    /// The answer to a GET of `path` (with the query of the request); `None` for a path that is no document.
    ///
    /// Rendering a document for the first time takes some milliseconds of computation.
    #[must_use]
    pub fn respond(&self, path: &str, query: Option<&str>, headers: &HeaderMap) -> Option<Response<Bytes>> {
        let path = path.trim_matches('/').strip_prefix("openapi/")?;
        if path == "v2" {
            return Some(match self.accepted_v2(headers) {
                Some(PROTOBUF_DOTTED) => self.answer(headers, PROTOBUF_DOTTED, || self.v2_protobuf()),
                Some(kind) => self.answer(headers, kind, || self.v2()),
                None => not_acceptable(),
            });
        }
        let name = path.strip_prefix("v3").map(|name| name.trim_start_matches('/'))?;
        if !name.is_empty() && !self.0.v3.contains_key(name) {
            return None;
        }
        if !accepts(headers, JSON) {
            return Some(not_acceptable());
        }
        if name.is_empty() {
            return Some(self.answer(headers, JSON, || self.index()));
        }
        let asked = query
            .unwrap_or_default()
            .split('&')
            .find_map(|pair| pair.strip_prefix("hash="));
        if asked.is_some_and(|asked| asked != self.0.hash) {
            let mut moved = Response::new(Bytes::new());
            *moved.status_mut() = StatusCode::MOVED_PERMANENTLY;
            if let Ok(location) = HeaderValue::from_str(&self.address(name)) {
                moved.headers_mut().insert(header::LOCATION, location);
            }
            return Some(moved);
        }
        let mut answer = self.answer(headers, JSON, || self.v3(name));
        if asked.is_some() {
            // The address names the content, so it may be kept for good.
            let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
            answer.headers_mut().insert(header::CACHE_CONTROL, forever);
        }
        Some(answer)
    }

    fn accepted_v2(&self, headers: &HeaderMap) -> Option<&'static str> {
        let listed = |kind: &str| {
            let values = headers
                .get_all(header::ACCEPT)
                .iter()
                .filter_map(|value| value.to_str().ok());
            values
                .flat_map(|value| value.split(','))
                .any(|part| part.split(';').next().unwrap_or_default().trim() == kind)
        };
        if listed(PROTOBUF) || listed(PROTOBUF_DOTTED) {
            Some(PROTOBUF_DOTTED)
        } else {
            accepts(headers, JSON).then_some(JSON)
        }
    }

    fn answer(
        &self,
        headers: &HeaderMap,
        kind: &'static str,
        body: impl FnOnce() -> Bytes,
    ) -> Response<Bytes> {
        let tag = format!("\"{}\"", self.0.hash);
        let known = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let unchanged = known
            .split(',')
            .any(|known| known.trim().trim_start_matches("W/") == tag);
        let mut answer = Response::new(if unchanged { Bytes::new() } else { body() });
        if unchanged {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let fields = answer.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        fields.insert(header::VARY, HeaderValue::from_static("Accept"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            fields.insert(header::ETAG, tag);
        }
        answer
    }

    fn v2(&self) -> Bytes {
        let inner = &self.0;
        let render = || {
            let document = v2::document(&mut Fragments::new(&inner.definitions), &inner.served);
            Bytes::from(serde_json::to_vec(&document).unwrap_or_default())
        };
        inner.v2.get_or_init(render).clone()
    }

    fn v2_protobuf(&self) -> Bytes {
        let inner = &self.0;
        let render = || {
            let document = v2::document(&mut Fragments::new(&inner.definitions), &inner.served);
            Bytes::from(encode::document(&document).encode_to_vec())
        };
        inner.v2_protobuf.get_or_init(render).clone()
    }

    fn v3(&self, name: &str) -> Bytes {
        let inner = &self.0;
        let render = || {
            let document = v3::document(&mut Fragments::new(&inner.definitions), &inner.served, name);
            Bytes::from(serde_json::to_vec(&document).unwrap_or_default())
        };
        inner
            .v3
            .get(name)
            .map(|document| document.get_or_init(render).clone())
            .unwrap_or_default()
    }

    fn index(&self) -> Bytes {
        let address = |name: &String| (name.clone(), json!({"serverRelativeURL": self.address(name)}));
        let paths: serde_json::Map<_, _> = self.0.v3.keys().map(address).collect();
        Bytes::from(json!({ "paths": paths }).to_string())
    }

    fn address(&self, name: &str) -> String {
        format!("/openapi/v3/{name}?hash={}", self.0.hash)
    }
}

fn fingerprint(definitions: &Definitions, served: &[Served]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(RENDERING.as_bytes());
    for source in definitions.sources() {
        context.update(source.as_bytes());
    }
    context.update(format!("{served:?}").as_bytes());
    context
        .finish()
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        })
}

/// Whether a client takes `kind`; one that says nothing takes everything.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .peekable();
    values.peek().is_none()
        || values.flat_map(|value| value.split(',')).any(|part| {
            let part = part.split(';').next().unwrap_or_default().trim();
            part == kind || part == "*/*" || part == "application/*"
        })
}

fn not_acceptable() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NOT_ACCEPTABLE;
    answer
}

#[cfg(test)]
mod tests;
