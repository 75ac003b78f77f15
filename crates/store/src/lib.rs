//! Revisioned bytes by key: the port behind every resource of the API server, and its in-memory adapter.
//!
//! A store is one sequence of revisions. Each commit changes one key and takes the next revision; readers ask for the
//! present or for a past revision, and watchers receive what happened after a revision, in order and once. What
//! [`Store`] promises is written on its methods, and [`suite!`] checks an adapter promise by promise.
//!
//! The store holds bytes; it never knows what a resource is.

mod change;
mod error;
pub mod feed;
mod key;
mod memory;
mod revision;
mod store;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use self::change::{Change, Changed, Event, Expect, Page, Versioned};
pub use self::error::{Error, Result, Source};
pub use self::key::{InvalidKey, KEY_LIMIT, Key};
pub use self::memory::MemoryStore;
pub use self::revision::{InvalidRevision, Revision};
pub use self::store::{PAGE_BYTES, PAGE_ITEMS, Store, VALUE_LIMIT};
