//! A server on a port, and kubectl for it.

use std::path::Path;
use std::sync::Arc;

use berth_apimachinery::authn::PeerCertificates;
use berth_apimachinery::server::ApiServer;
use berth_apiserver::{Config, build};
use berth_runtime::serve::{Limits, Peer, serve};
use berth_runtime::{Stop, tls};
use berth_store::MemoryStore;
use berth_testkit::clients::Kubectl;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use tokio::runtime::Runtime;

/// A running server.
pub(crate) struct Cluster {
    runtime: Option<Runtime>,
    scratch: tempfile::TempDir,
    ca: Vec<u8>,
    address: String,
    stop: Stop,
}

/// Adds the peer's certificates, as `bin/berth` does.
#[derive(Clone)]
struct WithPeer(ApiServer);

impl<B> tower::Service<http::Request<B>> for WithPeer
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = <ApiServer as tower::Service<http::Request<B>>>::Response;
    type Error = std::convert::Infallible;
    type Future = <ApiServer as tower::Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        if let Some(peer) = request.extensions().get::<Peer>() {
            let chain = PeerCertificates(Arc::clone(&peer.certificates));
            request.extensions_mut().insert(chain);
        }
        self.0.call(request)
    }
}

impl Cluster {
    /// Starts a server and makes an administrator's kubeconfig.
    pub(crate) fn start() -> Cluster {
        let scratch = tempfile::tempdir().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "test authority");
        let ca_key = KeyPair::generate().unwrap();
        let ca_pem = ca.clone().self_signed(&ca_key).unwrap().pem().into_bytes();
        let issuer = Issuer::new(ca, ca_key);

        let serving_key = KeyPair::generate().unwrap();
        let serving = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let serving = serving.signed_by(&serving_key, &issuer).unwrap().pem();
        let certificates =
            tls::Certificates::from_pem(serving.as_bytes(), serving_key.serialize_pem().as_bytes());
        let tls = tls::server(certificates.unwrap(), Some(&ca_pem)).unwrap();

        let admin_key = KeyPair::generate().unwrap();
        let mut admin = CertificateParams::new(Vec::new()).unwrap();
        admin.distinguished_name.push(DnType::CommonName, "system:admin");
        admin
            .distinguished_name
            .push(DnType::OrganizationName, "system:masters");
        admin.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let admin = admin.signed_by(&admin_key, &issuer).unwrap().pem();

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let stop = Stop::new();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let config = Config {
            store: Arc::new(MemoryStore::new()),
            internal_registry_host: Some("127.0.0.1:5000".to_owned()),
            external_registry_hosts: Vec::new(),
            issuer: address.clone(),
            audiences: Vec::new(),
            signing_keys: vec![KeyPair::generate().unwrap().serialize_pem().into_bytes()],
            client_ca: Some(ca_pem.clone()),
            ca_bundle: ca_pem.clone(),
            oauth: None,
        };
        let (server, controllers) = runtime.block_on(build(config)).unwrap();
        let stopped = stop.clone();
        runtime.spawn(async move { controllers.run(stopped.stopped()).await });
        runtime.spawn(serve(
            listener,
            Some(tls),
            Limits::default(),
            WithPeer(server),
            stop.clone(),
        ));

        let cluster = Cluster {
            runtime: Some(runtime),
            scratch,
            ca: ca_pem,
            address,
            stop,
        };
        std::fs::write(cluster.path("admin.crt"), admin).unwrap();
        std::fs::write(cluster.path("admin.key"), admin_key.serialize_pem()).unwrap();
        std::fs::write(cluster.path("ca.crt"), &cluster.ca).unwrap();
        cluster
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    fn kubeconfig(&self, name: &str, user: &str) -> std::path::PathBuf {
        let path = self.path(name);
        let ca = self.path("ca.crt");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\ncontexts: [{{name: it, context: {{cluster: it, user: it, \
             namespace: demo}}}}]\nclusters: [{{name: it, cluster: {{server: {}, certificate-authority: {}}}}}]\nusers: \
             [{{name: it, user: {{{user}}}}}]\n",
            self.address,
            ca.display()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// kubectl as the administrator.
    pub(crate) fn admin(&self) -> Client {
        let (certificate, key) = (self.path("admin.crt"), self.path("admin.key"));
        let user = format!(
            "client-certificate: {}, client-key: {}",
            certificate.display(),
            key.display()
        );
        self.client("admin.kubeconfig", &user)
    }

    /// kubectl with a bearer token.
    pub(crate) fn token(&self, token: &str) -> Client {
        self.client("token.kubeconfig", &format!("token: {token}"))
    }

    fn client(&self, name: &str, user: &str) -> Client {
        let kubeconfig = self.kubeconfig(name, user);
        let home: &Path = self.scratch.path();
        Client(Kubectl::new(home, &kubeconfig))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// kubectl.
pub(crate) struct Client(pub(crate) Kubectl);

impl Client {
    /// What a command that must succeed prints; the command is split at spaces.
    #[track_caller]
    pub(crate) fn ok(&self, command: &str) -> String {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said = self.0.run(&arguments);
        assert!(
            said.success,
            "kubectl {command}\n{}\n{}",
            said.stdout, said.stderr
        );
        said.stdout
    }

    /// What a command that must fail says.
    #[track_caller]
    pub(crate) fn fails(&self, command: &str) -> String {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said = self.0.run(&arguments);
        assert!(!said.success, "kubectl {command}\n{}", said.stdout);
        said.stderr
    }

    /// The same as [`Client::ok`] with a manifest for `{}`.
    #[track_caller]
    pub(crate) fn with(&self, manifest: &str, command: &str) -> String {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said = self.0.with_file(manifest, &arguments);
        assert!(
            said.success,
            "kubectl {command}\n{}\n{}",
            said.stdout, said.stderr
        );
        said.stdout
    }
}
