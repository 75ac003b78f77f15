//! ID tokens: verified as OpenID Connect Core, section 3.1.3.7, says, and read.
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, crypto::aws_lc::DEFAULT_PROVIDER, decode, decode_header,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::ClaimNames;
use crate::mapping::Person;
use crate::opaque::same;

/// Longest token that is looked at, in bytes.
const TOKEN_LIMIT: usize = 64 << 10;
/// Seconds by which clocks may differ.
const LEEWAY: u64 = 30;
/// Algorithms that are accepted: signatures with a private key that only the provider has.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it is longer than {TOKEN_LIMIT} bytes")]
    TooLong,
    #[error("it is signed with an algorithm that is not accepted")]
    Algorithm,
    #[error("it is signed with a key that the provider does not publish")]
    Key,
    #[error("it is not valid")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    #[error("it was made for another request")]
    Nonce,
    #[error("it was made for another client")]
    Party,
}

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
}

/// The keys as they are published. One of a kind that is not known here does not spoil the others.
#[derive(Deserialize)]
pub(super) struct Keys {
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn usable(self) -> JwkSet {
        let keys = self
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let signs = |key: &Jwk| {
            use AlgorithmParameters::{EllipticCurve, OctetKeyPair, RSA};
            let pair = matches!(key.algorithm, RSA(_) | EllipticCurve(_) | OctetKeyPair(_));
            let usage = key.common.public_key_use.as_ref();
            pair && usage.is_none_or(|usage| *usage == PublicKeyUse::Signature)
        };
        JwkSet {
            keys: keys.filter(signs).collect(),
        }
    }
}

/// What a verified token says.
#[derive(Debug)]
pub(super) struct Claims {
    subject: String,
    all: Map<String, Value>,
}

/// Verifies a token.
///
/// # Errors
/// [`Error`]; [`Error::Key`] when newer keys may help.
pub(super) fn verify(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Claims, Error> {
    // Fails when a provider is installed already, which then is this one: there is no other in this program.
    let _ = DEFAULT_PROVIDER.install_default();
    if token.len() > TOKEN_LIMIT {
        return Err(Error::TooLong);
    }
    let header = decode_header(token).map_err(Error::Invalid)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Error::Algorithm);
    }
    // Keys that the token carries or points to are ignored.
    let key = match &header.kid {
        Some(id) => keys.find(id),
        None => match &keys.keys[..] {
            [only] => Some(only),
            _ => None,
        },
    };
    let key = key.ok_or(Error::Key)?;
    let key = DecodingKey::from_jwk(key).map_err(Error::Invalid)?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[expected.client]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let all = decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(Error::Invalid)?
        .claims;
    let text = |name: &str| all.get(name).and_then(Value::as_str).unwrap_or_default();
    if !same(text("nonce"), expected.nonce) {
        return Err(Error::Nonce);
    }
    let several = all
        .get("aud")
        .and_then(Value::as_array)
        .is_some_and(|audiences| audiences.len() > 1);
    if (several || all.contains_key("azp")) && text("azp") != expected.client {
        return Err(Error::Party);
    }
    Ok(Claims {
        subject: text("sub").to_owned(),
        all,
    })
}

impl Claims {
    /// Whether the token leaves open something that is asked for, so that the provider should be asked for more.
    pub(super) fn lacks(&self, names: &ClaimNames) -> bool {
        [
            &names.preferred_username,
            &names.name,
            &names.email,
            &names.groups,
        ]
        .into_iter()
        .any(|names| !names.is_empty() && !names.iter().any(|name| self.all.contains_key(name)))
    }

    /// The person. `more` is what the provider said when it was asked; it counts only if it is about the same subject,
    /// and never over what the token says.
    pub(super) fn person(self, more: Map<String, Value>, names: &ClaimNames) -> Person {
        let mut all = self.all;
        if more.get("sub").and_then(Value::as_str) == Some(&self.subject) {
            for (name, value) in more {
                all.entry(name).or_insert(value);
            }
        }
        let first = |names: &[String]| {
            let texts = names
                .iter()
                .filter_map(|name| all.get(name).and_then(Value::as_str));
            texts
                .map(str::trim)
                .find(|text| !text.is_empty())
                .unwrap_or_default()
                .to_owned()
        };
        let groups = (!names.groups.is_empty()).then(|| {
            let lists = names.groups.iter().filter_map(|name| all.get(name));
            lists.flat_map(texts).collect::<Vec<String>>()
        });
        let preferred = first(&names.preferred_username);
        Person {
            preferred_username: if preferred.is_empty() {
                self.subject.clone()
            } else {
                preferred
            },
            name: first(&names.name),
            email: first(&names.email),
            groups,
            subject: self.subject,
        }
    }
}

/// The texts of a list, or a single text.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
