//! Where tokens and codes are sent: only where the client is registered to be.
use std::net::IpAddr;

use url::{Host, Url};

/// Schemes of addresses that a browser can be sent to without running anything there.
const SCRIPTS: [&str; 5] = ["javascript", "data", "vbscript", "blob", "file"];
/// Longest address, in bytes.
const LIMIT: usize = 2048;

/// Whether a client may be registered with this address.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(address: &str) -> Result<Url, &'static str> {
    if address.len() > LIMIT {
        return Err("is too long");
    }
    let url = Url::parse(address).map_err(|_| "must be an absolute URL")?;
    if SCRIPTS.contains(&url.scheme()) {
        return Err("may not have this scheme");
    }
    if matches!(url.scheme(), "http" | "https") && !url.has_host() {
        return Err("must name a host");
    }
    if url.fragment().is_some() {
        return Err("may not have a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("may not contain credentials");
    }
    Ok(url)
}

/// The address that a request names, if it is one of those registered; without one, the only one that is.
///
/// An address must be registered exactly, except that a loopback address matches with any port, since a program that
/// waits there takes the port it gets (RFC 8252, section 7.3).
pub(crate) fn choose(registered: &[String], asked: Option<&str>) -> Option<Url> {
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        let [only] = registered else { return None };
        return check(only).ok();
    };
    let asked_url = check(asked).ok()?;
    let fits = registered
        .iter()
        .any(|held| held == asked || check(held).is_ok_and(|held| same_loopback(&held, &asked_url)));
    fits.then_some(asked_url)
}

fn same_loopback(held: &Url, asked: &Url) -> bool {
    let loopback = |url: &Url| {
        let address = match url.host()? {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => return None,
        };
        address.is_loopback().then_some(address)
    };
    held.scheme() == "http"
        && asked.scheme() == "http"
        && loopback(held).is_some()
        && loopback(held) == loopback(asked)
        && held.path() == asked.path()
        && held.query() == asked.query()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registered_addresses_are_sent_to() {
        let registered = [
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
            "https://a.example/cb",
        ]
        .map(str::to_owned);
        for (asked, want) in [
            ("https://a.example/cb", true),
            ("http://127.0.0.1/callback", true),
            ("http://127.0.0.1:41234/callback", true),
            ("http://[::1]:41234/callback", true),
            ("http://127.0.0.2:41234/callback", false),
            ("http://localhost:41234/callback", false),
            ("https://127.0.0.1:41234/callback", false),
            ("http://127.0.0.1:41234/callback/more", false),
            ("http://127.0.0.1:41234/callback?a=b", false),
            ("http://127.0.0.1:41234/callback#x", false),
            ("http://127.0.0.1@evil.example/callback", false),
            ("http://user@127.0.0.1/callback", false),
            ("http://127.0.0.1.evil.example/callback", false),
            ("https://a.example:8443/cb", false),
            ("https://a.example/cb/", false),
            ("https://a.example/cb?x", false),
            ("https://A.example/cb", false),
            ("https://evil.example/cb", false),
            ("/cb", false),
            ("", false),
        ] {
            assert_eq!(choose(&registered, Some(asked)).is_some(), want, "{asked}");
        }
        assert!(choose(&registered, None).is_none(), "there are several");
        assert!(choose(&registered[2..], None).is_some());
        assert!(choose(&[], None).is_none());
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_asked_goes_to_a_registered_host(asked in ".{0,80}", tail in "[ -~]{0,40}") {
            let registered = ["http://127.0.0.1/callback".to_owned(), "https://a.example/cb".to_owned()];
            for asked in [asked, format!("http://127.0.0.1{tail}"), format!("https://a.example{tail}")] {
                if let Some(url) = choose(&registered, Some(&asked)) {
                    proptest::prop_assert!(matches!(url.host_str(), Some("127.0.0.1" | "a.example")), "{}", asked);
                    proptest::prop_assert!(matches!(url.path(), "/callback" | "/cb"), "{}", asked);
                }
            }
        }
    }
}
