//! `Accept`: which media types a client can read.

use std::cmp::Reverse;

/// Most media ranges read from one request; real clients send about ten.
pub const ACCEPT_MAX: usize = 64;

/// The media ranges of a request's `Accept` headers.
///
/// Spec: RFC 9110, section 12.5.1. Parameters other than `q` do not take part in the comparison, since manifests have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    ranges: Vec<MediaRange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct MediaRange {
    kind: String,
    subtype: String,
    /// Thousandths.
    quality: u16,
}

impl Accept {
    /// Reads the values of all `Accept` headers of a request. Malformed elements are skipped: a client that says
    /// something we cannot read has at least said the rest.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let elements = values.into_iter().flat_map(|value| value.split(','));
        Accept {
            ranges: elements.filter_map(media_range).take(ACCEPT_MAX).collect(),
        }
    }

    /// Whether the client named nothing, which RFC 9110 reads as everything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How welcome `media_type` is, in thousandths: zero is refused. The most specific range decides, and among equals the
    /// one with the highest quality.
    #[must_use]
    pub fn quality(&self, media_type: &str) -> u16 {
        if self.is_empty() {
            return 1000;
        }
        let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
        self.ranges
            .iter()
            .filter_map(|range| {
                let specificity = match (range.kind.as_str(), range.subtype.as_str()) {
                    ("*", "*") => 0,
                    (k, "*") if k.eq_ignore_ascii_case(kind) => 1,
                    (k, s) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => 2,
                    _ => return None,
                };
                Some((specificity, range.quality))
            })
            .max()
            .map_or(0, |(_, quality)| quality)
    }

    /// Whether the client can read `media_type`, be it through a wildcard.
    #[must_use]
    pub fn allows(&self, media_type: &str) -> bool {
        self.quality(media_type) > 0
    }

    /// Whether the client spells out `media_type` itself and does not refuse it. This is what tells an old client that says
    /// `*/*` from one that knows about indexes.
    #[must_use]
    pub fn names(&self, media_type: &str) -> bool {
        let Some((kind, subtype)) = media_type.split_once('/') else {
            return false;
        };
        self.ranges.iter().any(|range| {
            range.quality > 0
                && range.kind.eq_ignore_ascii_case(kind)
                && range.subtype.eq_ignore_ascii_case(subtype)
        })
    }

    /// The most welcome of `offered`, the earliest among equals.
    #[must_use]
    pub fn prefer<'a>(&self, offered: &[&'a str]) -> Option<&'a str> {
        offered
            .iter()
            .enumerate()
            .map(|(index, offer)| (self.quality(offer), Reverse(index), *offer))
            .filter(|(quality, ..)| *quality > 0)
            .max()
            .map(|(.., offer)| offer)
    }
}

fn media_range(element: &str) -> Option<MediaRange> {
    let mut parts = element.split(';');
    let (kind, subtype) = parts.next()?.trim().split_once('/')?;
    let (kind, subtype) = (kind.trim(), subtype.trim());
    if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
        return None;
    }
    let mut quality = 1000;
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("q") {
            quality = thousandths(value.trim())?;
        }
    }
    Some(MediaRange {
        kind: kind.to_owned(),
        subtype: subtype.to_owned(),
        quality,
    })
}

/// A `qvalue`: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media_type::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

    #[test]
    fn the_most_specific_range_decides() {
        let both = format!("{OCI_MANIFEST}, {OCI_INDEX};q=0.5");
        for (values, media_type, want) in [
            (vec![], OCI_MANIFEST, 1000),
            (vec!["*/*"], OCI_MANIFEST, 1000),
            (vec!["application/*;q=0.2, */*"], OCI_MANIFEST, 200),
            (vec![both.as_str()], OCI_MANIFEST, 1000),
            (vec![both.as_str()], OCI_INDEX, 500),
            (vec![both.as_str()], DOCKER_MANIFEST, 0),
            (vec![OCI_MANIFEST, OCI_INDEX], OCI_INDEX, 1000),
            (
                vec!["APPLICATION/vnd.oci.image.MANIFEST.v1+json"],
                OCI_MANIFEST,
                1000,
            ),
            (vec!["text/html"], OCI_MANIFEST, 0),
            (
                vec!["application/vnd.oci.image.manifest.v1+json;q=0, */*"],
                OCI_MANIFEST,
                0,
            ),
            (vec!["a/b;q=2"], "a/b", 1000),
            (vec!["a/b;q=0.1234, c/d"], "a/b", 0),
            (vec!["a/b ; x=y ; Q=0.25"], "a/b", 250),
            (vec!["*/b, c/d"], "a/b", 0),
        ] {
            assert_eq!(
                Accept::parse(values.iter().copied()).quality(media_type),
                want,
                "{values:?} {media_type}"
            );
        }
    }

    #[test]
    fn a_wildcard_names_nothing() {
        assert!(!Accept::parse(["*/*"]).names(OCI_INDEX));
        assert!(Accept::parse([OCI_INDEX]).names(OCI_INDEX));
        assert!(!Accept::parse(["application/vnd.oci.image.index.v1+json;q=0"]).names(OCI_INDEX));
        assert!(!Accept::default().names(OCI_INDEX));
    }

    #[test]
    fn prefers_the_most_welcome() {
        let accept = Accept::parse(["a/a;q=0.5, b/b, c/c"]);
        assert_eq!(accept.prefer(&["a/a", "c/c", "b/b"]), Some("c/c"));
        assert_eq!(accept.prefer(&["d/d"]), None);
        assert_eq!(Accept::default().prefer(&["d/d", "a/a"]), Some("d/d"));
    }

    proptest! {
        #[test]
        fn parses_anything_without_panic(value in "[a-z*/;=q0-9., ]{0,60}|.{0,60}") {
            prop_assert!(Accept::parse([value.as_str()]).quality(OCI_MANIFEST) <= 1000);
        }
    }
}
