//! The server's OAuth endpoints.
//!
//! Spec: RFC 8414, "OAuth 2.0 Authorization Server Metadata".
use serde_json::Value;
use url::Url;

use super::target::Target;
use crate::error::{Result, failed};

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Where somebody logs in.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) authorization: Url,
    pub(super) token: Url,
}

impl Issuer {
    /// Asks the server.
    pub(super) async fn discover(target: &Target) -> Result<Self> {
        let metadata = match target.anonymous(&target.server)?.get(METADATA).await {
            Err(error) if error.is(404) || error.is(403) => {
                return Err(failed(format!(
                    "{} has no login of its own; log in with --token",
                    target.server
                )));
            }
            metadata => metadata?,
        };
        Self::parse(&metadata).ok_or_else(|| {
            failed(format!(
                "{} does not say where to log in; log in with --token",
                target.server
            ))
        })
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let url = |field: &str| {
            let url = Url::parse(metadata.get(field)?.as_str()?).ok()?;
            (matches!(url.scheme(), "https" | "http") && url.has_host()).then_some(url)
        };
        Some(Self {
            authorization: url("authorization_endpoint")?,
            token: url("token_endpoint")?,
        })
    }
}

/// Scheme, host and port.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Path and query, as a request line has them.
pub(super) fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
