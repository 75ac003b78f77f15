//! What a client asks the authorization endpoint for. Pure.
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::kinds::Client;
use crate::opaque::same;
use crate::params::Params;
use crate::scope;

/// All but the unreserved characters of RFC 3986. A token begins with `sha256~`, and scripts that take it from the address
/// do not decode it: a tilde must stay one.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How the grant is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseType {
    /// As a code, to be exchanged.
    Code,
    /// As the token itself.
    Token,
}

/// How a challenge follows from its verifier (RFC 7636).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Plain,
    S256,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Plain => "plain",
            Method::S256 => "S256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Method> {
        match name {
            "" | "plain" => Some(Method::Plain),
            "S256" => Some(Method::S256),
            _ => None,
        }
    }

    /// The challenge of a verifier.
    pub(crate) fn challenge(self, verifier: &str) -> String {
        match self {
            Method::Plain => verifier.to_owned(),
            Method::S256 => URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes())),
        }
    }
}

/// A challenge or verifier has 43 to 128 unreserved characters.
fn is_challenge(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// Whether a verifier is the one of a challenge; without a challenge there must not be one either.
pub(crate) fn proves(challenge: &str, method: Method, verifier: &str) -> bool {
    if challenge.is_empty() {
        return verifier.is_empty();
    }
    is_challenge(verifier) && same(challenge, &method.challenge(verifier))
}

/// An error of RFC 6749, section 4.1.2.1 or 5.2: its code and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) code: &'static str,
    pub(crate) description: String,
}

impl Error {
    pub(crate) fn new(code: &'static str, description: impl Into<String>) -> Error {
        Error {
            code,
            description: description.into(),
        }
    }
}

/// What is asked for, once client and address are known to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) response_type: ResponseType,
    pub(crate) scopes: Vec<String>,
    /// Empty for none.
    pub(crate) challenge: String,
    pub(crate) method: Method,
    /// What the client wants to see again; empty for nothing.
    pub(crate) state: String,
}

impl Wish {
    /// Reads the rest of a request. `own_page`: the answer goes to a page of this server, where no other program can
    /// catch a code.
    ///
    /// # Errors
    /// [`Error`], for the client.
    pub(crate) fn read(params: &Params, client: &Client, own_page: bool) -> Result<Wish, Error> {
        let response_type = match params.text("response_type") {
            "code" => ResponseType::Code,
            "token" => ResponseType::Token,
            "" => return Err(Error::new("invalid_request", "response_type is missing")),
            _ => {
                return Err(Error::new(
                    "unsupported_response_type",
                    "response_type must be code or token",
                ));
            }
        };
        let mut scopes: Vec<String> = params
            .text("scope")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            scopes.push(scope::FULL.to_owned());
        }
        if let Some(unknown) = scopes.iter().find(|scope| !scope::is_known(scope)) {
            return Err(Error::new("invalid_scope", format!("{unknown:?} is no scope")));
        }
        if let Some(denied) = scopes.iter().find(|scope| !client.may_ask_for(scope)) {
            return Err(Error::new(
                "invalid_scope",
                format!("the client may not ask for {denied}"),
            ));
        }
        let challenge = params.text("code_challenge").to_owned();
        let method = Method::parse(params.text("code_challenge_method"))
            .ok_or_else(|| Error::new("invalid_request", "code_challenge_method must be plain or S256"))?;
        if !challenge.is_empty() && !is_challenge(&challenge) {
            let description = "code_challenge must have 43 to 128 unreserved characters";
            return Err(Error::new("invalid_request", description));
        }
        let public = client.proves_itself("");
        if response_type == ResponseType::Code && challenge.is_empty() && public && !own_page {
            let description = "a client without a secret must send a code_challenge";
            return Err(Error::new("invalid_request", description));
        }
        Ok(Wish {
            response_type,
            scopes,
            challenge,
            method,
            state: params.text("state").to_owned(),
        })
    }
}

/// Where a browser is sent with the answer: in the query for a code, in the fragment for a token, which then stays in
/// the browser.
pub(crate) fn answer(
    redirect: &Url,
    response_type: ResponseType,
    answer: &[(&str, &str)],
    state: &str,
) -> Url {
    let answer = answer
        .iter()
        .copied()
        .chain((!state.is_empty()).then_some(("state", state)));
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let pairs: Vec<String> = answer
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    let pairs = pairs.join("&");
    let mut url = redirect.clone();
    match response_type {
        ResponseType::Code => {
            let query = url
                .query()
                .filter(|query| !query.is_empty())
                .map(|query| format!("{query}&{pairs}"));
            url.set_query(Some(&query.unwrap_or(pairs)));
        }
        ResponseType::Token => url.set_fragment(Some(&pairs)),
    }
    url
}

#[cfg(test)]
mod tests {
    use berth_apimachinery::object::Object;
    use serde_json::json;

    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn params(query: &str) -> Params {
        let request = http::Request::get(format!("/?{query}")).body(()).unwrap();
        Params::of_query(&request.into_parts().0).unwrap()
    }

    #[test]
    fn the_example_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(proves(CHALLENGE, Method::S256, verifier));
        for (challenge, method, verifier, want) in [
            (CHALLENGE, Method::S256, CHALLENGE, false),
            (CHALLENGE, Method::Plain, CHALLENGE, true),
            (CHALLENGE, Method::S256, "", false),
            ("", Method::Plain, "", true),
            ("", Method::Plain, verifier, false),
            ("short", Method::Plain, "short", false),
        ] {
            assert_eq!(
                proves(challenge, method, verifier),
                want,
                "{challenge} {verifier}"
            );
        }
    }

    #[test]
    fn wishes_are_checked() {
        let public = Object::from_value(json!({"metadata": {"name": "p"}, "grantMethod": "auto"})).unwrap();
        let narrow = json!({"metadata": {"name": "n"}, "secret": "s", "scopeRestrictions": [{"literals": ["user:info"]}]});
        let narrow = Object::from_value(narrow).unwrap();
        let with = format!("response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256");
        for (client, query, own_page, want) in [
            (&public, with.as_str(), false, ""),
            (&public, "response_type=token", false, ""),
            (&public, "response_type=code", true, ""),
            (&public, "response_type=code", false, "invalid_request"),
            (&public, "", false, "invalid_request"),
            (
                &public,
                "response_type=code+token",
                false,
                "unsupported_response_type",
            ),
            (
                &public,
                "response_type=token&scope=user:everything",
                false,
                "invalid_scope",
            ),
            (
                &public,
                "response_type=token&scope=user:info+user:info",
                false,
                "",
            ),
            (
                &public,
                "response_type=code&code_challenge=short",
                false,
                "invalid_request",
            ),
            (&public, &format!("{with}9"), false, "invalid_request"),
            (&narrow, "response_type=code&scope=user:info", false, ""),
            (&narrow, "response_type=code", false, "invalid_scope"),
        ] {
            let client = Client::read(client).unwrap();
            let got = Wish::read(&params(query), &client, own_page);
            assert_eq!(
                got.as_ref().err().map_or("", |error| error.code),
                want,
                "{query}: {got:?}"
            );
        }
    }

    #[test]
    fn answers_go_where_they_belong() {
        let redirect: Url = "https://a.example/cb?x=1".parse().unwrap();
        let code = answer(&redirect, ResponseType::Code, &[("code", "a&b")], "s t");
        assert_eq!(code.as_str(), "https://a.example/cb?x=1&code=a%26b&state=s%20t");
        let token = answer(
            &redirect,
            ResponseType::Token,
            &[("access_token", "sha256~a"), ("scope", "user:full")],
            "",
        );
        assert_eq!(
            token.as_str(),
            "https://a.example/cb?x=1#access_token=sha256~a&scope=user%3Afull"
        );
    }
}
