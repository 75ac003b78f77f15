//! A store in memory, for tests and for whatever may be forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::feed::{BATCH_EVENTS, Feed, Next, Subscription};
use crate::{
    Change, Changed, Error, Event, Expect, Key, PAGE_BYTES, PAGE_ITEMS, Page, Result, Revision, Store,
    VALUE_LIMIT, Versioned,
};

/// Keeps every revision in memory until it is compacted. Clones share their contents.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    feed: Feed,
}

#[derive(Debug)]
struct State {
    revision: Revision,
    /// The oldest revision that can be asked for.
    oldest: Revision,
    /// The versions of each key, oldest first.
    keys: BTreeMap<Key, Vec<Version>>,
    /// Every event after `oldest`.
    log: VecDeque<Event>,
}

/// What a key was from a revision on.
#[derive(Debug)]
struct Version {
    modified: Revision,
    created: Revision,
    /// None if the key was deleted.
    value: Option<Bytes>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_feed(Feed::new(Revision::FIRST))
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store whose watchers read from memory directly only the latest `events`.
    #[must_use]
    pub fn with_recent(events: usize) -> Self {
        Self::with_feed(Feed::with_capacity(Revision::FIRST, events))
    }

    fn with_feed(feed: Feed) -> Self {
        let state = State {
            revision: Revision::FIRST,
            oldest: Revision::FIRST,
            keys: BTreeMap::new(),
            log: VecDeque::new(),
        };
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                feed,
            }),
        }
    }

    /// How many watch streams are alive.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.inner.feed.watchers()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The revision to read at, if it can be read.
    fn readable(&self, at: Option<Revision>) -> Result<Revision> {
        let asked = at.unwrap_or(self.revision);
        if asked > self.revision {
            return Err(Error::Future {
                asked,
                current: self.revision,
            });
        }
        if asked < self.oldest {
            return Err(Error::Compacted {
                asked,
                oldest: self.oldest,
            });
        }
        Ok(asked)
    }

    fn value(&self, key: &Key, at: Revision) -> Option<Versioned> {
        pick(key, self.keys.get(key)?, at)
    }

    /// The events after `from`, at most a batch, and how far that goes.
    fn history(&self, prefix: &Key, from: Revision) -> Result<(Vec<Event>, Revision)> {
        if from < self.oldest {
            return Err(Error::Compacted {
                asked: from,
                oldest: self.oldest,
            });
        }
        let skip = usize::try_from(from.get() - self.oldest.get()).unwrap_or(usize::MAX);
        let mut through = from;
        let mut events = Vec::new();
        for event in self.log.iter().skip(skip) {
            if prefix.covers(&event.key) {
                if events.len() == BATCH_EVENTS {
                    return Ok((events, through));
                }
                events.push(event.clone());
            }
            through = event.revision;
        }
        Ok((events, through.max(self.revision)))
    }
}

/// The version of `key` that was current at a revision.
fn pick(key: &Key, versions: &[Version], at: Revision) -> Option<Versioned> {
    let version = versions.iter().rev().find(|version| version.modified <= at)?;
    let value = version.value.clone()?;
    Some(Versioned {
        key: key.clone(),
        value,
        created: version.created,
        modified: version.modified,
    })
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key, at: Option<Revision>) -> Result<Option<Versioned>> {
        let state = self.inner.lock();
        let at = state.readable(at)?;
        Ok(state.value(key, at))
    }

    async fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_ITEMS);
        let state = self.inner.lock();
        let revision = state.readable(at)?;
        let (first, end) = prefix.below();
        let itself = state
            .value(prefix, revision)
            .filter(|_| after.is_none_or(|after| after < prefix));
        let start = match after {
            Some(after) if after.as_str() >= first.as_str() => Bound::Excluded(after.as_str()),
            Some(_) | None => Bound::Included(first.as_str()),
        };
        let mut page = Page {
            items: Vec::new(),
            revision,
            more: false,
        };
        let mut bytes = 0;
        let below: Box<dyn Iterator<Item = _> + Send> =
            if after.is_some_and(|after| after.as_str() >= end.as_str()) {
                Box::new(std::iter::empty())
            } else {
                Box::new(state.keys.range::<str, _>((start, Bound::Excluded(end.as_str()))))
            };
        let below = below.filter_map(|(key, versions)| pick(key, versions, revision));
        for item in itself.into_iter().chain(below) {
            if page.items.len() == limit || bytes >= PAGE_BYTES {
                page.more = true;
                break;
            }
            bytes += item.value.len();
            page.items.push(item);
        }
        Ok(page)
    }

    async fn commit(&self, change: Change, expect: Expect) -> Result<Revision> {
        if let Change::Put { value, .. } = &change
            && value.len() > VALUE_LIMIT
        {
            return Err(Error::TooLarge {
                size: value.len(),
                limit: VALUE_LIMIT,
            });
        }
        let mut guard = self.inner.lock();
        let state = &mut *guard;
        let key = change.key().clone();
        let previous = state.value(&key, state.revision);
        let current = previous.as_ref().map(|versioned| versioned.modified);
        let pointless = matches!(change, Change::Delete { .. }) && current.is_none();
        if pointless || !expect.allows(current) {
            return Err(Error::Conflict { key, current });
        }
        let revision = state.revision.next();
        let created = previous.as_ref().map_or(revision, |versioned| versioned.created);
        let (value, change) = match change {
            Change::Put { key, value } => {
                let versioned = Versioned {
                    key,
                    value: value.clone(),
                    created,
                    modified: revision,
                };
                (Some(value), Changed::Put(versioned))
            }
            Change::Delete { .. } => (None, Changed::Delete),
        };
        state.revision = revision;
        state.keys.entry(key.clone()).or_default().push(Version {
            modified: revision,
            created,
            value,
        });
        let event = Event {
            revision,
            key,
            change,
            previous,
        };
        state.log.push_back(event.clone());
        // Published under the lock: events reach the feed in the order of their revisions.
        self.inner.feed.publish([event]);
        drop(guard);
        Ok(revision)
    }

    async fn watch(&self, prefix: &Key, from: Revision) -> Result<BoxStream<'static, Result<Event>>> {
        let state = self.inner.lock();
        let from = state.readable(Some(from))?;
        let subscription = self.inner.feed.subscribe(prefix.clone(), from);
        drop(state);
        let watching = (subscription, Arc::clone(&self.inner), prefix.clone());
        let batches = stream::try_unfold(watching, |(mut subscription, inner, prefix)| async move {
            let batch = next_batch(&mut subscription, &inner, &prefix).await?;
            Ok::<_, Error>(Some((batch, (subscription, inner, prefix))))
        });
        Ok(batches
            .map_ok(|batch| stream::iter(batch.into_iter().map(Ok)))
            .try_flatten()
            .boxed())
    }

    async fn revision(&self) -> Result<Revision> {
        Ok(self.inner.lock().revision)
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        let mut guard = self.inner.lock();
        let state = &mut *guard;
        if before > state.revision {
            return Err(Error::Future {
                asked: before,
                current: state.revision,
            });
        }
        state.oldest = state.oldest.max(before);
        while state.log.front().is_some_and(|event| event.revision <= before) {
            state.log.pop_front();
        }
        state.keys.retain(|_, versions| {
            let superseded = versions.iter().rposition(|version| version.modified <= before);
            if let Some(kept) = superseded {
                // A deletion that old says no more than the absence of the key.
                let kept = if versions[kept].value.is_none() {
                    kept + 1
                } else {
                    kept
                };
                versions.drain(..kept);
            }
            !versions.is_empty()
        });
        Ok(())
    }
}

async fn next_batch(subscription: &mut Subscription, inner: &Inner, prefix: &Key) -> Result<Vec<Event>> {
    loop {
        match subscription.next().await {
            Next::Events(events) => return Ok(events),
            Next::Behind(from) => {
                let (events, through) = inner.lock().history(prefix, from)?;
                subscription.skip_to(through);
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            Next::Closed => return Err(Error::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::suite!(MemoryStore::new());

    /// The same promises when watchers have to read the log.
    mod behind {
        use super::*;

        crate::suite!(MemoryStore::with_recent(1));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_model(operations: Vec<[u8; 4]>, recent in 0_usize..9) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let store = Arc::new(MemoryStore::with_recent(recent));
            runtime.block_on(crate::suite::agrees_with_the_model(store, &operations));
        }
    }

    #[tokio::test]
    async fn dropped_watch_streams_are_forgotten() {
        let store = MemoryStore::new();
        let streams = [
            store.watch(&Key::root(), Revision::FIRST).await.unwrap(),
            store
                .watch(&Key::new("/a").unwrap(), Revision::FIRST)
                .await
                .unwrap(),
        ];
        assert_eq!(store.watchers(), 2);
        drop(streams);
        assert_eq!(store.watchers(), 0);
    }

    #[tokio::test]
    async fn compaction_frees_deleted_keys() {
        let store = MemoryStore::new();
        let key = Key::new("/a").unwrap();
        store
            .commit(
                Change::Put {
                    key: key.clone(),
                    value: Bytes::new(),
                },
                Expect::Any,
            )
            .await
            .unwrap();
        let gone = store.commit(Change::Delete { key }, Expect::Any).await.unwrap();
        store.compact(gone).await.unwrap();
        let state = store.inner.lock();
        assert!(state.keys.is_empty());
        assert!(state.log.is_empty());
    }
}
