//! Media types: the constants of the OCI and Docker formats, and a type for the others.

use std::{fmt, marker::PhantomData, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The empty JSON object, which stands in for a configuration or a layer that an artifact does not have.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layer, uncompressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI layer that may be fetched from elsewhere, uncompressed; deprecated by the specification but still in use.
pub const OCI_LAYER_NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// OCI layer that may be fetched from elsewhere, gzip.
pub const OCI_LAYER_NONDISTRIBUTABLE_GZIP: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// OCI layer that may be fetched from elsewhere, zstd.
pub const OCI_LAYER_NONDISTRIBUTABLE_ZSTD: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 1.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker image manifest, schema 1, signed.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, gzip.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer that is fetched from the URLs of its descriptor.
pub const DOCKER_LAYER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// JSON.
pub const JSON: &str = "application/json";
/// Bytes of no declared type.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// Whether a layer of this type may be absent from the registry because clients fetch it from elsewhere.
#[must_use]
pub fn is_foreign_layer(media_type: &str) -> bool {
    matches!(
        media_type,
        OCI_LAYER_NONDISTRIBUTABLE
            | OCI_LAYER_NONDISTRIBUTABLE_GZIP
            | OCI_LAYER_NONDISTRIBUTABLE_ZSTD
            | DOCKER_LAYER_FOREIGN
    )
}

/// The media type in a `Content-Type` value: lower case, without parameters and surrounding space.
#[must_use]
pub fn essence(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// A `type/subtype` without parameters.
///
/// Spec: RFC 6838, section 4.2, which the OCI descriptor demands. Compared byte by byte, as registries and clients do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Arc<str>);

/// The text is not a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media type has the form type/subtype, each of at most 127 letters, digits and !#$&-^_.+")]
pub struct MediaTypeError;

/// Longest type or subtype (RFC 6838, section 4.2), in bytes.
pub const MEDIA_TYPE_NAME_MAX: usize = 127;

impl MediaType {
    /// The text of the type.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_restricted_name(name: &str) -> bool {
    name.len() <= MEDIA_TYPE_NAME_MAX
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let (kind, subtype) = text.split_once('/').ok_or(MediaTypeError)?;
        if is_restricted_name(kind) && is_restricted_name(subtype) {
            Ok(MediaType(text.into()))
        } else {
            Err(MediaTypeError)
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for MediaType {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

/// Reads a string and parses it, without an owned copy where the input can be borrowed.
pub(crate) fn parse_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_types_and_refuses_the_rest() {
        for good in [
            OCI_MANIFEST,
            DOCKER_SCHEMA1_SIGNED,
            OCTET_STREAM,
            "text/x-c++",
            "a/b",
        ] {
            assert_eq!(good.parse::<MediaType>().unwrap().to_string(), good);
        }
        let long = format!("a/{}", "b".repeat(128));
        for bad in [
            "",
            "application",
            "application/",
            "/json",
            "a/b/c",
            "a/b; c=d",
            "a b/c",
            "a/ü",
            ".a/b",
            &long,
        ] {
            assert_eq!(bad.parse::<MediaType>(), Err(MediaTypeError), "{bad}");
        }
    }

    #[test]
    fn takes_the_essence_of_a_content_type() {
        for (value, want) in [
            ("application/json", "application/json"),
            (" Application/JSON ; charset=utf-8", "application/json"),
            (";", ""),
            ("", ""),
        ] {
            assert_eq!(essence(value), want, "{value}");
        }
    }

    #[test]
    fn knows_foreign_layers() {
        assert!(is_foreign_layer(DOCKER_LAYER_FOREIGN));
        assert!(is_foreign_layer(OCI_LAYER_NONDISTRIBUTABLE_ZSTD));
        assert!(!is_foreign_layer(OCI_LAYER));
    }
}
