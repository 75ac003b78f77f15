//! Authenticators: who sent a request.
//!
//! [`Union`] asks in order: [`ClientCertificates`], [`FrontProxy`], [`BearerTokens`] (service accounts through
//! [`TokenVerifier`], and whatever other tokens a server knows), and takes a request without any credentials for an
//! anonymous one. Wrong credentials are an error, never anonymous.
mod bearer;
mod certificate;
mod issue;
mod key;
mod proxy;
mod review;
mod union;
mod verify;

pub use self::{
    bearer::{BearerTokens, TokenAuthenticator, TokenError, TokenIdentity, bearer_token},
    certificate::{ClientCertificates, PeerCertificates, TrustError},
    issue::{
        Bound, BoundKind, DEFAULT_TOKEN_LIFETIME, Issued, MAX_TOKEN_LIFETIME, MIN_TOKEN_LIFETIME,
        TokenIssuer, TokenRequest,
    },
    key::{KeyError, SigningKey, SigningKeys},
    proxy::FrontProxy,
    review::review,
    union::Union,
    verify::{Accounts, TokenVerifier},
};
use crate::identity::UserInfo;

/// The group of everybody who is not anonymous.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of anonymous callers.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group of all service accounts.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// Key of the extra that names the credential: `JTI=…` of a token, `X509SHA256=…` of a certificate.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// The user name of a service account.
#[must_use]
pub fn service_account_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Namespace and name of the service account that a user name stands for.
#[must_use]
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// The groups that a service account is in.
#[must_use]
pub fn service_account_groups(namespace: &str) -> Vec<String> {
    vec![SERVICE_ACCOUNTS.into(), format!("{SERVICE_ACCOUNTS}:{namespace}")]
}

/// `user`, and in [`AUTHENTICATED`].
fn authenticated(mut user: UserInfo) -> UserInfo {
    if !user.is_anonymous() && !user.in_group(AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.into());
    }
    user
}

#[cfg(test)]
mod tests;
