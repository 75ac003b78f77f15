//! Opaque tokens: random text for its bearer, and the name under which the server keeps what it grants.
//!
//! A token is `sha256~` and 256 random bits; its object is named `sha256~` and the hash of those. Whoever reads the
//! store, a backup or a list of objects learns nothing that authenticates.
use std::fmt;

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// What every opaque token, and every name of one, begins with.
pub const PREFIX: &str = "sha256~";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Longest token that is looked at, in bytes.
const TOKEN_LIMIT: usize = 256;

/// A token or a code, for its bearer. It never shows in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(String);

impl Opaque {
    /// A new one.
    #[must_use]
    pub fn generate() -> Opaque {
        Opaque(format!("{PREFIX}{}", random_text(TOKEN_BYTES)))
    }

    /// What the bearer gets.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name of its object.
    #[must_use]
    pub fn object_name(&self) -> String {
        object_name(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opaque(…)")
    }
}

/// The name of a token's object; none for text that is no opaque token.
#[must_use]
pub fn object_name(token: &str) -> Option<String> {
    let secret = token
        .strip_prefix(PREFIX)
        .filter(|secret| !secret.is_empty() && token.len() <= TOKEN_LIMIT)?;
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(hash)))
}

/// Whether `name` can be the name of a token's object: the prefix and a hash.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|hash| URL_SAFE_NO_PAD.decode(hash).ok())
        .is_some_and(|hash| hash.len() == digest::SHA256_OUTPUT_LEN)
}

/// Random text that can stand in a URL, a cookie or a header: base64url of `bytes` random bytes.
///
/// # Panics
/// When the machine has no randomness, without which nothing here can be kept secret.
#[must_use]
pub fn random_text(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rand::fill(&mut buffer).expect("the machine has randomness");
    URL_SAFE_NO_PAD.encode(&buffer)
}

/// Whether two texts are the same, in a time that does not tell how much of them is.
#[must_use]
pub(crate) fn same(left: &str, right: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hashes_of_what_follows_the_prefix() {
        // `printf secret | openssl dgst -sha256 -binary | basenc --base64url`
        let want = "sha256~K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols";
        assert_eq!(object_name("sha256~secret").as_deref(), Some(want));
        assert!(is_object_name(want));
        for (text, name) in [
            ("", false),
            ("sha256~", false),
            ("secret", false),
            ("sha256~secret", true),
        ] {
            assert_eq!(object_name(text).is_some(), name, "{text}");
            assert!(!is_object_name(text), "{text}");
        }
        assert_eq!(object_name(&format!("sha256~{}", "x".repeat(TOKEN_LIMIT))), None);
    }

    #[test]
    fn every_token_is_another_and_none_shows() {
        let (one, two) = (Opaque::generate(), Opaque::generate());
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 7 + 43);
        assert!(is_object_name(&one.object_name()));
        assert_ne!(one.object_name(), one.reveal());
        assert_eq!(format!("{one:?}"), "Opaque(…)");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_either_no_token_or_has_a_name(text in "(sha256~)?.{0,300}") {
            if let Some(name) = object_name(&text) {
                proptest::prop_assert!(is_object_name(&name));
                proptest::prop_assert_ne!(name, text);
            }
        }
    }
}
