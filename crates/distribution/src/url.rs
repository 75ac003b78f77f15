//! URLs in `Location` and `Link`.

use http::header::HOST;
use http::request::Parts;

use crate::config::{Scheme, Urls};

/// The URL of a path, as the client that sent `head` reaches it.
pub(crate) fn of(urls: &Urls, head: &Parts, path: &str) -> String {
    match urls {
        Urls::Relative => path.to_owned(),
        Urls::Fixed(base) => format!("{}{path}", base.trim_end_matches('/')),
        Urls::Request => base(head).map_or_else(|| path.to_owned(), |base| format!("{base}{path}")),
    }
}

/// Scheme and host as the client used them. Proxies append to these headers, so the first element is the client's side.
fn base(head: &Parts) -> Option<String> {
    let header = |name: &str| {
        head.headers
            .get(name)?
            .to_str()
            .ok()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let first = |text: &str| text.split(',').next().unwrap_or_default().trim().to_owned();
    let forwarded = header("forwarded").map(first).unwrap_or_default();
    let parameter = |wanted: &str| {
        forwarded.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let scheme = parameter("proto")
        .or_else(|| header("x-forwarded-proto").map(first))
        .filter(|scheme| matches!(scheme.as_str(), "http" | "https"))
        .unwrap_or_else(|| match head.extensions.get() {
            Some(Scheme::Https) => "https".to_owned(),
            Some(Scheme::Http) | None => "http".to_owned(),
        });
    let host = parameter("host")
        .or_else(|| header("x-forwarded-host").map(first))
        .or_else(|| header(HOST.as_str()).map(str::to_owned))
        .or_else(|| head.uri.authority().map(ToString::to_string))?;
    // A host that is more than a host and a port would let a header write the rest of the URL.
    host.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
        .then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn bases() {
        for (headers, scheme, want) in [
            (vec![("host", "r:5000")], None, "http://r:5000/v2/"),
            (
                vec![("host", "r:5000")],
                Some(Scheme::Https),
                "https://r:5000/v2/",
            ),
            (
                vec![("host", "r"), ("x-forwarded-proto", "https")],
                None,
                "https://r/v2/",
            ),
            (
                vec![
                    ("host", "r"),
                    ("x-forwarded-host", "pub.example, inner"),
                    ("x-forwarded-proto", "https, http"),
                ],
                None,
                "https://pub.example/v2/",
            ),
            (
                vec![
                    ("host", "r"),
                    ("forwarded", "for=1.2.3.4;proto=https;host=\"a:8443\", for=x"),
                ],
                None,
                "https://a:8443/v2/",
            ),
            (vec![("host", "r/evil?")], None, "/v2/"),
            (
                vec![("host", "r"), ("x-forwarded-proto", "javascript")],
                None,
                "http://r/v2/",
            ),
            (vec![], None, "/v2/"),
        ] {
            let mut request = Request::builder().uri("/v2/");
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let (mut head, ()) = request.body(()).unwrap().into_parts();
            if let Some(scheme) = scheme {
                head.extensions.insert(scheme);
            }
            assert_eq!(of(&Urls::Request, &head, "/v2/"), want, "{headers:?}");
            assert_eq!(of(&Urls::Relative, &head, "/v2/"), "/v2/");
            assert_eq!(
                of(&Urls::Fixed("https://x/".to_owned()), &head, "/v2/"),
                "https://x/v2/"
            );
        }
    }
}
