//! May they? [`Attributes`] of a request, [`Decision`] about it, and [`Authorizer`], which decides.
use async_trait::async_trait;

use crate::identity::UserInfo;

/// What is to be decided.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a UserInfo,
    /// Kubernetes verb for a resource, HTTP method in lower case for a path.
    pub verb: &'a str,
    /// What is asked for.
    pub target: Target<'a>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// An object or a list of objects.
    Resource {
        /// API group; empty for the core group.
        group: &'a str,
        /// Version.
        version: &'a str,
        /// Plural.
        resource: &'a str,
        /// Subresource; empty for none.
        subresource: &'a str,
        /// Namespace; empty for cluster scope or all namespaces.
        namespace: &'a str,
        /// Name; empty for none.
        name: &'a str,
    },
    /// Another path of the server.
    Path(&'a str),
}

/// The answer of an authorizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whether it is denied for good; false and not allowed means that this authorizer has no opinion.
    pub denied: bool,
    /// Why; may be empty.
    pub reason: String,
    /// What went wrong while deciding; may be empty.
    pub error: String,
}

impl Decision {
    /// Allowed, because of `reason`.
    #[must_use]
    pub fn allow(reason: impl Into<String>) -> Self {
        Self {
            allowed: true,
            denied: false,
            reason: reason.into(),
            error: String::new(),
        }
    }

    /// Not allowed by this authorizer.
    #[must_use]
    pub fn no_opinion(reason: impl Into<String>) -> Self {
        Self {
            allowed: false,
            denied: false,
            reason: reason.into(),
            error: String::new(),
        }
    }
}

/// Decides whether a user may do something.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// The decision. Never fails: what cannot be checked is not allowed, with the error in the decision.
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision;
}
