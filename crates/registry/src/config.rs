//! What an operator decides about the integration.

use std::time::Duration;

use crate::limiter;

/// What an operator decides about the integration. `bin/berth` fills it from the configuration file and the environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `host[:port]` under which the cluster reaches this registry; written into `dockerImageReference`
    /// (`openshift.server.addr`).
    pub server_addr: String,
    /// The realm of Basic challenges (`openshift.auth.realm`).
    pub realm: String,
    /// Scheme and host of the token endpoint, as in `https://registry.example.com`; none takes them from each request
    /// (`openshift.auth.tokenrealm`).
    pub token_realm: Option<String>,
    /// Whether `/extensions/v2/metrics` is served (`openshift.metrics.enabled`).
    pub metrics: bool,
    /// A bearer secret that opens the metrics; none asks for the right to get `registry/metrics`
    /// (`openshift.metrics.secret`).
    pub metrics_secret: Option<Secret>,
    /// Requests at once that only read (`openshift.requests.read`).
    pub reads: limiter::Config,
    /// Requests at once that write (`openshift.requests.write`).
    pub writes: limiter::Config,
    /// Whether a blob larger than the project's `openshift.io/Image` limit is refused before it is stored
    /// (`openshift.quota.enabled`).
    pub quota: bool,
    /// How long limits of a project are remembered (`openshift.quota.cachettl`); zero asks every time.
    pub quota_ttl: Duration,
    /// Whether every request is logged (`log.accesslog.disabled`).
    pub access_log: bool,
}

impl Config {
    /// The defaults of facts/registry.md for a registry that is reached as `server_addr`.
    pub fn new(server_addr: impl Into<String>) -> Self {
        Self {
            server_addr: server_addr.into(),
            realm: "origin".to_owned(),
            token_realm: None,
            metrics: false,
            metrics_secret: None,
            reads: limiter::Config::default(),
            writes: limiter::Config::default(),
            quota: false,
            quota_ttl: Duration::from_secs(60),
            access_log: true,
        }
    }
}

/// Text that never shows in a log.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` to itself; none when it is empty.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        Some(text.into()).filter(|text| !text.is_empty()).map(Self)
    }

    /// Whether `other` is the same text, in a time that does not tell how much of it is.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.as_bytes()).is_ok()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
