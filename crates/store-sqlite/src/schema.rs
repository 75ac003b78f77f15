//! Opening the database: settings, format, and whether it is whole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_store::Revision;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use crate::error::OpenError;
use crate::log::{self, Bounds};

/// Marks the file as ours: "Bert" in ASCII, which `file` prints.
const APPLICATION_ID: i64 = 0x4265_7274;

/// What makes a database of format `n` one of format `n + 1`. Never changed once released, only appended to.
const MIGRATIONS: [&str; 1] = [
    // A deletion is an entry without a value. `created` is the revision at which the key's present life began. The
    // index is ordered by key and, as every index, by row id behind it, which is the revision.
    // `history` has one row: revisions before `oldest` are compacted, and their entries removed through `swept`.
    "CREATE TABLE log (
         revision INTEGER PRIMARY KEY,
         key TEXT NOT NULL,
         created INTEGER NOT NULL,
         value BLOB
     ) STRICT;
     CREATE INDEX log_by_key ON log (key);
     CREATE TABLE history (
         id INTEGER PRIMARY KEY CHECK (id = 1),
         oldest INTEGER NOT NULL,
         swept INTEGER NOT NULL
     ) STRICT;
     INSERT INTO history VALUES (1, 1, 1);",
];

/// How long to wait for a lock that a foreign process holds, such as a backup with the `sqlite3` command.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Memory for pages of the writer's connection, in KiB.
const WRITER_CACHE: i64 = 2048;

/// Memory for pages of each reader's connection, in KiB.
const READER_CACHE: i64 = 512;

/// What a write-ahead log that grew is cut back to, in bytes.
const JOURNAL_LIMIT: i64 = 4 << 20;

/// The largest database that is read through at opening, in bytes. It takes about a second per GiB.
const CHECK_LIMIT: i64 = 1 << 30;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 16;

/// Where a database is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    File(PathBuf),
    /// In memory, under a name that the connections of one store share.
    Memory(String),
}

impl Location {
    /// A place in memory that nobody else has.
    pub(crate) fn memory() -> Self {
        Self::Memory(format!("file:/berth-{}?vfs=memdb", Uuid::new_v4()))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory(name) => Path::new(name),
        }
    }

    fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        // Each connection is used by one thread at a time, so SQLite's own mutexes are not needed.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::File(path) => Connection::open_with_flags(path, flags)?,
            Self::Memory(name) => Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)?,
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // A damaged or forged schema shall not make SQLite call functions, nor a statement damage the file.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        Ok(connection)
    }

    /// A connection for reading.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE)?;
        Ok(connection)
    }

    /// The connection for writing, to a database that is created if need be, of the present format and whole; the lock
    /// that keeps others away while it is held; and what the database holds.
    pub(crate) fn writer(&self) -> Result<(Connection, Option<File>, Bounds), OpenError> {
        let lock = match self {
            Self::File(path) => Some(lock(path)?),
            Self::Memory(_) => None,
        };
        let path = || self.path().to_owned();
        let sqlite = |source| OpenError::from_sqlite(path(), source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = self.connect(flags).map_err(sqlite)?;
        // Before anything is written, in case the file belongs to something else.
        identify(&connection, &path())?;
        configure(&connection).map_err(sqlite)?;
        migrate(&mut connection).map_err(sqlite)?;
        check(&connection, &path())?;
        if let Self::File(path) = self {
            // SQLite syncs the directory for its logs, but not for the database file that it has created.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))
                .and_then(|directory| directory.sync_all())
                .map_err(|source| OpenError::Io {
                    path: path.clone(),
                    source,
                })?;
        }
        let bounds = log::bounds(&connection).map_err(sqlite)?;
        Ok((connection, lock, bounds))
    }
}

/// Takes the lock file beside the database, and creates the database readable by its owner only: it holds secrets.
fn lock(path: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let private = |path: &Path| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let lock = private(Path::new(&beside)).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(OpenError::Locked {
                path: path.to_owned(),
            });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(io(source)),
    }
    // The logs that SQLite puts beside the database take over its permissions.
    private(path).map_err(io)?;
    Ok(lock)
}

fn identify(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let pragma = |name: &str| {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        value.map_err(|source| OpenError::from_sqlite(path.to_owned(), source))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let supported = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if application == APPLICATION_ID {
        if version > supported {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found: version,
                supported,
            });
        }
        return Ok(());
    }
    // A crash at the first start leaves an empty file. Anything else that is not marked is not ours.
    if application != 0 || version != 0 || pragma("schema_version")? != 0 {
        let reason = format!("its application id is {application:#x}");
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Write-ahead log: a commit is one sequential write and one fsync, and readers do not wait for it. In memory there
    // is none, and SQLite answers with what it does instead.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // FULL syncs the log at each commit; with NORMAL a power cut could take back acknowledged commits.
    connection.pragma_update(None, "synchronous", "full")?;
    // The writer moves the log into the database itself, after it has acknowledged commits instead of before.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_LIMIT, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    Ok(())
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let done = usize::try_from(version).unwrap_or(MIGRATIONS.len());
        let Some(migration) = MIGRATIONS.get(done) else {
            return Ok(());
        };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
        tracing::debug!(format = version + 1, "metadata store migrated");
    }
}

/// Whether SQLite finds its pages in order, and the log has every revision that it has to have.
fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::from_sqlite(path.to_owned(), source);
    let damaged = |reason| OpenError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let size = pragma("page_count")
        .map_err(sqlite)?
        .saturating_mul(pragma("page_size").map_err(sqlite)?);
    if size <= CHECK_LIMIT {
        let answer: String = connection
            .query_row("PRAGMA quick_check(1)", (), |row| row.get(0))
            .map_err(sqlite)?;
        if answer != "ok" {
            return Err(damaged(answer));
        }
    } else {
        tracing::info!(path = %path.display(), bytes = size, "metadata store is large, its pages are not checked");
    }
    let Bounds { oldest, current } = log::bounds(connection).map_err(sqlite)?;
    let entries = log::count_after(connection, oldest).map_err(sqlite)?;
    if oldest < Revision::FIRST || entries != current.get() - oldest.get() {
        return Err(damaged(format!(
            "{entries} entries between revisions {oldest} and {current}"
        )));
    }
    Ok(())
}
