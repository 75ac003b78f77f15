//! The sockets of `berth up`.
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

use super::Arguments;
use crate::endpoints::Endpoints;

/// All listeners, bound before anything else is done: a taken port should cost nothing.
pub(super) struct Listeners {
    pub(super) api: TcpListener,
    pub(super) registry: TcpListener,
    pub(super) registry_plain: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the flags say.
    ///
    /// # Errors
    /// Names the flag and the address that cannot be had.
    pub(super) async fn bind(arguments: &Arguments) -> Result<Self> {
        let api = bind("--api-listen", arguments.api_listen).await?;
        let registry = bind("--registry-listen", arguments.registry_listen).await?;
        let registry_plain = match arguments.registry_listen_plain {
            None => None,
            Some(address) => Some(bind("--registry-listen-plain", address).await?),
        };
        Ok(Self {
            api,
            registry,
            registry_plain,
        })
    }

    /// Where clients reach them.
    ///
    /// # Errors
    /// When the system cannot name a socket's address.
    pub(super) fn endpoints(&self) -> Result<Endpoints> {
        let plain = self
            .registry_plain
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()?;
        Ok(Endpoints::new(
            self.api.local_addr()?,
            self.registry.local_addr()?,
            plain,
        ))
    }
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "{flag} {address} cannot be listened on; free it, or choose another (port 0 takes a free one)"
        )
    })
}
