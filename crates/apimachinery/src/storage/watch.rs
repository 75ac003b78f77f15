//! Watches: what there is, what memory remembers, what the store remembers, and what happens next.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use berth_store::{Changed, Event, Key, Revision};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Storage;
use super::filter::Filter;
use crate::cache::{Change, Recent};
use crate::entry::Entry;
use crate::options::WatchOptions;
use crate::rest::{WatchEvent, WatchStream};
use crate::status::Status;

/// Changes that a watch takes from memory at once; all that it ever buffers besides its initial events.
const BATCH: usize = 64;

/// How often an idle watch that asked for bookmarks gets one.
pub const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

impl Storage {
    /// Events of a namespace, or of all. A slow reader costs no memory: it holds a position, and when memory has forgotten
    /// what comes next, the store is asked.
    ///
    /// # Errors
    /// 400 for options that do not go together, 504 when a resource version is not reached. History that is gone is
    /// reported by the stream.
    pub async fn watch_events(
        &self,
        namespace: Option<&str>,
        options: &WatchOptions,
    ) -> Result<WatchStream, Status> {
        let filter = Filter::new(
            self.resource(),
            self.strategy(),
            namespace,
            &options.labels,
            &options.fields,
        )?;
        let version = options.resource_version.unwrap_or(0);
        // Subscribed before anything is read, so that no wake-up is lost.
        let changed = self.cache().subscribe();
        let mut initial = VecDeque::new();
        let mut position = version;
        let with_state = options.send_initial_events.unwrap_or(version == 0);
        if with_state {
            if version > 0 {
                self.database().fresh(version).await?;
            }
            let seen = self.database().revision();
            let range = self.cache().range(&filter.prefix, None, usize::MAX);
            position = seen.max(range.revision);
            for (key, slot) in range.items {
                let entry = self.cache().slot_entry(&slot);
                if filter.matches(&key, &entry) {
                    initial.push_back(WatchEvent::Added(entry));
                }
            }
            if options.send_initial_events == Some(true) && options.bookmarks {
                initial.push_back(WatchEvent::Bookmark {
                    revision: position,
                    initial_events_end: true,
                });
            }
        }
        let watcher = Watcher {
            storage: self.clone(),
            filter,
            changed,
            position,
            ready: initial,
            source: Source::Memory,
            bookmarks: options.bookmarks.then(|| Instant::now() + BOOKMARK_INTERVAL),
        };
        Ok(stream::unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await?;
            if event.is_err() {
                watcher.source = Source::Ended;
            }
            Some((event, watcher))
        })
        .boxed())
    }
}

enum Source {
    Memory,
    Store(BoxStream<'static, berth_store::Result<Event>>),
    Ended,
}

struct Watcher {
    storage: Storage,
    filter: Filter,
    changed: watch::Receiver<u64>,
    /// Everything up to here has been sent or did not match.
    position: u64,
    ready: VecDeque<WatchEvent>,
    source: Source,
    /// When the next bookmark is due.
    bookmarks: Option<Instant>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<WatchEvent, Status>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if let Some(bookmark) = self.bookmark_due() {
                return Some(Ok(bookmark));
            }
            match &mut self.source {
                Source::Ended => return None,
                Source::Memory => match self.advance_in_memory().await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(status) => return Some(Err(status)),
                },
                Source::Store(events) => {
                    let due = self.bookmarks;
                    let event = tokio::select! {
                        event = events.next() => event,
                        () = at(due) => continue,
                    };
                    match event? {
                        Ok(event) => self.take_stored(&event),
                        Err(berth_store::Error::Closed) => return None,
                        Err(error) => return Some(Err(Status::from_store(&error))),
                    }
                }
            }
        }
    }

    /// A bookmark, if it is time for one.
    fn bookmark_due(&mut self) -> Option<WatchEvent> {
        let due = self.bookmarks?;
        if Instant::now() < due {
            return None;
        }
        if matches!(self.source, Source::Memory) {
            // Nothing wakes the watch when other resources change; what has passed them by has passed it by, too.
            let seen = self.storage.database().revision();
            match self.storage.cache().recent(self.position, 1) {
                Recent::Changes(changes) if changes.is_empty() => self.position = self.position.max(seen),
                _ => return None,
            }
        }
        self.bookmarks = Some(Instant::now() + BOOKMARK_INTERVAL);
        (self.position > 0).then_some(WatchEvent::Bookmark {
            revision: self.position,
            initial_events_end: false,
        })
    }

    /// Takes changes from memory or waits for some; false when there will be none any more.
    async fn advance_in_memory(&mut self) -> Result<bool, Status> {
        self.changed.mark_unchanged();
        // Memory has seen at least this; without a change, it is where the watch stands.
        let seen = self.storage.database().revision();
        match self.storage.cache().recent(self.position, BATCH) {
            Recent::Changes(changes) if changes.is_empty() => {
                self.position = self.position.max(seen);
                let due = self.bookmarks;
                tokio::select! {
                    changed = self.changed.changed() => Ok(changed.is_ok()),
                    () = at(due) => Ok(true),
                }
            }
            Recent::Changes(changes) => {
                for change in changes {
                    self.position = change.revision;
                    self.take(&change);
                }
                Ok(true)
            }
            Recent::TooOld => {
                let prefix = self.storage.cache().prefix.as_str();
                let prefix = Key::new(prefix).map_err(Status::internal)?;
                let store = self.storage.database().store();
                match store.watch(&prefix, Revision::new(self.position)).await {
                    Ok(events) => {
                        self.source = Source::Store(events);
                        Ok(true)
                    }
                    Err(error) => Err(Status::from_store(&error)),
                }
            }
        }
    }

    fn take_stored(&mut self, event: &Event) {
        let cache = self.storage.cache();
        let revision = event.revision.get();
        let Some(key) = event.key.as_str().get(cache.prefix.len() + 1..) else {
            return;
        };
        let entry = match &event.change {
            Changed::Put(put) => Some(cache.entry(&put.value, revision)),
            Changed::Delete => None,
        };
        let old = event
            .previous
            .as_ref()
            .map(|old| cache.entry(&old.value, old.modified.get()));
        let change = Change {
            revision,
            key: key.into(),
            entry,
            old,
        };
        self.position = revision;
        self.take(&change);
    }

    /// What a change means to this watcher: an object may come to match, go on matching, or cease to.
    fn take(&mut self, change: &Change) {
        let matches = |entry: &Option<Arc<Entry>>| {
            entry
                .as_ref()
                .filter(|entry| self.filter.matches(&change.key, entry))
                .cloned()
        };
        let event = match (matches(&change.entry), matches(&change.old)) {
            (Some(entry), Some(_)) => WatchEvent::Modified(entry),
            (Some(entry), None) => WatchEvent::Added(entry),
            (None, Some(old)) => WatchEvent::Deleted(Arc::new(old.at_revision(change.revision))),
            (None, None) => return,
        };
        self.ready.push_back(event);
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
