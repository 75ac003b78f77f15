//! A server, and clients of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_apimachinery::authn::PeerCertificates;
use berth_apimachinery::server::ApiServer;
use berth_apiserver::{Config, TokenSource, build};
use berth_store::MemoryStore;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Longest time that a controller may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running server.
pub(crate) struct Api {
    pub(crate) server: ApiServer,
    pub(crate) tokens: TokenSource,
    admin: PeerCertificates,
    _stop: oneshot::Sender<()>,
    _tasks: JoinSet<()>,
}

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who<'a> {
    /// `system:masters`.
    Admin,
    /// This user, impersonated by the administrator.
    User(&'a str),
    /// The same in groups.
    Member(&'a str, &'a [&'a str]),
    /// This bearer token.
    Token(&'a str),
    /// Nobody in particular.
    Nobody,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The message of a Status.
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The body of an answer with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{:#}", self.body);
        self.body
    }

    /// The names of a list's items.
    pub(crate) fn names(&self) -> Vec<&str> {
        let items = self.body["items"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        items
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap_or_default())
            .collect()
    }
}

impl Api {
    /// A fresh server with its loops.
    pub(crate) async fn start() -> Api {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_pem = ca.clone().self_signed(&ca_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut admin = rcgen::CertificateParams::new(Vec::new()).unwrap();
        admin
            .distinguished_name
            .push(rcgen::DnType::CommonName, "system:admin");
        admin
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "system:masters");
        admin.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let admin = admin.signed_by(&key, &issuer).unwrap();

        let (server, controllers) = build(Config {
            store: Arc::new(MemoryStore::new()),
            internal_registry_host: Some("registry.test:5000".to_owned()),
            external_registry_hosts: Vec::new(),
            issuer: "https://api.test".to_owned(),
            audiences: Vec::new(),
            signing_keys: vec![rcgen::KeyPair::generate().unwrap().serialize_pem().into_bytes()],
            client_ca: Some(ca_pem.clone().into_bytes()),
            ca_bundle: ca_pem.into_bytes(),
            oauth: Some(berth_oauth::Config::new("https://api.test", b"key".to_vec())),
        })
        .await
        .unwrap();
        let tokens = controllers.tokens();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            controllers.run(stopped).await.unwrap();
        });
        let admin = PeerCertificates::new(vec![admin.der().to_vec()]);
        Api {
            server,
            tokens,
            admin,
            _stop: stop,
            _tasks: tasks,
        }
    }

    /// Sends a request with a JSON body, or without one if it is null.
    pub(crate) async fn call(&self, who: Who<'_>, method: &str, path: &str, body: Value) -> Answer {
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        self.send(who, method, path, &[("content-type", kind)], body)
            .await
    }

    /// Sends a request with headers of its own.
    pub(crate) async fn send(
        &self,
        who: Who<'_>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut certificates = None;
        match who {
            Who::Admin => certificates = Some(self.admin.clone()),
            Who::User(name) => {
                certificates = Some(self.admin.clone());
                request = request.header("impersonate-user", name);
            }
            Who::Member(name, groups) => {
                certificates = Some(self.admin.clone());
                request = request.header("impersonate-user", name);
                for group in groups {
                    request = request.header("impersonate-group", *group);
                }
            }
            Who::Token(token) => request = request.header("authorization", format!("Bearer {token}")),
            Who::Nobody => {}
        }
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let mut request = request.body(Full::new(bytes)).unwrap();
        if let Some(certificates) = certificates {
            request.extensions_mut().insert(certificates);
        }
        let response = self.server.handle(request).await;
        let (parts, body) = response.into_parts();
        if path.contains("watch=true") && parts.status == 200 {
            // Its body ends when the watch does.
            return Answer {
                code: 200,
                body: Value::Null,
            };
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer {
            code: parts.status.as_u16(),
            body,
        }
    }

    /// Reads as the administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Who::Admin, "GET", path, Value::Null).await
    }

    /// Creates as the administrator, which must work.
    #[track_caller]
    pub(crate) fn create(&self, path: &str, body: Value) -> impl Future<Output = Value> {
        let path = path.to_owned();
        async move { self.call(Who::Admin, "POST", &path, body).await.expect(201) }
    }

    /// Creates a namespace.
    pub(crate) async fn namespace(&self, name: &str) {
        let body = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.create("/api/v1/namespaces", body).await;
    }

    /// Reads until the answer is as wanted, and returns it.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{path}: {} {:#}",
                answer.code,
                answer.body
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Api {
    /// A request without body, from the administrator.
    pub(crate) fn as_admin(&self, request: http::request::Builder) -> Request<Full<Bytes>> {
        let mut request = request.body(Full::default()).unwrap();
        request.extensions_mut().insert(self.admin.clone());
        request
    }
}
