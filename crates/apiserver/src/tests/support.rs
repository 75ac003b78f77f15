//! A server in memory.

use std::sync::Arc;

use berth_store::MemoryStore;

use crate::assemble::{Assembled, assemble};
use crate::config::Config;

/// A configuration over `store`.
pub(super) fn config(store: Arc<dyn berth_store::Store>) -> Config {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    Config {
        store,
        internal_registry_host: Some("registry.test:5000".to_owned()),
        external_registry_hosts: Vec::new(),
        issuer: "https://api.test".to_owned(),
        audiences: Vec::new(),
        signing_keys: vec![key.into_bytes()],
        client_ca: None,
        ca_bundle: b"-----BEGIN CERTIFICATE-----".to_vec(),
        oauth: None,
    }
}

/// A fresh server without its loops.
pub(super) async fn fresh() -> Assembled {
    assemble(&config(Arc::new(MemoryStore::new()))).await.unwrap()
}
