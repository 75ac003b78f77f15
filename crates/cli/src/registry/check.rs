//! Asking a registry whether it works and whom it lets in.
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, StatusCode, header};

use crate::{
    api::Api,
    error::{Result, failed},
};

/// A registry to ask.
pub(super) struct Probe<'p> {
    /// Host and port.
    pub(super) registry: &'p str,
    /// Authorities to trust beside the machine's, DER.
    pub(super) authorities: Option<Vec<Vec<u8>>>,
    /// Whether any certificate, or none, will do.
    pub(super) insecure: bool,
    /// How long an answer may take.
    pub(super) timeout: Duration,
}

impl Probe<'_> {
    /// Whether it accepts the credentials.
    pub(super) async fn login(&self, user: &str, password: &str) -> Result<()> {
        let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        match self.ask(Some(&credentials)).await? {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(failed(format!(
                "the registry {} does not accept the credentials; log in again, or save them anyway with --skip-check",
                self.registry
            ))),
            status => Err(failed(format!(
                "the registry {} answered {status}; save the credentials anyway with --skip-check",
                self.registry
            ))),
        }
    }

    /// Whether it is there and a registry: it answers, or wants credentials first.
    pub(super) async fn answers(&self) -> Result<()> {
        match self.ask(None).await? {
            StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(failed(format!(
                "the registry {} answered {status}",
                self.registry
            ))),
        }
    }

    async fn ask(&self, credentials: Option<&str>) -> Result<StatusCode> {
        // The authority of the API server may be the registry's as well; a public name has a certificate of the world's.
        let mut attempts = vec![("https", self.authorities.clone())];
        if self.authorities.is_some() {
            attempts.push(("https", None));
        }
        if self.insecure {
            attempts.push(("http", None));
        }
        let mut first = None;
        for (scheme, authorities) in attempts {
            match self.attempt(scheme, authorities, credentials).await {
                Ok(status) => return Ok(status),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| failed("the registry was not asked")))
    }

    async fn attempt(
        &self,
        scheme: &str,
        authorities: Option<Vec<Vec<u8>>>,
        credentials: Option<&str>,
    ) -> Result<StatusCode> {
        let url = format!("{scheme}://{}", self.registry);
        let parsed = url.parse().map_err(|error| failed(format!("{url}: {error}")))?;
        let mut config = kube::Config::new(parsed);
        config.root_cert = authorities;
        config.accept_invalid_certs = self.insecure;
        let api = Api::new(config, &url, self.timeout)?;
        let mut request = Request::get("/v2/");
        if let Some(credentials) = credentials {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        let request = request
            .body(Vec::new())
            .map_err(|error| failed(format!("{url}: {error}")))?;
        Ok(api.exchange(request).await?.status())
    }
}
