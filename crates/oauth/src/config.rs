//! What logging in is configured with.
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;

/// Lifetime of tokens, unless the configuration or the client says otherwise: a day, as OpenShift's.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// What logging in is configured with.
#[derive(Clone)]
pub struct Config {
    /// URL under which browsers and clients reach the API, as in `https://127.0.0.1:6443`.
    pub issuer: String,
    /// Audiences that stand for the API server in token reviews; the same as for service accounts.
    pub audiences: Vec<String>,
    /// Who knows the people, in the order in which they are asked.
    pub providers: Vec<ProviderConfig>,
    /// Keeps the password of `kubeadmin` where the administrator finds it. None: there is no such user unless its secret
    /// was made by hand.
    pub kubeadmin: Option<PasswordKeeper>,
    /// Lifetime of tokens for clients that do not say otherwise.
    pub token_lifetime: SignedDuration,
    /// How long tokens last without use, for clients that do not say otherwise; none: as long as they live.
    pub inactivity_timeout: Option<SignedDuration>,
    /// Key that proves that a cookie is ours; the same in all replicas.
    pub session_key: Vec<u8>,
}

impl Config {
    /// No provider, no `kubeadmin`, and the usual lifetimes.
    #[must_use]
    pub fn new(issuer: &str, session_key: Vec<u8>) -> Config {
        Config {
            issuer: issuer.trim_end_matches('/').to_owned(),
            audiences: Vec::new(),
            providers: Vec::new(),
            kubeadmin: None,
            token_lifetime: TOKEN_LIFETIME,
            inactivity_timeout: None,
            session_key,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("issuer", &self.issuer)
            .field("providers", &self.providers)
            .field("token_lifetime", &self.token_lifetime)
            .field("inactivity_timeout", &self.inactivity_timeout)
            .finish_non_exhaustive()
    }
}

/// Is offered a new password, and returns the one that is kept: an older one if there is one, else the new one once it
/// is durable.
pub type PasswordKeeper = Arc<dyn Fn(&str) -> std::io::Result<String> + Send + Sync>;

/// Who knows some people.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Its name: part of the names of identities, and of the path that an OpenID provider redirects to.
    pub name: String,
    /// How its people become users.
    pub mapping: MappingMethod,
    /// What it is.
    pub kind: ProviderKind,
}

/// How somebody whom a provider knows becomes a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MappingMethod {
    /// A user of the preferred name is made; if there is one already, logging in fails.
    #[default]
    Claim,
    /// User and identity must have been made before.
    Lookup,
    /// A user of the preferred name is made, or if there is one already, becomes this person's too.
    Add,
}

impl std::str::FromStr for MappingMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" | "claim" => Ok(MappingMethod::Claim),
            "lookup" => Ok(MappingMethod::Lookup),
            "add" => Ok(MappingMethod::Add),
            other => Err(format!(
                "{other:?} is no mapping method: use claim, lookup or add"
            )),
        }
    }
}

/// Kinds of providers.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// A file of names and password hashes, as `htpasswd` writes it.
    Htpasswd {
        /// The file; read again when it changes.
        file: PathBuf,
    },
    /// An OpenID Connect provider.
    OpenId(Box<OpenIdConfig>),
}

/// An OpenID Connect provider.
#[derive(Clone)]
pub struct OpenIdConfig {
    /// Its URL, below which its discovery document lies; https, or http on a loopback address.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; empty for a client without.
    pub client_secret: String,
    /// Certificates that it is trusted by, PEM; the machine's if none are given.
    pub ca: Option<Vec<u8>>,
    /// Scopes to ask for besides `openid`.
    pub extra_scopes: Vec<String>,
    /// Parameters to add to the authorization request.
    pub extra_authorize_parameters: BTreeMap<String, String>,
    /// Which claims say what.
    pub claims: ClaimNames,
}

impl fmt::Debug for OpenIdConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenIdConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Which claims say what; of each list the first one that has a value.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    /// The user name to prefer; the subject if none has a value.
    pub preferred_username: Vec<String>,
    /// The person's name.
    pub name: Vec<String>,
    /// The address.
    pub email: Vec<String>,
    /// Groups; empty to leave groups alone.
    pub groups: Vec<String>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        ClaimNames {
            preferred_username: one("preferred_username"),
            name: one("name"),
            email: one("email"),
            groups: Vec::new(),
        }
    }
}
