//! `WWW-Authenticate`: how a server wants to be asked.

use std::{borrow::Cow, fmt};

/// Longest header value that is read, in bytes; a longer one yields no challenge.
pub const CHALLENGE_MAX_BYTES: usize = 16 * 1024;
/// Most parameters of one challenge.
pub const PARAMETERS_MAX: usize = 32;

/// A scheme with its parameters, such as `Bearer realm="https://example.com/token",service="x"`.
///
/// Spec: RFC 9110, sections 11.2 to 11.4 and 11.6.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    token: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A challenge without parameters.
    ///
    /// The scheme is reduced to its token characters, so that the header stays well-formed whatever is given.
    #[must_use]
    pub fn new(scheme: &str) -> Self {
        Challenge {
            scheme: scheme.chars().filter(|c| is_token(*c)).collect(),
            token: None,
            parameters: Vec::new(),
        }
    }

    /// Adds a parameter. Characters that no header may hold are dropped from the value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let name = name
            .chars()
            .filter(|c| is_token(*c))
            .collect::<String>()
            .to_ascii_lowercase();
        self.parameters
            .push((name, value.chars().filter(|c| is_text(*c)).collect()));
        self
    }

    /// The scheme as it was written; schemes are compared without regard to case, see [`is`](Self::is).
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether this is a challenge of `scheme`.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of the first parameter of that name, compared without regard to case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All parameters in order, their names in lower case.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The `token68` that some schemes have instead of parameters.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Reads the challenges of one header value. One header may hold several, separated by the same commas that separate
    /// parameters. Reading stops at the first malformed place, and what came before it is kept: half an answer from a
    /// careless server is better than none.
    #[must_use]
    pub fn parse(header: &str) -> Vec<Challenge> {
        if header.len() > CHALLENGE_MAX_BYTES {
            return Vec::new();
        }
        let mut cursor = Cursor(header);
        let mut found = Vec::new();
        cursor.skip_commas();
        while let Some(challenge) = cursor.challenge() {
            found.push(challenge);
            if !cursor.skip_commas() {
                break;
            }
        }
        found
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        if let Some(token) = &self.token {
            return write!(f, " {token}");
        }
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            let separator = if index == 0 { " " } else { "," };
            write!(f, "{separator}{name}=\"{}\"", escape(value))?;
        }
        Ok(())
    }
}

fn escape(value: &str) -> Cow<'_, str> {
    if value.contains(['"', '\\']) {
        Cow::Owned(value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        Cow::Borrowed(value)
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// What a quoted string may hold: no control characters but the tab.
fn is_text(c: char) -> bool {
    c == '\t' || !c.is_control()
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, c: char) -> bool {
        self.0.strip_prefix(c).is_some_and(|rest| {
            self.0 = rest;
            true
        })
    }

    /// Whether there was at least one comma; empty list elements are allowed.
    fn skip_commas(&mut self) -> bool {
        let mut any = false;
        loop {
            self.skip_space();
            if !self.eat(',') {
                return any;
            }
            any = true;
        }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !accept(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn token(&mut self) -> Option<&'a str> {
        Some(self.take_while(is_token)).filter(|token| !token.is_empty())
    }

    fn challenge(&mut self) -> Option<Challenge> {
        let scheme = self.token()?;
        let mut challenge = Challenge {
            scheme: scheme.to_owned(),
            token: None,
            parameters: Vec::new(),
        };
        // Only a space leads on to parameters; `Negotiate, Basic realm="x"` are two schemes.
        if !self.0.starts_with([' ', '\t']) {
            return Some(challenge);
        }
        self.skip_space();
        if let Some(token) = self.token68() {
            challenge.token = Some(token.to_owned());
            return Some(challenge);
        }
        loop {
            let before = self.0;
            let Some((name, value)) = self.parameter() else {
                // The token belongs to the next challenge, or is garbage that the caller will meet again.
                self.0 = before;
                return Some(challenge);
            };
            if challenge.parameters.len() < PARAMETERS_MAX {
                challenge
                    .parameters
                    .push((name.to_ascii_lowercase(), value.into_owned()));
            }
            let before = self.0;
            if !self.skip_commas() {
                return Some(challenge);
            }
            let next = self.0;
            // A comma is followed by another parameter, or by the scheme of another challenge.
            if Cursor(next).parameter().is_none() {
                self.0 = before;
                return Some(challenge);
            }
        }
    }

    fn token68(&mut self) -> Option<&'a str> {
        let mut ahead = Cursor(self.0);
        let body = ahead.take_while(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        if body.is_empty() {
            return None;
        }
        ahead.take_while(|c| c == '=');
        let length = self.0.len() - ahead.0.len();
        ahead.skip_space();
        // `name=value` is a parameter; a token68 ends the challenge.
        if !(ahead.0.is_empty() || ahead.0.starts_with(',')) {
            return None;
        }
        let (token, _) = self.0.split_at(length);
        self.0 = ahead.0;
        Some(token)
    }

    fn parameter(&mut self) -> Option<(&'a str, Cow<'a, str>)> {
        let name = self.token()?;
        self.skip_space();
        if !self.eat('=') {
            return None;
        }
        self.skip_space();
        let value = if self.eat('"') {
            self.quoted()?
        } else {
            Cow::Borrowed(self.token()?)
        };
        Some((name, value))
    }

    /// The rest of a quoted string, without its escapes.
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let plain = self.take_while(|c| is_text(c) && c != '"' && c != '\\');
        if self.eat('"') {
            return Some(Cow::Borrowed(plain));
        }
        let mut value = plain.to_owned();
        loop {
            if self.eat('"') {
                return Some(Cow::Owned(value));
            }
            if self.eat('\\') {
                let escaped = self.0.chars().next().filter(|c| is_text(*c))?;
                value.push(escaped);
                self.0 = &self.0[escaped.len_utf8()..];
            }
            let more = self.take_while(|c| is_text(c) && c != '"' && c != '\\');
            value.push_str(more);
            if !self.0.starts_with(['"', '\\']) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(header: &str) -> Vec<String> {
        Challenge::parse(header)
            .iter()
            .map(Challenge::to_string)
            .collect()
    }

    #[test]
    fn reads_what_servers_send() {
        for (header, want) in [
            ("", vec![]),
            ("Basic", vec!["Basic"]),
            (r#"Basic realm="x""#, vec![r#"Basic realm="x""#]),
            ("Basic realm=x", vec![r#"Basic realm="x""#]),
            (
                r#"Bearer realm="https://a/token",service="a",scope="repository:a/b:pull,push""#,
                vec![r#"Bearer realm="https://a/token",service="a",scope="repository:a/b:pull,push""#],
            ),
            (
                r#"Bearer realm="a", Basic realm="b""#,
                vec![r#"Bearer realm="a""#, r#"Basic realm="b""#],
            ),
            (
                r#"Negotiate, Basic realm="b""#,
                vec!["Negotiate", r#"Basic realm="b""#],
            ),
            ("Negotiate YWJj==", vec!["Negotiate YWJj=="]),
            (
                r#"Negotiate YWJj, Basic realm="b""#,
                vec!["Negotiate YWJj", r#"Basic realm="b""#],
            ),
            (r#" , Basic  realm = "a\"\\b" "#, vec![r#"Basic realm="a\"\\b""#]),
            (r#"Basic realm="unfinished"#, vec!["Basic"]),
            (r#"Basic REALM="x""#, vec![r#"Basic realm="x""#]),
            ("=", vec![]),
        ] {
            assert_eq!(show(header), want, "{header}");
        }
    }

    #[test]
    fn finds_parameters_and_schemes_in_any_case() {
        let found = Challenge::parse(r#"bearer Realm="r",error="insufficient_scope""#);
        assert!(found[0].is("Bearer"));
        assert_eq!(found[0].parameter("REALM"), Some("r"));
        assert_eq!(found[0].parameter("missing"), None);
        assert_eq!(found[0].parameters().count(), 2);
    }

    #[test]
    fn built_challenges_cannot_break_the_header() {
        let evil = Challenge::new("Ba\r\nsic").with("rea lm", "a\r\nSet-Cookie: b\"c");
        assert_eq!(evil.to_string(), r#"Basic realm="aSet-Cookie: b\"c""#);
        assert!(Challenge::parse(&"a,".repeat(CHALLENGE_MAX_BYTES)).is_empty());
    }

    proptest! {
        #[test]
        fn round_trips(scheme in "[A-Za-z]{1,10}", names in prop::collection::vec("[a-z]{1,8}", 0..5), value in "[^\\p{Cc}]{0,30}") {
            let challenge = names.iter().fold(Challenge::new(&scheme), |c, name| c.with(name, &value));
            prop_assert_eq!(Challenge::parse(&challenge.to_string()), vec![challenge]);
        }

        #[test]
        fn what_parses_prints_and_parses_again(header in "[A-Za-z0-9=\"\\\\, /+]{0,60}|.{0,60}") {
            for challenge in Challenge::parse(&header) {
                prop_assert_eq!(Challenge::parse(&challenge.to_string()), vec![challenge]);
            }
        }
    }
}
