//! Content negotiation: how an answer is shaped and written.
use http::{HeaderMap, header};

use crate::status::Status;

/// Media types that answers are written in.
pub(crate) const PRODUCED: [&str; 2] = ["application/json", "application/yaml"];

/// Most media ranges of an `Accept` header that are looked at.
const RANGES_LIMIT: usize = 32;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// Version of `meta.k8s.io` that a transformed answer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// How an answer is shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Table(MetaVersion),
    Metadata(MetaVersion),
    MetadataList(MetaVersion),
    /// Aggregated discovery, `v2` or `v2beta1`.
    Discovery(&'static str),
}

/// Which shapes an answer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Plain,
    Object,
    List,
    Watch,
    Discovery,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
    pub(crate) pretty: bool,
}

impl Output {
    pub(crate) const JSON: Self = Self {
        format: Format::Json,
        shape: Shape::Object,
        pretty: false,
    };
}

/// Chooses the first media range of the highest quality that can be produced.
pub(crate) fn negotiate(headers: &HeaderMap, offer: Offer, pretty: bool) -> Result<Output, Status> {
    let mut best: Option<(u16, Output)> = None;
    let mut asked = false;
    let values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')).take(RANGES_LIMIT) {
        let range = range.trim();
        if range.is_empty() {
            continue;
        }
        asked = true;
        let Some((quality, format, shape)) = understand(range, offer) else {
            continue;
        };
        if quality > 0 && best.as_ref().is_none_or(|(held, _)| quality > *held) {
            best = Some((
                quality,
                Output {
                    format,
                    shape,
                    pretty,
                },
            ));
        }
    }
    match best {
        Some((_, output)) => Ok(output),
        None if asked => Err(Status::not_acceptable(&PRODUCED)),
        None => Ok(Output {
            pretty,
            ..Output::JSON
        }),
    }
}

/// A media range as quality in thousandths, format and shape; none if it cannot be produced.
fn understand(range: &str, offer: Offer) -> Option<(u16, Format, Shape)> {
    let mut parameters = range.split(';').map(str::trim);
    let format = match parameters.next()?.to_ascii_lowercase().as_str() {
        "application/json" | "*/*" | "application/*" => Format::Json,
        "application/yaml" if offer != Offer::Watch => Format::Yaml,
        _ => return None,
    };
    let (mut kind, mut group, mut version, mut quality) = ("", "", "", 1000);
    for parameter in parameters {
        match parameter.split_once('=') {
            Some(("as", value)) => kind = value,
            Some(("g", value)) => group = value,
            Some(("v", value)) => version = value,
            Some(("q", value)) => quality = thousandths(value),
            // `charset`, `stream`, `profile` and the like do not change what is written.
            _ => {}
        }
    }
    let shape = if kind.is_empty() {
        Shape::Object
    } else {
        shape(kind, group, version, offer)?
    };
    Some((quality, format, shape))
}

fn thousandths(quality: &str) -> u16 {
    let value: f32 = quality.parse().unwrap_or(1.0);
    let value = (value.clamp(0.0, 1.0) * 1000.0).round();
    // In range by the clamp; a quality that is no number counts as none given.
    (0..=1000)
        .rev()
        .find(|&number| f32::from(number) <= value)
        .unwrap_or(0)
}

fn shape(kind: &str, group: &str, version: &str, offer: Offer) -> Option<Shape> {
    if group == "apidiscovery.k8s.io" && kind == "APIGroupDiscoveryList" && offer == Offer::Discovery {
        return match version {
            "v2" => Some(Shape::Discovery("v2")),
            "v2beta1" => Some(Shape::Discovery("v2beta1")),
            _ => None,
        };
    }
    if group != "meta.k8s.io" {
        return None;
    }
    let version = match version {
        "v1" => MetaVersion::V1,
        "v1beta1" => MetaVersion::V1Beta1,
        _ => return None,
    };
    match (kind, offer) {
        ("Table", Offer::Object | Offer::List | Offer::Watch) => Some(Shape::Table(version)),
        ("PartialObjectMetadata", Offer::Object | Offer::Watch) => Some(Shape::Metadata(version)),
        ("PartialObjectMetadataList", Offer::List) => Some(Shape::MetadataList(version)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_what_can_be_produced() {
        const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,\
            application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (accept, offer, want) in [
            (None, Offer::Object, Some((Format::Json, Shape::Object))),
            (Some("*/*"), Offer::Object, Some((Format::Json, Shape::Object))),
            (
                Some("application/yaml"),
                Offer::List,
                Some((Format::Yaml, Shape::Object)),
            ),
            (Some("application/yaml"), Offer::Watch, None),
            (
                Some(KUBECTL),
                Offer::List,
                Some((Format::Json, Shape::Table(MetaVersion::V1))),
            ),
            (Some(KUBECTL), Offer::Plain, Some((Format::Json, Shape::Object))),
            (Some("application/vnd.kubernetes.protobuf"), Offer::Object, None),
            (
                Some("application/vnd.kubernetes.protobuf, application/json"),
                Offer::Object,
                Some((Format::Json, Shape::Object)),
            ),
            (
                Some("application/json;q=0.5,application/yaml;q=0.9"),
                Offer::Object,
                Some((Format::Yaml, Shape::Object)),
            ),
            (Some("application/json;q=0"), Offer::Object, None),
            (
                Some("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
                Offer::List,
                Some((Format::Json, Shape::MetadataList(MetaVersion::V1))),
            ),
            (
                Some("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
                Offer::Object,
                None,
            ),
            (
                Some("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
                Offer::Discovery,
                Some((Format::Json, Shape::Discovery("v2"))),
            ),
            (Some("text/html"), Offer::Object, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            let got = negotiate(&headers, offer, false)
                .ok()
                .map(|output| (output.format, output.shape));
            assert_eq!(got, want, "{accept:?} {offer:?}");
        }
    }
}
