//! The promises of [`Store`], one test each, for every adapter.
//!
//! ```ignore
//! berth_store::suite!(MemoryStore::new());
//! ```
//!
//! Adapters enable the feature `suite` for their tests. A promise assumes a store that nothing was committed to.

mod committing;
mod compacting;
mod model;
mod reading;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};

pub use self::committing::*;
pub use self::compacting::*;
pub use self::model::agrees_with_the_model;
pub use self::reading::*;
pub use self::watching::*;
use crate::{Change, Changed, Event, Expect, Key, Result, Revision, Store, Versioned};

/// How long a promise may wait for something that has to come, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a promise waits to see that nothing comes.
const QUIET: Duration = Duration::from_millis(20);

/// A test function for every promise of a store; the expression makes a new, empty store each time.
#[macro_export]
macro_rules! suite {
    ($store:expr) => {
        $crate::suite!(@promises $store;
            an_empty_store_is_at_the_first_revision
            revisions_are_store_wide_and_without_gaps
            get_returns_what_was_put
            get_at_a_revision_returns_the_past
            a_key_put_again_after_deletion_is_created_again
            lists_are_in_bytewise_order
            lists_end_at_segment_boundaries
            pages_continue_where_the_last_one_ended
            pages_are_bounded
            pages_of_a_revision_are_consistent
            lists_at_a_revision_show_the_past
            the_future_cannot_be_read
            keys_are_taken_literally
            commits_demand_what_they_expect
            a_conflict_leaves_nothing
            one_of_many_racing_commits_wins
            no_update_is_lost
            acknowledged_commits_are_read
            values_may_be_empty_or_binary
            values_have_a_limit
            an_abandoned_commit_happens_whole_or_not_at_all
            a_watch_tells_history_and_then_news
            a_watch_begins_anywhere
            a_watch_ends_at_segment_boundaries
            a_watch_of_one_key_sees_that_key
            events_carry_the_previous_value
            watchers_see_concurrent_commits_once_and_in_order
            list_and_watch_lose_nothing
            a_slow_watcher_neither_blocks_nor_misses
            the_future_cannot_be_watched
            dropped_watches_cost_nothing
            compaction_keeps_what_was_asked_for
            compaction_forgets_the_rest
            compaction_may_be_repeated
            compaction_does_not_disturb_an_idle_watch
            compaction_ends_a_watch_that_is_behind
            compaction_and_commits_run_together
        );
    };
    (@promises $store:expr; $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::suite::$promise(::std::sync::Arc::new($store)).await;
            }
        )+
    };
}

/// The store under test.
type Tested = Arc<dyn Store>;

fn key(text: &str) -> Key {
    Key::new(text).expect("the suite names valid keys")
}

fn put(key_text: &str, value: impl Into<Bytes>) -> Change {
    Change::Put {
        key: key(key_text),
        value: value.into(),
    }
}

fn delete(key_text: &str) -> Change {
    Change::Delete { key: key(key_text) }
}

async fn commit(store: &Tested, change: Change) -> Revision {
    store
        .commit(change, Expect::Any)
        .await
        .expect("the commit succeeds")
}

async fn revision(store: &Tested) -> Revision {
    store.revision().await.expect("the store knows its revision")
}

async fn get(store: &Tested, key_text: &str) -> Option<Versioned> {
    store
        .get(&key(key_text), None)
        .await
        .expect("the key can be read")
}

/// Every value that `prefix` covers at a revision, by pages of `limit`.
async fn list(store: &Tested, prefix: &str, limit: usize, at: Option<Revision>) -> Vec<Versioned> {
    let mut items: Vec<Versioned> = Vec::new();
    let mut at = at;
    loop {
        let after = items.last().map(|item| item.key.clone());
        let page = store
            .list(&key(prefix), after.as_ref(), limit, at)
            .await
            .expect("the page can be read");
        at = Some(page.revision);
        assert!(
            !page.items.is_empty() || !page.more,
            "a page with a successor is never empty"
        );
        items.extend(page.items);
        if !page.more {
            return items;
        }
    }
}

fn names(items: &[Versioned]) -> Vec<&str> {
    items.iter().map(|item| item.key.as_str()).collect()
}

async fn watch(store: &Tested, prefix: &str, from: Revision) -> BoxStream<'static, Result<Event>> {
    store.watch(&key(prefix), from).await.expect("the watch begins")
}

async fn next(stream: &mut BoxStream<'static, Result<Event>>) -> Event {
    next_result(stream).await.expect("the watch goes on")
}

async fn next_result(stream: &mut BoxStream<'static, Result<Event>>) -> Result<Event> {
    let next = tokio::time::timeout(PATIENCE, stream.next())
        .await
        .expect("an event comes in time");
    next.expect("the watch does not end")
}

async fn take(stream: &mut BoxStream<'static, Result<Event>>, count: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        events.push(next(stream).await);
    }
    events
}

async fn nothing_comes(stream: &mut BoxStream<'static, Result<Event>>) {
    if let Ok(next) = tokio::time::timeout(QUIET, stream.next()).await {
        panic!("nothing was to come, but {next:?}");
    }
}

fn revisions(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.revision.get()).collect()
}

fn value(event: &Event) -> Option<&[u8]> {
    match &event.change {
        Changed::Put(versioned) => Some(&versioned.value),
        Changed::Delete => None,
    }
}
