//! Asking several authenticators.
use std::sync::Arc;

use async_trait::async_trait;
use http::request::Parts;

use super::authenticated;
use crate::{
    identity::{Authenticator, UserInfo},
    status::Status,
};

/// Asks authenticators in order; the first that knows the sender decides. A sender without credentials is anonymous,
/// one whose credentials were all refused is not.
#[derive(Clone)]
pub struct Union {
    authenticators: Arc<[Arc<dyn Authenticator>]>,
    anonymous: Option<Arc<UserInfo>>,
}

impl Union {
    /// Authenticators in the order they are asked; requests without credentials are anonymous.
    #[must_use]
    pub fn new(authenticators: Vec<Arc<dyn Authenticator>>) -> Self {
        Self {
            authenticators: authenticators.into(),
            anonymous: Some(Arc::new(UserInfo::anonymous())),
        }
    }

    /// The same, but requests without credentials are refused.
    #[must_use]
    pub fn without_anonymous(mut self) -> Self {
        self.anonymous = None;
        self
    }
}

#[async_trait]
impl Authenticator for Union {
    async fn authenticate(&self, request: &Parts) -> Result<Option<Arc<UserInfo>>, Status> {
        let mut refused = None;
        for authenticator in self.authenticators.iter() {
            match authenticator.authenticate(request).await {
                Ok(Some(user)) if user.is_anonymous() || user.in_group(super::AUTHENTICATED) => {
                    return Ok(Some(user));
                }
                Ok(Some(user)) => return Ok(Some(Arc::new(authenticated(Arc::unwrap_or_clone(user))))),
                Ok(None) => {}
                Err(status) => refused = refused.or(Some(status)),
            }
        }
        match (refused, &self.anonymous) {
            (Some(status), _) => Err(status),
            (None, Some(anonymous)) => Ok(Some(anonymous.clone())),
            (None, None) => Err(Status::unauthorized("Unauthorized")),
        }
    }
}
