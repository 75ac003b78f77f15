//! The keys and certificates of one machine: an authority, what the listeners show, the administrator's client
//! certificate and the key that signs service-account tokens.
//!
//! | file | what | lives |
//! | --- | --- | --- |
//! | `ca.crt`, `pki/ca.key` | the authority that the API, the registry and the router are trusted through | 10 years |
//! | `pki/client-ca.{crt,key}` | the authority of client certificates; a separate one, so that no serving certificate is ever a login | 10 years |
//! | `pki/serving.{crt,key}` | shown by every listener | 1 year, renewed from 60 days before its end |
//! | `pki/admin.{crt,key}` | `system:masters` | 1 year, renewed likewise |
//! | `pki/service-account.key` | signs tokens (ECDSA P-256) | until replaced |
use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use x509_parser::{extensions::GeneralName, pem::parse_x509_pem};

use crate::data_dir::DataDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_DAYS: u32 = 3650;
const LEAF_DAYS: u32 = 365;
/// A leaf with less than this left is replaced.
const RENEW_BEFORE: Duration = DAY.saturating_mul(60);
/// Clocks of clients may be behind ours.
const BACKDATE: Duration = DAY;

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Everything that `berth up` needs to be trusted and to trust.
#[derive(Debug)]
pub(crate) struct Pki {
    pub(crate) authority: Pair,
    pub(crate) client_authority: Pair,
    pub(crate) serving: Pair,
    pub(crate) admin: Pair,
    pub(crate) service_account_key: String,
    /// Names and addresses that the serving certificate must cover.
    names: Vec<String>,
}

impl Pki {
    /// Reads what is there and makes what is missing, expired soon or does not cover `names`.
    ///
    /// # Errors
    /// When a file is there and cannot be read as what it should be: nothing is replaced silently, since that would lock
    /// out everyone who trusts it.
    pub(crate) fn open(data: &DataDir, names: Vec<String>) -> Result<Self> {
        let authority = authority(data, "ca.crt", "pki/ca.key", "Berth")?;
        let client_authority = authority_client(data)?;
        let service_account_key = match data.read("pki/service-account.key")? {
            Some(key) => String::from_utf8(key).context("pki/service-account.key is not PEM")?,
            None => {
                let key = KeyPair::generate()?.serialize_pem();
                data.write("pki/service-account.key", key.as_bytes())?;
                key
            }
        };
        let serving = serving(data, &authority, &names)?;
        let admin = admin(data, &client_authority)?;
        Ok(Self {
            authority,
            client_authority,
            serving,
            admin,
            service_account_key,
            names,
        })
    }

    /// Renews what ends soon; true when the serving certificate is another one now.
    ///
    /// # Errors
    /// When a new certificate cannot be made or stored; the old one stays in use.
    pub(crate) fn renew(&mut self, data: &DataDir) -> Result<bool> {
        let serving = serving(data, &self.authority, &self.names)?;
        self.admin = admin(data, &self.client_authority)?;
        let changed = serving.certificate != self.serving.certificate;
        self.serving = serving;
        Ok(changed)
    }
}

fn stored(data: &DataDir, certificate: &str, key: &str) -> Result<Option<Pair>> {
    let (Some(certificate_pem), Some(key_pem)) = (data.read(certificate)?, data.read(key)?) else {
        return Ok(None);
    };
    Ok(Some(Pair {
        certificate: String::from_utf8(certificate_pem)
            .with_context(|| format!("{certificate} is not PEM"))?,
        key: String::from_utf8(key_pem).with_context(|| format!("{key} is not PEM"))?,
    }))
}

fn store(data: &DataDir, certificate: &str, key: &str, pair: Pair) -> Result<Pair> {
    // The key first: a certificate without its key is remade at the next start, the reverse would be trusted and useless.
    data.write(key, pair.key.as_bytes())?;
    data.write(certificate, pair.certificate.as_bytes())?;
    Ok(pair)
}

fn validity(parameters: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    parameters.not_before = (now - BACKDATE).into();
    parameters.not_after = (now + DAY * days).into();
}

fn authority_client(data: &DataDir) -> Result<Pair> {
    authority(data, "pki/client-ca.crt", "pki/client-ca.key", "Berth client")
}

fn authority(data: &DataDir, certificate: &str, key: &str, what: &str) -> Result<Pair> {
    if let Some(pair) = stored(data, certificate, key)? {
        return Ok(pair);
    }
    let mut parameters = CertificateParams::default();
    // A name of its own for each installation, so that a client with the authorities of two tells them apart.
    let suffix = &uuid::Uuid::new_v4().simple().to_string()[..8];
    parameters
        .distinguished_name
        .push(DnType::CommonName, format!("{what} authority {suffix}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut parameters, AUTHORITY_DAYS);
    let pair = KeyPair::generate()?;
    let made = Pair {
        certificate: parameters.self_signed(&pair)?.pem(),
        key: pair.serialize_pem(),
    };
    store(data, certificate, key, made)
}

fn sign(authority: &Pair, parameters: &CertificateParams) -> Result<Pair> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)
        .context("the authority in the data directory cannot be used")?;
    let pair = KeyPair::generate()?;
    let certificate = parameters.signed_by(&pair, &issuer)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: pair.serialize_pem(),
    })
}

fn serving(data: &DataDir, authority: &Pair, names: &[String]) -> Result<Pair> {
    let (certificate, key) = ("pki/serving.crt", "pki/serving.key");
    if let Some(pair) = stored(data, certificate, key)?
        && lasts(&pair.certificate)?
        && covers(&pair.certificate, names)?
    {
        return Ok(pair);
    }
    let mut parameters = CertificateParams::new(names.to_vec())?;
    parameters.distinguished_name.push(DnType::CommonName, "berth");
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    validity(&mut parameters, LEAF_DAYS);
    store(data, certificate, key, sign(authority, &parameters)?)
}

fn admin(data: &DataDir, authority: &Pair) -> Result<Pair> {
    let (certificate, key) = ("pki/admin.crt", "pki/admin.key");
    if let Some(pair) = stored(data, certificate, key)?
        && lasts(&pair.certificate)?
    {
        return Ok(pair);
    }
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "system:admin");
    parameters
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    validity(&mut parameters, LEAF_DAYS);
    store(data, certificate, key, sign(authority, &parameters)?)
}

fn lasts(certificate: &str) -> Result<bool> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).context("a stored certificate is not PEM")?;
    let parsed = pem.parse_x509().context("a stored certificate cannot be read")?;
    let left = parsed.validity().time_to_expiration().unwrap_or_default();
    Ok(left.whole_seconds() > i64::try_from(RENEW_BEFORE.as_secs()).unwrap_or(i64::MAX))
}

fn covers(certificate: &str, names: &[String]) -> Result<bool> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).context("a stored certificate is not PEM")?;
    let parsed = pem.parse_x509().context("a stored certificate cannot be read")?;
    let alternative = parsed
        .subject_alternative_name()
        .context("a stored certificate cannot be read")?;
    let held: Vec<String> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => match octets.len() {
                4 => <[u8; 4]>::try_from(*octets)
                    .ok()
                    .map(|octets| IpAddr::from(octets).to_string()),
                16 => <[u8; 16]>::try_from(*octets)
                    .ok()
                    .map(|octets| IpAddr::from(octets).to_string()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    Ok(names.iter().all(|name| held.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_second_start_finds_the_same_and_new_names_make_a_new_leaf() {
        let scratch = tempfile::tempdir().unwrap();
        let data = DataDir::open(scratch.path()).unwrap();
        let first = Pki::open(&data, names(&["localhost", "127.0.0.1"])).unwrap();
        let mut second = Pki::open(&data, names(&["127.0.0.1"])).unwrap();
        assert_eq!(first.authority.certificate, second.authority.certificate);
        assert_eq!(first.serving.certificate, second.serving.certificate);
        assert_eq!(first.service_account_key, second.service_account_key);
        assert!(!second.renew(&data).unwrap(), "nothing ends soon");
        let third = Pki::open(&data, names(&["localhost", "127.0.0.1", "::1", "berth.example"])).unwrap();
        assert_eq!(first.authority.certificate, third.authority.certificate);
        assert_ne!(first.serving.certificate, third.serving.certificate);
        assert!(covers(&third.serving.certificate, &names(&["::1", "berth.example"])).unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_not_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let data = DataDir::open(scratch.path()).unwrap();
        data.write("pki/serving.crt", b"not a certificate").unwrap();
        data.write("pki/serving.key", b"not a key").unwrap();
        assert!(Pki::open(&data, names(&["localhost"])).is_err());
        assert_eq!(
            data.read("pki/serving.crt").unwrap().as_deref(),
            Some(&b"not a certificate"[..])
        );
    }
}
