//! What is pushed and pulled: unique, incompressible, and cheap to make even when it is large.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use berth_testkit::image::{CONFIG, MANIFEST, noise};
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Noise that blobs are cut from. A repetition after so many bytes is out of sight of every compressor.
const NOISE: usize = 8 << 20;

/// Bytes at the end of a blob that make it unique.
const MARK: u64 = 32;

/// Bytes of a frame of a streamed body.
const FRAME: u64 = 64 << 10;

/// The media type of the layers.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Makes content that nobody has pushed before.
#[derive(Debug)]
pub(crate) struct Source {
    noise: Bytes,
    /// What is hashed of every blob of a size, so that only the mark is left to hash.
    hashed: Mutex<HashMap<u64, Sha256>>,
    next: AtomicU64,
    seed: u64,
}

/// Bytes with a digest.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) size: u64,
    noise: Bytes,
    mark: Bytes,
}

impl Blob {
    /// The content in frames.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let (noise, mark) = (self.noise.clone(), self.mark.clone());
        let body = self.size - mark.len() as u64;
        let frames = (0..body.div_ceil(FRAME)).map(move |frame| {
            let start = frame * FRAME;
            let length = FRAME.min(body - start);
            // NOISE is a multiple of FRAME, so a frame never runs over its end.
            let at = usize::try_from(start % NOISE as u64).unwrap_or_default();
            noise.slice(at..at + usize::try_from(length).unwrap_or_default())
        });
        frames.chain(std::iter::once(mark))
    }
}

/// An image, layers first, as clients push it.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) layers: Vec<Blob>,
    pub(crate) config: Blob,
    pub(crate) manifest: Bytes,
    pub(crate) manifest_digest: String,
}

impl Image {
    /// The blobs in the order in which they are pushed.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.layers.iter().chain(std::iter::once(&self.config))
    }

    /// Bytes that are moved in a push or a pull.
    pub(crate) fn size(&self) -> u64 {
        self.manifest.len() as u64 + self.blobs().map(|blob| blob.size).sum::<u64>()
    }
}

fn digest(hash: Sha256) -> String {
    format!("sha256:{}", hex::encode(hash.finalize()))
}

impl Source {
    /// A source of its own: `seed` tells its content from another's.
    pub(crate) fn new(seed: u64) -> Self {
        let noise = Bytes::from(noise(seed, NOISE));
        Self {
            noise,
            hashed: Mutex::default(),
            next: AtomicU64::new(0),
            seed,
        }
    }

    /// A blob that did not exist before.
    pub(crate) fn blob(&self, size: u64) -> Blob {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{:016x}{number:016x}", self.seed);
        let mark = Bytes::from(mark);
        let mut blob = Blob {
            digest: String::new(),
            size: size.max(MARK),
            noise: self.noise.clone(),
            mark,
        };
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hash = hashed
            .entry(blob.size)
            .or_insert_with(|| {
                let mut hash = Sha256::new();
                let frames = blob.size.saturating_sub(MARK).div_ceil(FRAME);
                let frames = usize::try_from(frames).unwrap_or(usize::MAX);
                blob.frames().take(frames).for_each(|frame| hash.update(&frame));
                hash
            })
            .clone();
        hash.update(&blob.mark);
        blob.digest = digest(hash);
        blob
    }

    /// An image of such layers, with a config of about 1.5 KB.
    pub(crate) fn image(&self, layers: &[u64]) -> Result<Image> {
        let layers: Vec<_> = layers.iter().map(|size| self.blob(*size)).collect();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let history: Vec<_> = (0..8)
            .map(|step| json!({"created_by": format!("step {step} of {number}")}))
            .collect();
        let environment: Vec<_> = (0..8)
            .map(|variable| format!("VARIABLE_{variable}=value of image {number}"))
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/app"], "Env": environment, "Labels": {"number": format!("{}-{number}", self.seed)}},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| &layer.digest).collect::<Vec<_>>()},
            "history": history,
        });
        let config = Bytes::from(serde_json::to_vec(&config).context("a config is JSON")?);
        let config_digest = digest(Sha256::new_with_prefix(&config));
        let config = Blob {
            digest: config_digest,
            size: config.len() as u64,
            noise: Bytes::new(),
            mark: config,
        };
        let describe = |media_type: &str, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": describe(CONFIG, &config),
            "layers": layers.iter().map(|layer| describe(LAYER, layer)).collect::<Vec<_>>(),
        });
        let manifest = Bytes::from(serde_json::to_vec(&manifest).context("a manifest is JSON")?);
        let manifest_digest = digest(Sha256::new_with_prefix(&manifest));
        Ok(Image {
            layers,
            config,
            manifest,
            manifest_digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn whole(blob: &Blob) -> Bytes {
        let mut whole = BytesMut::new();
        blob.frames().for_each(|frame| whole.extend_from_slice(&frame));
        whole.freeze()
    }

    #[test]
    fn blobs_are_what_their_digests_say_and_never_the_same() {
        let source = Source::new(7);
        let mut seen = std::collections::HashSet::new();
        for size in [32, 33, 4096, FRAME, FRAME + 32, FRAME + 33, NOISE as u64 + 12_345] {
            for _ in 0..2 {
                let blob = source.blob(size);
                let whole = whole(&blob);
                assert_eq!((whole.len() as u64, blob.size), (size, size));
                assert_eq!(blob.digest, digest(Sha256::new_with_prefix(&whole)), "{size}");
                assert!(seen.insert(blob.digest));
            }
        }
        assert_ne!(Source::new(8).blob(4096).digest, Source::new(9).blob(4096).digest);
        let image = source.image(&[100, 200]).unwrap();
        assert_eq!(
            image.config.digest,
            digest(Sha256::new_with_prefix(whole(&image.config)))
        );
        assert_eq!(image.blobs().count(), 3);
        assert!(image.size() > 300);
    }
}
