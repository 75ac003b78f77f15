//! Images and mappings that the tests post.

use berth_oci::Digest;
use serde_json::{Value, json};

/// The root of the image API.
pub(crate) const IMG: &str = "/apis/image.openshift.io/v1";

/// A path below a namespace.
pub(crate) fn path(namespace: &str, rest: &str) -> String {
    format!("{IMG}/namespaces/{namespace}/{rest}")
}

/// The digest of a text.
pub(crate) fn digest(text: &str) -> String {
    Digest::sha256(text.as_bytes()).to_string()
}

/// An Image whose manifest names one layer of `size` bytes; different names make different images.
pub(crate) fn image(name: &str, size: i64) -> Value {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(name), "size": size}],
    });
    of_manifest(&manifest.to_string(), "{}")
}

/// An index of other Images.
pub(crate) fn index(images: &[&Value]) -> Value {
    let entries: Vec<Value> = images
        .iter()
        .map(|image| json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": id(image), "size": 7}))
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
    of_manifest(&manifest.to_string(), "")
}

fn of_manifest(manifest: &str, config: &str) -> Value {
    json!({
        "metadata": {
            "name": digest(manifest),
            "annotations": {"image.openshift.io/manifestBlobStored": "true", "openshift.io/image.managed": "true"},
        },
        "dockerImageManifest": manifest,
        "dockerImageConfig": config,
        "dockerImageReference": format!("registry.test:5000/elsewhere/x@{}", digest(manifest)),
    })
}

/// The name of an Image.
pub(crate) fn id(image: &Value) -> String {
    image["metadata"]["name"]
        .as_str()
        .expect("images have names")
        .to_owned()
}

/// A mapping of a tag to an Image.
pub(crate) fn mapping(stream: &str, tag: &str, image: &Value) -> Value {
    json!({"metadata": {"name": stream}, "tag": tag, "image": image})
}

/// A binding of a cluster role to a user.
pub(crate) fn binding(role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": format!("{role}-{user}").replace(':', "-")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": user}],
    })
}

/// Where role bindings of a namespace are.
pub(crate) fn bindings(namespace: &str) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings")
}
