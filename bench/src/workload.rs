//! What clients do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::Over;
use crate::client::Client;
use crate::content::{Blob, Image, Source};
use crate::server::{PROJECT, Server};

/// Tags that a repository gets in the push workloads before the next one is begun.
const TAGS: usize = 16;

/// Layers of the image that is pulled: with manifest and config, five requests.
const PULLED: [u64; 3] = [600_000, 300_000, 100_000];

/// Layers of the image that is pushed.
const PUSHED: [u64; 2] = [80_000, 38_000];

/// A small blob, in bytes.
const SMALL: u64 = 4096;

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    ManifestByTag,
    ManifestByDigest,
    BlobHead,
    BlobSmall,
    Pull,
    Push,
    PushLarge,
    PullLarge,
}

impl Workload {
    const ALL: [Self; 8] = [
        Self::ManifestByTag,
        Self::ManifestByDigest,
        Self::BlobHead,
        Self::BlobSmall,
        Self::Pull,
        Self::Push,
        Self::PushLarge,
        Self::PullLarge,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ManifestByTag => "manifest GET by tag",
            Self::ManifestByDigest => "manifest GET by digest",
            Self::BlobHead => "blob HEAD",
            Self::BlobSmall => "blob GET, 4 KiB",
            Self::Pull => "pull, 1 MB, 5 requests",
            Self::Push => "push, 120 KB",
            Self::PushLarge => "push, large",
            Self::PullLarge => "pull, large",
        }
    }

    /// Whether few bytes or many make the cost.
    pub(crate) const fn is_large(self) -> bool {
        matches!(self, Self::PushLarge | Self::PullLarge)
    }

    /// The CPU that Berth may use, as a fraction of the peer's.
    pub(crate) const fn aim(self, over: Over) -> f64 {
        match (self, over) {
            (Self::ManifestByTag | Self::ManifestByDigest | Self::BlobHead, _) => 0.1,
            (Self::BlobSmall, _) => 0.05,
            (Self::Pull | Self::Push, _) => 0.2,
            (Self::PushLarge, _) => 0.5,
            (Self::PullLarge, Over::Plain) => 1.0,
            (Self::PullLarge, Over::Tls) => 2.0 / 3.0,
        }
    }
}

/// The workloads with what they need.
pub(crate) struct Workloads {
    large: u64,
    /// Tells the content of this run from that of others on the same storage.
    seed: u64,
}

impl Workloads {
    pub(crate) fn new(large: u64) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            large,
            seed: now.as_secs().wrapping_mul(0x9E37_79B9_7F4A_7C15),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Workload> + use<> {
        Workload::ALL.into_iter()
    }

    /// Pushes what the workload reads, or readies what it will push.
    pub(crate) async fn prepare(
        &self,
        workload: Workload,
        server: &Server,
        over: Over,
        clients: usize,
        round: u32,
    ) -> Result<Prepared> {
        let layers: Vec<u64> = match workload {
            Workload::ManifestByTag
            | Workload::ManifestByDigest
            | Workload::BlobHead
            | Workload::BlobSmall => {
                vec![SMALL]
            }
            Workload::Pull => PULLED.to_vec(),
            Workload::Push => PUSHED.to_vec(),
            Workload::PushLarge | Workload::PullLarge => vec![self.large],
        };
        // Another seed for each measurement, so that no server has seen its content before.
        let seed = u64::from(round) << 32
            | (clients as u64) << 8
            | (workload as u64) << 1
            | u64::from(over == Over::Tls);
        let source = Source::new(self.seed ^ seed);
        let repository = format!(
            "{PROJECT}/w{}-{}-{clients}-{}",
            workload as u8,
            over.name().to_lowercase(),
            round & 0xff
        );
        let mut prepared = Prepared {
            workload,
            repository,
            image: source.image(&layers)?,
            layers,
            source,
            pushes: (0..clients).map(|_| AtomicUsize::new(0)).collect(),
            pushed: std::sync::Mutex::default(),
        };
        let writes = matches!(workload, Workload::Push | Workload::PushLarge);
        if !writes {
            let mut client = Client::connect(server, over).await?;
            let image = &prepared.image;
            client
                .push(&prepared.repository, "latest", image)
                .await
                .context("pushing what is to be pulled")?;
            client
                .pull(&prepared.repository, "latest", image, true)
                .await
                .context("pulling what was pushed")?;
        }
        if workload == Workload::PushLarge {
            // So that the hash of what all of them share is known before the clock runs.
            prepared.image = prepared.source.image(&prepared.layers)?;
        }
        Ok(prepared)
    }
}

/// A workload that is ready to run against one server.
pub(crate) struct Prepared {
    workload: Workload,
    repository: String,
    image: Image,
    layers: Vec<u64>,
    source: Source,
    /// How often each client has pushed.
    pushes: Vec<AtomicUsize>,
    /// Large blobs that take disk space.
    pushed: std::sync::Mutex<Vec<String>>,
}

impl Prepared {
    /// What the client is to do next, made before the clock runs.
    pub(crate) fn next(&self, client: usize) -> Result<Operation> {
        let image = match self.workload {
            Workload::Push | Workload::PushLarge => self.source.image(&self.layers)?,
            _ => {
                return Ok(Operation {
                    image: None,
                    repository: String::new(),
                    tag: String::new(),
                });
            }
        };
        if self.workload == Workload::PushLarge {
            let mut pushed = self
                .pushed
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            pushed.extend(image.layers.iter().map(|layer| layer.digest.clone()));
        }
        let number = self.pushes[client].fetch_add(1, Ordering::Relaxed);
        Ok(Operation {
            image: Some(image),
            repository: format!("{}-{client}-{}", self.repository, number / TAGS),
            tag: format!("v{}", number % TAGS),
        })
    }

    /// Does it; returns how many bytes of content that moved.
    pub(crate) async fn run(&self, client: &mut Client, operation: &Operation) -> Result<u64> {
        let repository = &self.repository;
        let layer: &Blob = &self.image.layers[0];
        match (self.workload, &operation.image) {
            (Workload::ManifestByTag, _) => client.manifest(repository, "latest").await,
            (Workload::ManifestByDigest, _) => client.manifest(repository, &self.image.manifest_digest).await,
            (Workload::BlobHead, _) => {
                anyhow::ensure!(
                    client.has_blob(repository, &layer.digest).await?,
                    "the blob is gone"
                );
                Ok(0)
            }
            (Workload::BlobSmall, _) => client.blob(repository, layer, false).await,
            (Workload::Pull | Workload::PullLarge, _) => {
                client.pull(repository, "latest", &self.image, false).await
            }
            (Workload::Push | Workload::PushLarge, Some(image)) => {
                client.push(&operation.repository, &operation.tag, image).await
            }
            (Workload::Push | Workload::PushLarge, None) => anyhow::bail!("there is nothing to push"),
        }
    }

    /// Gives back the disk space of large blobs.
    pub(crate) fn forget(&self, server: &Server) -> Result<()> {
        if self.workload == Workload::PullLarge {
            for layer in &self.image.layers {
                server.forget(&layer.digest)?;
            }
        }
        let pushed = self
            .pushed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pushed.iter().try_for_each(|digest| server.forget(digest))
    }
}

/// One operation of one client.
pub(crate) struct Operation {
    image: Option<Image>,
    repository: String,
    tag: String,
}
