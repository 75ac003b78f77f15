//! `continue`: where the next page of a list begins, and of which revision it is.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::status::Status;

const VERSION: &str = "meta.k8s.io/v1";

/// A decoded continue token.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContinueToken {
    v: String,
    /// Revision of the list; -1 to go on with the present.
    pub(super) rv: i64,
    /// Key of the last object that was returned.
    pub(super) start: String,
}

impl ContinueToken {
    pub(super) fn new(revision: Option<u64>, after: &str) -> Self {
        let rv = revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        Self {
            v: VERSION.into(),
            rv,
            start: after.to_owned(),
        }
    }

    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn decode(text: &str) -> Result<Self, Status> {
        let invalid = |what: &str| Status::bad_request(format!("continue key is not valid: {what}"));
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|_| invalid("not base64"))?;
        let token: Self =
            serde_json::from_slice(&bytes).map_err(|_| invalid("not a token of this server"))?;
        if token.v != VERSION {
            return Err(invalid("server does not recognize this encoded version"));
        }
        if token.rv == 0 || token.rv < -1 || token.start.is_empty() {
            return Err(invalid("incorrect encoded start resourceVersion"));
        }
        Ok(token)
    }

    pub(super) fn revision(&self) -> Option<u64> {
        u64::try_from(self.rv).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        for (revision, after) in [(Some(7), "ns/a"), (None, "b")] {
            let token = ContinueToken::new(revision, after);
            assert_eq!(ContinueToken::decode(&token.encode()).unwrap(), token);
            assert_eq!(token.revision(), revision);
        }
        for text in [
            "",
            "!",
            "e30",
            "bm9wZQ",
            &URL_SAFE_NO_PAD.encode(r#"{"v":"x","rv":1,"start":"a"}"#),
        ] {
            assert_eq!(ContinueToken::decode(text).unwrap_err().code(), 400, "{text}");
        }
    }
}
