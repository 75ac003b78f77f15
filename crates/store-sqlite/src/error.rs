//! What SQLite says, in the store's words.

use std::path::PathBuf;
use std::sync::Arc;

use berth_store::Error;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE};

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its directory cannot be used.
    #[error("opening {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("the metadata store {} is in use by another process", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The file is no SQLite database, or one of something else.
    #[error("{} is not a Berth metadata store: {reason}", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it seems to be.
        reason: String,
    },
    /// The database was written by a newer Berth.
    #[error(
        "the metadata store {} has format {found}, this version of Berth reads up to {supported}: use a newer one",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this code knows.
        supported: i64,
    },
    /// The database is damaged.
    #[error("the metadata store {} is damaged: {reason}; restore it from a backup", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// SQLite refuses, for instance because the disk is full or the file may not be written.
    #[error("opening the metadata store {}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// What an error of SQLite at opening means.
    pub(crate) fn from_sqlite(path: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign {
                path,
                reason: "it is no SQLite database".to_owned(),
            },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                reason: source.to_string(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            _ => Self::Sqlite { path, source },
        }
    }
}

/// What an error of SQLite means to a user of the store.
pub(crate) fn translate(error: rusqlite::Error) -> Error {
    let failure = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => Some((failure.code, failure.extended_code)),
        _ => None,
    };
    let source = Arc::new(error);
    match failure {
        // Growing the shared index of the write-ahead log is where a full disk may show first.
        Some((ErrorCode::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE)) => Error::Full { source },
        // After a failed fsync the kernel may have dropped what it could not write, and a second fsync would succeed
        // all the same. Only a restart, which reads back what is there, can be trusted.
        Some((_, SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC)) => Error::Broken { source },
        Some((
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory,
            _,
        )) => Error::Unavailable { source },
        _ => Error::Broken { source },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn errors_say_whether_a_retry_may_help() {
        for (code, want) in [
            (ffi::SQLITE_FULL, "full"),
            (SQLITE_IOERR_SHMSIZE, "full"),
            (ffi::SQLITE_BUSY, "unavailable"),
            (ffi::SQLITE_IOERR_WRITE, "unavailable"),
            (ffi::SQLITE_CANTOPEN, "unavailable"),
            (SQLITE_IOERR_FSYNC, "broken"),
            (ffi::SQLITE_CORRUPT, "broken"),
            (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, "broken"),
        ] {
            let error = translate(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            let got = match &error {
                Error::Full { .. } => "full",
                Error::Unavailable { .. } => "unavailable",
                Error::Broken { .. } => "broken",
                other => panic!("{other}"),
            };
            assert_eq!(got, want, "code {code}");
            assert_eq!(error.retryable(), want != "broken", "code {code}");
        }
    }
}
