//! Keys that sign and verify tokens, and the documents that publish their public halves.
use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    crypto::aws_lc::DEFAULT_PROVIDER,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Value, json};

/// A key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither a P-256 nor an RSA private key in PEM.
    #[error("a signing key must be a P-256 key in PKCS #8 or an RSA key of at least 2048 bits, in PEM")]
    Unusable(#[source] jsonwebtoken::errors::Error),
    /// Signing failed.
    #[error("a token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// There must be at least one key.
    #[error("there is no signing key")]
    None,
}

/// A private key and its public half. The key identifier is the RFC 7638 thumbprint of the public half, so that it
/// follows from the key alone.
#[derive(Clone)]
pub struct SigningKey {
    pub(super) algorithm: Algorithm,
    pub(super) id: String,
    pub(super) private: EncodingKey,
    pub(super) public: DecodingKey,
    jwk: Jwk,
}

impl SigningKey {
    /// Reads a private key: ES256 for P-256, RS256 for RSA.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] for anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        // Fails when a provider is installed already, which then is this one: there is no other in this program.
        let _ = DEFAULT_PROVIDER.install_default();
        let elliptic = EncodingKey::from_ec_pem(pem).and_then(|key| Self::new(key, Algorithm::ES256));
        elliptic
            .or_else(|_| EncodingKey::from_rsa_pem(pem).and_then(|key| Self::new(key, Algorithm::RS256)))
            .map_err(KeyError::Unusable)
    }

    fn new(private: EncodingKey, algorithm: Algorithm) -> Result<Self, jsonwebtoken::errors::Error> {
        let mut jwk = Jwk::from_encoding_key(&private, algorithm)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = DecodingKey::from_jwk(&jwk)?;
        Ok(Self {
            algorithm,
            id,
            private,
            public,
            jwk,
        })
    }

    /// The key identifier, `kid` in the header of tokens.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The keys of a server: the first signs, all verify, so that keys can be replaced while tokens live on.
#[derive(Clone)]
pub struct SigningKeys(Arc<[SigningKey]>);

impl SigningKeys {
    /// Keys, the signing one first.
    ///
    /// # Errors
    /// [`KeyError::None`] without a key.
    pub fn new(keys: Vec<SigningKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            Err(KeyError::None)
        } else {
            Ok(Self(keys.into()))
        }
    }

    pub(super) fn signing(&self) -> Option<&SigningKey> {
        self.0.first()
    }

    pub(super) fn find(&self, id: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The document at `/openid/v1/jwks`, of type `application/jwk-set+json`.
    #[must_use]
    pub fn jwks(&self) -> Vec<u8> {
        let keys = self.0.iter().map(|key| key.jwk.clone()).collect();
        serde_json::to_vec(&JwkSet { keys }).unwrap_or_default()
    }

    /// The document at `/.well-known/openid-configuration` of the issuer `issuer`.
    #[must_use]
    pub fn openid_configuration(&self, issuer: &str, jwks_uri: &str) -> Value {
        let mut algorithms: Vec<String> = self.0.iter().map(|key| format!("{:?}", key.algorithm)).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        json!({
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        })
    }
}
