//! The `_state` parameter of an upload's `Location`: where the client believes the session to be, signed.
//!
//! It protects against a repeated request: a client that sends a chunk again because the answer was lost still carries
//! the state from before the chunk. It proves nothing else, and a session is resumed without it just as well, because
//! some clients drop the query.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE as ENCODING;
use serde::{Deserialize, Serialize};

/// Length of the signature in front of the state, in bytes.
const TAG_LEN: usize = 32;

/// Longest token that is looked at, in bytes: a repository name has at most 255.
const TOKEN_LIMIT: usize = 1024;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State<'a> {
    #[serde(rename = "Name")]
    pub(crate) name: std::borrow::Cow<'a, str>,
    #[serde(rename = "UUID")]
    pub(crate) session: std::borrow::Cow<'a, str>,
    /// Bytes the session holds.
    #[serde(rename = "Offset")]
    pub(crate) offset: u64,
    /// RFC 3339.
    #[serde(rename = "StartedAt")]
    pub(crate) started_at: std::borrow::Cow<'a, str>,
}

/// Signs and reads tokens.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    /// A signer whose tokens every replica with the same secret understands.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(crate) fn sign(&self, state: &State<'_>) -> String {
        let json = serde_json::to_vec(state).expect("strings and a number serialize");
        let tag = hmac::sign(&self.0, &json);
        let mut token = Vec::with_capacity(TAG_LEN + json.len());
        token.extend_from_slice(tag.as_ref());
        token.extend_from_slice(&json);
        ENCODING.encode(token)
    }

    /// A short signature of the id of a session in a repository.
    pub(crate) fn mark(&self, name: &str, stem: &str) -> u64 {
        let mut context = hmac::Context::with_key(&self.0);
        // A name has no null character, so no other pair signs the same bytes; nor does a state, which is an object.
        for part in [name.as_bytes(), b"\0", stem.as_bytes()] {
            context.update(part);
        }
        context
            .sign()
            .as_ref()
            .iter()
            .take(8)
            .fold(0, |mark, byte| (mark << 8) | u64::from(*byte))
    }

    /// The state in a token; none for a token that this signer did not make.
    pub(crate) fn read(&self, token: &str) -> Option<State<'static>> {
        if token.len() > TOKEN_LIMIT {
            return None;
        }
        let bytes = ENCODING.decode(token).ok()?;
        let (tag, json) = bytes.split_at_checked(TAG_LEN)?;
        hmac::verify(&self.0, json, tag).ok()?;
        let state: State<'_> = serde_json::from_slice(json).ok()?;
        Some(State {
            name: state.name.into_owned().into(),
            session: state.session.into_owned().into(),
            offset: state.offset,
            started_at: state.started_at.into_owned().into(),
        })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(name: &str, offset: u64) -> State<'static> {
        State {
            name: name.to_owned().into(),
            session: "a-b".into(),
            offset,
            started_at: "2026-11-20T13:00:00Z".into(),
        }
    }

    #[test]
    fn round_trips_between_replicas() {
        let token = Signer::new(b"shared").sign(&state("a/b", 7));
        assert_eq!(Signer::new(b"shared").read(&token), Some(state("a/b", 7)));
        assert_eq!(Signer::new(b"other").read(&token), None);
    }

    #[test]
    fn what_was_changed_is_not_read() {
        let signer = Signer::new(b"k");
        let token = signer.sign(&state("a", 1));
        let mut bytes = ENCODING.decode(&token).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        for bad in [
            String::new(),
            "!".to_owned(),
            token[1..].to_owned(),
            ENCODING.encode(bytes),
            "A".repeat(5000),
        ] {
            assert_eq!(signer.read(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(token in "\\PC{0,200}") {
            prop_assert_eq!(Signer::new(b"k").read(&token), None);
        }

        #[test]
        fn any_state_round_trips(name in "[a-z/]{1,255}", offset: u64) {
            let signer = Signer::new(b"k");
            prop_assert_eq!(signer.read(&signer.sign(&state(&name, offset))), Some(state(&name, offset)));
        }
    }
}
