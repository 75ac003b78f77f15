//! Making directories, and making them durable.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{DIRECTORY_MODE, root::Root};
use crate::{BlobPath, Error, Result};

/// Most directories remembered as unsynced before the whole filesystem is synced instead.
const UNSYNCED_MAX: usize = 4096;

/// How often a name is tried to be made again below directories that somebody deletes meanwhile.
pub(super) const ATTEMPTS: usize = 8;

/// Directories that this process made and that may not have reached the disk.
///
/// Whoever puts a file below a directory that another call has just made cannot rely on that call to sync it in time, so
/// makers enter a directory here as they make it, and a commit syncs all that lie above its files. What other processes
/// made is not known here: on a shared filesystem its server makes names durable at once, and what died with an earlier
/// process was synced when this one started.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Mutex<HashSet<BlobPath>>);

impl Unsynced {
    fn lock(&self) -> MutexGuard<'_, HashSet<BlobPath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty_below(&self, top: &BlobPath) -> bool {
        !self.lock().iter().any(|path| top.contains(path))
    }

    /// Forgets the directories at and below `top`, which are gone.
    pub(super) fn forget_below(&self, top: &BlobPath) {
        let mut unsynced = self.lock();
        if !unsynced.is_empty() {
            unsynced.retain(|path| !top.contains(path));
        }
    }
}

/// What directories are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inodes {
    /// New ones: what is in the directory is believed to be what was put there.
    New,
    /// Also those of discarded directories, see [`Spares::make_directory`](super::spares::Spares::make_directory).
    Any,
}

/// Makes the directories above `path` that are missing.
pub(super) fn make_parents(root: &Root, path: &BlobPath, inodes: Inodes) -> Result<()> {
    let mut missing = Vec::new();
    let mut next = path.parent();
    // Upwards until something exists, then downwards. Another process may delete or make directories meanwhile; the caller
    // finds out when it uses them and tries again.
    while let Some(directory) = next {
        if make(root, &directory, inodes)? {
            break;
        }
        next = directory.parent();
        missing.push(directory);
    }
    for directory in missing.iter().rev() {
        make(root, directory, inodes)?;
    }
    Ok(())
}

/// Whether the directory exists now; `false` when the one above is missing.
fn make(root: &Root, directory: &BlobPath, inodes: Inodes) -> Result<bool> {
    // The lock is held while the directory is made, so that nobody can use it before it is on record.
    let mut unsynced = root.unsynced().lock();
    let made = match inodes {
        Inodes::New => rustix::fs::mkdirat(root.fd(), directory.relative(), DIRECTORY_MODE),
        Inodes::Any => root.spares().make_directory(root, directory),
    };
    match made {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(true),
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(Error::system("make directory", directory, errno)),
    }
    if unsynced.len() >= UNSYNCED_MAX {
        rustix::fs::syncfs(root.fd()).map_err(|errno| Error::system("sync", directory, errno))?;
        unsynced.clear();
    } else {
        unsynced.insert(directory.clone());
    }
    Ok(true)
}

/// The directories that a commit has to sync before it returns.
#[derive(Default)]
pub(super) struct Syncs {
    directories: BTreeSet<BlobPath>,
    /// Whether the root is one of them.
    root: bool,
    /// Entries of [`Unsynced`] that are durable once the directories are synced.
    settled: Vec<BlobPath>,
}

impl Syncs {
    /// Adds what makes the name `path` durable: the directory it is in, and for each directory above it that may not be
    /// durable, the one that that is in.
    pub(super) fn add(&mut self, root: &Root, path: &BlobPath) {
        let directory = path.parent();
        let unsynced = root.unsynced().lock();
        if !unsynced.is_empty() {
            let mut above = directory.clone();
            while let Some(this) = above {
                above = this.parent();
                if unsynced.contains(&this) {
                    self.insert(above.clone());
                    self.settled.push(this);
                }
            }
        }
        drop(unsynced);
        self.insert(directory);
    }

    fn insert(&mut self, directory: Option<BlobPath>) {
        match directory {
            Some(directory) => drop(self.directories.insert(directory)),
            None => self.root = true,
        }
    }

    /// Syncs them.
    pub(super) fn run(self, root: &Root) -> Result<()> {
        // The deepest first: on a journalling filesystem the first sync writes the journal, and with it all the others.
        for directory in self.directories.iter().rev() {
            sync(root, directory)?;
        }
        if self.root {
            root.sync()?;
        }
        if !self.settled.is_empty() {
            let mut unsynced = root.unsynced().lock();
            for directory in &self.settled {
                unsynced.remove(directory);
            }
        }
        Ok(())
    }
}

/// Makes the removal or the making of the name `path` durable.
pub(super) fn sync_parent(root: &Root, path: &BlobPath) -> Result<()> {
    match path.parent() {
        Some(directory) => sync(root, &directory),
        None => root.sync(),
    }
}

fn sync(root: &Root, directory: &BlobPath) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let synced = match rustix::fs::openat(root.fd(), directory.relative(), flags, Mode::empty()) {
        Ok(directory) => rustix::fs::fsync(&directory),
        // Deleted since, and what was put into it with it.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(errno) => Err(errno),
    };
    match synced {
        // Filesystems that make names durable by themselves have nothing to sync.
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
        Err(errno) => Err(Error::system("sync", directory, errno)),
    }
}
