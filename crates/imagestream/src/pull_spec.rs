use std::{fmt, str::FromStr};

/// The most characters that the name of a repository, host included, may have.
pub(crate) const MAX_NAME: usize = 255;
/// The fewest hexadecimal digits of a digest.
const MIN_DIGEST_HEX: usize = 32;

/// A pull spec: `[host[:port]/]path[:tag][@digest]`, split the way OpenShift splits it.
///
/// The first element of the path is a host if it contains `.` or `:` or is `localhost`; a lone element that contains `.` or
/// begins with `localhost` is a host without a repository. Of the rest, the first of several elements is the namespace and
/// everything after it the name, slashes included. Nothing is defaulted: what was not written is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PullSpec {
    /// Host and port; empty if not written.
    pub registry: String,
    /// The first element of the repository, if it has several.
    pub namespace: String,
    /// The rest of the repository.
    pub name: String,
    /// The tag; empty if not written.
    pub tag: String,
    /// The digest; empty if not written.
    pub id: String,
}

/// Why a text is not a pull spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// It would, were it not for upper-case letters.
    #[error("invalid reference format: repository name must be lowercase")]
    Uppercase,
    /// There is nothing.
    #[error("invalid reference format: repository name must have at least one component")]
    Empty,
    /// The name is longer than 255 characters.
    #[error("repository name must not be more than {MAX_NAME} characters")]
    TooLong,
}

impl PullSpec {
    /// The repository `<host>/<namespace>/<name>` of a stream on a registry.
    #[must_use]
    pub fn of_stream(registry: &str, namespace: &str, name: &str) -> Self {
        Self {
            registry: registry.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The same repository without tag and digest.
    #[must_use]
    pub fn repository(&self) -> Self {
        Self {
            tag: String::new(),
            id: String::new(),
            ..self.clone()
        }
    }

    /// The same repository, pinned to a digest.
    #[must_use]
    pub fn at(&self, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..self.repository()
        }
    }

    /// What a client that knows Docker's conventions would pull: `docker.io`, `library` and `latest` where nothing is said.
    #[must_use]
    pub fn with_client_defaults(&self) -> Self {
        let mut spec = self.clone();
        if spec.registry.is_empty() {
            "docker.io".clone_into(&mut spec.registry);
        }
        if spec.namespace.is_empty()
            && matches!(
                spec.registry.as_str(),
                "docker.io" | "index.docker.io" | "registry-1.docker.io"
            )
        {
            "library".clone_into(&mut spec.namespace);
        }
        if spec.tag.is_empty() && spec.id.is_empty() {
            "latest".clone_into(&mut spec.tag);
        }
        spec
    }
}

impl fmt::Display for PullSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for part in [&self.registry, &self.namespace, &self.name] {
            if !part.is_empty() {
                write!(f, "{separator}{part}")?;
                separator = "/";
            }
        }
        if !self.tag.is_empty() {
            write!(f, ":{}", self.tag)?;
        }
        if !self.id.is_empty() {
            write!(f, "@{}", self.id)?;
        }
        Ok(())
    }
}

impl FromStr for PullSpec {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).map_err(|error| match error {
            ParseError::Format if text.is_empty() => ParseError::Empty,
            ParseError::Format if parse(&text.to_lowercase()).is_ok() => ParseError::Uppercase,
            error => error,
        })
    }
}

fn parse(text: &str) -> Result<PullSpec, ParseError> {
    let (rest, id) = match text.split_once('@') {
        Some((rest, id)) if is_digest(id) => (rest, id),
        Some(_) => return Err(ParseError::Format),
        None => (text, ""),
    };
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => {
            if !crate::name::is_tag(tag) {
                return Err(ParseError::Format);
            }
            (name, tag)
        }
        _ => (rest, ""),
    };
    check_name(name)?;

    let mut parts: Vec<&str> = name.split('/').collect();
    let first = parts[0];
    let is_host = match parts.len() {
        1 => first.contains('.') || first.starts_with("localhost"),
        _ => first.contains('.') || first.contains(':') || first == "localhost",
    };
    let registry = if is_host { parts.remove(0) } else { "" };
    let (namespace, name) = match parts.as_slice() {
        [] => ("", String::new()),
        [name] => ("", (*name).to_owned()),
        [namespace, rest @ ..] => (*namespace, rest.join("/")),
    };
    Ok(PullSpec {
        registry: registry.to_owned(),
        namespace: namespace.to_owned(),
        name,
        tag: tag.to_owned(),
        id: id.to_owned(),
    })
}

/// `[host[:port]/]component[/component]…`
fn check_name(name: &str) -> Result<(), ParseError> {
    let (first, rest) = match name.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    let grammatical = match rest {
        None => is_component(first),
        // A host is told from a namespace by its dot or colon, so without them only a component will do.
        Some(rest) => {
            (is_component(first) || (first.contains(['.', ':']) && is_host(first)))
                && rest.split('/').all(is_component)
        }
    };
    if !grammatical {
        return Err(ParseError::Format);
    }
    if name.len() > MAX_NAME {
        return Err(ParseError::TooLong);
    }
    Ok(())
}

/// A path component of the distribution grammar: runs of `[a-z0-9]` joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return false;
    }
    bytes.split(alphanumeric).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-')
    })
}

/// `name[.name]…[:port]`, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// `algorithm:hex`, without an opinion on which algorithms exist.
pub(crate) fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    hex.len() >= MIN_DIGEST_HEX
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && algorithm.split(['-', '_', '+', '.']).all(|part| {
            part.bytes()
                .next()
                .is_some_and(|first| first.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "sha256:3c87c572822935df60f0f5d3665bd376841a7fcfeb806b5f212de6a00e9a7b25";

    fn spec(registry: &str, namespace: &str, name: &str, tag: &str, id: &str) -> PullSpec {
        PullSpec {
            registry: registry.into(),
            namespace: namespace.into(),
            name: name.into(),
            tag: tag.into(),
            id: id.into(),
        }
    }

    #[test]
    fn splits_as_openshift_does() {
        for (text, want) in [
            ("ruby", spec("", "", "ruby", "", "")),
            ("ruby:2.0", spec("", "", "ruby", "2.0", "")),
            ("openshift/ruby", spec("", "openshift", "ruby", "", "")),
            ("a/b/c", spec("", "a", "b/c", "", "")),
            ("quay.io/a/b:c", spec("quay.io", "a", "b", "c", "")),
            ("quay.io/a/b/c/d", spec("quay.io", "a", "b/c/d", "", "")),
            ("quay.io/b", spec("quay.io", "", "b", "", "")),
            ("localhost/b", spec("localhost", "", "b", "", "")),
            ("localhost:5000/a/b", spec("localhost:5000", "a", "b", "", "")),
            ("host:5000/a/b:t", spec("host:5000", "a", "b", "t", "")),
            ("[fd00::1]:5000/a/b:t", spec("[fd00::1]:5000", "a", "b", "t", "")),
            ("registry.example", spec("registry.example", "", "", "", "")),
            ("localhost", spec("localhost", "", "", "", "")),
            ("Host.Example/a/b", spec("Host.Example", "a", "b", "", "")),
            ("a__b/c---d", spec("", "a__b", "c---d", "", "")),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        let both = format!("quay.io/a/b:c@{ID}");
        assert_eq!(both.parse(), Ok(spec("quay.io", "a", "b", "c", ID)));
        let pinned = format!("a@{ID}");
        assert_eq!(pinned.parse(), Ok(spec("", "", "a", "", ID)));
    }

    #[test]
    fn refuses_what_no_registry_could_serve() {
        let long = format!("a/{}", "b".repeat(254));
        for (text, want) in [
            ("", ParseError::Empty),
            ("UPPER//x:y", ParseError::Format),
            ("Upper/x:y", ParseError::Uppercase),
            ("a/B", ParseError::Uppercase),
            ("a//b", ParseError::Format),
            ("/a", ParseError::Format),
            ("a/", ParseError::Format),
            ("a:", ParseError::Format),
            ("a:b:c", ParseError::Format),
            ("a@sha256:12", ParseError::Format),
            ("a@", ParseError::Format),
            ("a:-b", ParseError::Format),
            ("a___b", ParseError::Format),
            ("a._b", ParseError::Format),
            ("-a", ParseError::Format),
            ("host:port/a", ParseError::Format),
            ("[::zz]/a", ParseError::Format),
            ("ä", ParseError::Format),
            (long.as_str(), ParseError::TooLong),
        ] {
            assert_eq!(text.parse::<PullSpec>(), Err(want), "{text}");
        }
    }

    #[test]
    fn defaults_are_those_of_docker() {
        for (text, want) in [
            ("ruby", "docker.io/library/ruby:latest"),
            ("a/ruby:1", "docker.io/a/ruby:1"),
            ("quay.io/ruby", "quay.io/ruby:latest"),
        ] {
            assert_eq!(
                text.parse::<PullSpec>()
                    .unwrap()
                    .with_client_defaults()
                    .to_string(),
                want,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_read(text in r"([a-z0-9]{1,5}(\.[a-z]{2,4})?(:[0-9]{2,4})?/)?[a-z0-9]{1,6}(/[a-z0-9]{1,6}(__[a-z0-9])?){0,3}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,8})?(@sha256:[a-f0-9]{64})?") {
            if let Ok(spec) = text.parse::<PullSpec>() {
                prop_assert_eq!(spec.to_string(), text);
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<PullSpec>();
        }
    }
}
