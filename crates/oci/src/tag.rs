//! Tags.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest tag, in bytes.
pub const TAG_MAX: usize = 128;

/// A human's name for a manifest within a repository: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// Spec: OCI distribution, "Pulling manifests".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// The text is not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag has 1 to {TAG_MAX} letters, digits, '_', '.' and '-', and does not begin with '.' or '-'")]
pub struct TagError;

impl Tag {
    /// The text of the tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = text.len() <= TAG_MAX
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if good { Ok(Tag(text.into())) } else { Err(TagError) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::media_type::parse_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn follows_the_grammar() {
        let longest = "a".repeat(TAG_MAX);
        let too_long = "a".repeat(TAG_MAX + 1);
        for (text, good) in [
            ("latest", true),
            ("v1.2-rc_3", true),
            ("_", true),
            ("0", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (".a", false),
            ("-a", false),
            ("a/b", false),
            ("a:b", false),
            ("a b", false),
            ("ü", false),
        ] {
            assert_eq!(text.parse::<Tag>().is_ok(), good, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(text.parse::<Tag>().unwrap().to_string(), text);
        }

        #[test]
        fn parses_anything_without_panic(text in ".{0,140}") {
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.as_str(), text);
            }
        }
    }
}
