//! A registry without an integration: everybody may do everything, and what is in storage is all there is. With these two
//! adapters the crate is by itself a complete OCI registry.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use berth_blobs::{self as blobs, Driver, EntryKind};
use berth_oci::{Digest, ErrorCode, RepositoryName, Tag};
use http::request::Parts;

use crate::layout::{self, LAYERS, MANIFESTS, UPLOADS};
use crate::{Access, Caller, Membership, Names, Needs, Pushed, Refusal, Repositories, limits, wire};

/// Lets everybody do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl Access for Anonymous {
    async fn authorize(&self, _head: &Parts, _needs: &Needs) -> Result<Caller, Refusal> {
        Ok(Caller::new("anonymous", ()))
    }

    async fn may_pull(&self, _caller: &Caller, _repository: &RepositoryName) -> Result<bool, Refusal> {
        Ok(true)
    }
}

/// Repositories whose tags are kept in storage, as docker-registry keeps them.
pub struct PlainRepositories {
    driver: Arc<dyn Driver>,
}

impl PlainRepositories {
    /// The repositories in this storage.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self { driver }
    }

    /// What a tag kept in storage points to.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn tag(&self, name: &RepositoryName, tag: &Tag) -> blobs::Result<Option<Digest>> {
        let content = self.driver.read(&layout::tag_current(name, tag)).await?;
        Ok(content.and_then(|content| std::str::from_utf8(&content).ok()?.trim().parse().ok()))
    }

    /// At most `limit` tags kept in storage that sort after `after`.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn tags_after(
        &self,
        name: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> blobs::Result<Names> {
        let mut names = Names::default();
        let mut after = after.map(str::to_owned);
        let directory = layout::tags(name);
        loop {
            let wanted = limit + 1 - names.names.len();
            let listing = self.driver.list(&directory, after.as_deref(), wanted).await?;
            after = listing.entries.last().map(|entry| entry.name.clone());
            for entry in listing.entries {
                let Ok(tag) = entry.name.parse::<Tag>() else {
                    continue;
                };
                // A push or a deletion that was cut off leaves a directory without what the tag points to.
                if self
                    .driver
                    .stat(&layout::tag_current(name, &tag))
                    .await?
                    .is_some()
                {
                    names.names.push(entry.name);
                }
            }
            if names.names.len() > limit {
                names.names.truncate(limit);
                names.more = true;
                return Ok(names);
            }
            if !listing.more {
                return Ok(names);
            }
        }
    }

    /// Whether anything was ever pushed to a repository.
    async fn exists(&self, name: &RepositoryName) -> blobs::Result<bool> {
        for part in [MANIFESTS, LAYERS, UPLOADS] {
            if !self
                .driver
                .list(&layout::part(name, part), None, 1)
                .await?
                .entries
                .is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[async_trait]
impl Repositories for PlainRepositories {
    async fn resolve_tag(
        &self,
        _: &Caller,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, Refusal> {
        self.tag(name, tag).await.map_err(|error| wire::storage(&error))
    }

    async fn tags(
        &self,
        _: &Caller,
        name: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Names, Refusal> {
        let names = self
            .tags_after(name, after, limit)
            .await
            .map_err(|error| wire::storage(&error))?;
        if names.names.is_empty() && !self.exists(name).await.map_err(|error| wire::storage(&error))? {
            let message = format!("repository name not known to registry: {name}");
            return Err(
                Refusal::of(ErrorCode::NameUnknown, message).with_detail(serde_json::json!({ "name": name }))
            );
        }
        Ok(names)
    }

    async fn catalog(&self, _: &Caller, after: Option<&str>, limit: usize) -> Result<Names, Refusal> {
        let mut found = Smallest {
            names: BTreeSet::new(),
            limit,
            more: false,
        };
        let mut walk = Walk::new(Arc::clone(&self.driver));
        while let Some(name) = walk.next().await.map_err(|error| wire::storage(&error))? {
            if after.is_none_or(|after| name.as_str() > after) {
                let manifests = layout::part(&name, MANIFESTS);
                let listing = self
                    .driver
                    .list(&manifests, None, 1)
                    .await
                    .map_err(|error| wire::storage(&error))?;
                if !listing.entries.is_empty() {
                    found.add(name.to_string());
                }
            }
        }
        Ok(Names {
            names: found.names.into_iter().collect(),
            more: found.more,
        })
    }

    async fn holds_manifest(
        &self,
        _: &Caller,
        _: &RepositoryName,
        _: &Digest,
    ) -> Result<Membership, Refusal> {
        Ok(Membership::Unknown)
    }

    async fn holds_blob(&self, _: &Caller, _: &RepositoryName, _: &Digest) -> Result<Membership, Refusal> {
        Ok(Membership::Unknown)
    }

    async fn record_manifest(&self, _: &Caller, _: &RepositoryName, _: &Pushed) -> Result<(), Refusal> {
        Ok(())
    }

    fn wants_config(&self) -> bool {
        false
    }

    async fn delete_tag(&self, _: &Caller, _: &RepositoryName, _: &Tag) -> Result<bool, Refusal> {
        Ok(false)
    }

    async fn delete_manifest(&self, _: &Caller, _: &RepositoryName, _: &Digest) -> Result<bool, Refusal> {
        Ok(false)
    }
}

/// The first names of many, without keeping the others.
struct Smallest {
    names: BTreeSet<String>,
    limit: usize,
    more: bool,
}

impl Smallest {
    fn add(&mut self, name: String) {
        self.names.insert(name);
        if self.names.len() > self.limit {
            self.names.pop_last();
            self.more = true;
        }
    }
}

/// Walks through everything in storage that may be a repository, parents before children.
///
/// Directories of the registry's own begin with an underscore, which no repository does. What is kept is bounded by the
/// depth of names and the size of a page.
pub(crate) struct Walk {
    driver: Arc<dyn Driver>,
    levels: Vec<Level>,
}

struct Level {
    /// The name of the directory; empty for the root.
    name: String,
    page: VecDeque<String>,
    after: Option<String>,
    more: bool,
}

impl Level {
    fn new(name: String) -> Self {
        Self {
            name,
            page: VecDeque::new(),
            after: None,
            more: true,
        }
    }
}

impl Walk {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            levels: vec![Level::new(String::new())],
        }
    }

    /// The next name.
    pub(crate) async fn next(&mut self) -> blobs::Result<Option<RepositoryName>> {
        while let Some(level) = self.levels.last_mut() {
            if let Some(entry) = level.page.pop_front() {
                let name = if level.name.is_empty() {
                    entry
                } else {
                    format!("{}/{entry}", level.name)
                };
                let Ok(parsed) = name.parse::<RepositoryName>() else {
                    continue;
                };
                self.levels.push(Level::new(name));
                return Ok(Some(parsed));
            }
            let directory = layout::directory(&level.name).filter(|_| level.more);
            let Some(directory) = directory else {
                self.levels.pop();
                continue;
            };
            let listing = self
                .driver
                .list(&directory, level.after.as_deref(), limits::CATALOG_LIMIT)
                .await?;
            level.more = listing.more;
            level.after = listing.entries.last().map(|entry| entry.name.clone());
            let directories = listing
                .entries
                .into_iter()
                .filter(|entry| entry.kind == EntryKind::Directory);
            level.page.extend(
                directories
                    .map(|entry| entry.name)
                    .filter(|name| !name.starts_with('_')),
            );
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_names_are_kept() {
        let mut found = Smallest {
            names: BTreeSet::new(),
            limit: 2,
            more: false,
        };
        for name in ["c", "a/b", "a", "a-b"] {
            found.add(name.to_owned());
        }
        assert_eq!(found.names.into_iter().collect::<Vec<_>>(), ["a", "a-b"]);
        assert!(found.more);
    }
}
