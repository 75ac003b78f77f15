//! What goes into a store and what comes out of it.

use bytes::Bytes;

use crate::{Key, Revision};

/// A value with its place in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The value's name.
    pub key: Key,
    /// The value.
    pub value: Bytes,
    /// The revision at which the key came to exist; a key that was deleted and put again was created again.
    pub created: Revision,
    /// The revision that put this value.
    pub modified: Revision,
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets the key's value.
    Put {
        /// The key.
        key: Key,
        /// Its new value; may be empty.
        value: Bytes,
    },
    /// Removes the key. A key that does not exist cannot be removed: that is a conflict, whatever was expected.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Change {
    /// The key that is changed.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// What a commit demands of the key before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// The key does not exist.
    Absent,
    /// The key exists.
    Present,
    /// The key exists and was last modified at this revision.
    At(Revision),
}

impl Expect {
    /// Whether a key last modified at `current` (none: it does not exist) is as expected.
    #[must_use]
    pub fn allows(self, current: Option<Revision>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::At(revision) => current == Some(revision),
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Values in the order of their keys.
    pub items: Vec<Versioned>,
    /// The revision that the values are of; ask for the next page at this revision.
    pub revision: Revision,
    /// Whether keys follow behind the last item.
    pub more: bool,
}

/// What a commit did to its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The key has this value now.
    Put(Versioned),
    /// The key is gone.
    Delete,
}

/// A commit, as a watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The commit's revision.
    pub revision: Revision,
    /// The key that changed.
    pub key: Key,
    /// What happened to it.
    pub change: Changed,
    /// The key's value before; none if it did not exist.
    pub previous: Option<Versioned>,
}
