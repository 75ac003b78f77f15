use serde::{Deserialize, Serialize};

use crate::{
    image::Image,
    meta::ObjectMeta,
    stream::{ImageLookupPolicy, NamedTagEventList, TagEventCondition, TagReference},
    wire::{is_default, nullable},
};

/// What a push posts: "tag `tag` of this stream now points to this image".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStreamMapping {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// Name and namespace of the stream.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// The image.
    #[serde(deserialize_with = "nullable")]
    pub image: Image,
    /// The tag.
    #[serde(deserialize_with = "nullable")]
    pub tag: String,
}

/// The image that a tag points to now, under the name `<stream>:<tag>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStreamTag {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// Version and uid are the stream's; annotations are the wanted tag's.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// The wanted tag, if there is one.
    pub tag: Option<TagReference>,
    /// The generation of the newest event.
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
    /// The stream's lookup policy.
    #[serde(deserialize_with = "nullable")]
    pub lookup_policy: ImageLookupPolicy,
    /// Present while the last import has failed.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<TagEventCondition>,
    /// The image, its reference resolved by the tag's policy.
    #[serde(deserialize_with = "nullable")]
    pub image: Image,
}

/// A tag with all that is known about it, under the name `<stream>:<tag>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageTag {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// The stream's metadata under the tag's name.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// The wanted tag.
    pub spec: Option<TagReference>,
    /// The whole history.
    pub status: Option<NamedTagEventList>,
    /// The image that the newest event names; absent in lists.
    pub image: Option<Image>,
}

/// An image that a stream has held, under the name `<stream>@<digest>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStreamImage {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// The name as it was asked for.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// The image.
    #[serde(deserialize_with = "nullable")]
    pub image: Image,
}
