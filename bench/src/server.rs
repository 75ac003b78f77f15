//! The servers that are compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use berth_testkit::{Berth, Process, eventually, free_port};
use http::HeaderValue;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::Over;
use crate::process::{self, Usage};

/// The name of ours in tables and on the command line.
pub(crate) const BERTH: &str = "berth";

/// The name of Debian's.
pub(crate) const DOCKER_REGISTRY: &str = "docker-registry";

/// The project that Berth's images are pushed to. The peer has no projects, to it this is a part of a name.
pub(crate) const PROJECT: &str = "bench";

/// A running server.
pub(crate) struct Server {
    /// What it is.
    pub(crate) name: &'static str,
    /// How clients verify it.
    pub(crate) tls: Arc<ClientConfig>,
    /// What clients send with every request.
    pub(crate) authorization: Option<HeaderValue>,
    plain: Option<String>,
    secure: Option<String>,
    pid: u32,
    /// The directory above `docker/registry/v2`.
    root: PathBuf,
    running: Running,
}

/// What stops the server when it is dropped.
enum Running {
    Berth(#[expect(dead_code, reason = "held for its drop")] Box<Berth>),
    Peer(#[expect(dead_code, reason = "held for its drop")] Process),
    Elsewhere,
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self, over: Over) -> Option<&str> {
        match over {
            Over::Plain => self.plain.as_deref(),
            Over::Tls => self.secure.as_deref(),
        }
    }

    /// Its name, with how it listens if that makes a difference.
    pub(crate) fn label(&self) -> String {
        match (&self.plain, &self.secure) {
            (Some(_), None) => format!("{} (HTTP)", self.name),
            (None, Some(_)) => format!("{} (TLS)", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Seconds of CPU that it has used.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        process::cpu_seconds(self.pid)
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Usage> {
        process::memory(self.pid)
    }

    /// Removes a blob's data behind the server's back, to have the disk space again.
    pub(crate) fn forget(&self, digest: &str) -> Result<()> {
        let hex = digest.trim_start_matches("sha256:");
        let path = self
            .root
            .join("docker/registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(hex);
        fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))
    }
}

/// All of them.
pub(crate) struct Servers(Vec<Server>);

impl Servers {
    /// Starts the peer, once for plain HTTP and once for TLS, and Berth, which serves both from one process. With
    /// `only`, just those of that name; `external` describes a running server to take in Berth's place.
    pub(crate) fn start(scratch: &Path, only: Option<&str>, external: Option<&str>) -> Result<Self> {
        let wanted = |name| only.is_none_or(|only| only == name);
        let mut servers = Vec::new();
        if wanted(DOCKER_REGISTRY) {
            servers.push(peer(&scratch.join("peer-plain"), Over::Plain)?);
            servers.push(peer(&scratch.join("peer-tls"), Over::Tls)?);
        }
        if wanted(BERTH) {
            servers.push(match external {
                Some(external) => elsewhere(external)?,
                None => berth(scratch)?,
            });
        }
        if servers.is_empty() {
            bail!(
                "there is no server {:?}, but {DOCKER_REGISTRY} and {BERTH}",
                only.unwrap_or_default()
            );
        }
        Ok(Self(servers))
    }

    pub(crate) fn all(&self) -> &[Server] {
        &self.0
    }

    /// Those that listen so.
    pub(crate) fn over(&self, over: Over) -> impl Iterator<Item = &Server> {
        self.0.iter().filter(move |server| server.address(over).is_some())
    }

    /// What is compared, and on what.
    pub(crate) fn describe(&self) -> Vec<String> {
        let first_line = |command: &mut Command| {
            let output = command.output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().map(|line| line.trim().to_owned())
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = model
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut lines = vec![format!(
            "{cores} cores{}, Linux {}, generator and servers on the same machine",
            model.replace("\t:", ","),
            kernel.trim()
        )];
        if self.0.iter().any(|server| server.name == DOCKER_REGISTRY) {
            let version = first_line(Command::new(DOCKER_REGISTRY).arg("--version")).unwrap_or_default();
            lines.push(format!(
                "{DOCKER_REGISTRY}: {version}, filesystem, no authentication"
            ));
        }
        if self
            .0
            .iter()
            .any(|server| matches!(server.running, Running::Berth(_)))
        {
            let version = first_line(Command::new(berth_testkit::berth::binary()).arg("--version"));
            let version = version.unwrap_or_default();
            lines.push(format!(
                "{BERTH}: {version}, `berth up`, authentication and authorization on"
            ));
        }
        lines
    }
}

fn berth(scratch: &Path) -> Result<Server> {
    let scratch = tempfile::Builder::new().prefix("berth").tempdir_in(scratch)?;
    let data = scratch.path().join("data");
    let mut berth = Berth::start_on(scratch, data, &["--registry-listen-plain", "127.0.0.1:0"]);
    berth.create_project(PROJECT);
    let token = berth.token_with_role(PROJECT, "bench", "system:image-builder");
    let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))?;
    authorization.set_sensitive(true);
    let ca = fs::read(berth.data().join("ca.crt")).context("reading Berth's certificate authority")?;
    Ok(Server {
        name: BERTH,
        tls: tls(&ca)?,
        authorization: Some(authorization),
        plain: berth.registry_plain.clone(),
        secure: Some(berth.registry.clone()),
        pid: berth.process().id(),
        root: berth.volume(),
        running: Running::Berth(Box::new(berth)),
    })
}

/// A server that somebody else has started.
fn elsewhere(description: &str) -> Result<Server> {
    let [address, pid, root] = description.split(',').collect::<Vec<_>>()[..] else {
        bail!("{description:?} is not an address, a process id and a directory");
    };
    Ok(Server {
        name: BERTH,
        tls: tls(&[])?,
        authorization: None,
        plain: Some(address.to_owned()),
        secure: None,
        pid: pid.parse().with_context(|| format!("{pid:?} is no process id"))?,
        root: root.into(),
        running: Running::Elsewhere,
    })
}

/// docker-registry with the plainest configuration: never the packaged one, which listens on every address.
fn peer(scratch: &Path, over: Over) -> Result<Server> {
    let root = scratch.join("data");
    fs::create_dir_all(&root)?;
    let address = format!("127.0.0.1:{}", free_port());
    let (certificate, key, ca) = certificates()?;
    fs::write(scratch.join("tls.crt"), certificate)?;
    fs::write(scratch.join("tls.key"), key)?;
    let at = scratch.display();
    let secure = match over {
        Over::Plain => String::new(),
        Over::Tls => format!("\n  tls: {{certificate: {at}/tls.crt, key: {at}/tls.key}}"),
    };
    let config = format!(
        "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {at}/data}}\n  delete: {{enabled: true}}\n\
         http:\n  addr: '{address}'\n  secret: x{secure}\n"
    );
    let path = scratch.join("config.yml");
    fs::write(&path, config)?;
    let log = scratch.join("log");
    let process = Process::start(DOCKER_REGISTRY, [Path::new("serve"), &path], &log, |_| {})?;
    eventually("docker-registry listens", || {
        std::net::TcpStream::connect(&address).ok()
    });
    let (plain, secure) = match over {
        Over::Plain => (Some(address), None),
        Over::Tls => (None, Some(address)),
    };
    Ok(Server {
        name: DOCKER_REGISTRY,
        tls: tls(ca.as_bytes())?,
        authorization: None,
        plain,
        secure,
        pid: process.id(),
        root,
        running: Running::Peer(process),
    })
}

/// A certificate for the loopback address, its key and who signed it: ECDSA, as Berth makes its own.
fn certificates() -> Result<(String, String, String)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut server = CertificateParams::default();
    server.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok((certificate.pem(), key.serialize_pem(), authority.pem()))
}

/// Trusts `ca`, and offers ciphers in the order in which Go's clients do, so that both servers choose the same one.
fn tls(ca: &[u8]) -> Result<Arc<ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate?)?;
    }
    let mut provider: CryptoProvider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
