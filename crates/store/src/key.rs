//! Names of values.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest key, in bytes.
pub const KEY_LIMIT: usize = 1024;

/// The name of a value: `/` and segments between slashes, as in `/secrets/default/token`.
///
/// Keys are ordered bytewise, not segment by segment: `/a-b` comes before `/a/b`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key above all others, `/`: as a prefix it covers the whole store.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from("/"))
    }

    /// Parses a key: it starts with a slash, has no empty segment, no control character and at most [`KEY_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`InvalidKey`] names the rule that was broken.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        if text == "/" {
            return Ok(Self::root());
        }
        if text.len() > KEY_LIMIT {
            return Err(InvalidKey::TooLong(text.len()));
        }
        let segments = text.strip_prefix('/').ok_or(InvalidKey::NoLeadingSlash)?;
        if segments.split('/').any(str::is_empty) {
            return Err(InvalidKey::EmptySegment);
        }
        if segments.chars().any(char::is_control) {
            return Err(InvalidKey::ControlCharacter);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The key one segment below this one.
    ///
    /// # Errors
    /// [`InvalidKey`] if `segment` is empty or holds a slash or a control character, or the key becomes too long.
    pub fn join(&self, segment: &str) -> Result<Self, InvalidKey> {
        if segment.contains('/') {
            return Err(InvalidKey::SlashInSegment);
        }
        let parent = self.0.strip_suffix('/').unwrap_or(&self.0);
        Self::new(&format!("{parent}/{segment}"))
    }

    /// The whole key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The last segment; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether `key` is this key or lies below it. Boundaries are slashes: `/a` covers `/a` and `/a/b`, not `/ab`.
    #[must_use]
    pub fn covers(&self, key: &Self) -> bool {
        match key.0.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || self.0.len() == 1,
            None => false,
        }
    }

    /// The half-open range of the keys strictly below this one, as texts: from the first included to the first excluded.
    #[must_use]
    pub fn below(&self) -> (String, String) {
        let parent = self.0.strip_suffix('/').unwrap_or(&self.0);
        // '0' is the byte after '/', so this range is exactly the keys that continue with a slash. No key starts with
        // two slashes, hence the root's range starts behind the root itself.
        let first = if parent.is_empty() {
            "/\u{1}".to_owned()
        } else {
            format!("{parent}/")
        };
        (first, format!("{parent}0"))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The text does not start with a slash.
    #[error("a key starts with a slash")]
    NoLeadingSlash,
    /// Two slashes meet, or the key ends with one.
    #[error("a key has no empty segment")]
    EmptySegment,
    /// A segment to be joined holds a slash itself.
    #[error("a segment of a key holds no slash")]
    SlashInSegment,
    /// A segment holds a control character.
    #[error("a key holds no control character")]
    ControlCharacter,
    /// The key has this many bytes, more than [`KEY_LIMIT`].
    #[error("a key has at most {KEY_LIMIT} bytes, not {0}")]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn parses_by_the_rules() {
        let longest = format!("/{}", "x".repeat(KEY_LIMIT - 1));
        let too_long = format!("{longest}x");
        for (text, want) in [
            ("/", None),
            ("/a", None),
            ("/a/b c/ü:%", None),
            ("/a/.", None),
            (longest.as_str(), None),
            (too_long.as_str(), Some(InvalidKey::TooLong(KEY_LIMIT + 1))),
            ("", Some(InvalidKey::NoLeadingSlash)),
            ("a/b", Some(InvalidKey::NoLeadingSlash)),
            ("//", Some(InvalidKey::EmptySegment)),
            ("/a/", Some(InvalidKey::EmptySegment)),
            ("/a//b", Some(InvalidKey::EmptySegment)),
            ("/a\n", Some(InvalidKey::ControlCharacter)),
            ("/\0", Some(InvalidKey::ControlCharacter)),
        ] {
            assert_eq!(Key::new(text).err(), want, "{text:?}");
        }
    }

    #[test]
    fn joins_one_segment() {
        assert_eq!(Key::root().join("a").unwrap(), key("/a"));
        assert_eq!(key("/a").join("b").unwrap(), key("/a/b"));
        assert_eq!(key("/a").join(""), Err(InvalidKey::EmptySegment));
        assert_eq!(key("/a").join("b/c"), Err(InvalidKey::SlashInSegment));
        assert_eq!(key("/a/b").segments().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Key::root().segments().count(), 0);
        assert_eq!(key("/a/b").name(), "b");
    }

    #[test]
    fn covers_at_segment_boundaries() {
        for (prefix, text, want) in [
            ("/", "/", true),
            ("/", "/a", true),
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a", "/a/b/c", true),
            ("/a", "/ab", false),
            ("/a", "/a-b", false),
            ("/a", "/", false),
            ("/a/b", "/a", false),
            ("/b", "/a", false),
        ] {
            let (prefix, key) = (key(prefix), key(text));
            assert_eq!(prefix.covers(&key), want, "{prefix} {key}");
            // The range agrees with `covers` about everything but the prefix itself.
            let (first, end) = prefix.below();
            let inside = first.as_str() <= text && text < end.as_str();
            assert_eq!(inside, want && prefix != key, "{prefix} {key}");
        }
    }
}
