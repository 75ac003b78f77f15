//! Debian's `docker-registry`, as a peer on loopback.
use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{Process, eventually, free_port, process::run};

/// A running docker-registry on a directory of its own or of somebody else.
#[derive(Debug)]
pub struct RegistryPeer {
    /// `127.0.0.1:PORT`, plain HTTP.
    pub address: String,
    _process: Process,
}

impl RegistryPeer {
    /// Starts it on `root` (the directory above `docker/registry/v2`), keeping its files in `scratch`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(scratch: &Path, root: &Path) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port());
        let config = scratch.join(format!("registry-{}.yml", address.replace(':', "-")));
        // Never the packaged configuration: that one listens on every address.
        let yaml = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http: {{addr: '{address}', secret: x}}\n",
            root.display()
        );
        fs::write(&config, yaml)?;
        let log = config.with_extension("log");
        let process = Process::start("docker-registry", [Path::new("serve"), &config], &log, |_| {})
            .context("docker-registry")?;
        let url = format!("http://{address}/v2/");
        eventually("docker-registry answers", || {
            run(Command::new("curl").args(["-sf", "-o", "/dev/null", &url]))
                .success
                .then_some(())
        });
        Ok(Self {
            address,
            _process: process,
        })
    }
}
