//! What a path names: an object, a list of objects, or something else (`RequestInfo` in Kubernetes).
use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::status::Status;

/// A path below `/api/v1` or `/apis/<group>/<version>`, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath<'a> {
    /// `group/version`, or `v1`.
    pub(crate) api_version: &'a str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    /// Empty for cluster scope and for all namespaces.
    pub(crate) namespace: Cow<'a, str>,
    pub(crate) resource: Cow<'a, str>,
    /// Empty for the collection.
    pub(crate) name: Cow<'a, str>,
    /// Everything behind the name; empty for the object itself.
    pub(crate) subresource: Cow<'a, str>,
}

/// Subresources of namespaces, which look like resources in a namespace.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

/// Takes a path apart; none if it names no resource, as discovery and health paths do.
pub(crate) fn parse(path: &str) -> Result<Option<ResourcePath<'_>>, Status> {
    let (api_version, group, version, rest) = if let Some(rest) = path.strip_prefix("/apis/") {
        let Some((group, behind)) = rest.split_once('/') else {
            return Ok(None);
        };
        let Some((version, behind)) = behind.split_once('/') else {
            return Ok(None);
        };
        (&rest[..group.len() + 1 + version.len()], group, version, behind)
    } else if let Some(rest) = path.strip_prefix("/api/") {
        let Some((version, behind)) = rest.split_once('/') else {
            return Ok(None);
        };
        (version, "", version, behind)
    } else {
        return Ok(None);
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Ok(None);
    }
    let mut segments = Vec::with_capacity(6);
    for segment in rest.split('/') {
        segments.push(decode(segment)?);
    }
    let mut info = ResourcePath {
        api_version,
        group,
        version,
        ..ResourcePath::default()
    };
    let mut at = 0;
    if segments[0] == "namespaces" && segments.len() > 1 {
        info.namespace = segments[1].clone();
        let is_subresource = segments
            .get(2)
            .is_some_and(|segment| NAMESPACE_SUBRESOURCES.contains(&segment.as_ref()));
        if segments.len() > 2 && !is_subresource {
            at = 2;
        }
    }
    let mut behind = segments.drain(at..);
    info.resource = behind.next().unwrap_or_default();
    info.name = behind.next().unwrap_or_default();
    info.subresource = match (behind.next(), behind.next()) {
        (None, _) => Cow::Borrowed(""),
        (Some(one), None) => one,
        (Some(one), Some(two)) => {
            let mut all = format!("{one}/{two}");
            for more in behind {
                all.push('/');
                all.push_str(&more);
            }
            all.into()
        }
    };
    Ok(Some(info))
}

fn decode(segment: &str) -> Result<Cow<'_, str>, Status> {
    let bad = || Status::bad_request("a segment of the path is empty or not valid");
    if segment.is_empty() {
        return Err(bad());
    }
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| bad())?;
    // An encoded slash would let one segment pose as two further in.
    if decoded.contains('/')
        || matches!(decoded.as_ref(), "." | "..")
        || decoded.chars().any(char::is_control)
    {
        return Err(bad());
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_paths_apart() {
        for (path, want) in [
            ("/", None),
            ("/api", None),
            ("/api/v1", None),
            ("/api/v1/", None),
            ("/apis", None),
            ("/apis/g", None),
            ("/apis/g/v1", None),
            ("/apis/g/v1/", None),
            ("/version", None),
            ("/api/v1/pods", Some(["", "v1", "", "pods", "", ""])),
            ("/api/v1/nodes/a", Some(["", "v1", "", "nodes", "a", ""])),
            ("/api/v1/namespaces", Some(["", "v1", "", "namespaces", "", ""])),
            (
                "/api/v1/namespaces/n",
                Some(["", "v1", "n", "namespaces", "n", ""]),
            ),
            (
                "/api/v1/namespaces/n/",
                Some(["", "v1", "n", "namespaces", "n", ""]),
            ),
            (
                "/api/v1/namespaces/n/status",
                Some(["", "v1", "n", "namespaces", "n", "status"]),
            ),
            (
                "/api/v1/namespaces/n/finalize",
                Some(["", "v1", "n", "namespaces", "n", "finalize"]),
            ),
            ("/api/v1/namespaces/n/pods", Some(["", "v1", "n", "pods", "", ""])),
            (
                "/api/v1/namespaces/n/pods/p/log",
                Some(["", "v1", "n", "pods", "p", "log"]),
            ),
            (
                "/apis/g/v2/namespaces/n/ks/a%3Ab/x/y/z",
                Some(["g", "v2", "n", "ks", "a:b", "x/y/z"]),
            ),
        ] {
            let parsed = parse(path).unwrap();
            let got = parsed.as_ref().map(|info| {
                [
                    info.group,
                    info.version,
                    &info.namespace,
                    &info.resource,
                    &info.name,
                    &info.subresource,
                ]
            });
            assert_eq!(got, want, "{path}");
        }
        for path in [
            "/api/v1//pods",
            "/api/v1/pods/a%2Fb",
            "/api/v1/pods/%ff",
            "/api/v1/pods/..",
            "/api/v1/p/%00",
        ] {
            assert_eq!(parse(path).unwrap_err().code(), 400, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(path in "(/apis?/)?[a-c/%0-9.]{0,32}") {
            drop(parse(&path));
        }
    }
}
