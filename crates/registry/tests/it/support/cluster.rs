//! A cluster in memory: Berth's own API server with its loops, and a registry over it.

use std::sync::Arc;

use berth_apimachinery::{authn::PeerCertificates, server::ApiServer};
use berth_apiserver::TokenSource as Issuer;
use berth_blobs::MemoryDriver;
use berth_client::{Client, Token, TokenSource};
use berth_registry::{Config, Registry};
use berth_store::MemoryStore;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Authority, KeyPair};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinSet};

use super::Peer;

/// A running cluster; it stops when dropped.
pub(crate) struct Cluster {
    pub(crate) registry: Peer,
    api: ApiServer,
    /// The certificate of a cluster administrator.
    certificate: PeerCertificates,
    issuer: Issuer,
    _loops: JoinSet<()>,
    _stop: oneshot::Sender<()>,
}

impl Cluster {
    /// A fresh cluster with a registry.
    pub(crate) async fn start(config: Config) -> Self {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
        let mut admin = CertificateParams::default();
        admin
            .distinguished_name
            .push(DnType::OrganizationName, "system:masters");
        admin.distinguished_name.push(DnType::CommonName, "admin");
        let authority = Authority::from_params(&ca, &ca_key);
        let admin = admin
            .signed_by(&KeyPair::generate().expect("a key"), &authority)
            .expect("a certificate");
        let (api, controllers) = berth_apiserver::build(berth_apiserver::Config {
            store: Arc::new(MemoryStore::new()),
            internal_registry_host: Some("registry.svc:5000".to_owned()),
            external_registry_hosts: Vec::new(),
            issuer: "https://kubernetes.default.svc".to_owned(),
            audiences: Vec::new(),
            signing_keys: vec![KeyPair::generate().expect("a key").serialize_pem().into_bytes()],
            client_ca: Some(ca_certificate.pem().into_bytes()),
            ca_bundle: ca_certificate.pem().into_bytes(),
            oauth: None,
        })
        .await
        .expect("an API server");
        let issuer = controllers.tokens();
        let (stop, stopped) = oneshot::channel();
        let mut loops = JoinSet::new();
        loops.spawn(async move {
            let stopped = async move { drop(stopped.await) };
            controllers
                .run(stopped)
                .await
                .expect("the loops end when they are told to");
        });
        let own = token(&issuer, "openshift-image-registry", "registry");
        let client = Client::in_process(api.clone(), TokenSource::new(Token::new(&own).expect("a token")));
        let driver = Arc::new(MemoryDriver::new());
        let registry = Registry::new(config, berth_distribution::Config::default(), driver, client);
        Self {
            registry: Peer(registry),
            api,
            certificate: PeerCertificates::new(vec![admin.der().to_vec()]),
            issuer,
            _loops: loops,
            _stop: stop,
        }
    }

    /// A request of the administrator; panics unless it succeeds.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_admin(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// A request of the administrator.
    pub(crate) async fn try_admin(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Full::new(body))
            .expect("a request");
        request.extensions_mut().insert(self.certificate.clone());
        let response: Response<_> = self.api.handle(request).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(crate) async fn namespace(&self, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.admin(Method::POST, "/api/v1/namespaces", &body).await;
    }

    /// The token of a service account, which is made if it does not exist.
    pub(crate) async fn account(&self, namespace: &str, name: &str) -> String {
        let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let (status, answer) = self.try_admin(Method::POST, &path, &body).await;
        assert!(matches!(status, 201 | 409), "{status} {answer}");
        token(&self.issuer, namespace, name)
    }

    /// Gives a cluster role to a service account, in a namespace or everywhere.
    pub(crate) async fn bind(&self, role: &str, (home, account): (&str, &str), namespace: Option<&str>) {
        let kind = if namespace.is_some() {
            "RoleBinding"
        } else {
            "ClusterRoleBinding"
        };
        let body = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": format!("{}-{account}", role.replace(':', "-"))},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": home, "name": account}],
        });
        let group = "/apis/rbac.authorization.k8s.io/v1";
        let path = match namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/rolebindings"),
            None => format!("{group}/clusterrolebindings"),
        };
        self.admin(Method::POST, &path, &body).await;
    }
}

fn token(issuer: &Issuer, namespace: &str, name: &str) -> String {
    let issued = issuer
        .issue(namespace, name, jiff::SignedDuration::from_hours(1))
        .expect("an account");
    issued.token
}
