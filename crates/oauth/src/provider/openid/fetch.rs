//! Requests to a provider: bounded in time and size, never redirected, never through a proxy that nobody configured here.
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, redirect};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::{Host, Url, form_urlencoded};

/// For a whole request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is longer than {ANSWER_LIMIT} bytes")]
    TooLong,
    #[error("the answer is not the JSON it should be")]
    Json(#[source] serde_json::Error),
}

/// Sends requests.
pub(super) struct Fetch(Client);

/// Whether requests may go to an address: only where nobody listens in.
pub(super) fn check(url: &Url) -> Result<(), &'static str> {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err("must be https (or http on a loopback address)"),
    }
}

impl Fetch {
    pub(super) fn new(ca: Option<&[u8]>) -> Result<Fetch, String> {
        // Fails when a provider of cryptography is installed already, which then is this one: there is no other here.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(1);
        if let Some(pem) = ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| format!("ca: {error}"))?;
            if certificates.is_empty() {
                return Err("ca: there is no certificate in it".to_owned());
            }
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map(Fetch).map_err(|error| format!("ca: {error}"))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, Error> {
        send(self.0.get(url.clone()), false).await
    }

    pub(super) async fn get_with_token(&self, url: &Url, token: &str) -> Result<Map<String, Value>, Error> {
        send(self.0.get(url.clone()).bearer_auth(token), false).await
    }

    /// Sends a form. An error of OAuth is an answer too, and is returned as such.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        credentials: Option<(&str, &str)>,
    ) -> Result<T, Error> {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = self
            .0
            .post(url.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        if let Some((client, secret)) = credentials {
            // Both are encoded as in a form first (RFC 6749, section 2.3.1).
            request = request.basic_auth(encode(client), Some(encode(secret)));
        }
        send(request, true).await
    }
}

async fn send<T: DeserializeOwned>(request: RequestBuilder, errors_too: bool) -> Result<T, Error> {
    let request = request.header(http::header::ACCEPT, "application/json");
    // The address of a request can carry what nobody else should see.
    let fail = |error: reqwest::Error| Error::Request(error.without_url());
    let mut response = request.send().await.map_err(fail)?;
    let status = response.status();
    let usable = status.is_success() || (errors_too && status.is_client_error());
    if !usable {
        return Err(Error::Status(status.as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fail)? {
        if bytes.len() + chunk.len() > ANSWER_LIMIT {
            return Err(Error::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(Error::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_travel_in_the_open() {
        for (url, fine) in [
            ("https://sso.example", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost", true),
            ("http://sso.example", false),
            ("http://127.0.0.1.sso.example", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(check(&url.parse().unwrap()).is_ok(), fine, "{url}");
        }
    }
}
