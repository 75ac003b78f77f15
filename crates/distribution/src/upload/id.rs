//! Ids of upload sessions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest id, in bytes.
const LIMIT: usize = 64;

/// The id of an upload session: a random UUID for those that Berth starts, and whatever else is safe in a path for those
/// that another registry started on the same storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

/// The text is not the id of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload id has 1 to {LIMIT} letters, digits, dashes and underscores")]
pub struct SessionIdError;

impl SessionId {
    /// An id that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let good = (1..=LIMIT).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if good {
            Ok(Self(text.into()))
        } else {
            Err(SessionIdError)
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for (text, good) in [
            ("4dfc1b02-aaaa-4bbb-8ccc-0123456789ab", true),
            ("a_B-9", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("a.b", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(text.parse::<SessionId>().is_ok(), good, "{text}");
        }
        assert_ne!(SessionId::random(), SessionId::random());
        assert!(SessionId::random().as_str().parse::<SessionId>().is_ok());
    }
}
