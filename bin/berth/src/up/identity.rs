//! The registry's own identity: the service account `openshift-image-registry/registry`, as on a cluster.
use std::time::Duration;

use anyhow::{Context as _, Result};
use berth_apiserver::TokenSource;
use berth_client::Token;
use berth_runtime::Stop;
use jiff::SignedDuration;
use tracing::warn;

const NAMESPACE: &str = "openshift-image-registry";
const ACCOUNT: &str = "registry";
/// As a kubelet asks for: an hour, replaced well before it ends.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
const RENEW_EVERY: Duration = Duration::from_secs(40 * 60);
/// After a failed renewal.
const RETRY: Duration = Duration::from_secs(10);

/// A token that is renewed as long as the process runs.
pub(super) struct Identity {
    tokens: TokenSource,
    current: berth_client::TokenSource,
}

impl Identity {
    /// Mints the first token.
    ///
    /// # Errors
    /// When the account does not exist or signing fails.
    pub(super) fn new(tokens: TokenSource) -> Result<Self> {
        let current = berth_client::TokenSource::new(mint(&tokens)?);
        Ok(Self { tokens, current })
    }

    /// What the client asks for the token of the moment.
    pub(super) fn source(&self) -> berth_client::TokenSource {
        self.current.clone()
    }

    /// Renews until `stop`.
    ///
    /// # Errors
    /// None: a failed renewal is logged and tried again.
    pub(super) async fn run(self, stop: Stop) -> Result<()> {
        let mut pause = RENEW_EVERY;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            pause = match mint(&self.tokens) {
                Ok(token) => {
                    self.current.replace(token);
                    RENEW_EVERY
                }
                Err(error) => {
                    warn!(error = %format!("{error:#}"), "the registry's token could not be renewed");
                    RETRY
                }
            };
        }
        Ok(())
    }
}

fn mint(tokens: &TokenSource) -> Result<Token> {
    let issued = tokens
        .issue(NAMESPACE, ACCOUNT, LIFETIME)
        .with_context(|| format!("a token for the service account {NAMESPACE}/{ACCOUNT}"))?;
    Token::new(&issued.token).context("the token cannot be sent in a header")
}
