use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    meta::{ObjectMeta, ObjectReference},
    time::Time,
    wire::{is_default, null_if_empty, null_if_empty_map, nullable},
};

/// A repository of images: the tags that are wanted (`spec`) and what each tag has pointed to (`status`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStream {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// Name and namespace are those of the repository.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(deserialize_with = "nullable")]
    pub spec: ImageStreamSpec,
    /// What happened.
    #[serde(deserialize_with = "nullable")]
    pub status: ImageStreamStatus,
}

/// Tags by name, as a list on the wire.
pub type SpecTags = BTreeMap<String, TagReference>;
/// Histories by tag, as a list on the wire.
pub type StatusTags = BTreeMap<String, NamedTagEventList>;

/// What is wanted of a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStreamSpec {
    /// Whether short image names in this namespace resolve through the stream.
    #[serde(deserialize_with = "nullable")]
    pub lookup_policy: ImageLookupPolicy,
    /// A repository that the whole stream is imported from; without tag and digest.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub docker_image_repository: String,
    /// Wanted tags.
    #[serde(with = "by_name", skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: SpecTags,
}

/// Whether names resolve through a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageLookupPolicy {
    /// Workloads of the namespace may name the stream like an image.
    #[serde(deserialize_with = "nullable")]
    pub local: bool,
}

/// A wanted tag: where it comes from and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagReference {
    /// The tag.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Shown on the tag and merged into the annotations of the image it returns.
    #[serde(deserialize_with = "nullable", serialize_with = "null_if_empty_map")]
    pub annotations: BTreeMap<String, String>,
    /// The source; absent for a tag that only carries annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<ObjectReference>,
    /// Never import, record the pull spec only.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub reference: bool,
    /// The stream generation at which this tag was last changed; zero asks for another import.
    pub generation: Option<i64>,
    /// How to import.
    #[serde(deserialize_with = "nullable")]
    pub import_policy: TagImportPolicy,
    /// Which pull spec consumers get.
    #[serde(deserialize_with = "nullable")]
    pub reference_policy: TagReferencePolicy,
}

/// How a tag is imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagImportPolicy {
    /// Unverified TLS and plain HTTP are allowed.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub insecure: bool,
    /// Import again from time to time.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub scheduled: bool,
    /// What becomes of an index; see [`ImportMode`].
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub import_mode: String,
}

/// Values of `importPolicy.importMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    /// One entry of an index takes its place.
    Legacy,
    /// The index and each of its entries are kept.
    PreserveOriginal,
}

impl ImportMode {
    /// The spelling on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "Legacy",
            Self::PreserveOriginal => "PreserveOriginal",
        }
    }
}

/// Which pull spec consumers of a tag get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagReferencePolicy {
    /// See [`ReferencePolicyType`]; anything else is refused by validation.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub policy_type: String,
}

/// Values of `referencePolicy.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferencePolicyType {
    /// The place that the image came from.
    Source,
    /// The integrated registry, which pulls through.
    Local,
}

impl ReferencePolicyType {
    /// The spelling on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "Source",
            Self::Local => "Local",
        }
    }
}

/// What happened to a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStreamStatus {
    /// Where the repository is reached from inside the cluster.
    #[serde(deserialize_with = "nullable")]
    pub docker_image_repository: String,
    /// Where the repository is reached from outside.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub public_docker_image_repository: String,
    /// The history of each tag.
    #[serde(with = "by_name", skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: StatusTags,
}

/// The history of one tag, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamedTagEventList {
    /// The tag.
    #[serde(deserialize_with = "nullable")]
    pub tag: String,
    /// Events; the first is what the tag points to now.
    #[serde(deserialize_with = "nullable", serialize_with = "null_if_empty")]
    pub items: Vec<TagEvent>,
    /// Present only while the last import has failed.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<TagEventCondition>,
}

/// A tag came to point to an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagEvent {
    /// When.
    pub created: Option<Time>,
    /// Where the image may be pulled.
    #[serde(deserialize_with = "nullable")]
    pub docker_image_reference: String,
    /// The name of the Image; empty for a tag that only records a pull spec.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    /// The generation of the spec (or of the stream) that this event fulfils.
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
}

/// Something about a tag that is not an event: its last import failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagEventCondition {
    /// `ImportSuccess`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub condition_type: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// When the status last changed.
    pub last_transition_time: Option<Time>,
    /// A word for machines.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub reason: String,
    /// A sentence for people.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub message: String,
    /// The generation of the spec tag that was tried.
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
}

/// An entry that knows the name it is filed under.
trait Named {
    fn name(&self) -> &str;
}

impl Named for TagReference {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for NamedTagEventList {
    fn name(&self) -> &str {
        &self.tag
    }
}

/// Lists on the wire, maps in memory: of two entries with one name the last wins.
mod by_name {
    use super::{BTreeMap, Deserialize, Deserializer, Named, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        map: &BTreeMap<String, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.values())
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
    where
        T: Deserialize<'de> + Named,
        D: Deserializer<'de>,
    {
        let items = Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(items
            .into_iter()
            .map(|item| (item.name().to_owned(), item))
            .collect())
    }
}
