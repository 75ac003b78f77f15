//! Who a token belongs to: asked once in a while, remembered by a keyed hash of the token.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{hmac, rand};
use berth_client::{Client, Token};
use berth_distribution::Caller;
use tracing::debug;

use crate::{
    fresh::Fresh,
    refuse::{Unavailable, unavailable},
};

/// How long an identity is remembered: with the request that is under way, less than the ten seconds within which a revoked
/// token must be refused.
const KNOWN_FOR: Duration = Duration::from_secs(8);
/// How long it is remembered that a token is none. Shorter: a token may be valid a moment after its first use, when it
/// was minted by another replica of the API server.
const UNKNOWN_FOR: Duration = Duration::from_secs(3);
/// How long an API server that did not answer is not asked about the same token again, so that those who wait for the
/// answer get it together.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);
/// Tokens that are remembered.
const CAPACITY: usize = 16 * 1024;

/// The name of those without credentials in logs.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// A token under a key that only this process has: what caches hold instead of the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey([u8; 32]);

/// A caller that was authenticated.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The user name, [`ANONYMOUS`] without a token.
    pub(crate) name: Arc<str>,
    /// The user's unique id, for logs.
    pub(crate) uid: Box<str>,
    /// What the caller acts with; none for anonymous.
    pub(crate) token: Option<(Token, TokenKey)>,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl Identity {
    /// Nobody in particular.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.into(),
            uid: Box::default(),
            token: None,
        }
    }

    /// The identity that [`Access`](crate::access::Gate) attached to a caller.
    pub(crate) fn of(caller: &Caller) -> Option<&Self> {
        caller.identity()
    }

    pub(crate) const fn is_anonymous(&self) -> bool {
        self.token.is_none()
    }
}

/// What is remembered of a token: its owner, that it has none, or that nobody could tell.
type Outcome = Result<Option<Arc<Identity>>, Unavailable>;

/// Identities by token.
pub(crate) struct Identities {
    client: Client,
    key: hmac::Key,
    known: Fresh<TokenKey, Outcome>,
}

impl Identities {
    pub(crate) fn new(client: Client) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .expect("the system gives random bytes to whoever asks");
        Self {
            client,
            key,
            known: Fresh::new(CAPACITY),
        }
    }

    /// The owner of `token`, by a `SelfSubjectReview` at most [`KNOWN_FOR`] ago; none for a token that is none.
    pub(crate) async fn resolve(&self, token: &Token) -> Outcome {
        let key = self.key(token);
        if let Some(outcome) = self.known.get(&key) {
            return outcome;
        }
        self.known.get_or_load(&key, self.load(token, key)).await
    }

    async fn load(&self, token: &Token, key: TokenKey) -> (Outcome, Duration) {
        match self.client.with_token(token).whoami().await {
            // A server that takes requests without identity answers for nobody; nobody is not who sent this token.
            Ok(user) if user.name.is_empty() || user.name == "system:anonymous" => (Ok(None), UNKNOWN_FOR),
            Ok(user) => {
                let token = Some((token.clone(), key));
                let identity = Identity {
                    name: user.name.into(),
                    uid: user.uid.into(),
                    token,
                };
                (Ok(Some(Arc::new(identity))), KNOWN_FOR)
            }
            Err(error) if error.is_unauthorized() || error.is_forbidden() => {
                debug!(%error, "the API server does not know the token");
                (Ok(None), UNKNOWN_FOR)
            }
            Err(error) => (
                Err(unavailable("asking who the caller is", &error)),
                UNAVAILABLE_FOR,
            ),
        }
    }

    fn key(&self, token: &Token) -> TokenKey {
        let tag = hmac::sign(&self.key, token.expose().as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        TokenKey(key)
    }

    pub(crate) fn counts(&self) -> (u64, u64) {
        self.known.counts()
    }
}
