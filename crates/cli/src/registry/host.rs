//! The registry's address, as image streams tell it.
use serde_json::{Value, json};

use crate::{
    api::segment,
    connection::Session,
    error::{Error, Result, failed},
};

/// Streams that everybody may see, on most clusters.
const SHARED: &str = "openshift";

/// For whom the address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Clients outside of the cluster.
    Public,
    /// Clients inside.
    Internal,
    /// The public one if there is one, else the other.
    Any,
}

/// An address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) host: String,
    /// `public` or `internal`.
    pub(super) kind: &'static str,
}

/// Finds it in a stream of the current project, else in one of `openshift`; else the server is asked what a new stream of
/// the project would show, without making it.
pub(super) async fn find(session: &Session, wanted: Wanted) -> Result<Found> {
    let streams = |project: &str| {
        format!(
            "/apis/image.openshift.io/v1/namespaces/{}/imagestreams",
            segment(project)
        )
    };
    let mut refused = None;
    for project in [session.namespace.as_str(), SHARED] {
        match session.api.get(&format!("{}?limit=1", streams(project))).await {
            Ok(list) => {
                if let Some(found) = list
                    .pointer("/items/0")
                    .and_then(|stream| in_stream(stream, wanted))
                {
                    return Ok(found);
                }
            }
            Err(error) if error.is(403) || error.is(404) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    let probe = json!({
        "apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"generateName": "registry-address-"},
    });
    match session
        .api
        .post(&format!("{}?dryRun=All", streams(&session.namespace)), &probe)
        .await
    {
        Ok(stream) => {
            if let Some(found) = in_stream(&stream, wanted) {
                return Ok(found);
            }
        }
        Err(error) if error.is(401) => return Err(error),
        Err(error) => refused = refused.or(Some(error)),
    }
    let kind = match wanted {
        Wanted::Public => "public ",
        Wanted::Internal => "internal ",
        Wanted::Any => "",
    };
    let why = refused.map_or_else(String::new, |error| format!(" ({error})"));
    Err(failed(format!(
        "no image stream of project \"{}\" or \"{SHARED}\" tells the registry's {kind}address; choose a project with -n, \
         or name the registry with --registry{why}",
        session.namespace
    )))
}

fn in_stream(stream: &Value, wanted: Wanted) -> Option<Found> {
    let host = |field: &str| {
        let reference = stream.get("status")?.get(field)?.as_str()?;
        let host = reference.split('/').next()?;
        (!host.is_empty()).then(|| host.to_owned())
    };
    let public = || {
        let host = host("publicDockerImageRepository")?;
        Some(Found { host, kind: "public" })
    };
    let internal = || {
        let host = host("dockerImageRepository")?;
        Some(Found {
            host,
            kind: "internal",
        })
    };
    match wanted {
        Wanted::Public => public(),
        Wanted::Internal => internal(),
        Wanted::Any => public().or_else(internal),
    }
}

/// Takes `HOST[:PORT]`, also with `https://` before it, as people copy it.
pub(super) fn parse(text: &str) -> Result<String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let host = host.trim_end_matches('/');
    let plausible = !host.is_empty() && host.parse::<http::uri::Authority>().is_ok() && !host.contains('@');
    if plausible {
        return Ok(host.to_owned());
    }
    Err(Error::Usage(format!(
        "--registry must be HOST or HOST:PORT, not \"{text}\""
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_tells_addresses() {
        let both = json!({"status": {"dockerImageRepository": "in:5000/a/b", "publicDockerImageRepository": "out/a/b"}});
        let one = json!({"status": {"dockerImageRepository": "in:5000/a/b"}});
        for (stream, wanted, want) in [
            (&both, Wanted::Any, Some("out")),
            (&both, Wanted::Internal, Some("in:5000")),
            (&one, Wanted::Any, Some("in:5000")),
            (&one, Wanted::Public, None),
            (&json!({}), Wanted::Any, None),
        ] {
            assert_eq!(in_stream(stream, wanted).map(|found| found.host).as_deref(), want);
        }
    }

    #[test]
    fn a_registry_is_host_and_port() {
        for (text, want) in [
            ("127.0.0.1:5000", Some("127.0.0.1:5000")),
            ("https://registry.example.com/", Some("registry.example.com")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("", None),
            ("a/b", None),
            ("u@h", None),
        ] {
            assert_eq!(parse(text).ok().as_deref(), want, "{text}");
        }
    }
}
