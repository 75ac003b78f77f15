use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    time::Time,
    wire::{is_default, nullable},
};

/// `{}`: the value of a set that JSON spells as a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EmptyObject {}

impl<'de> Deserialize<'de> for EmptyObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

/// What the API tells about an image without its manifest at hand: `dockerImageMetadata`, in its version 1.0.
///
/// The shape is fixed: keys that it does not have are dropped on write. It is written with `kind: DockerImage` and
/// `apiVersion: image.openshift.io/1.0`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DockerImage {
    /// The digest of the configuration; of the index itself for an index.
    pub id: String,
    /// Docker's parent image, of old formats.
    pub parent: String,
    /// The comment of the build.
    pub comment: String,
    /// When the image was made.
    pub created: Option<Time>,
    /// The container that it was committed from.
    pub container: String,
    /// The configuration of that container.
    pub container_config: DockerConfig,
    /// The builder's version.
    pub docker_version: String,
    /// The author.
    pub author: String,
    /// How a container of this image runs.
    pub config: Option<DockerConfig>,
    /// The CPU architecture, in Go's spelling.
    pub architecture: String,
    /// Bytes: the configuration and each distinct layer, compressed.
    pub size: i64,
}

impl DockerImage {
    /// `dockerImageMetadataVersion` of this shape.
    pub const VERSION: &'static str = "1.0";
    const KIND: &'static str = "DockerImage";
    const API_VERSION: &'static str = "image.openshift.io/1.0";
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wire {
    #[serde(rename = "kind", skip_deserializing)]
    kind: &'static str,
    #[serde(rename = "apiVersion", skip_deserializing)]
    api_version: &'static str,
    #[serde(deserialize_with = "nullable")]
    id: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    parent: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    comment: String,
    created: Option<Time>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    container: String,
    #[serde(deserialize_with = "nullable")]
    container_config: DockerConfig,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    docker_version: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<DockerConfig>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    architecture: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    size: i64,
}

impl Default for Wire {
    fn default() -> Self {
        DockerImage::default().into()
    }
}

impl From<DockerImage> for Wire {
    fn from(image: DockerImage) -> Self {
        Self {
            kind: DockerImage::KIND,
            api_version: DockerImage::API_VERSION,
            id: image.id,
            parent: image.parent,
            comment: image.comment,
            created: image.created,
            container: image.container,
            container_config: image.container_config,
            docker_version: image.docker_version,
            author: image.author,
            config: image.config,
            architecture: image.architecture,
            size: image.size,
        }
    }
}

impl From<Wire> for DockerImage {
    fn from(wire: Wire) -> Self {
        Self {
            id: wire.id,
            parent: wire.parent,
            comment: wire.comment,
            created: wire.created,
            container: wire.container,
            container_config: wire.container_config,
            docker_version: wire.docker_version,
            author: wire.author,
            config: wire.config,
            architecture: wire.architecture,
            size: wire.size,
        }
    }
}

impl Serialize for DockerImage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DockerImage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Into::into)
    }
}

/// How a container runs, in the shape of Docker 1.x. What later versions added (health checks, stop signals) has no place here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DockerConfig {
    /// Host name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub hostname: String,
    /// Domain name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub domainname: String,
    /// User, and possibly group, of the process.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub user: String,
    /// Memory limit in bytes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub memory: i64,
    /// Memory and swap limit in bytes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub memory_swap: i64,
    /// Relative CPU weight.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub cpu_shares: i64,
    /// CPUs to run on.
    #[serde(
        rename = "Cpuset",
        deserialize_with = "nullable",
        skip_serializing_if = "is_default"
    )]
    pub cpu_set: String,
    /// Attach standard input.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub attach_stdin: bool,
    /// Attach standard output.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub attach_stdout: bool,
    /// Attach standard error.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub attach_stderr: bool,
    /// Ports, in the oldest spelling.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub port_specs: Vec<String>,
    /// Ports that the process listens on, as `<port>/<protocol>`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, EmptyObject>,
    /// Give it a terminal.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub tty: bool,
    /// Keep standard input open.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub open_stdin: bool,
    /// Close standard input after the first client.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub stdin_once: bool,
    /// Environment, as `NAME=value`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Arguments, or the command.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Name servers.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// The image it was built from.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub image: String,
    /// Paths that should be volumes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, EmptyObject>,
    /// Containers to take volumes from.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub volumes_from: String,
    /// Working directory.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub working_dir: String,
    /// The command that gets `cmd` as arguments.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// No network.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub network_disabled: bool,
    /// Security options.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub security_opts: Vec<String>,
    /// Instructions for images built on this one.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
