use serde::{Deserialize, Serialize};

use crate::{
    bytes::Base64,
    docker::DockerImage,
    meta::ObjectMeta,
    signature::ImageSignature,
    wire::{is_default, nullable},
};

/// One manifest that the cluster knows, cluster-scoped and named by its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// The name is the digest of the manifest.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// Where the image may be pulled.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub docker_image_reference: String,
    /// What the configuration says.
    #[serde(deserialize_with = "nullable")]
    pub docker_image_metadata: DockerImage,
    /// The shape of `docker_image_metadata`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub docker_image_metadata_version: String,
    /// The raw manifest, unless the registry's storage has it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub docker_image_manifest: String,
    /// Layers, the base first. Empty for an index.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub docker_image_layers: Vec<ImageLayer>,
    /// Signatures that were posted for this image.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<ImageSignature>,
    /// Signatures embedded in a Docker schema 1 manifest.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub docker_image_signatures: Vec<Base64>,
    /// The media type of the manifest.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub docker_image_manifest_media_type: String,
    /// The raw configuration, unless the registry's storage has it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub docker_image_config: String,
    /// The entries of an index.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub docker_image_manifests: Vec<ImageManifest>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            kind: String::new(),
            api_version: String::new(),
            metadata: ObjectMeta::default(),
            docker_image_reference: String::new(),
            docker_image_metadata: DockerImage::default(),
            docker_image_metadata_version: DockerImage::VERSION.to_owned(),
            docker_image_manifest: String::new(),
            docker_image_layers: Vec::new(),
            signatures: Vec::new(),
            docker_image_signatures: Vec::new(),
            docker_image_manifest_media_type: String::new(),
            docker_image_config: String::new(),
            docker_image_manifests: Vec::new(),
        }
    }
}

/// One layer of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageLayer {
    /// The digest of the layer's blob.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Bytes of the blob.
    #[serde(deserialize_with = "nullable")]
    pub size: i64,
    /// The media type of the blob.
    #[serde(deserialize_with = "nullable")]
    pub media_type: String,
}

/// One entry of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageManifest {
    /// The digest of the entry's manifest, which is the name of its Image.
    #[serde(deserialize_with = "nullable")]
    pub digest: String,
    /// The media type of the entry's manifest.
    #[serde(deserialize_with = "nullable")]
    pub media_type: String,
    /// Bytes of the entry's manifest.
    #[serde(deserialize_with = "nullable")]
    pub manifest_size: i64,
    /// The CPU architecture; empty for an entry without a platform, such as an attestation.
    #[serde(deserialize_with = "nullable")]
    pub architecture: String,
    /// The operating system; empty for an entry without a platform.
    #[serde(deserialize_with = "nullable")]
    pub os: String,
    /// The variant of the CPU.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub variant: String,
}
