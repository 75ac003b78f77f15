//! Tokens of service accounts: signing them, and what makes them valid.

use std::sync::Arc;

use berth_apimachinery::authn::{
    Accounts, Bound, BoundKind, DEFAULT_TOKEN_LIFETIME, Issued, KeyError, SigningKey, SigningKeys,
    TokenIssuer, TokenRequest, TokenVerifier,
};
use berth_apimachinery::entry::Entry;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use jiff::{SignedDuration, Timestamp};

use crate::core::Identities;

/// Signs tokens, and says what goes with them.
pub(crate) struct Tokens {
    issuer: TokenIssuer,
    keys: SigningKeys,
    accounts: Storage,
    /// Certificates with which holders of a token verify this server, PEM; empty if there are none to tell.
    pub(crate) ca_bundle: Vec<u8>,
}

impl Tokens {
    /// Signs with the first of `keys` under the name `issuer`.
    pub(crate) fn new(
        keys: SigningKeys,
        issuer: &str,
        audiences: &[String],
        accounts: Storage,
        ca: &[u8],
    ) -> Tokens {
        Tokens {
            issuer: TokenIssuer::new(keys.clone(), issuer, audiences),
            keys,
            accounts,
            ca_bundle: ca.to_vec(),
        }
    }

    /// Reads keys from PEM; the first one signs, all verify.
    pub(crate) fn read_keys(pems: &[Vec<u8>]) -> Result<SigningKeys, KeyError> {
        SigningKeys::new(
            pems.iter()
                .map(|pem| SigningKey::from_pem(pem))
                .collect::<Result<_, _>>()?,
        )
    }

    /// The public keys, as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> Vec<u8> {
        self.keys.jwks()
    }

    /// The discovery document of the issuer.
    pub(crate) fn openid_configuration(&self, issuer: &str) -> serde_json::Value {
        self.keys.openid_configuration(
            issuer,
            &format!("{}/openid/v1/jwks", issuer.trim_end_matches('/')),
        )
    }

    /// A token of an account that exists.
    pub(crate) fn issue(
        &self,
        namespace: &str,
        name: &str,
        audiences: &[String],
        lifetime: Option<SignedDuration>,
        bound: Option<&Bound>,
    ) -> Result<Issued, Status> {
        let account = self.accounts.require(namespace, name)?;
        let lifetime = lifetime.unwrap_or(DEFAULT_TOKEN_LIFETIME);
        let request = TokenRequest {
            namespace,
            name,
            uid: account.object().uid(),
            audiences,
            lifetime,
            bound,
        };
        self.issuer
            .issue(&request, Timestamp::now())
            .map_err(Status::internal)
    }

    /// The token that lives in a secret.
    pub(crate) fn issue_legacy(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        secret: &str,
    ) -> Result<String, Status> {
        self.issuer
            .issue_legacy(namespace, name, uid, secret)
            .map_err(Status::internal)
    }
}

/// What tokens depend on, read from memory.
struct Known {
    accounts: Storage,
    secrets: Storage,
}

impl Accounts for Known {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.accounts.get(namespace, name)
    }

    fn bound(&self, kind: BoundKind, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        match kind {
            BoundKind::Secret => self.secrets.get(namespace, name),
            // Neither is served here, so no token can be bound to one that exists.
            BoundKind::Pod | BoundKind::Node => None,
        }
    }
}

/// A verifier of the tokens that [`Tokens`] with the same keys signs.
pub(crate) fn verifier(
    keys: SigningKeys,
    issuer: &str,
    audiences: &[String],
    identities: &Identities,
) -> Result<TokenVerifier, KeyError> {
    let known = Known {
        accounts: identities.service_accounts.clone(),
        secrets: identities.secrets.clone(),
    };
    TokenVerifier::new(keys, issuer, audiences, Arc::new(known))
}

/// Gives tokens to parts of this process, such as the registry. Cheap to clone.
#[derive(Clone)]
pub struct TokenSource(Arc<Tokens>);

impl TokenSource {
    pub(crate) fn new(tokens: Arc<Tokens>) -> TokenSource {
        TokenSource(tokens)
    }

    /// A token with which the service account `namespace`/`name` is authenticated by this server for `lifetime`.
    ///
    /// # Errors
    /// 404 when there is no such account, 500 when signing fails.
    pub fn issue(&self, namespace: &str, name: &str, lifetime: SignedDuration) -> Result<Issued, Status> {
        self.0.issue(namespace, name, &[], Some(lifetime), None)
    }
}
