//! Docker schema 1, which is no longer pushed but still imported.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_api::{DockerImage, ImageLayer};
use serde::Deserialize;

use super::{
    Error,
    document::{Config, Document, LayerSize},
};

/// Media type of its layers.
const LAYER: &str = "application/vnd.docker.container.image.rootfs.diff+x-gtar";

pub(super) struct Parsed {
    pub(super) layers: Vec<ImageLayer>,
    pub(super) metadata: DockerImage,
}

/// Layers, the base first (schema 1 lists it last), and metadata, of which the newest history entry knows most.
pub(super) fn read(document: &Document) -> Result<Parsed, Error> {
    let layers = document.fs_layers.as_deref().unwrap_or_default();
    let history = document.history.as_deref().unwrap_or_default();
    if layers.len() != history.len() || history.is_empty() {
        return Err(Error::History {
            layers: layers.len(),
            history: history.len(),
        });
    }
    let layers: Vec<ImageLayer> = layers
        .iter()
        .zip(history)
        .rev()
        .map(|(layer, history)| {
            let size = serde_json::from_str::<LayerSize>(&history.v1_compatibility)
                .unwrap_or_default()
                .size;
            ImageLayer {
                name: layer.blob_sum.clone(),
                size: size.unwrap_or_default().max(0),
                media_type: LAYER.to_owned(),
            }
        })
        .collect();
    let newest: Config = serde_json::from_str(&history[0].v1_compatibility).map_err(Error::Manifest)?;
    let mut metadata = newest.into_metadata();
    metadata.size = super::unique_size(&layers);
    Ok(Parsed { layers, metadata })
}

#[derive(Deserialize)]
struct Signed {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

/// What a signed manifest's digest covers: the document before its signatures were put in. None if it is not signed.
pub(super) fn payload(manifest: &str) -> Option<Vec<u8>> {
    let signed: Signed = serde_json::from_str(manifest).ok()?;
    let protected = URL_SAFE_NO_PAD
        .decode(&signed.signatures.first()?.protected)
        .ok()?;
    let protected: Protected = serde_json::from_slice(&protected).ok()?;
    let mut payload = manifest.as_bytes().get(..protected.format_length)?.to_vec();
    payload.extend(URL_SAFE_NO_PAD.decode(protected.format_tail).ok()?);
    Some(payload)
}
