//! The image of one resource in memory: its objects and its latest history.
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::watch;

use crate::entry::Entry;
use crate::strategy::Strategy;

/// Events that a resource keeps in memory for watchers to resume from; older ones come from the store.
pub const HISTORY_EVENTS: usize = 1024;

/// Bytes of JSON that the events a resource keeps in memory hold at most.
pub const HISTORY_BYTES: usize = 512 << 10;

/// A change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Revision of the change.
    pub revision: u64,
    /// `namespace/name`, or `name` for a cluster-scoped object.
    pub key: Arc<str>,
    /// The object now; none if it was deleted.
    pub entry: Option<Arc<Entry>>,
    /// The object before; none if it was created.
    pub old: Option<Arc<Entry>>,
}

impl Change {
    /// Name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }

    /// Namespace of the object; empty for a cluster-scoped one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    fn weight(&self) -> usize {
        // Old and new state of consecutive events share their entries, so counting the new one is about right.
        self.key.len()
            + self
                .entry
                .as_ref()
                .or(self.old.as_ref())
                .map_or(0, |entry| entry.weight())
    }
}

/// Is told of every change before those who wait for its revision go on.
pub type Observer = Arc<dyn Fn(&Change) + Send + Sync>;

/// Objects of a resource that are kept parsed once somebody asked; a parsed object takes several times its text.
pub const PARSED_OBJECTS: usize = 512;

/// Bytes of text of an object that is kept parsed.
pub const PARSED_BYTES: usize = 8 << 10;

/// An object in memory.
#[derive(Clone)]
pub(crate) enum Slot {
    /// With whatever was made of it.
    Entry(Arc<Entry>),
    /// As text alone.
    Text {
        stored: Bytes,
        revision: u64,
        /// What clients get, once it was made; none where it is made in no time.
        json: Option<Arc<OnceLock<Bytes>>>,
    },
}

pub(crate) struct Cache {
    /// `/<group|core>/<plural>`.
    pub(crate) prefix: String,
    decorator: Option<Arc<dyn Strategy>>,
    keep_parsed: bool,
    state: RwLock<State>,
    /// Revision of the last change; wakes watchers.
    changed: watch::Sender<u64>,
    observers: Mutex<Vec<Observer>>,
}

#[derive(Default)]
pub(crate) struct State {
    items: BTreeMap<Arc<str>, Slot>,
    history: VecDeque<(Change, usize)>,
    history_bytes: usize,
    /// Every change after this revision is in `history`.
    oldest: u64,
    /// Revision of the last change.
    revision: u64,
}

/// What a watcher finds in memory.
pub(crate) enum Recent {
    /// Changes after its position, as many as were asked for; none if there are none yet.
    Changes(Vec<Change>),
    /// Its position is older than what memory holds.
    TooOld,
}

impl Cache {
    pub(crate) fn new(prefix: String, strategy: &Arc<dyn Strategy>, keep_parsed: bool) -> Self {
        Self {
            prefix,
            decorator: strategy.decorates().then(|| Arc::clone(strategy)),
            keep_parsed,
            state: RwLock::default(),
            changed: watch::Sender::new(0),
            observers: Mutex::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry for what the store holds, apart from what memory holds.
    pub(crate) fn entry(&self, stored: &Bytes, revision: u64) -> Arc<Entry> {
        Arc::new(Entry::on_demand(stored, revision, self.decorator.clone(), None))
    }

    /// A place in memory, beside `others`, for what the store holds.
    fn slot(&self, stored: &Bytes, revision: u64, others: usize) -> Slot {
        if !self.keep_parsed || others >= PARSED_OBJECTS || stored.len() > PARSED_BYTES {
            let json = self.decorator.is_some().then(Arc::default);
            return Slot::Text {
                stored: stored.clone(),
                revision,
                json,
            };
        }
        Slot::Entry(Arc::new(match &self.decorator {
            None => Entry::from_store(stored, revision),
            decorator => Entry::on_demand(stored, revision, decorator.clone(), None),
        }))
    }

    pub(crate) fn slot_entry(&self, slot: &Slot) -> Arc<Entry> {
        match slot {
            Slot::Entry(entry) => Arc::clone(entry),
            Slot::Text {
                stored,
                revision,
                json,
            } => Arc::new(Entry::on_demand(
                stored,
                *revision,
                self.decorator.clone(),
                json.clone(),
            )),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.read().items.get(key).map(|slot| self.slot_entry(slot))
    }

    /// Objects whose keys begin with `prefix` and come after `after`, at most `limit`.
    pub(crate) fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Range {
        let state = self.read();
        let mut items = Vec::new();
        let mut remaining = 0;
        for (key, slot) in state.below(prefix, after) {
            if items.len() < limit {
                items.push((Arc::clone(key), slot.clone()));
            } else {
                remaining += 1;
            }
        }
        Range {
            items,
            remaining,
            revision: state.revision,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.read().revision
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Changes after a position.
    pub(crate) fn recent(&self, position: u64, limit: usize) -> Recent {
        let state = self.read();
        if position < state.oldest {
            return Recent::TooOld;
        }
        let start = state
            .history
            .partition_point(|(change, _)| change.revision <= position);
        Recent::Changes(
            state
                .history
                .iter()
                .skip(start)
                .take(limit)
                .map(|(change, _)| change.clone())
                .collect(),
        )
    }

    /// Adds an observer, after telling it of everything there is.
    pub(crate) fn observe(&self, observer: Observer) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        // Changes are applied under the observers' lock, so none is missed and none is told twice.
        for (key, slot) in self.range("", None, usize::MAX).items {
            let entry = self.slot_entry(&slot);
            observer(&Change {
                revision: entry.revision(),
                key,
                entry: Some(entry),
                old: None,
            });
        }
        observers.push(observer);
    }

    /// Applies a change that the store reported. `value` is none for a deletion.
    pub(crate) fn apply(&self, key: &str, value: Option<&Bytes>, revision: u64) {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let change = {
            let mut state = self.write();
            let (key, old) = match state.items.get_key_value(key) {
                Some((key, slot)) => (Arc::clone(key), Some(self.slot_entry(slot))),
                None => (Arc::from(key), None),
            };
            let entry = match value {
                Some(stored) => {
                    let slot = self.slot(stored, revision, state.items.len());
                    let entry = self.slot_entry(&slot);
                    state.items.insert(Arc::clone(&key), slot);
                    Some(entry)
                }
                None => {
                    state.items.remove(&key);
                    None
                }
            };
            let change = Change {
                revision,
                key,
                entry,
                old,
            };
            state.remember(change.clone());
            change
        };
        for observer in observers.iter() {
            observer(&change);
        }
        drop(observers);
        self.changed.send_replace(revision);
    }

    /// Replaces everything by the state at a revision, as `(key, stored bytes, revision)`. History starts anew there.
    pub(crate) fn reset(&self, fresh: Vec<(String, Bytes, u64)>, at: u64) {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        {
            let mut state = self.write();
            let mut before = std::mem::take(&mut state.items);
            for (key, stored, revision) in fresh {
                let key: Arc<str> = key.into();
                let held = before.remove(&key);
                let old = held.as_ref().map(|slot| self.slot_entry(slot));
                let slot = match held {
                    Some(held) if old.as_ref().is_some_and(|old| old.revision() == revision) => held,
                    _ => self.slot(&stored, revision, state.items.len()),
                };
                let entry = self.slot_entry(&slot);
                state.items.insert(Arc::clone(&key), slot);
                if !observers.is_empty() && old.as_ref().is_none_or(|old| old.revision() != revision) {
                    changes.push(Change {
                        revision,
                        key,
                        entry: Some(entry),
                        old,
                    });
                }
            }
            for (key, slot) in before {
                changes.push(Change {
                    revision: at,
                    key,
                    entry: None,
                    old: Some(self.slot_entry(&slot)),
                });
            }
            state.history.clear();
            state.history_bytes = 0;
            state.oldest = at;
            state.revision = at;
        }
        for change in &changes {
            for observer in observers.iter() {
                observer(change);
            }
        }
        drop(observers);
        self.changed.send_replace(at);
    }
}

/// What [`Cache::range`] found.
pub(crate) struct Range {
    pub(crate) items: Vec<(Arc<str>, Slot)>,
    /// How many follow behind the last item.
    pub(crate) remaining: u64,
    /// Revision of the last change to the resource.
    pub(crate) revision: u64,
}

impl State {
    fn below<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Slot)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.items
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn remember(&mut self, change: Change) {
        let weight = change.weight();
        self.revision = change.revision;
        self.history_bytes += weight;
        self.history.push_back((change, weight));
        while self.history.len() > HISTORY_EVENTS
            || (self.history_bytes > HISTORY_BYTES && self.history.len() > 1)
        {
            if let Some((oldest, weight)) = self.history.pop_front() {
                self.oldest = oldest.revision;
                self.history_bytes -= weight;
            }
        }
    }
}
