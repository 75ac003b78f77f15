//! Positions in a store's history.

use std::fmt;
use std::str::FromStr;

/// A position in a store's history: the number of the commit that made it.
///
/// Revisions are store-wide, strictly increasing and without gaps. An empty store is at [`Revision::FIRST`], so that
/// zero never names a state: Kubernetes gives `resourceVersion=0` a meaning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Before every state.
    pub const ZERO: Self = Self(0);
    /// The revision of a store that nothing was ever committed to.
    pub const FIRST: Self = Self(1);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number of this revision.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision of the commit that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The revision before this one; [`Revision::ZERO`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `u64::from_str` alone would take a leading plus sign, which no revision is written with.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidRevision);
        }
        text.parse().map(Self).map_err(|_| InvalidRevision)
    }
}

/// The text is not a decimal number that fits 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision is a decimal number below 2^64")]
pub struct InvalidRevision;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        for (text, want) in [
            ("0", Ok(Revision::ZERO)),
            ("1", Ok(Revision::FIRST)),
            ("18446744073709551615", Ok(Revision::new(u64::MAX))),
            ("18446744073709551616", Err(InvalidRevision)),
            ("", Err(InvalidRevision)),
            ("+1", Err(InvalidRevision)),
            ("-1", Err(InvalidRevision)),
            (" 1", Err(InvalidRevision)),
            ("0x1", Err(InvalidRevision)),
        ] {
            assert_eq!(text.parse(), want, "{text:?}");
            if let Ok(revision) = want {
                assert_eq!(revision.to_string(), text);
            }
        }
    }
}
