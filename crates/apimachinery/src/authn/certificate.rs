//! Client certificates: common name and organizations are user and groups.
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use http::request::Parts;
use jiff::Timestamp;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{CREDENTIAL_ID, authenticated};
use crate::{
    identity::{Authenticator, UserInfo},
    status::Status,
};

/// The certificates that the client showed in the TLS handshake, in DER, its own first. The TLS listener puts them
/// into the extensions of each request, having verified that they lead to one of the authorities it trusts.
#[derive(Debug, Clone, Default)]
pub struct PeerCertificates(pub Arc<[Vec<u8>]>);

impl PeerCertificates {
    /// From certificates in DER, the client's own first.
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>) -> Self {
        Self(chain.into())
    }
}

/// The authorities to trust are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not certificates in PEM.
    #[error("the certificate authorities are not PEM: {0}")]
    Pem(String),
    /// Certificates that cannot be trusted, or none at all.
    #[error("the certificate authorities cannot be used: {0}")]
    Authority(String),
}

/// Verifies that a certificate was signed, for use by clients, by one of some authorities.
#[derive(Clone)]
pub(super) struct Trust(Arc<dyn ClientCertVerifier>);

impl Trust {
    pub(super) fn new(authorities_pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities_pem) {
            let authority = authority.map_err(|error| TrustError::Pem(error.to_string()))?;
            roots
                .add(authority)
                .map_err(|error| TrustError::Authority(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Self)
            .map_err(|error| TrustError::Authority(error.to_string()))
    }

    pub(super) fn holds(&self, chain: &[Vec<u8>], now: Timestamp) -> bool {
        let Some((own, others)) = chain.split_first() else {
            return false;
        };
        let own = CertificateDer::from(own.as_slice());
        let others: Vec<_> = others
            .iter()
            .map(|certificate| CertificateDer::from(certificate.as_slice()))
            .collect();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        self.0.verify_client_cert(&own, &others, now).is_ok()
    }
}

/// What a certificate says about its holder.
pub(super) struct Subject {
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
    pub(super) valid: bool,
}

impl Subject {
    pub(super) fn read(certificate: &[u8], now: Timestamp) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let common_name = subject
            .iter_common_name()
            .last()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default();
        let organizations = subject.iter_organization().filter_map(|name| name.as_str().ok());
        let validity = certificate.validity();
        let now = now.as_second();
        Some(Self {
            common_name: common_name.to_owned(),
            organizations: organizations.map(str::to_owned).collect(),
            valid: validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp(),
        })
    }
}

/// Takes the holder of a client certificate for the user that it names.
#[derive(Clone, Default)]
pub struct ClientCertificates {
    trust: Option<Trust>,
}

impl ClientCertificates {
    /// Relies on the TLS listener, which must accept client certificates of the client authority only.
    #[must_use]
    pub fn verified_by_tls() -> Self {
        Self { trust: None }
    }

    /// Verifies again that the certificate leads to one of `authorities_pem`, for listeners that also accept others
    /// (a front proxy's).
    ///
    /// # Errors
    /// [`TrustError`] if these are not certificate authorities.
    pub fn signed_by(authorities_pem: &[u8]) -> Result<Self, TrustError> {
        Ok(Self {
            trust: Some(Trust::new(authorities_pem)?),
        })
    }

    fn identify(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<Option<UserInfo>, Status> {
        let Some(own) = chain.first() else { return Ok(None) };
        if self.trust.as_ref().is_some_and(|trust| !trust.holds(chain, now)) {
            return Ok(None);
        }
        let Some(subject) = Subject::read(own, now) else {
            return Ok(None);
        };
        if subject.common_name.is_empty() {
            return Ok(None);
        }
        // The handshake checked this too, but a connection may outlive the certificate.
        if !subject.valid {
            return Err(Status::unauthorized(
                "Unauthorized: the client certificate has expired or is not yet valid",
            ));
        }
        let fingerprint = digest::digest(&digest::SHA256, own);
        let fingerprint: String = fingerprint
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let credential = vec![format!("X509SHA256={fingerprint}")];
        Ok(Some(authenticated(UserInfo {
            name: subject.common_name,
            uid: String::new(),
            groups: subject.organizations,
            extra: [(CREDENTIAL_ID.to_owned(), credential)].into(),
        })))
    }
}

#[async_trait]
impl Authenticator for ClientCertificates {
    async fn authenticate(&self, request: &Parts) -> Result<Option<Arc<UserInfo>>, Status> {
        let Some(PeerCertificates(chain)) = request.extensions.get() else {
            return Ok(None);
        };
        Ok(self.identify(chain, Timestamp::now())?.map(Arc::new))
    }
}
