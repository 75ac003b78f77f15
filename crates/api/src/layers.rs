use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    meta::ObjectMeta,
    wire::{is_default, null_if_empty, nullable},
};

/// Everything that a stream's history gives access to: `imagestreams/<name>/layers`. The right to read it is the right to pull.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStreamLayers {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// The stream's metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// Every layer, configuration and manifest, by digest.
    #[serde(deserialize_with = "nullable")]
    pub blobs: BTreeMap<String, ImageLayerData>,
    /// Every image, by name, with what it refers to.
    #[serde(deserialize_with = "nullable")]
    pub images: BTreeMap<String, ImageBlobReferences>,
}

/// One blob of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageLayerData {
    /// Bytes, known for layers only.
    pub size: Option<i64>,
    /// The media type.
    #[serde(deserialize_with = "nullable")]
    pub media_type: String,
}

/// What an image refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageBlobReferences {
    /// Layers, the base first; `null` for an index.
    #[serde(deserialize_with = "nullable", serialize_with = "null_if_empty")]
    pub layers: Vec<String>,
    /// The configuration.
    pub config: Option<String>,
    /// The Image object does not exist (any more).
    #[serde(deserialize_with = "nullable")]
    pub image_missing: bool,
    /// The entries of an index.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
}
