//! Referrers: manifests that say something about another one, found by their subject.
//!
//! One file per referrer lies below the subject's digest and holds the descriptor that a listing shows. The files follow
//! from the manifests, so they can be [rebuilt](Referrers::rebuild).

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_blobs::{self as blobs, Step};
use berth_oci::digest::DigestError;
use berth_oci::media_type::OCI_INDEX;
use berth_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepositoryName, Tag};
use serde::Serialize;

use crate::store::{Freshness, Store};
use crate::{Caller, Refusal, Repositories, layout, limits};

/// Why referrers are not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("\"{text}\" is not a digest: {source}")]
    DigestMalformed { text: String, source: DigestError },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] blobs::Error),
}

/// One page of referrers.
#[derive(Debug)]
pub(crate) struct Page {
    /// An index, as JSON.
    pub(crate) body: Vec<u8>,
    /// The last referrer that was looked at, when there are more.
    pub(crate) next: Option<Digest>,
}

/// The referrers of all repositories.
pub(crate) struct Referrers {
    store: Arc<Store>,
    repositories: Arc<dyn Repositories>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

impl Referrers {
    pub(crate) fn new(store: Arc<Store>, repositories: Arc<dyn Repositories>) -> Self {
        Self { store, repositories }
    }

    /// What makes a pushed manifest a referrer of its subject, if it has one.
    pub(crate) fn step(&self, name: &RepositoryName, manifest: &Manifest, digest: &Digest) -> Option<Step> {
        let subject = manifest.subject()?;
        let bytes = serde_json::to_vec(&describe(manifest, digest)).ok()?;
        Some(Step::Put {
            path: layout::referrer(name, &subject.digest, digest),
            bytes: bytes.into(),
        })
    }

    /// Makes a deleted manifest no referrer any more.
    pub(crate) async fn remove(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
    ) -> blobs::Result<()> {
        self.store
            .driver()
            .delete_tree(&layout::referrer_directory(name, subject, digest))
            .await?;
        Ok(())
    }

    /// The referrers of a manifest that come after `after`, in the order of their digests; those of one type where a type
    /// is given. The subject need not exist.
    ///
    /// Referrers that clients listed themselves under the tag `<algorithm>-<hex>`, because the registry they spoke to had
    /// no such list, are shown with the others.
    ///
    /// Spec: OCI distribution, "Listing Referrers" (end-12).
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
    ) -> Result<Page, Error> {
        let mut tagged = self.tagged(caller, name, subject).await?;
        tagged.retain(|digest, _| after.is_none_or(|after| digest > after));
        let mut page: Vec<Descriptor> = Vec::new();
        let mut size = 0;
        let mut next = None;
        let mut walk = Walk::new(name, subject, after);
        let mut last = None;
        let mut seen = 0;
        loop {
            let stored = walk.next(&self.store).await?;
            let digest = match (stored, tagged.keys().next().copied()) {
                (None, None) => break,
                (Some(stored), Some(first)) => {
                    if first < stored {
                        walk.give_back(stored);
                    }
                    first.min(stored)
                }
                (Some(digest), None) | (None, Some(digest)) => digest,
            };
            // Those that are filtered out cost as much to look at as the others.
            if seen == limits::REFERRER_PAGE {
                next = last;
                break;
            }
            seen += 1;
            let listed = tagged.remove(&digest);
            let wanted = |descriptor: &Descriptor| {
                let is = descriptor.artifact_type.as_ref().map(MediaType::as_str);
                artifact_type.is_none_or(|wanted| is == Some(wanted))
            };
            let descriptor = self.descriptor(caller, name, subject, &digest, listed).await?;
            if let Some(descriptor) = descriptor.filter(wanted) {
                let length = serde_json::to_vec(&descriptor).map_or(0, |json| json.len() + 1);
                if !page.is_empty() && size + length > limits::REFERRER_BYTES {
                    next = last;
                    break;
                }
                size += length;
                page.push(descriptor);
            }
            last = Some(digest);
        }
        let index = Index {
            schema_version: 2,
            media_type: OCI_INDEX,
            manifests: &page,
        };
        let body = serde_json::to_vec(&index).expect("descriptors serialize");
        Ok(Page { body, next })
    }

    /// The descriptor of a referrer, unless its manifest is gone.
    async fn descriptor(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
        listed: Option<Descriptor>,
    ) -> Result<Option<Descriptor>, Error> {
        let held = match self.repositories.holds_manifest(caller, name, digest).await? {
            crate::Membership::Yes => true,
            crate::Membership::No => false,
            crate::Membership::Unknown => {
                self.store
                    .has_manifest(name, digest, Freshness::Remembered)
                    .await?
            }
        };
        if !held {
            return Ok(None);
        }
        let stored = self
            .store
            .driver()
            .read(&layout::referrer(name, subject, digest))
            .await?;
        if let Some(descriptor) = stored.and_then(|json| serde_json::from_slice(&json).ok()) {
            return Ok(Some(descriptor));
        }
        // The list of a client may leave out what a listing shows, so the manifest has the say.
        let Some(stored) = self.store.manifest(digest).await? else {
            return Ok(None);
        };
        Ok(match Manifest::parse(stored.bytes, Some(&stored.media_type)) {
            Ok(manifest) => Some(describe(&manifest, digest)),
            Err(_) => listed,
        })
    }

    /// What clients listed under the tag that stands for the referrers of a subject.
    async fn tagged(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<BTreeMap<Digest, Descriptor>, Error> {
        let none = BTreeMap::new();
        let Some(tag) = fallback_tag(subject) else {
            return Ok(none);
        };
        let digest = match self.repositories.resolve_tag(caller, name, &tag).await {
            Ok(Some(digest)) => digest,
            Ok(None) => return Ok(none),
            // The list is empty, not missing, for whatever does not exist.
            Err(refusal) if refusal.status == http::StatusCode::NOT_FOUND => return Ok(none),
            Err(refusal) => return Err(refusal.into()),
        };
        let Some(stored) = self.store.manifest(&digest).await? else {
            return Ok(none);
        };
        let Ok(index) = Manifest::parse(stored.bytes, Some(&stored.media_type)) else {
            return Ok(none);
        };
        Ok(index
            .children()
            .iter()
            .map(|child| (child.digest, child.clone()))
            .collect())
    }

    /// Writes the files of every referrer in a repository anew, from the manifests that belong to it; how many there are.
    pub(crate) async fn rebuild(&self, name: &RepositoryName) -> blobs::Result<usize> {
        let mut found = 0;
        for algorithm in Algorithm::ALL {
            let mut after: Option<String> = None;
            loop {
                let directory = layout::revisions(name, algorithm);
                let listing = self
                    .store
                    .driver()
                    .list(&directory, after.as_deref(), limits::PAGE_LIMIT)
                    .await?;
                for entry in &listing.entries {
                    let Ok(digest) = format!("{algorithm}:{}", entry.name).parse::<Digest>() else {
                        continue;
                    };
                    let Some(stored) = self.store.manifest(&digest).await? else {
                        continue;
                    };
                    let Ok(manifest) = Manifest::parse(stored.bytes, Some(&stored.media_type)) else {
                        continue;
                    };
                    if let Some(step) = self.step(name, &manifest, &digest) {
                        self.store.driver().commit(vec![step]).await?;
                        found += 1;
                    }
                }
                match listing.entries.into_iter().next_back() {
                    Some(last) if listing.more => after = Some(last.name),
                    Some(_) | None => break,
                }
            }
        }
        Ok(found)
    }
}

/// The tag under which clients list the referrers of a subject themselves. It has at most 64 digits of the hash.
///
/// Spec: OCI distribution, "Referrers Tag Schema".
fn fallback_tag(subject: &Digest) -> Option<Tag> {
    const DIGITS: usize = 64;
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm(), hex.get(..DIGITS).unwrap_or(&hex))
        .parse()
        .ok()
}

/// The descriptor that a listing shows of a referrer.
fn describe(manifest: &Manifest, digest: &Digest) -> Descriptor {
    let media_type: MediaType = manifest
        .media_type()
        .parse()
        .expect("the media types of manifests are media types");
    let mut descriptor = Descriptor::new(media_type, *digest, manifest.raw().len() as u64);
    descriptor.artifact_type = manifest.artifact_type().cloned();
    descriptor.annotations = manifest.annotations().clone();
    descriptor
}

/// Walks through the referrers of a subject in storage, in the order of their digests.
struct Walk<'a> {
    name: &'a RepositoryName,
    subject: &'a Digest,
    algorithms: std::vec::IntoIter<(Algorithm, Option<String>)>,
    current: Option<Algorithm>,
    page: std::collections::VecDeque<Digest>,
    after: Option<String>,
    more: bool,
}

impl<'a> Walk<'a> {
    fn new(name: &'a RepositoryName, subject: &'a Digest, after: Option<&Digest>) -> Self {
        // The texts of digests sort by algorithm first, as `Algorithm::ALL` does.
        let algorithms: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| after.is_none_or(|after| *algorithm >= after.algorithm()))
            .map(|algorithm| {
                (
                    algorithm,
                    after
                        .filter(|after| after.algorithm() == algorithm)
                        .map(Digest::hex),
                )
            })
            .collect();
        let algorithms = algorithms.into_iter();
        Self {
            name,
            subject,
            algorithms,
            current: None,
            page: [].into(),
            after: None,
            more: false,
        }
    }

    async fn next(&mut self, store: &Store) -> blobs::Result<Option<Digest>> {
        loop {
            if let Some(digest) = self.page.pop_front() {
                return Ok(Some(digest));
            }
            let algorithm = match self.current {
                Some(algorithm) if self.more => algorithm,
                Some(_) | None => {
                    let Some((algorithm, after)) = self.algorithms.next() else {
                        return Ok(None);
                    };
                    self.after = after;
                    self.current = Some(algorithm);
                    algorithm
                }
            };
            let directory = layout::referrers(self.name, self.subject, algorithm);
            let listing = store
                .driver()
                .list(&directory, self.after.as_deref(), limits::REFERRER_PAGE)
                .await?;
            self.more = listing.more;
            self.after = listing.entries.last().map(|entry| entry.name.clone());
            let digests = listing
                .entries
                .iter()
                .map(|entry| format!("{algorithm}:{}", entry.name));
            self.page
                .extend(digests.filter_map(|text| text.parse::<Digest>().ok()));
        }
    }

    fn give_back(&mut self, digest: Digest) {
        self.page.push_front(digest);
    }
}
