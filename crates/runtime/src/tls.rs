//! Server certificates that can be replaced while connections are served.
use std::{fs, io, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// What can be wrong with certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes are not PEM, or do not hold what they should.
    #[error("{what} is not usable PEM: {reason}")]
    Pem {
        /// Which input.
        what: String,
        /// Why.
        reason: String,
    },
    /// Key and certificate do not belong together, or the key's kind is not supported.
    #[error("certificate and key cannot be used")]
    Rejected(#[from] rustls::Error),
    /// The bundle of client authorities cannot be used.
    #[error("the client certificate authorities cannot be used: {0}")]
    ClientAuthorities(String),
}

/// The certificate that a listener shows, replaceable at run time.
#[derive(Debug)]
pub struct Certificates(ArcSwap<CertifiedKey>);

impl Certificates {
    /// Takes a chain (leaf first) and its key, both PEM.
    ///
    /// # Errors
    /// [`Error::Pem`] when either cannot be read, [`Error::Rejected`] when they do not fit.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(chain, key)?))))
    }

    /// Shows another certificate to every connection that begins from now on.
    ///
    /// # Errors
    /// As [`Certificates::from_pem`]; the old certificate stays in use.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        self.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain = certificates("the certificate chain", chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Error::Pem {
        what: "the private key".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

/// Parses every certificate of a PEM bundle.
///
/// # Errors
/// [`Error::Pem`], naming `what`, when there is none or one is malformed.
pub fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem_error = |reason: String| Error::Pem {
        what: what.to_owned(),
        reason,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| pem_error(error.to_string()))?;
    if found.is_empty() {
        Err(pem_error("it holds no certificate".to_owned()))
    } else {
        Ok(found)
    }
}

/// Reads a file, naming it when that fails.
///
/// # Errors
/// [`Error::Read`].
pub fn read(path: impl Into<PathBuf>) -> Result<Vec<u8>, Error> {
    let path = path.into();
    fs::read(&path).map_err(|source| Error::Read { path, source })
}

/// The one implementation of cryptography in this process.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A TLS 1.2 and 1.3 server that offers HTTP/2 and HTTP/1.1. With `client_authorities` (PEM) it asks for a client
/// certificate, verifies one that comes against them, and serves clients without one too.
///
/// # Errors
/// [`Error::Pem`] or [`Error::ClientAuthorities`] when the bundle cannot be used.
pub fn server(
    certificates_: Arc<Certificates>,
    client_authorities: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("the bundle of client authorities", pem)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .allow_unauthenticated()
                .build()
                .map_err(|error| Error::ClientAuthorities(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(certificates_);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_without_a_certificate_are_refused_by_name() {
        let error = certificates("the test bundle", b"nothing here").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the test bundle is not usable PEM: it holds no certificate"
        );
        assert!(Certificates::from_pem(b"", b"").is_err());
        assert!(matches!(read("/nonexistent/ca.crt"), Err(Error::Read { .. })));
    }
}
