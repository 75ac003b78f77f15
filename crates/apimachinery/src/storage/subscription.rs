//! [`Subscription`]: every object and every change, for a controller.
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::cache::{Cache, Change, Recent};

/// Changes taken from memory at once.
const BATCH: usize = 64;

/// What a subscriber learns.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An object was there already, or changed.
    Changed(Change),
    /// Changes were missed. What exists follows as `Changed`; what is not among it is gone.
    Reset,
}

/// Every object there is and then every change. A subscriber that falls behind what memory keeps is told so.
pub struct Subscription {
    cache: Arc<Cache>,
    changed: watch::Receiver<u64>,
    position: u64,
    ready: VecDeque<Notice>,
}

impl Subscription {
    pub(super) fn new(cache: Arc<Cache>) -> Self {
        let changed = cache.subscribe();
        let mut subscription = Self {
            cache,
            changed,
            position: 0,
            ready: VecDeque::new(),
        };
        subscription.begin();
        subscription
    }

    fn begin(&mut self) {
        let range = self.cache.range("", None, usize::MAX);
        self.position = range.revision;
        for (key, slot) in range.items {
            let entry = self.cache.slot_entry(&slot);
            let change = Change {
                revision: entry.revision(),
                key,
                entry: Some(entry),
                old: None,
            };
            self.ready.push_back(Notice::Changed(change));
        }
    }

    /// The next notice; none when the storage is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            if let Some(notice) = self.ready.pop_front() {
                return Some(notice);
            }
            self.changed.mark_unchanged();
            match self.cache.recent(self.position, BATCH) {
                Recent::Changes(changes) if changes.is_empty() => self.changed.changed().await.ok()?,
                Recent::Changes(changes) => {
                    self.position = changes.last().map_or(self.position, |change| change.revision);
                    self.ready.extend(changes.into_iter().map(Notice::Changed));
                }
                Recent::TooOld => {
                    self.ready.push_back(Notice::Reset);
                    self.begin();
                }
            }
        }
    }
}
