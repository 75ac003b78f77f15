//! Paths that are no resources: discovery, health, version, metrics, and the list of them all.
use http::{Method, Response, StatusCode, header};
use serde_json::json;

use super::negotiate::{self, Offer, Shape};
use super::query::Query;
use super::{Body, Exchange, render};
use crate::health;
use crate::status::Status;

const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];

impl Exchange<'_> {
    pub(super) async fn root(&self, path: &str, query: &Query) -> Result<Response<Body>, Status> {
        if self.parts.method != Method::GET {
            return Err(Status::method_not_allowed());
        }
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let excluded: Vec<&str> = query
            .0
            .iter()
            .filter(|(key, _)| key == "exclude")
            .map(|(_, value)| value.as_str())
            .collect();
        let health = health::respond(&self.server.checks, trimmed, query.has("verbose"), &excluded).await;
        if let Some(response) = health {
            return Ok(response);
        }
        match trimmed {
            "" => self.json(&json!({"paths": self.paths()}), query),
            "/version" => {
                let version = serde_json::to_value(&self.server.version).map_err(Status::internal)?;
                self.json(&version, query)
            }
            "/metrics" => Ok(render::respond(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                self.server.metrics.render(),
            )),
            _ => self.discovery(trimmed, query),
        }
    }

    fn json(&self, value: &serde_json::Value, query: &Query) -> Result<Response<Body>, Status> {
        let output = negotiate::negotiate(&self.parts.headers, Offer::Plain, query.pretty())?;
        let bytes = serde_json::to_vec(value).map_err(Status::internal)?;
        Ok(render::document(StatusCode::OK, output, bytes.into()))
    }

    fn discovery(&self, path: &str, query: &Query) -> Result<Response<Body>, Status> {
        let aggregatable = matches!(path, "/api" | "/apis");
        let offer = if aggregatable {
            Offer::Discovery
        } else {
            Offer::Plain
        };
        let output = negotiate::negotiate(&self.parts.headers, offer, query.pretty())?;
        if let Shape::Discovery(version) = output.shape {
            let value = self.server.catalog.aggregated(path == "/api", version);
            let bytes = serde_json::to_vec(&value).map_err(Status::internal)?;
            let media_type = match version {
                "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
            };
            let mut response = render::respond(StatusCode::OK, media_type, bytes);
            response
                .headers_mut()
                .insert(header::VARY, header::HeaderValue::from_static("Accept"));
            return Ok(response);
        }
        let host = self
            .parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.or_else(|| self.parts.uri.authority().map(http::uri::Authority::as_str));
        match self.server.catalog.document(path, host.unwrap_or_default()) {
            Some(value) => self.json(&value, query),
            None => Err(Status::no_such_resource()),
        }
    }

    fn paths(&self) -> Vec<String> {
        let mut paths = self.server.catalog.paths();
        paths.extend(self.server.raw.iter().map(|(prefix, _)| prefix.clone()));
        paths.extend(HEALTH.map(str::to_owned));
        for named in &self.server.checks {
            paths.extend(HEALTH.map(|path| format!("{path}/{}", named.name)));
        }
        paths.extend(["/metrics".to_owned(), "/version".to_owned()]);
        paths.sort();
        paths.dedup();
        paths
    }
}
