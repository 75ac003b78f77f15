//! What a store can answer instead of a result.

use std::sync::Arc;

use crate::{Key, Revision};

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// The engine's own error. Shared, because commits that share a transaction share its failure.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why a store operation did not happen. After an error of a commit nothing of it is visible, with the one exception
/// that [`Error::Unavailable`] states.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The key is not as the commit expected it; nothing was changed.
    #[error("{key} is not as expected: {}", match .current {
        Some(revision) => format!("it was last modified at revision {revision}"),
        None => "it does not exist".to_owned(),
    })]
    Conflict {
        /// The contested key.
        key: Key,
        /// The revision at which the key was last modified; none if it does not exist.
        current: Option<Revision>,
    },
    /// History before `oldest` is gone, and the request needs it.
    #[error("revision {asked} is compacted, the oldest available is {oldest}")]
    Compacted {
        /// The revision that was asked for.
        asked: Revision,
        /// The oldest revision that can be read or watched from.
        oldest: Revision,
    },
    /// The request names a revision that has not happened yet.
    #[error("revision {asked} is in the future, the store is at {current}")]
    Future {
        /// The revision that was asked for.
        asked: Revision,
        /// The store's revision.
        current: Revision,
    },
    /// The value is larger than [`VALUE_LIMIT`](crate::VALUE_LIMIT); nothing was changed.
    #[error("a value has at most {limit} bytes, this one has {size}")]
    TooLarge {
        /// Bytes of the value.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The storage has no space left; nothing was changed, reads go on, and writes succeed again once there is space.
    #[error("the metadata store has no space left")]
    Full {
        /// The engine's error.
        #[source]
        source: Source,
    },
    /// The engine cannot answer now. A commit that fails so may or may not have happened, as when a connection breaks.
    #[error("the metadata store is unavailable")]
    Unavailable {
        /// The engine's error.
        #[source]
        source: Source,
    },
    /// The engine failed in a way that repeating does not mend, such as a damaged database.
    #[error("the metadata store failed")]
    Broken {
        /// The engine's error.
        #[source]
        source: Source,
    },
    /// The store is shutting down.
    #[error("the metadata store is closed")]
    Closed,
}

impl Error {
    /// Whether the same request may succeed later without anything else being changed by the caller.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Unavailable { .. } => true,
            Self::Conflict { .. }
            | Self::Compacted { .. }
            | Self::Future { .. }
            | Self::TooLarge { .. }
            | Self::Broken { .. }
            | Self::Closed => false,
        }
    }
}
