//! What a request says about its sender: the `Authorization` header, read once.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use berth_client::Token;
use http::{HeaderMap, header};

/// The token that the token endpoint gives to those who have none. As a bearer token it stands for no credentials.
pub(crate) const ANONYMOUS_TOKEN: &str = "anonymous";

/// Credentials as a client sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// No header, or one that says nothing: an unknown scheme, a scheme without a value.
    Missing,
    /// The token of the token endpoint for those who have none.
    Anonymous,
    /// A token of the Kubernetes API: a bearer token, or the password of Basic credentials whose user name is ignored.
    Token(Token),
    /// Basic credentials that cannot be decoded or have no password.
    Undecodable,
}

/// Clients write Base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Credentials {
    /// Reads the `Authorization` header.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::Missing;
        };
        let Some((scheme, value)) = value.to_str().ok().and_then(|value| value.trim().split_once(' ')) else {
            return Self::Missing;
        };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            match value {
                "" => Self::Missing,
                ANONYMOUS_TOKEN => Self::Anonymous,
                token => Token::new(token).map_or(Self::Undecodable, Self::Token),
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            password(value)
                .as_deref()
                .and_then(Token::new)
                .map_or(Self::Undecodable, Self::Token)
        } else {
            Self::Missing
        }
    }

    /// Whether the header is one of Basic authentication, whatever is in it.
    pub(crate) fn is_basic(headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().get(..6))
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
    }
}

/// The password of Basic credentials: everything after the first colon.
fn password(value: &str) -> Option<String> {
    let decoded = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
    decoded
        .split_once(':')
        .map(|(_user, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let token = |text: &str| Credentials::Token(Token::new(text).expect("a token"));
        for (header, want) in [
            (None, Credentials::Missing),
            (Some(""), Credentials::Missing),
            (Some("Bearer"), Credentials::Missing),
            (Some("Bearer "), Credentials::Missing),
            (Some("Negotiate abc"), Credentials::Missing),
            (Some("Bearer anonymous"), Credentials::Anonymous),
            (Some("bEaReR sha256~x"), token("sha256~x")),
            // `<token>:secret`, the user name of generated pull secrets.
            (Some("Basic PHRva2VuPjpzZWNyZXQ="), token("secret")),
            (Some("basic PHRva2VuPjpzZWNyZXQ"), token("secret")),
            // `u:a:b`: only the first colon separates.
            (Some("Basic dTphOmI="), token("a:b")),
            // `u:anonymous`: as a password the word is a token like any other, and no valid one.
            (Some("Basic dTphbm9ueW1vdXM="), token("anonymous")),
            // `u:` and `u`.
            (Some("Basic dTo="), Credentials::Undecodable),
            (Some("Basic dQ=="), Credentials::Undecodable),
            (Some("Basic ???"), Credentials::Undecodable),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(header));
            }
            assert_eq!(Credentials::of(&headers), want, "{header:?}");
        }
    }
}
