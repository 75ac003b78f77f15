//! Descriptors: a digest with a size and a type, the arrows of the content graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, MediaType};

/// Key to value; sorted, so that what is written again is always the same.
pub type Annotations = BTreeMap<String, String>;

/// A pointer to content.
///
/// Spec: OCI image specification, "Content descriptors". Docker's descriptors are a subset of it. Fields that are unknown
/// here are ignored, as the specification asks; whoever stores a manifest stores its bytes, not this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Type of the content.
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Length of the content, in bytes; never negative, and at most [`SIZE_MAX`].
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Where else the content may be fetched.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Notes for the user.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: Annotations,
    /// The content itself, in base64.
    #[serde(
        default,
        deserialize_with = "nonempty",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<String>,
    /// Type of the artifact, when the content is a manifest of one.
    #[serde(
        default,
        deserialize_with = "artifact_type",
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<MediaType>,
    /// The machine that the content is for.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub platform: Option<Platform>,
}

/// Largest size a descriptor may name: Go clients hold it in a signed 64-bit integer.
pub const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

/// The machine that an image is for.
///
/// Spec: OCI image specification, "Image index".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture, as Go names it; empty where the index leaves it out.
    #[serde(default, deserialize_with = "nullable")]
    pub architecture: String,
    /// Operating system, as Go names it; empty where the index leaves it out.
    #[serde(default, deserialize_with = "nullable")]
    pub os: String,
    /// Version of the operating system.
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "nonempty",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Variant of the CPU.
    #[serde(
        default,
        deserialize_with = "nonempty",
        skip_serializing_if = "Option::is_none"
    )]
    pub variant: Option<String>,
    /// Features that the CPU must have (Docker).
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

impl Descriptor {
    /// A descriptor with nothing but the three mandatory fields.
    #[must_use]
    pub const fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            data: None,
            artifact_type: None,
            platform: None,
        }
    }
}

/// Go writes an empty slice, map or pointer as `null`; read it as absent.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An empty text is an absent one.
pub(crate) fn nonempty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// An empty type is an absent one.
pub(crate) fn artifact_type<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<MediaType>, D::Error> {
    nonempty(deserializer)?
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    if size > SIZE_MAX {
        return Err(serde::de::Error::custom("size is larger than any content can be"));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_and_writes_every_field() {
        let text = format!(
            r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":3,"urls":["http://x"],"annotations":{{"k":"v"}},"data":"YWJj","artifactType":"c/d","platform":{{"architecture":"arm64","os":"linux","os.version":"1","os.features":["f"],"variant":"v8","features":["g"]}}}}"#
        );
        let descriptor: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), text);
    }

    #[test]
    fn reads_nulls_of_go_as_absent() {
        let text = format!(
            r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":0,"urls":null,"annotations":null,"data":"","artifactType":"","platform":null,"x":1}}"#
        );
        let descriptor: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!(
            descriptor,
            Descriptor::new("a/b".parse().unwrap(), DIGEST.parse().unwrap(), 0)
        );
    }

    #[test]
    fn refuses_what_a_descriptor_cannot_be() {
        for (field, value) in [
            ("size", "-1"),
            ("size", "1.5"),
            ("size", "9223372036854775808"),
            ("size", "null"),
            ("digest", r#""sha256:abc""#),
            ("digest", "null"),
            ("mediaType", r#""""#),
            ("mediaType", r#""nonsense""#),
            ("artifactType", r#""nonsense""#),
            ("annotations", r#"{"a":1}"#),
        ] {
            let mut map = serde_json::Map::new();
            map.insert("mediaType".into(), "a/b".into());
            map.insert("digest".into(), DIGEST.into());
            map.insert("size".into(), 1.into());
            assert!(serde_json::from_value::<Descriptor>(map.clone().into()).is_ok());
            map.insert(field.into(), serde_json::from_str(value).unwrap());
            assert!(
                serde_json::from_value::<Descriptor>(map.into()).is_err(),
                "{field}={value}"
            );
        }
    }
}
