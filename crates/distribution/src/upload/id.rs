//! Ids of upload sessions.
//!
//! An id that Berth issues says by itself when the session began and that a replica with the same secret began it in this
//! repository. So a session needs nothing in storage before its first byte, and yet any replica goes on with it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use berth_oci::RepositoryName;
use jiff::Timestamp;

use super::token::Signer;

/// Longest id, in bytes.
const LIMIT: usize = 64;

/// Between the random part of an issued id, the second in which it was issued, and the signature.
const MARK: char = '_';

/// The id of an upload session: `<uuid>_<second>_<signature>` for those that Berth starts, and whatever else is safe in a
/// path for those that another registry started on the same storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

/// The text is not the id of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload id has 1 to {LIMIT} letters, digits, dashes and underscores")]
pub struct SessionIdError;

impl SessionId {
    /// A new id that nobody can guess, for a session that begins now.
    pub(super) fn issue(signer: &Signer, name: &RepositoryName, now: Timestamp) -> Self {
        let stem = format!("{}{MARK}{:x}", uuid::Uuid::new_v4(), now.as_second());
        let mark = signer.mark(name.as_str(), &stem);
        Self(format!("{stem}{MARK}{mark:016x}").into())
    }

    /// When the session began, if this id was issued with the same secret for this repository.
    pub(super) fn issued(&self, signer: &Signer, name: &RepositoryName) -> Option<Timestamp> {
        let (stem, mark) = self.0.rsplit_once(MARK)?;
        let (_, second) = stem.rsplit_once(MARK)?;
        if u64::from_str_radix(mark, 16).ok()? != signer.mark(name.as_str(), stem) {
            return None;
        }
        Timestamp::from_second(i64::from_str_radix(second, 16).ok()?).ok()
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
    }

    #[test]
    fn an_issued_id_says_where_and_when() {
        let (one, other) = (Signer::new(b"one"), Signer::new(b"other"));
        let (here, there): (RepositoryName, RepositoryName) =
            ("here".parse().unwrap(), "there".parse().unwrap());
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let id = SessionId::issue(&one, &here, now);
        assert_ne!(id, SessionId::issue(&one, &here, now));
        assert_eq!(id.as_str().parse(), Ok(id.clone()), "short enough");
        assert_eq!(id.issued(&Signer::new(b"one"), &here), Some(now));
        assert_eq!(id.issued(&other, &here), None);
        assert_eq!(id.issued(&one, &there), None);
        for text in [
            uuid::Uuid::new_v4().to_string(),
            "a_b_c".to_owned(),
            id.as_str().replacen('_', "_1", 1),
        ] {
            assert_eq!(
                text.parse::<SessionId>().unwrap().issued(&one, &here),
                None,
                "{text}"
            );
        }
    }
}
