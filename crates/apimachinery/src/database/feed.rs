//! [`Feed`]: carries every commit of the store into memory.
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use berth_store::{Changed, Error, Event, Key, Revision};
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::Database;
use crate::cache::Cache;

/// Pause before the store is asked again after it failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Items asked for at once while loading.
const LOAD_PAGE: usize = 500;

/// Carries every commit of the store into memory. Without it, writes are stored but their callers wait in vain.
pub struct Feed {
    database: Database,
    caches: BTreeMap<String, Arc<Cache>>,
    position: Option<Revision>,
}

impl Feed {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            caches: BTreeMap::new(),
            position: None,
        }
    }

    /// Reads the present state of every registered resource.
    ///
    /// # Errors
    /// What the store answers; loading may be tried again.
    pub async fn load(&mut self) -> Result<(), Error> {
        self.caches = self
            .database
            .0
            .caches
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let store = Arc::clone(self.database.store());
        let at = store.revision().await?;
        for cache in self.caches.values() {
            let prefix = key_of(&cache.prefix)?;
            let mut items = Vec::new();
            let mut after = None;
            loop {
                let page = store.list(&prefix, after.as_ref(), LOAD_PAGE, Some(at)).await?;
                after = page.items.last().map(|item| item.key.clone());
                items.extend(page.items.into_iter().filter_map(|item| {
                    let (_, name) = split(item.key.as_str())?;
                    Some((name.to_owned(), item.value, item.modified.get()))
                }));
                if !page.more {
                    break;
                }
            }
            cache.reset(items, at.get());
        }
        self.position = Some(at);
        self.database.0.progress.advance(at.get());
        Ok(())
    }

    /// Follows the store until told to stop; loads first if that has not happened.
    ///
    /// # Errors
    /// What the store answers when it cannot be followed any more.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        loop {
            let end = match stop.run_until_cancelled(self.follow()).await {
                None | Some(Ok(())) => return Ok(()),
                Some(Err(error)) => error,
            };
            match end {
                Error::Closed => return Ok(()),
                // What was missed cannot be read any more: start from the present state.
                Error::Compacted { .. } | Error::Future { .. } => self.position = None,
                error if error.retryable() => {
                    tracing::warn!(%error, "the store does not answer, trying again");
                    if stop
                        .run_until_cancelled(tokio::time::sleep(RETRY_PAUSE))
                        .await
                        .is_none()
                    {
                        return Ok(());
                    }
                }
                error => return Err(error),
            }
        }
    }

    async fn follow(&mut self) -> Result<(), Error> {
        let from = match self.position {
            Some(position) => position,
            None => {
                self.load().await?;
                self.position.unwrap_or(Revision::ZERO)
            }
        };
        let mut events = self.database.store().watch(&Key::root(), from).await?;
        while let Some(event) = events.next().await {
            self.apply(&event?);
        }
        Err(Error::Closed)
    }

    fn apply(&mut self, event: &Event) {
        if let Some((prefix, name)) = split(event.key.as_str())
            && let Some(cache) = self.caches.get(prefix)
        {
            let value = match &event.change {
                Changed::Put(versioned) => Some(&versioned.value),
                Changed::Delete => None,
            };
            cache.apply(name, value, event.revision.get());
        }
        self.position = Some(event.revision);
        self.database.0.progress.advance(event.revision.get());
    }
}

fn key_of(prefix: &str) -> Result<Key, Error> {
    Key::new(prefix).map_err(|error| Error::Broken {
        source: Arc::new(error),
    })
}

/// `/group/plural/[namespace/]name` into `/group/plural` and the rest.
fn split(key: &str) -> Option<(&str, &str)> {
    let (end, _) = key.match_indices('/').nth(2)?;
    Some((&key[..end], &key[end + 1..]))
}
