mod certificates;
mod forged;
mod tokens;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use super::{Accounts, BoundKind, SigningKey, SigningKeys, TokenIssuer, TokenVerifier};
use crate::{entry::Entry, object::Object};

const ISSUER: &str = "https://kubernetes.default.svc";

/// The moment at which the tests happen, in seconds.
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

/// Objects by kind, namespace and name.
#[derive(Default)]
struct Cluster(Mutex<HashMap<String, Arc<Entry>>>);

impl Cluster {
    fn put(&self, kind: &str, namespace: &str, name: &str, mut object: Value) {
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        let entry = Arc::new(Entry::new(Object::from_value(object).unwrap()));
        self.0
            .lock()
            .unwrap()
            .insert(format!("{kind}/{namespace}/{name}"), entry);
    }

    fn remove(&self, kind: &str, namespace: &str, name: &str) {
        self.0
            .lock()
            .unwrap()
            .remove(&format!("{kind}/{namespace}/{name}"));
    }

    fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.0
            .lock()
            .unwrap()
            .get(&format!("{kind}/{namespace}/{name}"))
            .cloned()
    }
}

impl Accounts for Cluster {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.find("account", namespace, name)
    }

    fn bound(&self, kind: BoundKind, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        let kind = match kind {
            BoundKind::Secret => "secret",
            BoundKind::Pod => "pod",
            BoundKind::Node => "node",
        };
        self.find(kind, namespace, name)
    }
}

fn ec_pem() -> String {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .unwrap()
        .serialize_pem()
}

struct Setup {
    cluster: Arc<Cluster>,
    keys: SigningKeys,
    issuer: TokenIssuer,
    pem: String,
    other_pem: String,
}

impl Setup {
    /// Two keys, of which the first signs, and the service account `demo/builder` with the uid `u1`.
    fn new() -> Self {
        let (pem, other_pem) = (ec_pem(), ec_pem());
        let key = |pem: &str| SigningKey::from_pem(pem.as_bytes()).unwrap();
        let keys = SigningKeys::new(vec![key(&pem), key(&other_pem)]).unwrap();
        let cluster = Arc::new(Cluster::default());
        cluster.put("account", "demo", "builder", json!({"metadata": {"uid": "u1"}}));
        let issuer = TokenIssuer::new(keys.clone(), ISSUER, &[]);
        Self {
            cluster,
            keys,
            issuer,
            pem,
            other_pem,
        }
    }

    fn verifier(&self, clock: fn() -> Timestamp) -> TokenVerifier {
        TokenVerifier::new(self.keys.clone(), ISSUER, &[], self.cluster.clone())
            .unwrap()
            .at(clock)
    }
}
