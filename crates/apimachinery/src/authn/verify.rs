//! Verifying tokens of service accounts.
//!
//! The header of a token decides nothing but which of our own keys is used: its algorithm must be the key's, and
//! keys that a token carries or points to are ignored. A valid signature is remembered for the token (by a keyed
//! hash, so that no tokens are kept); times and the existence of what it is bound to are checked on every use.
use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::{constant_time, hmac, rand::SystemRandom};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use jsonwebtoken::{Validation, decode, decode_header};
use quick_cache::sync::Cache;

use super::{
    AUTHENTICATED, CREDENTIAL_ID, TokenAuthenticator, TokenError, TokenIdentity,
    issue::{BoundKind, Claims, Kubernetes, LEGACY_ISSUER, Reference},
    key::{KeyError, SigningKeys},
    service_account_groups, service_account_name,
};
use crate::{entry::Entry, identity::UserInfo, object::Object};

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Tokens whose signatures are remembered.
const REMEMBERED: usize = 4096;
/// Seconds by which clocks may differ.
const LEEWAY: i64 = 10;

/// What a verifier needs to know about the cluster. Answers must be current: a deletion revokes tokens.
pub trait Accounts: Send + Sync + 'static {
    /// The service account.
    fn service_account(&self, namespace: &str, name: &str) -> Option<Arc<Entry>>;
    /// The object that a token is bound to; the namespace is empty for a node.
    fn bound(&self, kind: BoundKind, namespace: &str, name: &str) -> Option<Arc<Entry>>;
}

/// Verifies the tokens that a [`TokenIssuer`](super::TokenIssuer) with the same keys signed.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Inner>);

struct Inner {
    keys: SigningKeys,
    issuer: String,
    audiences: Vec<String>,
    accounts: Arc<dyn Accounts>,
    clock: fn() -> Timestamp,
    remembered: Cache<[u8; 32], Arc<Signed>>,
    hash: hmac::Key,
}

/// A token whose signature is ours.
struct Signed {
    claims: Claims,
    user: Arc<UserInfo>,
}

impl TokenVerifier {
    /// Verifies tokens of `issuer`. The API server itself goes by `audiences`, or by the issuer's name if that is
    /// empty.
    ///
    /// # Errors
    /// [`KeyError`] if the machine has no randomness.
    pub fn new(
        keys: SigningKeys,
        issuer: &str,
        audiences: &[String],
        accounts: Arc<dyn Accounts>,
    ) -> Result<Self, KeyError> {
        let hash =
            hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| KeyError::None)?;
        Ok(Self(Arc::new(Inner {
            keys,
            issuer: issuer.to_owned(),
            audiences: if audiences.is_empty() {
                vec![issuer.to_owned()]
            } else {
                audiences.to_vec()
            },
            accounts,
            clock: Timestamp::now,
            remembered: Cache::new(REMEMBERED),
            hash,
        })))
    }

    /// The same with another clock, for tests.
    #[cfg(test)]
    pub(super) fn at(self, clock: fn() -> Timestamp) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => Self(Arc::new(Inner { clock, ..inner })),
            Err(shared) => Self(shared),
        }
    }

    /// Whom `token` stands for, if it is meant for one of `audiences`, or for the API server when that is empty.
    /// `None` if it is not a token of this issuer.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] for a token of this issuer that is not valid.
    pub fn verify(&self, token: &str, audiences: &[String]) -> Result<Option<TokenIdentity>, TokenError> {
        let Some(signed) = self.signed(token)? else {
            return Ok(None);
        };
        let claims = &signed.claims;
        let now = (self.0.clock)().as_second();
        if claims.nbf.is_some_and(|from| now < from.saturating_sub(LEEWAY)) {
            return invalid("the token is not valid yet");
        }
        if claims
            .exp
            .is_some_and(|until| now >= until.saturating_add(LEEWAY))
        {
            return invalid("the token has expired");
        }
        let wanted = if audiences.is_empty() {
            &self.0.audiences
        } else {
            audiences
        };
        let meant = match &claims.kubernetes {
            Some(_) => claims.aud.as_slice(),
            // Tokens from secrets name no audience; they are for the API server.
            None => &self.0.audiences,
        };
        let audiences: Vec<String> = wanted
            .iter()
            .filter(|audience| meant.contains(audience))
            .cloned()
            .collect();
        if audiences.is_empty() {
            return invalid(format!("the token is meant for {meant:?}, not for {wanted:?}"));
        }
        self.exists(claims, token)?;
        Ok(Some(TokenIdentity {
            user: signed.user.clone(),
            audiences,
        }))
    }

    /// The claims of a token whose signature and issuer are ours.
    fn signed(&self, token: &str) -> Result<Option<Arc<Signed>>, TokenError> {
        if token.len() > MAX_TOKEN || token.split('.').count() != 3 {
            return Ok(None);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.0.hash, token.as_bytes()).as_ref());
        if let Some(signed) = self.0.remembered.get(&hash) {
            return Ok(Some(signed));
        }
        // Whatever is not a well-formed token of ours may be one of another kind.
        let Ok(header) = decode_header(token) else {
            return Ok(None);
        };
        let Some(key) = header.kid.as_deref().and_then(|id| self.0.keys.find(id)) else {
            return Ok(None);
        };
        if header.crit.is_some() {
            return invalid("the token has critical extensions");
        }
        let mut rules = Validation::new(key.algorithm);
        // Claims are checked on every use, against the verifier's clock; this is about the signature.
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        let claims: Claims = match decode(token, &key.public, &rules) {
            Ok(decoded) => decoded.claims,
            Err(_) => return invalid("the token's signature is not valid"),
        };
        let user = match &claims.kubernetes {
            Some(kubernetes) if claims.iss == self.0.issuer && claims.exp.is_some() => {
                user(&claims, kubernetes)
            }
            None if claims.iss == LEGACY_ISSUER => legacy_user(&claims),
            _ => return Ok(None),
        };
        let Some(user) = user else {
            return invalid("the token's claims are not consistent");
        };
        let signed = Arc::new(Signed {
            claims,
            user: Arc::new(user),
        });
        self.0.remembered.insert(hash, signed.clone());
        Ok(Some(signed))
    }

    /// Checks that the service account, and what the token is bound to, still exist.
    fn exists(&self, claims: &Claims, token: &str) -> Result<(), TokenError> {
        let Some(kubernetes) = &claims.kubernetes else {
            return self.legacy_exists(claims, token);
        };
        let account = kubernetes.serviceaccount.as_ref();
        self.account(
            &kubernetes.namespace,
            account.map_or("", |account| &account.name),
            account.and_then(|account| account.uid.as_deref()),
        )?;
        let bound = [
            (
                BoundKind::Secret,
                &kubernetes.secret,
                kubernetes.namespace.as_str(),
            ),
            (BoundKind::Pod, &kubernetes.pod, kubernetes.namespace.as_str()),
            (BoundKind::Node, &kubernetes.node, ""),
        ];
        for (kind, reference, namespace) in bound {
            let Some(Reference { name, uid }) = reference else {
                continue;
            };
            // A node in the token of a pod says where the pod ran; only the pod must still be there.
            if kind == BoundKind::Node && kubernetes.pod.is_some() {
                continue;
            }
            let found = self.0.accounts.bound(kind, namespace, name);
            if !found.is_some_and(|entry| is(entry.object(), uid.as_deref())) {
                return invalid(format!(
                    "the {} {name:?} that the token is bound to is gone",
                    word(kind)
                ));
            }
        }
        Ok(())
    }

    fn legacy_exists(&self, claims: &Claims, token: &str) -> Result<(), TokenError> {
        let text = |claim: &Option<String>| claim.clone().unwrap_or_default();
        let (namespace, secret) = (text(&claims.legacy.namespace), text(&claims.legacy.secret));
        self.account(
            &namespace,
            &text(&claims.legacy.name),
            claims.legacy.uid.as_deref(),
        )?;
        let found = self.0.accounts.bound(BoundKind::Secret, &namespace, &secret);
        let holds = found.is_some_and(|entry| {
            let held = STANDARD
                .decode(entry.object().str_at(&["data", "token"]))
                .unwrap_or_default();
            !entry.object().is_deleting()
                && constant_time::verify_slices_are_equal(&held, token.as_bytes()).is_ok()
        });
        if holds {
            Ok(())
        } else {
            invalid(format!("the secret {secret:?} that the token lived in is gone"))
        }
    }

    fn account(&self, namespace: &str, name: &str, uid: Option<&str>) -> Result<(), TokenError> {
        match self.0.accounts.service_account(namespace, name) {
            Some(entry) if uid.is_some_and(|uid| entry.object().uid() == uid) => Ok(()),
            Some(_) => invalid(format!(
                "the service account {namespace}/{name} was created anew since the token was issued"
            )),
            None => invalid(format!("the service account {namespace}/{name} is gone")),
        }
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("issuer", &self.0.issuer)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenAuthenticator for TokenVerifier {
    async fn identify(&self, token: &str, audiences: &[String]) -> Result<Option<TokenIdentity>, TokenError> {
        self.verify(token, audiences)
    }
}

fn invalid<T>(cause: impl Into<String>) -> Result<T, TokenError> {
    Err(TokenError::Invalid(cause.into()))
}

fn word(kind: BoundKind) -> &'static str {
    match kind {
        BoundKind::Secret => "secret",
        BoundKind::Pod => "pod",
        BoundKind::Node => "node",
    }
}

fn is(object: &Object, uid: Option<&str>) -> bool {
    uid == Some(object.uid()) && !object.is_deleting()
}

fn user(claims: &Claims, kubernetes: &Kubernetes) -> Option<UserInfo> {
    let account = kubernetes.serviceaccount.as_ref()?;
    let mut user = account_user(
        claims,
        &kubernetes.namespace,
        &account.name,
        account.uid.as_deref()?,
    )?;
    let mut add = |key: &str, value: String| user.extra.insert(key.to_owned(), vec![value]);
    if !claims.jti.is_empty() {
        add(CREDENTIAL_ID, format!("JTI={}", claims.jti));
    }
    for (word, reference) in [("pod", &kubernetes.pod), ("node", &kubernetes.node)] {
        let Some(reference) = reference else { continue };
        add(
            &format!("authentication.kubernetes.io/{word}-name"),
            reference.name.clone(),
        );
        if let Some(uid) = &reference.uid {
            add(&format!("authentication.kubernetes.io/{word}-uid"), uid.clone());
        }
    }
    Some(user)
}

fn legacy_user(claims: &Claims) -> Option<UserInfo> {
    let legacy = &claims.legacy;
    account_user(
        claims,
        legacy.namespace.as_deref()?,
        legacy.name.as_deref()?,
        legacy.uid.as_deref()?,
    )
}

fn account_user(claims: &Claims, namespace: &str, name: &str, uid: &str) -> Option<UserInfo> {
    let expected = service_account_name(namespace, name);
    let mut groups = service_account_groups(namespace);
    groups.push(AUTHENTICATED.into());
    (claims.sub == expected).then(|| UserInfo {
        name: expected,
        uid: uid.to_owned(),
        groups,
        ..UserInfo::default()
    })
}
