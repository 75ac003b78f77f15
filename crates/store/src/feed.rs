//! Recent events in memory and who waits for them: what adapters over one writer share.
//!
//! Watchers hold a position and no queue, so a slow one costs nothing: it reads the recent events when it can, and when
//! those have moved on the adapter reads its log instead. A commit wakes only the watchers that it concerns.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{Changed, Event, Key, Revision};

/// Events kept in memory for watchers, at most.
pub const RECENT_EVENTS: usize = 2048;

/// Bytes of keys and values kept in memory for watchers, at most.
pub const RECENT_BYTES: usize = 2 << 20;

/// Events given to a watcher at once, at most, so that it holds neither the lock nor memory for long.
pub const BATCH_EVENTS: usize = 128;

/// Recent events, published by the one writer of a store.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The latest events, of consecutive revisions that end at `last`.
    recent: VecDeque<Event>,
    /// What `recent` holds, as [`weight`] counts it.
    bytes: usize,
    last: Revision,
    capacity: usize,
    watchers: HashMap<u64, Watcher>,
    next_watcher: u64,
    closed: bool,
}

#[derive(Debug)]
struct Watcher {
    prefix: Key,
    /// Everything up to here was delivered or does not concern the watcher.
    position: Revision,
    /// The first event behind `position` that concerns the watcher. Kept apart from `position`, so that a watcher of
    /// quiet keys does not appear to fall behind while others are busy.
    pending: Option<Revision>,
    waker: Option<Waker>,
}

/// What a subscription has next.
#[derive(Debug)]
pub enum Next {
    /// Events of the watched keys, in order; never empty.
    Events(Vec<Event>),
    /// Events after this revision have left memory: read them from the log, then call [`Subscription::skip_to`].
    Behind(Revision),
    /// The store has been closed.
    Closed,
}

impl Feed {
    /// A feed of a store at revision `last`, which keeps [`RECENT_EVENTS`].
    #[must_use]
    pub fn new(last: Revision) -> Self {
        Self::with_capacity(last, RECENT_EVENTS)
    }

    /// A feed of a store at revision `last`, which keeps at most `capacity` events.
    #[must_use]
    pub fn with_capacity(last: Revision, capacity: usize) -> Self {
        let state = State {
            recent: VecDeque::new(),
            bytes: 0,
            last,
            capacity,
            watchers: HashMap::new(),
            next_watcher: 0,
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
            }),
        }
    }

    /// The revision of the latest published event.
    #[must_use]
    pub fn last(&self) -> Revision {
        self.shared.lock().last
    }

    /// How many subscriptions are alive.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.shared.lock().watchers.len()
    }

    /// Tells everybody what happened. The events follow the last published one without a gap.
    pub fn publish(&self, events: impl IntoIterator<Item = Event>) {
        let mut wake = Vec::new();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        for event in events {
            debug_assert_eq!(event.revision, state.last.next(), "revisions have no gaps");
            state.last = event.revision;
            for watcher in state.watchers.values_mut() {
                if watcher.pending.is_none()
                    && event.revision > watcher.position
                    && watcher.prefix.covers(&event.key)
                {
                    watcher.pending = Some(event.revision);
                    wake.extend(watcher.waker.take());
                }
            }
            state.bytes += weight(&event);
            state.recent.push_back(event);
            while state.recent.len() > state.capacity || state.bytes > RECENT_BYTES {
                let Some(oldest) = state.recent.pop_front() else {
                    break;
                };
                state.bytes -= weight(&oldest);
            }
        }
        drop(guard);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Follows the keys that `prefix` covers, from behind `from`.
    #[must_use]
    pub fn subscribe(&self, prefix: Key, from: Revision) -> Subscription {
        let mut state = self.shared.lock();
        let id = state.next_watcher;
        state.next_watcher += 1;
        let pending = (from < state.last).then(|| from.next());
        state.watchers.insert(
            id,
            Watcher {
                prefix,
                position: from,
                pending,
                waker: None,
            },
        );
        drop(state);
        Subscription {
            shared: Arc::clone(&self.shared),
            id,
        }
    }

    /// Ends every subscription, now and later.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let wake: Vec<_> = state
            .watchers
            .values_mut()
            .filter_map(|watcher| watcher.waker.take())
            .collect();
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed in steps that cannot panic half-way, so a poisoned lock still guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poll(&mut self, id: u64, context: &Context<'_>) -> Poll<Next> {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return Poll::Ready(Next::Closed);
        };
        if self.closed {
            return Poll::Ready(Next::Closed);
        }
        let Some(pending) = watcher.pending else {
            watcher.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        let first = self.recent.front().map(|event| event.revision);
        let Some(first) = first.filter(|first| *first <= pending) else {
            return Poll::Ready(Next::Behind(pending.previous()));
        };
        let skip = usize::try_from(pending.get() - first.get()).unwrap_or(usize::MAX);
        let mut events = Vec::new();
        watcher.pending = None;
        for event in self.recent.iter().skip(skip) {
            if watcher.prefix.covers(&event.key) {
                if events.len() == BATCH_EVENTS {
                    watcher.pending = Some(event.revision);
                    break;
                }
                events.push(event.clone());
            }
            watcher.position = event.revision;
        }
        if events.is_empty() {
            // Only when the subscription began in the past: then nothing since concerned it.
            watcher.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Next::Events(events))
    }
}

/// A place in the feed. Dropping it frees it.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    id: u64,
}

impl Subscription {
    /// Waits for what comes next.
    pub async fn next(&mut self) -> Next {
        poll_fn(|context| self.shared.lock().poll(self.id, context)).await
    }

    /// Goes on behind `position`, because everything up to there was delivered from the log.
    pub fn skip_to(&mut self, position: Revision) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        if let Some(watcher) = state.watchers.get_mut(&self.id) {
            watcher.position = watcher.position.max(position);
            watcher.pending = (watcher.position < state.last).then(|| watcher.position.next());
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.lock().watchers.remove(&self.id);
    }
}

/// Bytes of an event that memory is held for.
fn weight(event: &Event) -> usize {
    let value = match &event.change {
        Changed::Put(versioned) => versioned.value.len(),
        Changed::Delete => 0,
    };
    let previous = event
        .previous
        .as_ref()
        .map_or(0, |versioned| versioned.value.len());
    event.key.as_str().len() + value + previous + size_of::<Event>()
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;

    use super::*;
    use crate::Versioned;

    fn event(revision: u64, key: &str, size: usize) -> Event {
        let (revision, key) = (Revision::new(revision), Key::new(key).unwrap());
        let value = vec![0; size].into();
        let versioned = Versioned {
            key: key.clone(),
            value,
            created: revision,
            modified: revision,
        };
        Event {
            revision,
            key,
            change: Changed::Put(versioned),
            previous: None,
        }
    }

    fn poll(subscription: &mut Subscription) -> Option<Next> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(subscription.next()).poll(&mut context) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        }
    }

    fn revisions(next: Option<Next>) -> Vec<u64> {
        match next {
            Some(Next::Events(events)) => events.iter().map(|event| event.revision.get()).collect(),
            other => panic!("no events but {other:?}"),
        }
    }

    #[test]
    fn a_watcher_of_quiet_keys_never_falls_behind() {
        let feed = Feed::with_capacity(Revision::FIRST, 2);
        let mut quiet = feed.subscribe(Key::new("/quiet").unwrap(), Revision::FIRST);
        let mut busy = feed.subscribe(Key::root(), Revision::FIRST);
        feed.publish((2..=10).map(|revision| event(revision, "/busy/x", 1)));
        assert!(poll(&mut quiet).is_none());
        assert!(matches!(poll(&mut busy), Some(Next::Behind(Revision::FIRST))));
        feed.publish([event(11, "/quiet/x", 1)]);
        assert_eq!(revisions(poll(&mut quiet)), [11]);
        assert!(poll(&mut quiet).is_none());
    }

    #[test]
    fn a_watcher_that_read_the_log_goes_on_in_memory() {
        let feed = Feed::with_capacity(Revision::FIRST, 2);
        let mut watcher = feed.subscribe(Key::root(), Revision::FIRST);
        feed.publish((2..=5).map(|revision| event(revision, "/x", 1)));
        assert!(matches!(poll(&mut watcher), Some(Next::Behind(Revision::FIRST))));
        watcher.skip_to(Revision::new(4));
        assert_eq!(revisions(poll(&mut watcher)), [5]);
        watcher.skip_to(Revision::new(5));
        assert!(poll(&mut watcher).is_none());
    }

    #[test]
    fn memory_is_bounded_by_bytes_too() {
        let feed = Feed::new(Revision::FIRST);
        feed.publish((2..=9).map(|revision| event(revision, "/x", RECENT_BYTES / 3)));
        assert!(feed.shared.lock().bytes <= RECENT_BYTES);
        feed.publish([event(10, "/x", RECENT_BYTES * 2)]);
        assert_eq!(feed.shared.lock().bytes, 0);
        assert_eq!(feed.last(), Revision::new(10));
    }

    #[test]
    fn batches_are_bounded_and_complete() {
        let feed = Feed::new(Revision::FIRST);
        let mut watcher = feed.subscribe(Key::root(), Revision::FIRST);
        let count = BATCH_EVENTS as u64 * 2 + 1;
        feed.publish((2..2 + count).map(|revision| event(revision, "/x", 1)));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(revisions(poll(&mut watcher)));
        }
        assert_eq!(seen, (2..2 + count).collect::<Vec<_>>());
        assert!(poll(&mut watcher).is_none());
    }

    #[test]
    fn events_before_the_start_are_not_delivered() {
        // A reader may know a revision that is committed and about to be published.
        let feed = Feed::new(Revision::FIRST);
        let mut early = feed.subscribe(Key::root(), Revision::new(3));
        feed.publish((2..=4).map(|revision| event(revision, "/x", 1)));
        assert_eq!(revisions(poll(&mut early)), [4]);
    }

    #[test]
    fn dropping_and_closing_end_a_subscription() {
        let feed = Feed::new(Revision::FIRST);
        let mut watcher = feed.subscribe(Key::root(), Revision::FIRST);
        drop(feed.subscribe(Key::root(), Revision::FIRST));
        assert_eq!(feed.watchers(), 1);
        feed.close();
        assert!(matches!(poll(&mut watcher), Some(Next::Closed)));
    }
}
