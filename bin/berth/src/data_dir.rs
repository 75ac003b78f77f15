//! The directory that holds everything `berth up` knows.
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// A data directory that this process alone may use, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory (mode 0700) if need be, and locks it.
    ///
    /// # Errors
    /// When it cannot be created, or another process holds it: the message names that process.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("creating the data directory {}", path.display()))?;
        let path = fs::canonicalize(path).with_context(|| format!("resolving {}", path.display()))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("opening {}", lock_path.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let holder = holder.trim();
                bail!(
                    "the data directory {} is in use by process {}; stop it, or choose another with --data-dir",
                    path.display(),
                    if holder.is_empty() { "(unknown)" } else { holder },
                );
            }
            Err(error) => {
                return Err(io::Error::from(error))
                    .with_context(|| format!("locking {}", lock_path.display()));
            }
        }
        // Only for people: the lock is the kernel's and vanishes with the process, however that ends.
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { path, _lock: lock })
    }

    /// A path below the directory.
    pub(crate) fn join(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.path.join(relative)
    }

    /// A directory below this one, created (mode 0700) if need be.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn directory(&self, relative: &str) -> Result<PathBuf> {
        let path = self.path.join(relative);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("creating {}", path.display()))?;
        Ok(path)
    }

    /// Replaces a file below the directory whole: a reader sees the old bytes or the new ones, also after a crash.
    ///
    /// # Errors
    /// When it cannot be written; the old file stays.
    pub(crate) fn write(&self, relative: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path.join(relative);
        let parent = path.parent().unwrap_or(&self.path).to_path_buf();
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let write = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(&parent)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&parent)?.sync_all()
        };
        write().with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// A file's bytes, or `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn read(&self, relative: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(relative);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_process_is_told_who_holds_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("data");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.contains("--data-dir"), "{error}");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn files_are_private_and_replaced_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let data = DataDir::open(scratch.path()).unwrap();
        assert_eq!(data.read("a/b").unwrap(), None);
        let path = data.write("a/b", b"one").unwrap();
        data.write("a/b", b"two").unwrap();
        assert_eq!(data.read("a/b").unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }
}
