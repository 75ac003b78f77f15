//! An OpenID Connect provider: discovery, the code flow with PKCE, and the ID token, verified by the provider's keys.
mod fetch;
mod id_token;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use self::fetch::Fetch;
use crate::config::OpenIdConfig;
use crate::mapping::Person;
use crate::request::Method;

/// How long what a provider published is used without asking again.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// How soon it is asked again when a token names a key that is not known.
const RETRY: Duration = Duration::from_secs(30);

/// Why somebody could not be logged in by a provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The provider cannot be reached, or does not answer as it should.
    #[error("asking the provider for {what}")]
    Fetch {
        what: &'static str,
        source: fetch::Error,
    },
    /// What it publishes about itself cannot be used.
    #[error("the provider's discovery document: {0}")]
    Discovery(String),
    /// It did not exchange the code. The code is its own word for why.
    #[error("the provider did not exchange the code: {0}")]
    Exchange(String),
    /// The ID token is not what it should be.
    #[error("the provider's ID token: {0}")]
    IdToken(#[from] id_token::Error),
}

/// A provider. What it publishes is fetched when it is first needed.
pub(crate) struct OpenId {
    config: OpenIdConfig,
    fetch: Fetch,
    published: Mutex<Option<Arc<Published>>>,
}

/// What a provider publishes about itself.
struct Published {
    since: Instant,
    document: Document,
    keys: JwkSet,
}

/// The part of the discovery document that is needed.
#[derive(Clone, Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// The answer of the token endpoint.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    id_token: String,
    access_token: String,
    error: String,
}

/// What goes with a request to log in, so that the answer can be told from one to another request.
pub(crate) struct Sent<'a> {
    pub(crate) redirect: &'a str,
    pub(crate) state: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) verifier: &'a str,
}

impl OpenId {
    /// A provider as configured.
    pub(crate) fn new(config: &OpenIdConfig) -> Result<OpenId, String> {
        if config.client_id.is_empty() {
            return Err("clientID is missing".to_owned());
        }
        fetch::check(&Url::parse(&config.issuer).map_err(|error| format!("issuer: {error}"))?)
            .map_err(|problem| format!("issuer: {problem}"))?;
        Ok(OpenId {
            config: config.clone(),
            fetch: Fetch::new(config.ca.as_deref())?,
            published: Mutex::default(),
        })
    }

    /// Where to send a browser.
    ///
    /// # Errors
    /// When the provider cannot be asked where that is.
    pub(crate) async fn begin(&self, sent: &Sent<'_>) -> Result<Url, Error> {
        let published = self.published(None).await?;
        let mut url = published.document.authorization_endpoint.clone();
        let scopes: Vec<&str> = std::iter::once("openid")
            .chain(self.config.extra_scopes.iter().map(String::as_str))
            .collect();
        let extra = &self.config.extra_authorize_parameters;
        url.query_pairs_mut()
            .extend_pairs(extra)
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", sent.redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", sent.state)
            .append_pair("nonce", sent.nonce)
            .append_pair("code_challenge", &Method::S256.challenge(sent.verifier))
            .append_pair("code_challenge_method", Method::S256.name());
        Ok(url)
    }

    /// Whom a code stands for.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) async fn finish(&self, code: &str, sent: &Sent<'_>) -> Result<Person, Error> {
        let published = self.published(None).await?;
        let tokens = self.exchange(&published.document, code, sent).await?;
        let expected = id_token::Expected {
            issuer: &published.document.issuer,
            client: &self.config.client_id,
            nonce: sent.nonce,
        };
        let claims = match id_token::verify(&tokens.id_token, &published.keys, &expected) {
            Err(id_token::Error::Key) => {
                // The provider may have new keys by now.
                let published = self.published(Some(&published)).await?;
                id_token::verify(&tokens.id_token, &published.keys, &expected)?
            }
            claims => claims?,
        };
        let more = match &published.document.userinfo_endpoint {
            Some(endpoint) if !tokens.access_token.is_empty() && claims.lacks(&self.config.claims) => {
                let fail = |source| Error::Fetch {
                    what: "more about the user",
                    source,
                };
                self.fetch
                    .get_with_token(endpoint, &tokens.access_token)
                    .await
                    .map_err(fail)?
            }
            _ => serde_json::Map::new(),
        };
        Ok(claims.person(more, &self.config.claims))
    }

    async fn exchange(&self, document: &Document, code: &str, sent: &Sent<'_>) -> Result<Tokens, Error> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", sent.redirect),
            ("code_verifier", sent.verifier),
        ];
        let (client, secret) = (self.config.client_id.as_str(), self.config.client_secret.as_str());
        let methods = &document.token_endpoint_auth_methods_supported;
        // Basic credentials unless the provider says that it does not take them (OpenID Connect Discovery, section 3).
        let basic = !secret.is_empty()
            && (methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic"));
        if !basic {
            form.push(("client_id", client));
            if !secret.is_empty() {
                form.push(("client_secret", secret));
            }
        }
        let credentials = basic.then_some((client, secret));
        let fail = |source| Error::Fetch {
            what: "the ID token",
            source,
        };
        let tokens: Tokens = self
            .fetch
            .post(&document.token_endpoint, &form, credentials)
            .await
            .map_err(fail)?;
        // Its word for the error, not its description, which could quote what was sent.
        match tokens {
            Tokens { error, .. } if !error.is_empty() => {
                Err(Error::Exchange(error.chars().take(64).collect()))
            }
            Tokens { id_token, .. } if id_token.is_empty() => {
                Err(Error::Exchange("it sent no ID token".to_owned()))
            }
            tokens => Ok(tokens),
        }
    }

    /// What the provider publishes; newer than `stale` if that is not very recent itself.
    async fn published(&self, stale: Option<&Published>) -> Result<Arc<Published>, Error> {
        let mut held = self.published.lock().await;
        if let Some(published) = held.as_ref() {
            let limit = if stale.is_some() { RETRY } else { FRESH };
            if published.since.elapsed() < limit {
                return Ok(Arc::clone(published));
            }
        }
        let published = Arc::new(self.discover().await?);
        *held = Some(Arc::clone(&published));
        Ok(published)
    }

    async fn discover(&self) -> Result<Published, Error> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{issuer}/.well-known/openid-configuration"));
        let url = url.map_err(|error| Error::Discovery(error.to_string()))?;
        let fail = |source| Error::Fetch {
            what: "its discovery document",
            source,
        };
        let document: Document = self.fetch.get(&url).await.map_err(fail)?;
        if document.issuer.trim_end_matches('/') != issuer {
            let problem = format!("it names the issuer {:?} instead of {issuer:?}", document.issuer);
            return Err(Error::Discovery(problem));
        }
        for endpoint in [
            &document.authorization_endpoint,
            &document.token_endpoint,
            &document.jwks_uri,
        ]
        .into_iter()
        .chain(&document.userinfo_endpoint)
        {
            fetch::check(endpoint).map_err(|problem| Error::Discovery(format!("{endpoint}: {problem}")))?;
        }
        let fail = |source| Error::Fetch {
            what: "its keys",
            source,
        };
        let keys = self
            .fetch
            .get::<id_token::Keys>(&document.jwks_uri)
            .await
            .map_err(fail)?;
        Ok(Published {
            since: Instant::now(),
            document,
            keys: keys.usable(),
        })
    }
}
