use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderValue;

/// A bearer token of the Kubernetes API. It never shows in a log: `Debug` prints nothing of it, and the header made
/// from it is marked sensitive.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    header: HeaderValue,
}

/// What stands before the token in the `Authorization` header.
const SCHEME: &str = "Bearer ";

impl Token {
    /// The token, or `None` when it is empty or holds bytes that no HTTP header can carry.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let mut value = String::with_capacity(SCHEME.len() + text.len());
        value.push_str(SCHEME);
        value.push_str(text);
        let mut header = HeaderValue::try_from(value).ok()?;
        header.set_sensitive(true);
        // A header value may hold opaque bytes; `expose` promises text.
        header.to_str().ok()?;
        Some(Self { header })
    }

    /// The token itself. For hashing and for handing it back to its owner; never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.header.to_str().map_or("", |value| &value[SCHEME.len()..])
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// The longest token that is accepted, in bytes: service-account tokens are about 1 KiB, identity tokens with many
/// groups several.
const MAX_TOKEN_BYTES: usize = 32 << 10;

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A role's own token, replaced while requests run: service-account tokens expire and are renewed.
#[derive(Clone, Debug)]
pub struct TokenSource(Arc<ArcSwap<Token>>);

impl TokenSource {
    /// A source that gives `token` until it is [`replace`](Self::replace)d.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(token)))
    }

    /// Every request that starts from now on carries `token`.
    pub fn replace(&self, token: Token) {
        self.0.store(Arc::new(token));
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.load().header().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_itself() {
        let token = Token::new("sha256~secret").expect("a token");
        assert_eq!(token.expose(), "sha256~secret");
        assert!(
            !format!(
                "{token:?} {:?} {:?}",
                token.header(),
                TokenSource::new(token.clone())
            )
            .contains("secret")
        );
    }

    #[test]
    fn refuses_what_no_header_carries() {
        for bad in [
            "",
            "a\nb",
            "ü\u{7f}",
            "tok\u{e9}n",
            &"x".repeat(MAX_TOKEN_BYTES + 1),
        ] {
            assert_eq!(Token::new(bad), None, "{:?}", &bad[..bad.len().min(8)]);
        }
    }

    #[test]
    fn replaces_the_own_token() {
        let source = TokenSource::new(Token::new("one").expect("a token"));
        let clone = source.clone();
        source.replace(Token::new("two").expect("a token"));
        assert_eq!(clone.header(), "Bearer two");
    }
}
