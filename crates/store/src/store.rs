//! The port.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{Change, Event, Expect, Key, Page, Result, Revision, Versioned};

/// The largest value, in bytes. Twice the largest image manifest (4 MiB), because an object may carry one as escaped text.
pub const VALUE_LIMIT: usize = 8 << 20;

/// The most items on a page, whatever the caller asks for.
pub const PAGE_ITEMS: usize = 1000;

/// The values on a page hold at most about this many bytes: the page ends behind the first value that crosses the limit.
pub const PAGE_BYTES: usize = 16 << 20;

/// Revisioned bytes by key. Revisions are store-wide, strictly increasing and without gaps; an empty store is at
/// [`Revision::FIRST`].
///
/// Dropping a future before it finished leaves a read without effect and a commit either done or not done, never half.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The value of `key`, now or as it was at a revision; none if it did not exist then.
    ///
    /// A read that begins after a commit was acknowledged sees it.
    ///
    /// # Errors
    /// [`Error::Compacted`](crate::Error::Compacted) and [`Error::Future`](crate::Error::Future) if the revision cannot
    /// be asked for (any more, or yet).
    async fn get(&self, key: &Key, at: Option<Revision>) -> Result<Option<Versioned>>;

    /// The values of `prefix` and of the keys below it ([`Key::covers`]) in bytewise order, starting behind `after`.
    ///
    /// A page holds at most `limit` items (zero counts as one), at most [`PAGE_ITEMS`] and about [`PAGE_BYTES`]; it is
    /// never empty when [`Page::more`] is set. Pages asked for at the first one's revision together are the state of
    /// that one revision.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page>;

    /// Applies `change` if its key is as `expect`ed, durably, and returns the revision that it took.
    ///
    /// # Errors
    /// A lost race is [`Error::Conflict`](crate::Error::Conflict) and never a partial write; also
    /// [`Error::TooLarge`](crate::Error::TooLarge) and [`Error::Full`](crate::Error::Full). An error takes no revision.
    async fn commit(&self, change: Change, expect: Expect) -> Result<Revision>;

    /// Every event after `from` of the keys that `prefix` covers, each once and in order, and then what happens next.
    ///
    /// A watcher never delays a writer. One that falls too far behind may end with
    /// [`Error::Compacted`](crate::Error::Compacted) and has then to list again; an event is never left out silently.
    /// A stream ends after an error, and its dropping frees what it held.
    ///
    /// # Errors
    /// [`Error::Compacted`](crate::Error::Compacted) when that history is gone, [`Error::Future`](crate::Error::Future)
    /// when `from` has not happened.
    async fn watch(&self, prefix: &Key, from: Revision) -> Result<BoxStream<'static, Result<Event>>>;

    /// The store's revision: at least that of every commit acknowledged before the call.
    ///
    /// # Errors
    /// When the engine cannot say.
    async fn revision(&self) -> Result<Revision>;

    /// Forgets the history before a revision. The state at `before`, everything after it and the latest value of each
    /// key stay; earlier revisions can neither be read nor watched from. Compacting what is compacted changes nothing.
    ///
    /// # Errors
    /// [`Error::Future`](crate::Error::Future) when `before` has not happened.
    async fn compact(&self, before: Revision) -> Result<()>;
}
