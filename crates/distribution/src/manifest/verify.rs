//! What must be in a repository before a manifest may join it.

use std::collections::BTreeMap;

use berth_oci::manifest::INDEX_MAX_DEPTH;
use berth_oci::{Descriptor, Digest, Kind, Manifest, RepositoryName};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Error, Manifests, too_deep};
use crate::store::Freshness;
use crate::{Caller, Sparse, limits};

impl Manifests {
    /// Checks that what a manifest refers to is in its repository and as large as it says, and returns what may be missing
    /// and is. Subjects are not looked at.
    ///
    /// Spec: OCI distribution, "Pushing Manifests"; OCI image, "Image manifest" and "Image index".
    pub(super) async fn verify(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<Vec<Digest>, Error> {
        let mut missing = self.missing_blobs(caller, name, manifest).await?;
        if !missing.is_empty() && !may_miss(self.sparse, manifest, &missing) {
            return Err(Error::BlobsUnknown {
                name: name.clone(),
                missing,
            });
        }
        if manifest.kind().is_index() {
            let children = self.missing_children(caller, name, manifest).await?;
            if !children.is_empty() && self.sparse == Sparse::Refused {
                return Err(Error::ChildrenUnknown {
                    name: name.clone(),
                    missing: children,
                });
            }
            missing.extend(children);
            self.check_depth(manifest).await?;
        }
        Ok(missing)
    }

    /// The blobs that are not in the repository. Those that are get a new grace period.
    async fn missing_blobs(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<Vec<Digest>, Error> {
        let wanted = sizes(manifest.blobs())?;
        let found: Vec<Option<Digest>> = stream::iter(wanted)
            .map(async |(digest, declared)| {
                let stat = self.blobs.stat(caller, name, &digest).await?;
                let Some((target, stat)) = stat else {
                    return Ok(Some(digest));
                };
                if stat.size != declared {
                    return Err(Error::SizeMismatch {
                        digest: Box::new(digest),
                        declared,
                        held: stat.size,
                    });
                }
                self.store.refresh(&target, &stat).await?;
                Ok(None)
            })
            .buffer_unordered(limits::LOOKUPS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The manifests that are not in the repository.
    async fn missing_children(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<Vec<Digest>, Error> {
        let wanted = sizes(manifest.children())?;
        let found: Vec<Option<Digest>> = stream::iter(wanted)
            .map(async |(digest, declared)| {
                if !self.holds(caller, name, &digest, Freshness::Checked).await? {
                    return Ok(Some(digest));
                }
                let Some(stat) = self.store.blob(&digest).await? else {
                    return Ok(Some(digest));
                };
                if stat.size != declared {
                    return Err(Error::SizeMismatch {
                        digest: Box::new(digest),
                        declared,
                        held: stat.size,
                    });
                }
                self.store.refresh(&digest, &stat).await?;
                Ok(None)
            })
            .buffer_unordered(limits::LOOKUPS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Walks down the indexes an index lists, level by level, each once.
    async fn check_depth(&self, manifest: &Manifest) -> Result<(), Error> {
        let mut seen = std::collections::HashSet::new();
        let mut level = nested(manifest);
        let mut depth = 1;
        while !level.is_empty() {
            depth += 1;
            let mut next = Vec::new();
            for digest in level {
                if !seen.insert(digest) {
                    continue;
                }
                if depth > INDEX_MAX_DEPTH || seen.len() > limits::NESTED_INDEXES {
                    return Err(too_deep());
                }
                let Some(stored) = self.store.manifest(&digest).await? else {
                    continue;
                };
                // What cannot be read ends the walk there, as it would for a client.
                if let Ok(child) = Manifest::parse(stored.bytes, Some(&stored.media_type)) {
                    next.extend(nested(&child));
                }
            }
            level = next;
        }
        Ok(())
    }
}

/// Whether a manifest may join its repository without these blobs.
fn may_miss(sparse: Sparse, manifest: &Manifest, missing: &[Digest]) -> bool {
    let there = |blob: &Descriptor| !missing.contains(&blob.digest);
    match sparse {
        Sparse::Refused | Sparse::Indexes => false,
        Sparse::Layers => {
            manifest.kind() == Kind::OciManifest
                && manifest.config().is_some_and(there)
                && manifest.layers().iter().any(there)
        }
        Sparse::Everything => true,
    }
}

/// The indexes among the manifests an index lists.
fn nested(manifest: &Manifest) -> Vec<Digest> {
    let is_index = |child: &&Descriptor| Kind::of(child.media_type.as_str()).is_some_and(Kind::is_index);
    manifest
        .children()
        .iter()
        .filter(is_index)
        .map(|child| child.digest)
        .collect()
}

/// Each digest once, with its size. One digest with two sizes cannot be right.
fn sizes<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> Result<BTreeMap<Digest, u64>, Error> {
    let mut sizes = BTreeMap::new();
    for descriptor in descriptors {
        let before = sizes.insert(descriptor.digest, descriptor.size);
        if let Some(held) = before
            && held != descriptor.size
        {
            return Err(Error::SizeMismatch {
                digest: Box::new(descriptor.digest),
                declared: descriptor.size,
                held,
            });
        }
    }
    Ok(sizes)
}
