//! Manifests and configurations, read as leniently as an Image allows: what is missing is empty.

use berth_api::{DockerConfig, DockerImage, Time};
use serde::{Deserialize, Deserializer};

/// Any manifest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    media_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Option<Vec<Descriptor>>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) fs_layers: Option<Vec<FsLayer>>,
    pub(super) history: Option<Vec<History>>,
    signatures: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: i64,
    pub(super) platform: Option<Platform>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Platform {
    pub(super) architecture: String,
    pub(super) os: String,
    pub(super) variant: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FsLayer {
    pub(super) blob_sum: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct History {
    #[serde(rename = "v1Compatibility")]
    pub(super) v1_compatibility: String,
}

impl Document {
    /// The manifest's media type: its own word, else that of whoever sent it, else what its fields suggest.
    pub(super) fn media_type<'a>(&'a self, declared: &'a str) -> &'a str {
        if let Some(media_type) = self
            .media_type
            .as_deref()
            .filter(|media_type| !media_type.is_empty())
        {
            return media_type;
        }
        if !declared.is_empty() {
            return declared;
        }
        match self {
            Self {
                fs_layers: Some(_),
                signatures: Some(_),
                ..
            } => super::SCHEMA1_SIGNED,
            Self {
                fs_layers: Some(_), ..
            } => super::SCHEMA1,
            Self {
                manifests: Some(_), ..
            } => super::OCI_INDEX,
            _ => super::OCI_MANIFEST,
        }
    }
}

/// An image's configuration, OCI's or Docker's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    id: Option<String>,
    parent: Option<String>,
    comment: Option<String>,
    #[serde(deserialize_with = "lenient_time")]
    created: Option<Time>,
    container: Option<String>,
    container_config: Option<DockerConfig>,
    docker_version: Option<String>,
    author: Option<String>,
    config: Option<DockerConfig>,
    architecture: Option<String>,
    #[serde(rename = "Size")]
    size: Option<i64>,
}

impl Config {
    pub(super) fn into_metadata(self) -> DockerImage {
        DockerImage {
            id: self.id.unwrap_or_default(),
            parent: self.parent.unwrap_or_default(),
            comment: self.comment.unwrap_or_default(),
            created: self.created,
            container: self.container.unwrap_or_default(),
            container_config: self.container_config.unwrap_or_default(),
            docker_version: self.docker_version.unwrap_or_default(),
            author: self.author.unwrap_or_default(),
            config: self.config,
            architecture: self.architecture.unwrap_or_default(),
            size: self.size.unwrap_or_default().max(0),
        }
    }
}

/// Year one is how Go spells "never", and a time that cannot be read is no reason to know nothing about an image.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let time = text.and_then(|text| Time::parse(&text).ok());
    Ok(time.filter(|time| time.timestamp().as_second() > GO_ZERO_SECOND))
}

/// `0001-01-01T00:00:00Z`.
const GO_ZERO_SECOND: i64 = -62_135_596_800;

/// The part of a schema 1 history entry that tells a layer's size.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LayerSize {
    #[serde(rename = "Size")]
    pub(super) size: Option<i64>,
}
