//! What is remembered of storage, for how long, and who ends it.
//!
//! | what | bound | until |
//! | --- | --- | --- |
//! | manifests by digest | bytes | evicted; their bytes never change |
//! | links that were seen | number | [`Config::membership_age`], or at once when this process removes the link |
//! | repositories that had a blob | number | evicted; a hint that is checked when used |

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use berth_blobs::BlobPath;
use berth_oci::{Digest, RepositoryName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Stored;
use crate::{Config, layout, limits};

/// Most repositories remembered for one blob.
const HOLDERS: usize = 4;

/// Bytes that an entry costs beside its manifest.
const ENTRY_COST: u64 = 256;

/// What kind of content a link makes part of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Link {
    Layer,
    Manifest,
}

impl Link {
    pub(super) fn path(self, name: &RepositoryName, digest: &Digest) -> BlobPath {
        match self {
            Self::Layer => layout::layer_link(name, digest),
            Self::Manifest => layout::manifest_link(name, digest),
        }
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Digest, Stored> for ByBytes {
    fn weight(&self, _: &Digest, stored: &Stored) -> u64 {
        stored.bytes.len() as u64 + ENTRY_COST
    }
}

pub(super) struct Memory {
    manifests: Cache<Digest, Stored, ByBytes>,
    links: Cache<(Link, RepositoryName, Digest), (Digest, Instant)>,
    holders: Cache<Digest, Vec<RepositoryName>>,
    age: Duration,
    /// Counts removals, so that a read which began before one does not remember what is gone.
    generation: AtomicU64,
}

impl Memory {
    pub(super) fn new(config: &Config) -> Self {
        let items = usize::try_from(config.manifest_cache / 4096)
            .unwrap_or(usize::MAX)
            .max(16);
        Self {
            manifests: Cache::with_weighter(items, config.manifest_cache, ByBytes),
            links: Cache::new(limits::MEMBERSHIP_CACHE),
            holders: Cache::new(limits::MOUNT_MEMORY),
            age: config.membership_age.min(limits::MEMBERSHIP_AGE),
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn link(&self, link: Link, name: &RepositoryName, digest: &Digest) -> Option<Digest> {
        let (target, seen) = self.links.get(&(link, name.clone(), *digest))?;
        (seen.elapsed() < self.age).then_some(target)
    }

    /// Remembers a link that was seen by a read which began at generation `seen`.
    pub(super) fn remember_link(
        &self,
        link: Link,
        name: &RepositoryName,
        digest: &Digest,
        target: Digest,
        seen: u64,
    ) {
        if self.age.is_zero() || self.generation() != seen {
            return;
        }
        let key = (link, name.clone(), *digest);
        self.links.insert(key.clone(), (target, Instant::now()));
        if self.generation() != seen {
            self.links.remove(&key);
        }
    }

    /// Called after the link was removed from storage.
    pub(super) fn forget_link(&self, link: Link, name: &RepositoryName, digest: &Digest) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.links.remove(&(link, name.clone(), *digest));
        if link == Link::Layer
            && let Some(mut names) = self.holders.get(digest)
        {
            names.retain(|held| held != name);
            self.holders.insert(*digest, names);
        }
    }

    pub(super) fn holders(&self, digest: &Digest) -> Vec<RepositoryName> {
        self.holders.get(digest).unwrap_or_default()
    }

    pub(super) fn remember_holder(&self, digest: &Digest, name: &RepositoryName) {
        let mut names = self.holders(digest);
        if names.contains(name) {
            return;
        }
        names.truncate(HOLDERS - 1);
        names.insert(0, name.clone());
        self.holders.insert(*digest, names);
    }

    pub(super) fn manifest(&self, digest: &Digest) -> Option<Stored> {
        self.manifests.get(digest)
    }

    pub(super) fn remember_manifest(&self, digest: Digest, stored: Stored) {
        self.manifests.insert(digest, stored);
    }

    pub(super) fn forget(&self, digest: &Digest) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.manifests.remove(digest);
        self.holders.remove(digest);
        self.links
            .retain(|(_, _, held), (target, _)| held != digest && target != digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(age: Duration) -> Memory {
        Memory::new(&Config {
            membership_age: age,
            ..Config::default()
        })
    }

    #[test]
    fn a_link_is_forgotten_when_it_is_removed() {
        let memory = memory(limits::MEMBERSHIP_AGE);
        let name: RepositoryName = "a/b".parse().unwrap();
        let digest = Digest::sha256(b"");
        let seen = memory.generation();
        memory.remember_link(Link::Layer, &name, &digest, digest, seen);
        assert_eq!(memory.link(Link::Layer, &name, &digest), Some(digest));
        assert_eq!(memory.link(Link::Manifest, &name, &digest), None, "another kind");
        memory.forget_link(Link::Layer, &name, &digest);
        assert_eq!(memory.link(Link::Layer, &name, &digest), None);
        memory.remember_link(Link::Layer, &name, &digest, digest, seen);
        assert_eq!(
            memory.link(Link::Layer, &name, &digest),
            None,
            "seen before the removal"
        );
    }

    #[test]
    fn a_link_is_remembered_for_its_age_only() {
        let memory = memory(Duration::ZERO);
        let name: RepositoryName = "a".parse().unwrap();
        let digest = Digest::sha256(b"");
        memory.remember_link(Link::Layer, &name, &digest, digest, memory.generation());
        assert_eq!(memory.link(Link::Layer, &name, &digest), None);
        let longest = self::memory(Duration::from_secs(3600));
        assert_eq!(
            longest.age,
            limits::MEMBERSHIP_AGE,
            "a decision is never older than ten seconds"
        );
    }

    #[test]
    fn holders_are_few_and_recent() {
        let memory = memory(limits::MEMBERSHIP_AGE);
        let digest = Digest::sha256(b"");
        let names: Vec<RepositoryName> = (0..6).map(|n| format!("r{n}").parse().unwrap()).collect();
        for name in &names {
            memory.remember_holder(&digest, name);
            memory.remember_holder(&digest, name);
        }
        let held: Vec<_> = memory.holders(&digest).iter().map(ToString::to_string).collect();
        assert_eq!(held, ["r5", "r4", "r3", "r2"]);
        memory.forget_link(Link::Layer, &names[4], &digest);
        assert_eq!(memory.holders(&digest).len(), 3);
        memory.forget(&digest);
        assert!(memory.holders(&digest).is_empty());
    }
}
