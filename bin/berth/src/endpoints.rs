//! `endpoints.json`: where this instance listens.
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

/// The addresses that clients use, as contract.md lists them.
#[derive(Debug, Serialize)]
pub(crate) struct Endpoints {
    /// Base URL of the Kubernetes API.
    pub(crate) api: String,
    /// `host:port` of the registry.
    pub(crate) registry: String,
    /// `host:port` of the registry's listener without TLS, when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry_plain: Option<String>,
}

impl Endpoints {
    /// Names the real addresses of the listeners. An unspecified address (`0.0.0.0`) is named by its loopback, since
    /// nobody can connect to "everywhere".
    pub(crate) fn new(api: SocketAddr, registry: SocketAddr, plain: Option<SocketAddr>) -> Self {
        Self {
            api: format!("https://{}", reachable(api)),
            registry: reachable(registry).to_string(),
            registry_plain: plain.map(|address| reachable(address).to_string()),
        }
    }

    /// The file's content.
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("three strings can be written as JSON");
        bytes.push(b'\n');
        bytes
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everywhere_is_reached_by_its_loopback() {
        for (listen, want) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("0.0.0.0:5000", "127.0.0.1:5000"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.7:5000", "10.0.0.7:5000"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), want, "{listen}");
        }
    }
}
