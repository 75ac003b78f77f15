//! Listing and deleting directories.

use std::{
    collections::BTreeSet,
    ffi::CStr,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, DirEntry, FileType, FlockOperation, Mode, OFlags},
    io::Errno,
    path::Arg,
};

use super::root::{PRIVATE, Root};
use crate::{BlobPath, Entry, EntryKind, Error, Listing, Result};

/// How many names are read before they are deleted.
const BATCH: usize = 1024;
/// How often a directory is emptied while others keep filling it.
const PASSES: usize = 3;

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

/// One page of the names below `directory`. The whole directory is read for each page, but no more than the page is kept.
pub(super) fn list(root: &Root, directory: &BlobPath, after: Option<&str>, limit: usize) -> Result<Listing> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(root.fd(), directory.relative(), flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Listing::default()),
        Err(errno) => return Err(Error::system("list", directory, errno)),
    };
    let failed = |errno| Error::system("list", directory, errno);
    let mut entries: BTreeSet<Entry> = BTreeSet::new();
    let mut more = false;
    for entry in Dir::read_from(&opened).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if after.is_some_and(|after| name <= after) {
            continue;
        }
        if entries.len() == limit && entries.last().is_some_and(|last| name > last.name.as_str()) {
            more = true;
            continue;
        }
        // What has no path cannot be asked for: `.`, `..`, and names that somebody else put there.
        if directory.join(name).is_err() || (directory.parent().is_none() && name == PRIVATE) {
            continue;
        }
        let Some(kind) = kind(&opened, &entry) else {
            continue;
        };
        entries.insert(Entry {
            name: name.to_owned(),
            kind,
        });
        if entries.len() > limit {
            entries.pop_last();
            more = true;
        }
    }
    Ok(Listing {
        entries: entries.into_iter().collect(),
        more,
    })
}

/// What a name stands for; `None` if it is neither file nor directory, or gone.
fn kind(directory: &OwnedFd, entry: &DirEntry) -> Option<EntryKind> {
    let kind = match entry.file_type() {
        // Some filesystems do not tell with the name, and a link is what it leads to.
        FileType::Unknown | FileType::Symlink => {
            let stat = rustix::fs::statat(directory, entry.file_name(), AtFlags::empty()).ok()?;
            FileType::from_raw_mode(stat.st_mode)
        }
        kind => kind,
    };
    match kind {
        FileType::RegularFile => Some(EntryKind::Object),
        FileType::Directory => Some(EntryKind::Directory),
        _ => None,
    }
}

/// What becomes of files and directories that are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// They are deleted.
    Delete,
    /// They are kept to be used again, as far as there is room for that.
    Keep,
}

/// Deletes everything at and below `path`; whether there was anything. Links are deleted, not followed.
pub(super) fn delete(root: &Root, path: &BlobPath, remains: Remains) -> Result<bool> {
    let failed = |errno| Error::system("delete", path, errno);
    match open_to_empty(root.fd(), path.relative()) {
        Ok(mut directory) => {
            for _ in 0..PASSES {
                let kept = (remains == Remains::Keep).then_some(root);
                empty(&mut directory, kept, 0).map_err(failed)?;
                if remains == Remains::Keep && root.spares().keep_directory(root, path) {
                    root.unsynced().forget_below(path);
                    return Ok(true);
                }
                match rustix::fs::unlinkat(root.fd(), path.relative(), AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => {
                        root.unsynced().forget_below(path);
                        return Ok(true);
                    }
                    // Somebody wrote into it meanwhile. That may stay, but a straggler is worth another try.
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                    Err(errno) => return Err(failed(errno)),
                }
            }
            Ok(true)
        }
        Err(Errno::NOENT) => Ok(false),
        // Not a directory, or a link to one.
        Err(Errno::NOTDIR | Errno::LOOP) => {
            match rustix::fs::unlinkat(root.fd(), path.relative(), AtFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
                Err(errno) => Err(failed(errno)),
            }
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Opens a directory whose content shall be deleted, and locks it against everybody else who deletes here.
///
/// What is emptied may become a directory of something else, see [`Spares`](super::spares::Spares). Whoever opened it before and
/// empties it after that would delete what is in it then. So it is locked until it has gone or has become a spare, and whoever
/// gets the lock later finds that the name stands for it no more, which is as if it had not been there.
fn open_to_empty(above: BorrowedFd<'_>, name: impl Arg + Copy) -> rustix::io::Result<Dir> {
    let directory = rustix::fs::openat(above, name, OPEN, Mode::empty())?;
    // A filesystem without locks is none that spares are kept on.
    while rustix::fs::flock(&directory, FlockOperation::LockExclusive) == Err(Errno::INTR) {}
    let (held, named) = (
        rustix::fs::fstat(&directory)?,
        rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW)?,
    );
    if (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino) {
        return Err(Errno::NOENT);
    }
    Dir::new(directory)
}

/// Deepest directory that is entered: more than any path has components.
const DEPTH_MAX: usize = crate::path::PATH_MAX_BYTES / 2;

/// Removes what is in a directory; small files become spares of `kept`.
fn empty(directory: &mut Dir, kept: Option<&Root>, depth: usize) -> rustix::io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    loop {
        // Names are collected first, because a directory that shrinks while it is read may skip some.
        let mut batch = Vec::new();
        directory.rewind();
        for entry in directory.by_ref().take(BATCH) {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                batch.push(entry);
            }
        }
        let directory = directory.fd()?;
        let mut progress = false;
        for entry in &batch {
            let name = entry.file_name();
            let is_directory = match entry.file_type() {
                FileType::Directory => true,
                FileType::Unknown => is_directory(directory, name),
                _ => false,
            };
            if is_directory {
                progress |= remove_directory(directory, name, depth)?;
            } else if kept.is_some_and(|root| root.spares().keep_file(root, directory, name)) {
                progress = true;
            } else {
                match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
                    Ok(()) => progress = true,
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        if !progress || batch.len() + 2 < BATCH {
            return Ok(());
        }
    }
}

fn is_directory(directory: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Whether the directory is gone now.
fn remove_directory(above: BorrowedFd<'_>, name: &CStr, depth: usize) -> rustix::io::Result<bool> {
    // The lock is held until the name is gone.
    let mut directory = match open_to_empty(above, name) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    empty(&mut directory, None, depth + 1)?;
    match rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Duration};

    use super::*;

    #[test]
    fn what_a_directory_became_is_not_deleted_with_it() {
        for (victim, discarded) in [("up/1", "/up/1"), ("up/1", "/up")] {
            let directory = tempfile::tempdir().unwrap();
            let root = Root::open(directory.path(), Duration::from_secs(60), &[]).unwrap();
            let (from, to) = (directory.path().join(victim), directory.path().join("blob"));
            fs::create_dir_all(&from).unwrap();
            fs::write(from.join("started"), "x").unwrap();
            // The other one has opened the directory, and it is our turn.
            let ours = open_to_empty(root.fd(), victim).unwrap();
            thread::scope(|scope| {
                let other = scope.spawn(|| delete(&root, &discarded.parse().unwrap(), Remains::Delete));
                thread::sleep(Duration::from_millis(100));
                fs::remove_file(from.join("started")).unwrap();
                fs::rename(&from, &to).unwrap();
                fs::write(to.join("data"), "acknowledged").unwrap();
                drop(ours);
                other.join().unwrap().unwrap();
            });
            assert_eq!(fs::read(to.join("data")).unwrap(), b"acknowledged", "{discarded}");
            assert!(!from.exists(), "{discarded}");
        }
    }
}
