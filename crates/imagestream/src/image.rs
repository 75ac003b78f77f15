//! What an Image tells about its manifest, and what of it may change.
//!
//! When the raw manifest is at hand it is the only authority: layers, sizes, entries of an index and the configuration's digest
//! are read from it, whatever the client sent next to it, and the Image must be [named](check_name) by its digest. Afterwards
//! both documents are dropped if the registry's storage has them.

mod document;
mod schema1;

use std::collections::BTreeMap;

use berth_api::{DockerImage, Image, ImageLayer, ImageManifest, Time, annotation};
use berth_oci::Digest;

use self::document::{Config, Document};

/// Media type of signed Docker schema 1 manifests.
const SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Media type of unsigned Docker schema 1 manifests.
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Why the manifest of an Image tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not the JSON of a manifest.
    #[error("reading the manifest")]
    Manifest(#[source] serde_json::Error),
    /// A size in it is negative or absurd.
    #[error("the manifest names content of {0} bytes")]
    Size(i64),
    /// A schema 1 manifest is inconsistent.
    #[error("the manifest has {layers} layers and a history of {history}")]
    History {
        /// Number of layers.
        layers: usize,
        /// Number of history entries.
        history: usize,
    },
}

/// The Image is named by something else than the digest of its manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the digest of the manifest, which is {digest}")]
pub struct WrongName {
    /// The digest of the manifest.
    pub digest: String,
}

/// Checks that an Image that carries its manifest is named by the manifest's digest. One without cannot be checked.
///
/// OpenShift does not check, so that whoever may post mappings can plant a cluster-wide Image for any digest.
///
/// # Errors
/// [`WrongName`] with the right name.
pub fn check_name(image: &Image) -> Result<(), WrongName> {
    let manifest = &image.docker_image_manifest;
    if manifest.is_empty() || is_named_by(&image.metadata.name, manifest) {
        return Ok(());
    }
    Err(WrongName {
        digest: Digest::sha256(
            schema1::payload(manifest)
                .as_deref()
                .unwrap_or(manifest.as_bytes()),
        )
        .to_string(),
    })
}

/// Whether `name` is the digest of `manifest`; of its payload, if it is a signed schema 1 manifest.
fn is_named_by(name: &str, manifest: &str) -> bool {
    let Ok(digest) = name.parse::<Digest>() else {
        return false;
    };
    digest.matches(manifest.as_bytes())
        || schema1::payload(manifest).is_some_and(|payload| digest.matches(&payload))
}

/// Fills what the manifest and the configuration tell: layers, entries, media type and `dockerImageMetadata`.
///
/// `child` looks up the Images of an index's entries, to add up a size; those that do not exist (yet) count nothing. `now` is
/// the time at which an index counts as created. Without a manifest only the order of the layers is normalised.
///
/// # Errors
/// If the manifest cannot be understood; the Image is unchanged then. A configuration that cannot be understood is no error:
/// artifacts have configurations of any kind, and the sizes do not need it.
pub fn fill_metadata(
    image: &mut Image,
    now: Time,
    child: impl FnMut(&str) -> Option<Image>,
) -> Result<(), Error> {
    if image.docker_image_manifest.is_empty() {
        order_layers(image);
        return Ok(());
    }
    let document: Document = serde_json::from_str(&image.docker_image_manifest).map_err(Error::Manifest)?;
    let media_type = document.media_type(&image.docker_image_manifest_media_type);
    let mut metadata = DockerImage::default();
    let mut layers = Vec::new();
    let mut entries = Vec::new();
    match media_type {
        DOCKER_LIST | OCI_INDEX => {
            entries = document
                .manifests
                .iter()
                .flatten()
                .map(entry)
                .collect::<Result<_, _>>()?;
            metadata.id.clone_from(&image.metadata.name);
            metadata.created = Some(now);
            metadata.size = index_size(&entries, child);
        }
        SCHEMA1 | SCHEMA1_SIGNED => {
            let parsed = schema1::read(&document)?;
            layers = parsed.layers;
            metadata = parsed.metadata;
        }
        _ => {
            let config = document.config.as_ref();
            layers = document
                .layers
                .iter()
                .flatten()
                .map(layer)
                .collect::<Result<_, _>>()?;
            if let Ok(parsed) = serde_json::from_str::<Config>(&image.docker_image_config) {
                metadata = parsed.into_metadata();
            }
            metadata.id = config.map(|config| config.digest.clone()).unwrap_or_default();
            metadata.size = add(
                config.map_or(Ok(0), |config| size(config.size))?,
                unique_size(&layers),
            );
        }
    }
    if !layers.is_empty() || image.metadata.annotations.contains_key(annotation::LAYERS_ORDER) {
        image.metadata.annotations.insert(
            annotation::LAYERS_ORDER.into(),
            annotation::LAYERS_ASCENDING.into(),
        );
    }
    image.docker_image_manifest_media_type = media_type.to_owned();
    image.docker_image_layers = layers;
    image.docker_image_manifests = entries;
    image.docker_image_metadata = metadata;
    DockerImage::VERSION.clone_into(&mut image.docker_image_metadata_version);
    Ok(())
}

/// Drops the raw manifest and configuration if the registry's storage has them, and a retired annotation always.
pub fn drop_stored_documents(image: &mut Image) {
    if image.metadata.is_annotated(annotation::MANIFEST_BLOB_STORED) {
        image.docker_image_manifest.clear();
        image.docker_image_config.clear();
    }
    image.metadata.annotations.remove(annotation::MANAGED_SIGNATURE);
}

/// Makes an Image ready to replace `old`. What follows from the content stays as it is: metadata, layers, embedded signatures,
/// and, once known, entries and media type. The raw documents may be dropped, or put back if they are the right ones.
pub fn prepare_update(new: &mut Image, old: &Image) {
    new.docker_image_metadata = old.docker_image_metadata.clone();
    new.docker_image_metadata_version
        .clone_from(&old.docker_image_metadata_version);
    new.docker_image_layers.clone_from(&old.docker_image_layers);
    if !old.docker_image_signatures.is_empty() {
        new.docker_image_signatures
            .clone_from(&old.docker_image_signatures);
    }
    if !old.docker_image_manifests.is_empty() {
        new.docker_image_manifests.clone_from(&old.docker_image_manifests);
    }
    if !old.docker_image_manifest_media_type.is_empty() {
        new.docker_image_manifest_media_type
            .clone_from(&old.docker_image_manifest_media_type);
    }
    let manifest = &new.docker_image_manifest;
    if !manifest.is_empty()
        && *manifest != old.docker_image_manifest
        && !is_named_by(&old.metadata.name, manifest)
    {
        new.docker_image_manifest.clone_from(&old.docker_image_manifest);
    }
    let config = &new.docker_image_config;
    if !config.is_empty() && *config != old.docker_image_config {
        let expected = old.docker_image_metadata.id.parse::<Digest>();
        if !expected.is_ok_and(|digest| digest.matches(config.as_bytes())) {
            new.docker_image_config.clone_from(&old.docker_image_config);
        }
    }
}

/// The size that a limit on images applies to, in bytes: an image's own, and of an index that of its largest entry.
///
/// OpenShift does not limit indexes at all. Their sum would forbid images for many platforms that are each small enough.
pub fn limited_size(image: &Image, mut child: impl FnMut(&str) -> Option<Image>) -> i64 {
    if image.docker_image_manifests.is_empty() {
        return image.docker_image_metadata.size;
    }
    let sizes = image
        .docker_image_manifests
        .iter()
        .filter_map(|entry| child(&entry.digest));
    sizes
        .map(|child| child.docker_image_metadata.size)
        .max()
        .unwrap_or(0)
}

/// Puts layers that were sent in descending order the right way round.
fn order_layers(image: &mut Image) {
    let Some(order) = image.metadata.annotations.get_mut(annotation::LAYERS_ORDER) else {
        return;
    };
    if order == annotation::LAYERS_DESCENDING {
        annotation::LAYERS_ASCENDING.clone_into(order);
        image.docker_image_layers.reverse();
    }
}

fn size(bytes: i64) -> Result<i64, Error> {
    if bytes < 0 {
        Err(Error::Size(bytes))
    } else {
        Ok(bytes)
    }
}

fn add(a: i64, b: i64) -> i64 {
    a.saturating_add(b)
}

fn layer(descriptor: &document::Descriptor) -> Result<ImageLayer, Error> {
    Ok(ImageLayer {
        name: descriptor.digest.clone(),
        size: size(descriptor.size)?,
        media_type: descriptor.media_type.clone(),
    })
}

fn entry(descriptor: &document::Descriptor) -> Result<ImageManifest, Error> {
    let platform = descriptor.platform.clone().unwrap_or_default();
    Ok(ImageManifest {
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        manifest_size: size(descriptor.size)?,
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
    })
}

/// Bytes of the distinct layers: a registry stores each once.
fn unique_size(layers: &[ImageLayer]) -> i64 {
    let distinct: BTreeMap<&str, i64> = layers
        .iter()
        .map(|layer| (layer.name.as_str(), layer.size))
        .collect();
    distinct.into_values().fold(0, add)
}

/// Bytes of everything distinct that the entries of an index hold, as far as their Images are known.
fn index_size(entries: &[ImageManifest], mut child: impl FnMut(&str) -> Option<Image>) -> i64 {
    let mut layers = BTreeMap::new();
    let mut configs = BTreeMap::new();
    for entry in entries {
        let Some(image) = child(&entry.digest) else {
            continue;
        };
        let metadata = &image.docker_image_metadata;
        configs.insert(
            metadata.id.clone(),
            add(metadata.size, -unique_size(&image.docker_image_layers)).max(0),
        );
        layers.extend(
            image
                .docker_image_layers
                .into_iter()
                .map(|layer| (layer.name, layer.size)),
        );
    }
    layers.into_values().chain(configs.into_values()).fold(0, add)
}

#[cfg(test)]
mod tests;
