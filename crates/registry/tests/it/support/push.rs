//! Pushing images, and looking at what came of it.

use http::{Method, StatusCode};

use super::{Answer, As, Peer, api::Api, image, registry};

/// Who pushes.
pub(crate) const ALICE: As<'static> = As::Basic("a");

/// A project `demo` that alice builds in, and a registry.
pub(crate) fn world() -> (Api, Peer) {
    let api = Api::new();
    api.builder("a", "alice", "demo")
        .user("b", "bob")
        .grant("bob get imagestreams/layers demo/*");
    api.user("admin", "root")
        .grant("root delete images /*")
        .grant("root get imagestreams/layers demo/*");
    let registry = registry(&api);
    (api, registry)
}

/// Pushes the blobs of an image and returns its manifest.
pub(crate) async fn prepare(registry: &Peer, who: As<'_>, repository: &str, name: &str) -> image::Manifest {
    let (config, layer) = (image::config(name), format!("layer {name}").into_bytes());
    for blob in [&config, &layer] {
        assert_eq!(
            registry.push_blob(who, repository, blob).await.status,
            StatusCode::CREATED
        );
    }
    image::manifest(&config, &layer)
}

pub(crate) async fn head(registry: &Peer, who: As<'_>, path: &str) -> u16 {
    registry
        .send(
            who,
            Method::HEAD,
            path,
            &[(
                "accept",
                "*/*, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
            )],
            b"",
        )
        .await
        .status
        .as_u16()
}

pub(crate) fn refusal(answer: &Answer) -> (u16, String) {
    (
        answer.status.as_u16(),
        answer.codes().expect("an error body")[0].clone(),
    )
}
