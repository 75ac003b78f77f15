//! Bearer tokens, whatever they are.
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};

use crate::{
    identity::{Authenticator, UserInfo},
    status::Status,
};

/// Whom a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIdentity {
    /// The user.
    pub user: Arc<UserInfo>,
    /// Which of the audiences that were asked for the token is meant for.
    pub audiences: Vec<String>,
}

/// Why a token was refused. Its text is for the token's bearer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not valid, or not any more.
    #[error("{0}")]
    Invalid(String),
    /// Cannot be checked now; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// Knows one kind of tokens.
#[async_trait]
pub trait TokenAuthenticator: Send + Sync + 'static {
    /// Whom `token` stands for, if it is meant for one of `audiences`; for the API server itself when that is empty.
    /// `None` for a token of another kind.
    ///
    /// # Errors
    /// [`TokenError`] for a token of this kind that is refused or cannot be checked.
    async fn identify(&self, token: &str, audiences: &[String]) -> Result<Option<TokenIdentity>, TokenError>;
}

/// Authenticates `Authorization: Bearer …` with the first kind that knows the token.
#[derive(Clone)]
pub struct BearerTokens(Arc<[Arc<dyn TokenAuthenticator>]>);

impl BearerTokens {
    /// Kinds of tokens in the order they are tried.
    #[must_use]
    pub fn new(kinds: Vec<Arc<dyn TokenAuthenticator>>) -> Self {
        Self(kinds.into())
    }
}

#[async_trait]
impl TokenAuthenticator for BearerTokens {
    async fn identify(&self, token: &str, audiences: &[String]) -> Result<Option<TokenIdentity>, TokenError> {
        for kind in self.0.iter() {
            if let Some(identity) = kind.identify(token, audiences).await? {
                return Ok(Some(identity));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Authenticator for BearerTokens {
    async fn authenticate(&self, request: &Parts) -> Result<Option<Arc<UserInfo>>, Status> {
        let Some(token) = bearer_token(&request.headers) else {
            return Ok(None);
        };
        match self.identify(token, &[]).await {
            Ok(Some(identity)) => Ok(Some(identity.user)),
            Ok(None) => Err(Status::unauthorized("Unauthorized")),
            Err(TokenError::Invalid(cause)) => Err(Status::unauthorized(format!("Unauthorized: {cause}"))),
            Err(TokenError::Unavailable(cause)) => Err(Status::unavailable(cause)),
        }
    }
}

/// The token of `Authorization: Bearer TOKEN`; an empty one counts as none.
#[must_use]
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .trim()
        .split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
