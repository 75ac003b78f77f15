//! Images made without a network: reproducible bytes, real tar layers.
use std::{fs, io::Write as _, path::Path};

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// OCI media types, spelled here a second time on purpose: a test that shares the product's constants shares its mistakes.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// See [`MANIFEST`].
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// See [`MANIFEST`].
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// See [`MANIFEST`].
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Some bytes and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// `sha256:…`
    pub digest: String,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Names `bytes` by their digest.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            digest: digest(&bytes),
            bytes,
        }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// `sha256:…` of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image: manifest, config and layers.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest.
    pub manifest: Blob,
    /// Its config.
    pub config: Blob,
    /// Its layers, base first.
    pub layers: Vec<Blob>,
}

/// Bytes that do not compress, the same for the same seed.
#[must_use]
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A tar archive with one regular file.
#[must_use]
pub fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    let mut put = |at: usize, text: String| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(100, "0000644\0".to_owned());
    put(108, "0000000\0".to_owned());
    put(116, "0000000\0".to_owned());
    put(124, format!("{:011o}\0", content.len()));
    put(136, "00000000000\0".to_owned());
    put(148, "        ".to_owned());
    put(156, "0".to_owned());
    put(257, "ustar\x0000".to_owned());
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// `bytes` compressed, the same each time.
///
/// # Panics
/// Never: memory can always be written to.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("memory can be written to")
}

impl Image {
    /// An image of `layers` layers with `bytes` bytes of noise each; another `seed` makes other digests.
    #[must_use]
    pub fn new(seed: u64, layers: usize, bytes: usize) -> Self {
        Self::for_architecture("amd64", seed, layers, bytes)
    }

    /// As [`Image::new`], for one architecture.
    #[must_use]
    pub fn for_architecture(architecture: &str, seed: u64, layers: usize, bytes: usize) -> Self {
        // Compressed, because clients compress what is not and then push another image than this one.
        let (layers, contents): (Vec<Blob>, Vec<String>) = (0..layers)
            .map(|index| {
                let content = noise(seed.wrapping_mul(1000) + index as u64, bytes);
                let archive = tar(&format!("file-{index}"), &content);
                (Blob::new(gzip(&archive)), digest(&archive))
            })
            .unzip();
        let config = Blob::new(
            json!({
                "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
                "config": {"Cmd": ["/file-0"], "Labels": {"seed": seed.to_string()}},
                "rootfs": {"type": "layers", "diff_ids": contents},
                "history": layers.iter().map(|_| json!({"created_by": "testkit"})).collect::<Vec<_>>(),
            })
            .to_string()
            .into_bytes(),
        );
        let manifest = Blob::new(
            json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(CONFIG),
                "layers": layers.iter().map(|layer| layer.descriptor(LAYER)).collect::<Vec<_>>(),
            })
            .to_string()
            .into_bytes(),
        );
        Self {
            manifest,
            config,
            layers,
        }
    }

    /// Everything but the manifest.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// Writes an OCI layout with this image under the reference `name`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_layout(&self, folder: &Path, name: &str) -> Result<()> {
        write_layout(
            folder,
            name,
            self.manifest.descriptor(MANIFEST),
            std::slice::from_ref(self),
            None,
        )
    }
}

/// An index of several images.
#[derive(Clone, Debug)]
pub struct Index {
    /// The index itself.
    pub index: Blob,
    /// Its images.
    pub images: Vec<Image>,
}

impl Index {
    /// An index of one image for each of `architectures`.
    #[must_use]
    pub fn new(seed: u64, architectures: &[&str]) -> Self {
        let images: Vec<Image> = architectures
            .iter()
            .map(|architecture| Image::for_architecture(architecture, seed, 2, 2000))
            .collect();
        let manifests: Vec<Value> = images
            .iter()
            .zip(architectures)
            .map(|(image, architecture)| {
                let mut descriptor = image.manifest.descriptor(MANIFEST);
                descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
                descriptor
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        Self {
            index: Blob::new(index.to_string().into_bytes()),
            images,
        }
    }

    /// Writes an OCI layout with this index under the reference `name`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_layout(&self, folder: &Path, name: &str) -> Result<()> {
        write_layout(
            folder,
            name,
            self.index.descriptor(INDEX),
            &self.images,
            Some(&self.index),
        )
    }
}

fn write_layout(
    folder: &Path,
    name: &str,
    mut top: Value,
    images: &[Image],
    index: Option<&Blob>,
) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let all = images
        .iter()
        .flat_map(|image| image.blobs().chain(std::iter::once(&image.manifest)));
    for blob in all.chain(index) {
        let name = blob.digest.trim_start_matches("sha256:");
        fs::File::create(blobs.join(name))?.write_all(&blob.bytes)?;
    }
    top["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    fs::write(
        folder.join("index.json"),
        json!({"schemaVersion": 2, "manifests": [top]}).to_string(),
    )?;
    fs::write(
        folder.join("oci-layout"),
        json!({"imageLayoutVersion": "1.0.0"}).to_string(),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_image_and_tar_reads_it() {
        let (one, two) = (Image::new(7, 2, 5000), Image::new(7, 2, 5000));
        assert_eq!(one.manifest, two.manifest);
        assert_ne!(one.manifest, Image::new(8, 2, 5000).manifest);
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("layer.tar.gz");
        fs::write(&path, &one.layers[0].bytes).unwrap();
        let said = crate::process::run(std::process::Command::new("tar").arg("-tvf").arg(&path));
        assert!(said.ok().contains("file-0"));
    }
}
