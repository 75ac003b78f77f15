//! Images made of nothing but their own names.

use berth_oci::Digest;
use serde_json::json;

/// A manifest as it is pushed.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
}

impl Manifest {
    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }
}

/// The configuration of an image; its content depends on `of`.
pub(crate) fn config(of: &str) -> Vec<u8> {
    json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"of": of}}, "rootfs": {"type": "layers", "diff_ids": []}})
        .to_string()
        .into_bytes()
}

/// An OCI image manifest over one layer.
pub(crate) fn manifest(config: &[u8], layer: &[u8]) -> Manifest {
    let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::sha256(bytes).to_string(), "size": bytes.len()});
    let bytes = json!({
        "schemaVersion": 2,
        "mediaType": berth_oci::media_type::OCI_MANIFEST,
        "config": descriptor(berth_oci::media_type::OCI_CONFIG, config),
        "layers": [descriptor(berth_oci::media_type::OCI_LAYER_GZIP, layer)],
    });
    Manifest {
        bytes: bytes.to_string().into_bytes(),
        media_type: berth_oci::media_type::OCI_MANIFEST,
    }
}

/// An index over one manifest.
pub(crate) fn index(child: &Manifest) -> Manifest {
    let bytes = json!({
        "schemaVersion": 2,
        "mediaType": berth_oci::media_type::OCI_INDEX,
        "manifests": [{"mediaType": child.media_type, "digest": child.digest().to_string(), "size": child.bytes.len()}],
    });
    Manifest {
        bytes: bytes.to_string().into_bytes(),
        media_type: berth_oci::media_type::OCI_INDEX,
    }
}
