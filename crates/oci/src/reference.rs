//! References: what follows `/manifests/` in a path.

use std::{fmt, str::FromStr};

use crate::{Digest, Tag, digest::DigestError, tag::TagError};

/// A tag or a digest. The colon tells them apart, which no tag may have and every digest does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A name that may move from one manifest to another.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// Why a text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is no colon, and it is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// There is a colon, and it is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// The tag, if it is one.
    #[must_use]
    pub const fn tag(&self) -> Option<&Tag> {
        match self {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        }
    }

    /// The digest, if it is one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Reference::Tag(_) => None,
            Reference::Digest(digest) => Some(digest),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Reference::Digest(text.parse()?))
        } else {
            Ok(Reference::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => tag.fmt(f),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Reference::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Reference::Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_colon_decides() {
        let digest = Digest::sha256(b"x");
        assert_eq!(digest.to_string().parse(), Ok(Reference::Digest(digest)));
        assert_eq!("v1".parse::<Reference>().unwrap().tag().unwrap().as_str(), "v1");
        assert_eq!(
            "a:b".parse::<Reference>(),
            Err(ReferenceError::Digest(DigestError::Algorithm))
        );
        assert_eq!("".parse::<Reference>(), Err(ReferenceError::Tag(TagError)));
        assert_eq!("sha256".parse::<Reference>().unwrap().digest(), None);
    }

    proptest! {
        #[test]
        fn round_trips(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", seed in any::<Vec<u8>>()) {
            for reference in [Reference::Tag(tag.parse().unwrap()), Reference::Digest(Digest::sha256(&seed))] {
                prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }
    }
}
