//! Manifests: image manifests and indexes, OCI's and Docker's.

mod depth;

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess},
};

use crate::{
    Descriptor, Digest, MediaType,
    descriptor::{self, Annotations},
    media_type::{self, DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST},
};

/// Largest manifest, in bytes: what docker-registry accepts and clients therefore count on.
pub const MANIFEST_MAX_BYTES: usize = 4 << 20;
/// Most layers of one image manifest. Images have at most a few hundred; artifacts may have more.
pub const MAX_LAYERS: usize = 4096;
/// Most children of one index.
pub const INDEX_MAX_WIDTH: usize = 4096;
/// Deepest chain of indexes above an image manifest. Whoever follows children stops there.
pub const INDEX_MAX_DEPTH: usize = 8;
/// Most annotations of a manifest or of one of its descriptors. Their length is bounded by that of the manifest.
pub const ANNOTATIONS_MAX: usize = 1024;
/// Deepest nesting of arrays and objects in a manifest's JSON.
pub const JSON_MAX_DEPTH: usize = 64;

/// The four formats of manifests that the registry stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// OCI image manifest; also carries artifacts.
    OciManifest,
    /// OCI image index.
    OciIndex,
    /// Docker image manifest, schema 2.
    DockerManifest,
    /// Docker manifest list.
    DockerList,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [
        Kind::OciManifest,
        Kind::OciIndex,
        Kind::DockerManifest,
        Kind::DockerList,
    ];

    /// The media type of the format.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Kind::OciManifest => OCI_MANIFEST,
            Kind::OciIndex => OCI_INDEX,
            Kind::DockerManifest => DOCKER_MANIFEST,
            Kind::DockerList => DOCKER_LIST,
        }
    }

    /// The kind with that media type, which must be given without parameters.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.media_type() == media_type)
    }

    /// Whether manifests of this kind list other manifests instead of layers.
    #[must_use]
    pub const fn is_index(self) -> bool {
        matches!(self, Kind::OciIndex | Kind::DockerList)
    }

    /// Whether this is one of OCI's formats, which may omit their media type and may have a subject.
    #[must_use]
    pub const fn is_oci(self) -> bool {
        matches!(self, Kind::OciManifest | Kind::OciIndex)
    }
}

/// Why bytes are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MANIFEST_MAX_BYTES`].
    #[error("the manifest has {got} bytes; at most {MANIFEST_MAX_BYTES} are accepted")]
    TooLarge {
        /// Bytes found.
        got: usize,
    },
    /// Not JSON, or not of the shape that the format has.
    #[error("the manifest cannot be read: {0}")]
    Malformed(String),
    /// Nested deeper than [`JSON_MAX_DEPTH`].
    #[error("the manifest's JSON is nested deeper than {JSON_MAX_DEPTH} levels")]
    TooDeep,
    /// Docker's schema 1, which has no content addressable configuration and is no longer accepted anywhere.
    #[error("Docker image manifest schema 1 is not supported; push schema 2 or an OCI manifest")]
    Schema1,
    /// A type that is not a manifest format this registry knows.
    #[error("{0:?} is not a manifest type this registry stores")]
    UnknownType(String),
    /// Neither the request nor the body says what the bytes are.
    #[error("neither the content type nor the manifest's mediaType says what the manifest is")]
    Untyped,
    /// The body contradicts the request.
    #[error("the manifest says that it is {body:?}, but it was sent as {header:?}")]
    TypeMismatch {
        /// `mediaType` of the body.
        body: String,
        /// `Content-Type` of the request.
        header: String,
    },
    /// The schema version is not 2.
    #[error("schemaVersion must be 2")]
    SchemaVersion,
    /// A field that the format does not have makes the manifest readable as two formats, or in two ways.
    #[error("a manifest of type {kind} must not have the field {field:?}")]
    Ambiguous {
        /// Media type of the manifest.
        kind: &'static str,
        /// The field that must not be there.
        field: String,
    },
    /// A field that the format must have is missing.
    #[error("the manifest has no {0}")]
    Missing(&'static str),
    /// More layers, children or annotations than the limits allow.
    #[error("the manifest has {got} {what}; at most {most} are accepted")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many were found.
        got: usize,
        /// How many are accepted.
        most: usize,
    },
    /// The `data` of a descriptor is not the content that the descriptor names.
    #[error("the data embedded in the descriptor of {0} is not that content")]
    Data(Box<Digest>),
}

/// A manifest that was checked, with the bytes it was made from: they, and never a second rendering, are what is stored,
/// hashed and served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    raw: Bytes,
    kind: Kind,
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
    children: Vec<Descriptor>,
    subject: Option<Descriptor>,
    artifact_type: Option<MediaType>,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Field,
    #[serde(default)]
    manifests: Field,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "descriptor::artifact_type")]
    artifact_type: Option<MediaType>,
    #[serde(default, deserialize_with = "descriptor::nullable")]
    annotations: Annotations,
    #[serde(default)]
    fs_layers: Option<IgnoredAny>,
}

/// A list of descriptors that may be absent; `null`, which Go writes for an empty one, counts as present and empty.
#[derive(Default)]
struct Field(Option<Vec<Descriptor>>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Field(Some(
            Option::deserialize(deserializer)?.unwrap_or_default(),
        )))
    }
}

/// The field names that decide how a manifest is read.
const FIELDS: [&str; 9] = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "artifactType",
    "annotations",
    "fsLayers",
];

/// Finds a field that is spelled like one of [`FIELDS`] but for its case.
///
/// Go's JSON decoder, and with it most clients, takes `Layers` for `layers`. Such a manifest would show another content to
/// those clients than to this registry, which checks and keeps only what it reads itself.
struct Spelling(Option<String>);

impl<'de> Deserialize<'de> for Spelling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> de::Visitor<'de> for Keys {
            type Value = Spelling;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Spelling, M::Error> {
                let mut odd = None;
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    map.next_value::<IgnoredAny>()?;
                    let key = key.0;
                    if FIELDS
                        .iter()
                        .any(|field| *field != key && field.eq_ignore_ascii_case(&key))
                    {
                        odd.get_or_insert(key.into_owned());
                    }
                }
                Ok(Spelling(odd))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Manifest {
    /// Reads a manifest.
    ///
    /// `content_type` is what the request or the store says that the bytes are; parameters are ignored. When it is absent,
    /// or only says JSON or bytes, the body must say it.
    ///
    /// # Errors
    /// [`ManifestError`]; nothing that is accepted can be read as two different formats.
    ///
    /// Spec: OCI image specification, "Image manifest" and "Image index"; Docker "Image manifest V 2, schema 2".
    pub fn parse(raw: Bytes, content_type: Option<&str>) -> Result<Self, ManifestError> {
        if raw.len() > MANIFEST_MAX_BYTES {
            return Err(ManifestError::TooLarge { got: raw.len() });
        }
        if depth::exceeds(&raw, JSON_MAX_DEPTH) {
            return Err(ManifestError::TooDeep);
        }
        // The parser does not look into strings that it skips, and whoever keeps manifests as text must be able to.
        let text = std::str::from_utf8(&raw).map_err(malformed)?;
        let spelling: Spelling = serde_json::from_str(text).map_err(malformed)?;
        let (kind, content) = Content::read(text, content_type, spelling.0)?;
        Ok(content.into_manifest(raw, kind))
    }

    /// The bytes as they were given.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The format.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The media type of the format.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        self.kind.media_type()
    }

    /// The configuration of an image manifest.
    #[must_use]
    pub const fn config(&self) -> Option<&Descriptor> {
        self.config.as_ref()
    }

    /// The layers of an image manifest, the base first; empty for an index.
    #[must_use]
    pub fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// The manifests that an index lists; empty for an image manifest.
    #[must_use]
    pub fn children(&self) -> &[Descriptor] {
        &self.children
    }

    /// The manifest that this one says something about.
    #[must_use]
    pub const fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The type of the artifact as the referrers API tells it: the manifest's own, else that of an image manifest's
    /// configuration.
    ///
    /// Spec: OCI distribution, "Listing Referrers".
    #[must_use]
    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.artifact_type
            .as_ref()
            .or_else(|| self.config.as_ref().map(|config| &config.media_type))
    }

    /// The annotations of the manifest itself.
    #[must_use]
    pub const fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// The blobs that the manifest needs: configuration and layers, without those that clients fetch from elsewhere. A
    /// digest that is named twice comes twice.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self
            .layers
            .iter()
            .filter(|layer| !media_type::is_foreign_layer(layer.media_type.as_str()));
        self.config.iter().chain(layers)
    }
}

fn malformed(error: impl std::fmt::Display) -> ManifestError {
    ManifestError::Malformed(error.to_string())
}

/// What was read, before it is joined with the bytes it borrows from.
struct Content {
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
    children: Vec<Descriptor>,
    subject: Option<Descriptor>,
    artifact_type: Option<MediaType>,
    annotations: Annotations,
}

impl Content {
    fn read(
        text: &str,
        content_type: Option<&str>,
        odd: Option<String>,
    ) -> Result<(Kind, Self), ManifestError> {
        // The type is settled first, on its own, so that a body of a foreign format is named as such and not by the
        // first field that happens to look different.
        let head: Head<'_> = serde_json::from_str(text).map_err(malformed)?;
        let kind = head.kind(content_type)?;
        if head.schema_version != Some(2) {
            return Err(ManifestError::SchemaVersion);
        }
        if let Some(field) = odd {
            return Err(ManifestError::Ambiguous {
                kind: kind.media_type(),
                field,
            });
        }
        let body: Body = serde_json::from_str(text).map_err(malformed)?;
        body.check(kind)?;
        let content = Content {
            config: body.config,
            layers: body.layers.0.unwrap_or_default(),
            children: body.manifests.0.unwrap_or_default(),
            subject: body.subject.filter(|_| kind.is_oci()),
            artifact_type: body.artifact_type.filter(|_| kind.is_oci()),
            annotations: body.annotations,
        };
        content.check()?;
        Ok((kind, content))
    }

    fn into_manifest(self, raw: Bytes, kind: Kind) -> Manifest {
        let Content {
            config,
            layers,
            children,
            subject,
            artifact_type,
            annotations,
        } = self;
        Manifest {
            raw,
            kind,
            config,
            layers,
            children,
            subject,
            artifact_type,
            annotations,
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        at_most("layers", self.layers.len(), MAX_LAYERS)?;
        at_most("children", self.children.len(), INDEX_MAX_WIDTH)?;
        check_annotations(&self.annotations)?;
        for descriptor in self
            .config
            .iter()
            .chain(&self.layers)
            .chain(&self.children)
            .chain(&self.subject)
        {
            check_annotations(&descriptor.annotations)?;
            check_data(descriptor)?;
        }
        Ok(())
    }
}

/// The fields that say what a manifest is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(default)]
    schema_version: Option<u64>,
    #[serde(borrow, default)]
    media_type: Option<Cow<'a, str>>,
}

impl Head<'_> {
    fn kind(&self, content_type: Option<&str>) -> Result<Kind, ManifestError> {
        let body = self.media_type.as_deref().filter(|text| !text.is_empty());
        let header = content_type
            .map(media_type::essence)
            .filter(|text| !matches!(text.as_str(), "" | media_type::JSON | media_type::OCTET_STREAM));
        match (header, body) {
            (None, None) if self.schema_version == Some(1) => Err(ManifestError::Schema1),
            (None, None) => Err(ManifestError::Untyped),
            (None, Some(body)) => known(body),
            (Some(header), body) => {
                let kind = known(&header)?;
                match body {
                    Some(body) if body != kind.media_type() => Err(ManifestError::TypeMismatch {
                        body: body.to_owned(),
                        header,
                    }),
                    None if !kind.is_oci() => Err(ManifestError::Missing("mediaType")),
                    _ => Ok(kind),
                }
            }
        }
    }
}

fn known(media_type: &str) -> Result<Kind, ManifestError> {
    match Kind::of(media_type) {
        Some(kind) => Ok(kind),
        None if matches!(
            media_type,
            media_type::DOCKER_SCHEMA1 | media_type::DOCKER_SCHEMA1_SIGNED
        ) =>
        {
            Err(ManifestError::Schema1)
        }
        None => Err(ManifestError::UnknownType(media_type.to_owned())),
    }
}

impl Body {
    /// Checks that the fields are those of `kind`.
    ///
    /// A manifest that has the fields of both formats can be pulled as either (CVE-2021-41190).
    fn check(&self, kind: Kind) -> Result<(), ManifestError> {
        let index = kind.is_index();
        let foreign = [
            ("config", index && self.config.is_some()),
            ("layers", index && self.layers.0.is_some()),
            ("manifests", !index && self.manifests.0.is_some()),
            ("fsLayers", self.fs_layers.is_some()),
        ];
        if let Some((field, _)) = foreign.into_iter().find(|(_, present)| *present) {
            return Err(ManifestError::Ambiguous {
                kind: kind.media_type(),
                field: field.to_owned(),
            });
        }
        if index && self.manifests.0.is_none() {
            return Err(ManifestError::Missing("manifests"));
        }
        if !index && self.config.is_none() {
            return Err(ManifestError::Missing("config"));
        }
        Ok(())
    }
}

const fn at_most(what: &'static str, got: usize, most: usize) -> Result<(), ManifestError> {
    if got > most {
        Err(ManifestError::TooMany { what, got, most })
    } else {
        Ok(())
    }
}

fn check_annotations(annotations: &Annotations) -> Result<(), ManifestError> {
    at_most("annotations", annotations.len(), ANNOTATIONS_MAX)
}

/// Embedded data is served to clients as if it had been fetched by digest, so it has to be that content.
fn check_data(descriptor: &Descriptor) -> Result<(), ManifestError> {
    let Some(data) = &descriptor.data else {
        return Ok(());
    };
    let good = STANDARD.decode(data).is_ok_and(|content| {
        u64::try_from(content.len()).is_ok_and(|length| length == descriptor.size)
            && descriptor.digest.matches(&content)
    });
    if good {
        Ok(())
    } else {
        Err(ManifestError::Data(Box::new(descriptor.digest)))
    }
}

#[cfg(test)]
mod tests;
