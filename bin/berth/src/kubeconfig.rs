//! The kubeconfig that `kubectl`, `oc` and Berth's own commands use.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// A kubeconfig (JSON, which every reader of YAML takes) for one user with a client certificate.
pub(crate) fn render(server: &str, authority: &str, certificate: &str, key: &str) -> Vec<u8> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "berth", "cluster": {
            "server": server, "certificate-authority-data": STANDARD.encode(authority),
        }}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key),
        }}],
        "contexts": [{"name": "admin", "context": {"cluster": "berth", "user": "admin", "namespace": "default"}}],
        "current-context": "admin",
    });
    let mut bytes = format!("{config:#}").into_bytes();
    bytes.push(b'\n');
    bytes
}
