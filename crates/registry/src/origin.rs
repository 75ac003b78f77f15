//! Where a request was sent to, as its sender sees it: scheme and host, through proxies and routers.

use berth_runtime::serve::Peer;
use http::{HeaderMap, header, request::Parts};

/// The scheme and host that the client used, as in `https://registry.example.com:5000`.
///
/// Proxies say so in `X-Forwarded-Proto`, `-Host` and `-Port` (their first value each); otherwise the `Host` header and
/// the connection tell. `None` when the host is not one: it ends up inside a quoted string of a header.
pub(crate) fn of(head: &Parts) -> Option<String> {
    let forwarded = |name: &str| first(&head.headers, name);
    let host = forwarded("x-forwarded-host")
        .or_else(|| head.headers.get(header::HOST).and_then(|host| host.to_str().ok()))
        .or_else(|| head.uri.authority().map(http::uri::Authority::as_str))
        .filter(|host| is_host(host))?;
    let (name, port) = split(host);
    let forwarded_port = forwarded("x-forwarded-port").filter(|port| port.parse::<u16>().is_ok());
    // The port of a proxy only belongs to a host that the proxy named too.
    let port = forwarded_port
        .filter(|_| head.headers.contains_key("x-forwarded-host"))
        .or(port);
    let tls = head.extensions.get::<Peer>().is_some_and(|peer| peer.tls);
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => "http",
        _ if tls || port == Some("443") => "https",
        _ => "http",
    };
    Some(match port {
        Some(port) if !is_default(scheme, port) => format!("{scheme}://{name}:{port}"),
        _ => format!("{scheme}://{name}"),
    })
}

/// The scheme is the only part of the origin that a header can lie about without the client noticing.
fn is_default(scheme: &str, port: &str) -> bool {
    matches!((scheme, port), ("https", "443") | ("http", "80"))
}

fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    let value = value.split(',').next().unwrap_or_default().trim();
    (!value.is_empty()).then_some(value)
}

fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        // In `[::1]` the last colon belongs to the address.
        Some((name, port)) if !port.contains(']') && !port.is_empty() => (name, Some(port)),
        Some((name, "")) => (name, None),
        _ => (host, None),
    }
}

fn is_host(host: &str) -> bool {
    /// The longest name of the DNS with a port.
    const LONGEST: usize = 253 + 6;
    !host.is_empty()
        && host.len() <= LONGEST
        && host.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_proxies() {
        for (headers, want) in [
            (&[("host", "r:5000")][..], Some("http://r:5000")),
            (&[("host", "r")], Some("http://r")),
            (&[("host", "r:443")], Some("https://r")),
            (&[("host", "r:80")], Some("http://r")),
            (&[("host", "[::1]:5000")], Some("http://[::1]:5000")),
            (&[("host", "[::1]")], Some("http://[::1]")),
            (
                &[
                    ("host", "in:5000"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", "out.example"),
                ],
                Some("https://out.example"),
            ),
            (
                &[
                    ("host", "in"),
                    ("x-forwarded-proto", "https, http"),
                    ("x-forwarded-host", "a, b"),
                    ("x-forwarded-port", "8443,1"),
                ],
                Some("https://a:8443"),
            ),
            (
                &[
                    ("host", "in"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", "a:1"),
                    ("x-forwarded-port", "443"),
                ],
                Some("https://a"),
            ),
            (
                &[("host", "in:5000"), ("x-forwarded-port", "443")],
                Some("http://in:5000"),
            ),
            (
                &[("host", "in"), ("x-forwarded-proto", "gopher")],
                Some("http://in"),
            ),
            (&[("host", "evil\",error=\"x")], None),
            (&[], None),
        ] {
            let mut request = http::Request::get("/v2/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).expect("valid").into_parts();
            assert_eq!(of(&head).as_deref(), want, "{headers:?}");
        }
    }
}
