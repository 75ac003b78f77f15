//! What can go wrong in storage.

use std::io;

use rustix::io::Errno;

use crate::BlobPath;

/// The result of a storage call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A storage call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An append does not begin where the object ends. Nothing was written.
    #[error("{path} holds {held} bytes, so nothing can be appended at byte {got}")]
    Offset {
        /// The object.
        path: BlobPath,
        /// Its length, in bytes.
        held: u64,
        /// The offset that was asked for, in bytes.
        got: u64,
    },
    /// Another writer is appending to the object.
    #[error("{path} is being written by another request")]
    Locked {
        /// The object.
        path: BlobPath,
    },
    /// The call needs an object that does not exist.
    #[error("{path} does not exist")]
    NotFound {
        /// The object.
        path: BlobPath,
    },
    /// An object that should be read whole is larger than such objects are.
    #[error("{path} has {size} bytes, too many to be read at once")]
    TooLarge {
        /// The object.
        path: BlobPath,
        /// Its length, in bytes.
        size: u64,
    },
    /// The storage has no space, quota or inodes left. Old content stays readable; writing works again once there is space.
    #[error("the storage is full while trying to {operation} {path}")]
    Full {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: BlobPath,
    },
    /// The storage cannot be written at present.
    #[error("the storage is read-only: cannot {operation} {path}")]
    ReadOnly {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: BlobPath,
    },
    /// The process lacks the permission.
    #[error("no permission to {operation} {path}")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: BlobPath,
    },
    /// The process or the system is out of file descriptors or memory.
    #[error("out of file descriptors or memory while trying to {operation} {path}")]
    Exhausted {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: BlobPath,
        /// The system's words.
        source: io::Error,
    },
    /// Anything else that the system reports.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: BlobPath,
        /// The system's words.
        source: io::Error,
    },
    /// The storage root cannot be used as it is.
    #[error("storage root {root} is not usable: {problem}")]
    Root {
        /// The directory.
        root: std::path::PathBuf,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// The process is stopping and starts no more work.
    #[error("the process is stopping")]
    Stopping,
}

impl Error {
    /// Whether the same call may succeed when it is repeated a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Locked { .. } | Error::Exhausted { .. } => true,
            Error::Io { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::Interrupted
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::WouldBlock
                        | io::ErrorKind::StaleNetworkFileHandle
                        | io::ErrorKind::ResourceBusy
                )
            }
            Error::Offset { .. }
            | Error::NotFound { .. }
            | Error::TooLarge { .. }
            | Error::Full { .. }
            | Error::ReadOnly { .. }
            | Error::Denied { .. }
            | Error::Root { .. }
            | Error::Stopping => false,
        }
    }

    /// Whether the storage, rather than the request, is the reason: the client should be told to come back later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Error::Full { .. }
                | Error::ReadOnly { .. }
                | Error::Exhausted { .. }
                | Error::Locked { .. }
                | Error::Stopping
        )
    }

    /// Gives a system error its place and its name.
    pub(crate) fn system(operation: &'static str, path: &BlobPath, errno: Errno) -> Self {
        let path = path.clone();
        match errno {
            Errno::NOSPC | Errno::DQUOT => Error::Full { operation, path },
            Errno::ROFS => Error::ReadOnly { operation, path },
            Errno::ACCESS | Errno::PERM => Error::Denied { operation, path },
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Error::Exhausted {
                operation,
                path,
                source: errno.into(),
            },
            _ => Error::Io {
                operation,
                path,
                source: errno.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_causes_apart() {
        let path: BlobPath = "/a".parse().unwrap();
        let of = |errno| Error::system("write", &path, errno);
        assert!(matches!(of(Errno::NOSPC), Error::Full { .. }));
        assert!(matches!(of(Errno::DQUOT), Error::Full { .. }));
        assert!(matches!(of(Errno::ROFS), Error::ReadOnly { .. }));
        assert!(matches!(of(Errno::ACCESS), Error::Denied { .. }));
        assert!(matches!(of(Errno::MFILE), Error::Exhausted { .. }));
        assert!(matches!(of(Errno::IO), Error::Io { .. }));
        for (errno, retryable, unavailable) in [
            (Errno::NOSPC, false, true),
            (Errno::ROFS, false, true),
            (Errno::NFILE, true, true),
            (Errno::STALE, true, false),
            (Errno::IO, false, false),
            (Errno::PERM, false, false),
        ] {
            assert_eq!(of(errno).is_retryable(), retryable, "{errno:?}");
            assert_eq!(of(errno).is_unavailable(), unavailable, "{errno:?}");
        }
    }
}
