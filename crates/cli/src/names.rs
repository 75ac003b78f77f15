//! How servers, contexts and users are named in a kubeconfig, so that `oc` and `berth` find each other's entries.
use url::Url;

use crate::error::{Error, Result};

/// A server's base URL: with scheme (HTTPS unless another is written) and port, without a trailing slash.
pub(crate) fn server_url(text: &str) -> Result<String> {
    let wrong = |why: &str| Error::Usage(format!("\"{text}\" is not a server: {why}"));
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&with_scheme).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(wrong("it must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "user and password go to -u and a prompt, not into the address",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must end after the host, the port or a path"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(wrong("it names no host"));
    };
    let path = url.path().trim_end_matches('/');
    Ok(format!("{}://{host}:{port}{path}", url.scheme()))
}

/// Name of a server's cluster entry: host and port, with dashes for the host's dots.
pub(crate) fn cluster(server: &str) -> String {
    let authority = server.split_once("://").map_or(server, |(_, rest)| rest);
    authority.split('/').next().unwrap_or_default().replace('.', "-")
}

/// Name of a user's entry at a server.
pub(crate) fn user(user: &str, server: &str) -> String {
    format!("{user}/{}", cluster(server))
}

/// Name of the context for a project at a server as the user of the entry `user`.
pub(crate) fn context(project: &str, server: &str, user: &str) -> String {
    let user = user.split('/').next().unwrap_or_default();
    format!("{project}/{}/{user}", cluster(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_get_scheme_and_port() {
        for (text, want) in [
            ("https://127.0.0.1:6443", "https://127.0.0.1:6443"),
            ("https://127.0.0.1:6443/", "https://127.0.0.1:6443"),
            ("api.example.com:6443", "https://api.example.com:6443"),
            ("localhost:6443", "https://localhost:6443"),
            ("https://api.example.com", "https://api.example.com:443"),
            ("http://api.example.com", "http://api.example.com:80"),
            ("https://host/k8s/c1/", "https://host:443/k8s/c1"),
            ("https://[::1]:6443", "https://[::1]:6443"),
        ] {
            assert_eq!(server_url(text).unwrap(), want, "{text}");
        }
        for text in [
            "",
            "https://",
            "ftp://host",
            "https://a:b@host",
            "https://host?x=1",
            "https://ho st",
        ] {
            assert_eq!(server_url(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn entries_are_named_as_oc_names_them() {
        let server = "https://127.0.0.1:6443";
        assert_eq!(cluster(server), "127-0-0-1:6443");
        assert_eq!(cluster("https://host:443/k8s/c1"), "host:443");
        assert_eq!(user("kube:admin", server), "kube:admin/127-0-0-1:6443");
        assert_eq!(
            context("demo", server, "alice/127-0-0-1:6443"),
            "demo/127-0-0-1:6443/alice"
        );
        assert_eq!(context("", server, "alice/x"), "/127-0-0-1:6443/alice");
    }
}
