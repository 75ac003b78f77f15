//! Repository names.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest repository name, in bytes. OCI asks clients to keep host and name within 255.
pub const NAME_MAX: usize = 255;

/// The name of a repository: path components of lower-case letters and digits, joined inside by `.`, `_`, `__` or
/// dashes, and with each other by `/`.
///
/// Spec: OCI distribution, "Pulling manifests".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

/// Why a text is not a repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than [`NAME_MAX`].
    #[error("a repository name has at most {NAME_MAX} characters, not {got}")]
    Length {
        /// Length found, in bytes.
        got: usize,
    },
    /// Outside the grammar.
    #[error(
        "a repository name has components of lower-case letters and digits, joined inside by one of . _ __ or dashes"
    )]
    Grammar,
}

impl RepositoryName {
    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components between the slashes; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The two components of a name that has exactly two.
    #[must_use]
    pub fn pair(&self) -> Option<(&str, &str)> {
        self.0.split_once('/').filter(|(_, rest)| !rest.contains('/'))
    }

    /// Whether `text` is a valid name, without making one.
    ///
    /// # Errors
    /// [`NameError`], as parsing would give.
    pub fn check(text: &str) -> Result<(), NameError> {
        if text.len() > NAME_MAX {
            return Err(NameError::Length { got: text.len() });
        }
        if text.split('/').all(is_component) {
            Ok(())
        } else {
            Err(NameError::Grammar)
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let mut at = 0;
    loop {
        let word = at;
        while bytes
            .get(at)
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            at += 1;
        }
        if at == word {
            return false;
        }
        match &bytes[at..] {
            [] => return true,
            [b'_', b'_', ..] => at += 2,
            [b'.' | b'_', ..] => at += 1,
            [b'-', ..] => at += bytes[at..].iter().take_while(|b| **b == b'-').count(),
            _ => return false,
        }
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(RepositoryName(text.into()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for RepositoryName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepositoryName {
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
        for (text, good) in [
            ("a", true),
            ("library/alpine", true),
            ("a/b/c/d/e/f", true),
            ("a.b_c__d-e---f/0", true),
            ("manifests/manifests", true),
            ("", false),
            ("/", false),
            ("a/", false),
            ("/a", false),
            ("a//b", false),
            ("Team", false),
            ("a..b", false),
            ("a___b", false),
            ("a.-b", false),
            ("-a", false),
            ("a-", false),
            ("_a", false),
            ("a_", false),
            ("a:5000/b", false),
            ("ä", false),
            ("..", false),
            ("a/../b", false),
        ] {
            assert_eq!(text.parse::<RepositoryName>().is_ok(), good, "{text}");
        }
        assert!("a".repeat(NAME_MAX).parse::<RepositoryName>().is_ok());
        assert_eq!(
            "a".repeat(256).parse::<RepositoryName>(),
            Err(NameError::Length { got: 256 })
        );
    }

    #[test]
    fn splits_names_of_two_components() {
        for (text, want) in [("a/b", Some(("a", "b"))), ("a", None), ("a/b/c", None)] {
            assert_eq!(text.parse::<RepositoryName>().unwrap().pair(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(text in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,4}){0,4}") {
            let name: RepositoryName = text.parse().unwrap();
            prop_assert_eq!(name.to_string(), text);
            prop_assert!(name.components().count() >= 1);
        }

        #[test]
        fn parses_anything_without_panic(text in ".{0,300}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
