//! What a server is built from.

use std::fmt;
use std::sync::Arc;

use berth_store::Store;

/// What a server is built from. There are no defaults: whoever composes the server knows all of it.
#[derive(Clone)]
pub struct Config {
    /// Where objects are stored.
    pub store: Arc<dyn Store>,
    /// Host and port of the registry as seen from inside, the first part of `status.dockerImageRepository`; none if no
    /// registry is installed.
    pub internal_registry_host: Option<String>,
    /// Host names of the registry as seen from outside; the first one makes `status.publicDockerImageRepository`.
    pub external_registry_hosts: Vec<String>,
    /// URL under which tokens are issued; also the audience of tokens for which none is asked.
    pub issuer: String,
    /// Audiences that the API itself accepts; the issuer if empty.
    pub audiences: Vec<String>,
    /// Private keys of the token issuer, PEM. The first one signs, all verify.
    pub signing_keys: Vec<Vec<u8>>,
    /// Certificates of the authorities that sign client certificates, PEM. None: client certificates are not looked at.
    pub client_ca: Option<Vec<u8>>,
    /// Certificates that clients verify this server (and the registry) with, PEM; put into token secrets as `ca.crt`.
    pub ca_bundle: Vec<u8>,
    /// How people log in; none if they do not, here.
    pub oauth: Option<berth_oauth::Config>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("internal_registry_host", &self.internal_registry_host)
            .field("external_registry_hosts", &self.external_registry_hosts)
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .field("oauth", &self.oauth)
            .finish_non_exhaustive()
    }
}

/// Why a server could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A signing key cannot be used.
    #[error("the key that signs service account tokens")]
    SigningKey(#[source] berth_apimachinery::authn::KeyError),
    /// The client certificate authorities cannot be used.
    #[error("the authorities of client certificates")]
    ClientCa(#[source] berth_apimachinery::authn::TrustError),
    /// The definitions that were compiled in do not fit together.
    #[error("the definitions of the API's kinds")]
    Definitions(#[source] berth_apimachinery::schema::Error),
    /// The encodings that were compiled in do not fit together.
    #[error("the protobuf encoding of the API's kinds: {0}")]
    Protobuf(String),
    /// The store could not be read.
    #[error("reading the metadata store")]
    Load(#[source] berth_store::Error),
    /// An identity provider cannot be used as configured.
    #[error("the configuration of logging in")]
    OAuth(#[source] berth_oauth::ProviderError),
    /// The default objects could not be written.
    #[error("creating the default roles, namespaces and accounts")]
    Bootstrap(#[source] berth_apimachinery::status::Status),
}
