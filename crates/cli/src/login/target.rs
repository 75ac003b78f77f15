//! The server to log in to, and why it is trusted.
use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Map, Value};

use crate::{
    api::Api,
    error::{Result, failed},
    kubeconfig::{Kubeconfig, Section},
    names,
};

const FILE: &str = "certificate-authority";
const DATA: &str = "certificate-authority-data";
const INSECURE: &str = "insecure-skip-tls-verify";

/// Why a server's certificate is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// An authority that the machine trusts signed it.
    Machine,
    /// An authority in this file did.
    File(PathBuf),
    /// An authority did whose PEM, in base64, is this.
    Data(String),
    /// It is not looked at.
    Blind,
}

impl Trust {
    /// What flags say, else what the kubeconfig says of the same server.
    pub(super) fn choose(
        file: Option<PathBuf>,
        blind: bool,
        config: &Kubeconfig,
        server: &str,
    ) -> Result<Self> {
        if blind {
            return Ok(Self::Blind);
        }
        if let Some(file) = file {
            std::fs::metadata(&file)
                .map_err(|error| failed(format!("reading {}: {error}", file.display())))?;
            return Ok(Self::File(file));
        }
        let mut known = Self::Machine;
        for (name, cluster) in config.entries(Section::Clusters) {
            let text = |field: &str| {
                cluster
                    .get(field)
                    .and_then(Value::as_str)
                    .filter(|text| !text.is_empty())
            };
            if text("server")
                .and_then(|url| names::server_url(url).ok())
                .as_deref()
                != Some(server)
            {
                continue;
            }
            let trust = if let Some(data) = text(DATA) {
                Self::Data(data.to_owned())
            } else if let Some(file) = text(FILE) {
                Self::File(file.into())
            } else if cluster.get(INSECURE).and_then(Value::as_bool) == Some(true) {
                Self::Blind
            } else {
                continue;
            };
            // The entry that a login made is the one that a person agreed to.
            if name == names::cluster(server) {
                return Ok(trust);
            }
            // Another entry's blindness is not inherited where a certificate is known.
            if known == Self::Machine || known == Self::Blind {
                known = trust;
            }
        }
        Ok(known)
    }

    /// Writes it into a cluster's entry.
    pub(super) fn write(&self, cluster: &mut Map<String, Value>) {
        for field in [FILE, DATA, INSECURE] {
            cluster.remove(field);
        }
        match self {
            Self::Machine => {}
            Self::File(path) => {
                cluster.insert(FILE.to_owned(), path.to_string_lossy().into());
            }
            Self::Data(data) => {
                cluster.insert(DATA.to_owned(), data.as_str().into());
            }
            Self::Blind => {
                cluster.insert(INSECURE.to_owned(), true.into());
            }
        }
    }

    fn authorities(&self) -> Result<Option<Vec<Vec<u8>>>> {
        let (pem, what) = match self {
            Self::Machine | Self::Blind => return Ok(None),
            Self::File(path) => {
                let what = path.display().to_string();
                (
                    std::fs::read(path).map_err(|error| failed(format!("reading {what}: {error}")))?,
                    what,
                )
            }
            Self::Data(data) => {
                let what = "certificate-authority-data of the kubeconfig".to_owned();
                let pem = STANDARD
                    .decode(data.trim())
                    .map_err(|error| failed(format!("{what}: {error}")))?;
                (pem, what)
            }
        };
        let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
            .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|error| failed(format!("{what} holds no certificate: {error}")))?;
        if certificates.is_empty() {
            return Err(failed(format!("{what} holds no certificate")));
        }
        Ok(Some(certificates))
    }
}

/// A server to log in to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) server: String,
    pub(super) trust: Trust,
    pub(super) timeout: Duration,
}

impl Target {
    /// The server, asked with the credentials of a user's entry.
    pub(super) fn api(&self, user: &Map<String, Value>) -> Result<Api> {
        self.at(&self.server, user)
    }

    /// Another server of the same installation, trusted for the same reason, asked without credentials.
    pub(super) fn anonymous(&self, server: &str) -> Result<Api> {
        self.at(server, &Map::new())
    }

    fn at(&self, server: &str, user: &Map<String, Value>) -> Result<Api> {
        let url = server
            .parse()
            .map_err(|error| failed(format!("{server}: {error}")))?;
        let mut config = kube::Config::new(url);
        config.root_cert = self.trust.authorities()?;
        config.accept_invalid_certs = self.trust == Trust::Blind;
        // A refusal to try again so soon is for the person to read.
        config.default_retry = false;
        config.auth_info = serde_json::from_value(Value::Object(user.clone())).map_err(|error| {
            failed(format!(
                "the credentials of the kubeconfig cannot be used: {error}"
            ))
        })?;
        Api::new(config, server, self.timeout)
    }
}
