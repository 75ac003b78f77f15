//! A [`Store`](berth_store::Store) in an embedded SQLite database.
//!
//! One table is an append-only log of revisions; the present is the latest entry of each key. One thread writes: it
//! takes whatever commits wait, checks and appends them in one transaction, and acknowledges them after that
//! transaction's COMMIT, so that concurrent commits share an fsync. Readers have connections of their own and never
//! wait for the writer. Watchers are fed from memory, and from the log when they are behind.
//!
//! The database is an ordinary SQLite file: `sqlite3 FILE .backup COPY` works while the store is open. Another process
//! must not write to it, which a lock file beside it sees to among our own.

mod error;
mod log;
mod readers;
mod schema;
mod store;
mod writer;

pub use self::error::OpenError;
pub use self::store::SqliteStore;
pub use self::writer::Stats;
