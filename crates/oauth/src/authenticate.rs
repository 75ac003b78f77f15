//! Whom an opaque access token stands for.
use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::authn::{AUTHENTICATED, TokenAuthenticator, TokenError, TokenIdentity};
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::storage::Storage;
use jiff::Timestamp;

use crate::activity::Activity;
use crate::kinds;
use crate::kubeadmin::{self, Kubeadmin};
use crate::membership::Membership;
use crate::{opaque, scope};

/// The group of everybody who logged in with an OAuth token.
pub const OAUTH_USERS: &str = "system:authenticated:oauth";

/// Authenticates the tokens that this crate gives out. Everything is looked up in memory on each use, so that deleting a
/// token, a user or a group membership counts at once. Cheap to clone.
#[derive(Clone)]
pub struct AccessTokenAuthenticator(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) tokens: Storage,
    pub(crate) users: Storage,
    pub(crate) membership: Membership,
    pub(crate) kubeadmin: Kubeadmin,
    pub(crate) activity: Activity,
    pub(crate) audiences: Vec<String>,
}

impl AccessTokenAuthenticator {
    pub(crate) fn new(inner: Inner) -> AccessTokenAuthenticator {
        AccessTokenAuthenticator(Arc::new(inner))
    }

    /// The user of a valid token.
    fn user(&self, name: &str, now: Timestamp) -> Result<UserInfo, TokenError> {
        let inner = &self.0;
        let Some(entry) = inner.tokens.get("", name) else {
            return invalid("the token is not known; it may have been revoked");
        };
        let token = entry.object();
        if kinds::expires_at(token).is_some_and(|end| now >= end) {
            return invalid("the token has expired; log in again");
        }
        let mut user = self.who(token)?;
        // Last: a token that is refused must not count as used.
        if !inner.activity.used(token, now) {
            return invalid("the token was not used for too long; log in again");
        }
        user.extra.insert(scope::EXTRA.to_owned(), kinds::scopes(token));
        user.groups
            .extend([OAUTH_USERS, AUTHENTICATED].map(str::to_owned));
        Ok(user)
    }

    fn who(&self, token: &Object) -> Result<UserInfo, TokenError> {
        let (name, uid) = (token.str_at(&["userName"]), token.str_at(&["userUID"]));
        let user = if name == kubeadmin::USER {
            self.0.kubeadmin.user()
        } else {
            self.0.users.get("", name).map(|entry| UserInfo {
                name: name.to_owned(),
                uid: entry.object().uid().to_owned(),
                groups: self.0.membership.groups(name),
                ..UserInfo::default()
            })
        };
        match user {
            Some(user) if !uid.is_empty() && user.uid == uid => Ok(user),
            _ => invalid("the user of the token does not exist any more"),
        }
    }
}

fn invalid<T>(cause: &str) -> Result<T, TokenError> {
    Err(TokenError::Invalid(cause.to_owned()))
}

#[async_trait]
impl TokenAuthenticator for AccessTokenAuthenticator {
    async fn identify(&self, token: &str, audiences: &[String]) -> Result<Option<TokenIdentity>, TokenError> {
        if !token.starts_with(opaque::PREFIX) {
            return Ok(None);
        }
        let Some(name) = opaque::object_name(token) else {
            return invalid("the token is malformed");
        };
        let user = self.user(&name, Timestamp::now())?;
        // These tokens are for the API server and for nobody else.
        let ours = &self.0.audiences;
        let wanted = if audiences.is_empty() { ours } else { audiences };
        let audiences: Vec<String> = wanted
            .iter()
            .filter(|audience| ours.contains(audience))
            .cloned()
            .collect();
        if audiences.is_empty() && !wanted.is_empty() {
            return invalid("the token is meant for the API server only");
        }
        Ok(Some(TokenIdentity {
            user: Arc::new(user),
            audiences,
        }))
    }
}
