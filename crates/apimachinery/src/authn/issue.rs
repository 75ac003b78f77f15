//! Tokens of service accounts: what they say, and signing them.
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Header, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    key::{KeyError, SigningKeys},
    service_account_name,
};

/// The shortest lifetime that may be asked for.
pub const MIN_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// The lifetime of a token for which none is asked.
pub const DEFAULT_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// The longest lifetime that may be asked for.
pub const MAX_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_secs(1 << 32);
/// Issuer of tokens that live in secrets.
pub(super) const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// What else must exist for a token to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Kind of the object.
    pub kind: BoundKind,
    /// Name of the object, in the namespace of the service account (nodes have none).
    pub name: String,
    /// Uid of the object.
    pub uid: String,
}

/// Kinds that a token can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoundKind {
    /// A secret.
    Secret,
    /// A pod.
    Pod,
    /// A node.
    Node,
}

/// Which token is wanted.
#[derive(Debug, Clone)]
pub struct TokenRequest<'a> {
    /// Namespace of the service account.
    pub namespace: &'a str,
    /// Name of the service account.
    pub name: &'a str,
    /// Uid of the service account.
    pub uid: &'a str,
    /// Whom the token is meant for; the API server itself when empty.
    pub audiences: &'a [String],
    /// How long it lives.
    pub lifetime: SignedDuration,
    /// What else must exist for it to be valid.
    pub bound: Option<&'a Bound>,
}

/// A signed token.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// When it expires, in whole seconds.
    pub expires: Timestamp,
    /// Its `jti`.
    pub id: String,
    /// Whom it is meant for.
    pub audiences: Vec<String>,
}

/// Signs tokens.
#[derive(Clone)]
pub struct TokenIssuer {
    keys: SigningKeys,
    issuer: String,
    audiences: Vec<String>,
}

impl TokenIssuer {
    /// An issuer named `issuer` (a URL). Tokens for which no audience is asked are for `audiences`; for the issuer
    /// itself if that is empty.
    #[must_use]
    pub fn new(keys: SigningKeys, issuer: &str, audiences: &[String]) -> Self {
        let audiences = if audiences.is_empty() {
            vec![issuer.to_owned()]
        } else {
            audiences.to_vec()
        };
        Self {
            keys,
            issuer: issuer.to_owned(),
            audiences,
        }
    }

    /// Signs the token that is wanted, valid from `now` on.
    ///
    /// # Errors
    /// [`KeyError::Sign`] if the key does not sign.
    pub fn issue(&self, request: &TokenRequest<'_>, now: Timestamp) -> Result<Issued, KeyError> {
        let audiences = if request.audiences.is_empty() {
            &self.audiences
        } else {
            request.audiences
        };
        let issued = now.as_second();
        let expires = issued.saturating_add(request.lifetime.as_secs());
        let id = Uuid::new_v4().to_string();
        let reference = |name: &str, uid: &str| {
            Some(Reference {
                name: name.to_owned(),
                uid: Some(uid.to_owned()),
            })
        };
        let mut kubernetes = Kubernetes {
            namespace: request.namespace.to_owned(),
            serviceaccount: reference(request.name, request.uid),
            ..Kubernetes::default()
        };
        if let Some(bound) = request.bound {
            let slot = match bound.kind {
                BoundKind::Secret => &mut kubernetes.secret,
                BoundKind::Pod => &mut kubernetes.pod,
                BoundKind::Node => &mut kubernetes.node,
            };
            *slot = reference(&bound.name, &bound.uid);
        }
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: service_account_name(request.namespace, request.name),
            aud: Audience::Many(audiences.to_vec()),
            exp: Some(expires),
            iat: Some(issued),
            nbf: Some(issued),
            jti: id.clone(),
            kubernetes: Some(kubernetes),
            legacy: Legacy::default(),
        };
        Ok(Issued {
            token: self.sign(&claims)?,
            expires: Timestamp::from_second(expires).unwrap_or(Timestamp::MAX),
            id,
            audiences: audiences.to_vec(),
        })
    }

    /// Signs the token that lives in a secret of type `kubernetes.io/service-account-token`. It does not expire; it
    /// is valid while the secret holds it.
    ///
    /// # Errors
    /// [`KeyError::Sign`] if the key does not sign.
    pub fn issue_legacy(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        secret: &str,
    ) -> Result<String, KeyError> {
        let claims = Claims {
            iss: LEGACY_ISSUER.to_owned(),
            sub: service_account_name(namespace, name),
            aud: Audience::default(),
            exp: None,
            iat: None,
            nbf: None,
            jti: String::new(),
            kubernetes: None,
            legacy: Legacy {
                namespace: Some(namespace.to_owned()),
                secret: Some(secret.to_owned()),
                name: Some(name.to_owned()),
                uid: Some(uid.to_owned()),
            },
        };
        self.sign(&claims)
    }

    fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let key = self.keys.signing().ok_or(KeyError::None)?;
        let header = Header {
            typ: None,
            kid: Some(key.id.clone()),
            ..Header::new(key.algorithm)
        };
        encode(&header, claims, &key.private).map_err(KeyError::Sign)
    }
}

/// The claims of both forms of tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    #[serde(default, skip_serializing_if = "Audience::is_empty")]
    pub(super) aud: Audience,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) jti: String,
    #[serde(rename = "kubernetes.io", default, skip_serializing_if = "Option::is_none")]
    pub(super) kubernetes: Option<Kubernetes>,
    #[serde(flatten)]
    pub(super) legacy: Legacy,
}

/// One audience or several.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    Many(Vec<String>),
    One(String),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Audience {
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::Many(all) => all,
            Self::One(one) => std::slice::from_ref(one),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// The claim `kubernetes.io`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    pub(super) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) serviceaccount: Option<Reference>,
}

/// An object in a claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<String>,
}

/// The claims of tokens that live in secrets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Legacy {
    #[serde(
        rename = "kubernetes.io/serviceaccount/namespace",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) namespace: Option<String>,
    #[serde(
        rename = "kubernetes.io/serviceaccount/secret.name",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) secret: Option<String>,
    #[serde(
        rename = "kubernetes.io/serviceaccount/service-account.name",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) name: Option<String>,
    #[serde(
        rename = "kubernetes.io/serviceaccount/service-account.uid",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) uid: Option<String>,
}
