//! Taking steps.
//!
//! A commit has three phases. First every new file is written to its private place and synced: whatever fails for want of
//! space fails here, before anything is visible. Then the steps are taken in order, each by one rename. Last, the directories
//! that changed are synced, each once however many steps changed it. The phases keep the journal of the filesystem from being
//! written twice for each file, which is what most of the time of a push would otherwise go to.

use std::{os::fd::AsFd as _, sync::Arc};

use bytes::Bytes;
use rustix::{
    fs::{AtFlags, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT},
    io::Errno,
};

use super::{
    content,
    directories::{ATTEMPTS, Inodes, Syncs, make_parents},
    root::{self, Root},
    temp::Temp,
    tree::{self, Remains},
};
use crate::{BlobPath, Error, Result, SMALL_MAX_BYTES, Step};

/// A step whose bytes are in their private place.
enum Staged {
    Rename { temp: Temp, to: BlobPath, durable: bool },
    Keep { path: BlobPath, bytes: Bytes },
    Publish { from: BlobPath, to: BlobPath },
    Touch { path: BlobPath },
    Discard { path: BlobPath },
}

/// Takes the steps. `synced` is an upload whose bytes are known to be durable.
pub(super) fn apply(root: &Arc<Root>, steps: Vec<Step>, synced: Option<&BlobPath>) -> Result<()> {
    let mut syncs = Syncs::default();
    let mut staged = Vec::with_capacity(steps.len());
    for step in steps {
        staged.push(stage(root, step)?);
    }
    for step in staged {
        take(root, step, synced, &mut syncs)?;
    }
    syncs.run(root)
}

fn stage(root: &Arc<Root>, step: Step) -> Result<Staged> {
    Ok(match step {
        Step::Put { path, bytes } => new_file(root, path, &bytes, true)?,
        Step::Stash { path, bytes } => new_file(root, path, &bytes, false)?,
        Step::Ensure { path, bytes } => {
            root::check(&path)?;
            if has_content(root, &path, &bytes)? {
                Staged::Keep { path, bytes }
            } else {
                new_file(root, path, &bytes, true)?
            }
        }
        Step::Touch { path } => {
            root::check(&path)?;
            Staged::Touch { path }
        }
        Step::Publish { from, to } => {
            root::check(&from)?;
            root::check(&to)?;
            Staged::Publish { from, to }
        }
        Step::Discard { path } => {
            root::check(&path)?;
            Staged::Discard { path }
        }
    })
}

fn new_file(root: &Arc<Root>, path: BlobPath, bytes: &[u8], durable: bool) -> Result<Staged> {
    let temp = write(root, &path, bytes, durable)?;
    Ok(Staged::Rename {
        temp,
        to: path,
        durable,
    })
}

fn write(root: &Arc<Root>, path: &BlobPath, bytes: &[u8], durable: bool) -> Result<Temp> {
    root::check(path)?;
    let size = bytes.len() as u64;
    if size > SMALL_MAX_BYTES {
        return Err(Error::TooLarge {
            path: path.clone(),
            size,
        });
    }
    Temp::write(root, path, bytes, durable)
}

fn take(root: &Arc<Root>, step: Staged, synced: Option<&BlobPath>, syncs: &mut Syncs) -> Result<()> {
    match step {
        Staged::Rename { temp, to, durable } => {
            rename(root, temp.name(), &to)?;
            temp.forget();
            if durable {
                syncs.add(root, &to);
            }
        }
        Staged::Keep { path, bytes } => {
            if !refresh(root, &path)? {
                // Deleted since it was looked at, by an earlier step or by somebody else.
                let temp = write(root, &path, &bytes, true)?;
                rename(root, temp.name(), &path)?;
                temp.forget();
            }
            syncs.add(root, &path);
        }
        Staged::Touch { path } => {
            if !refresh(root, &path)? {
                return Err(Error::NotFound { path });
            }
            syncs.add(root, &path);
        }
        Staged::Publish { from, to } => {
            if synced != Some(&from) && !sync_file(root, &from)? {
                return Err(Error::NotFound { path: from });
            }
            publish(root, &from, &to)?;
            syncs.add(root, &to);
        }
        Staged::Discard { path } => {
            tree::delete(root, &path, Remains::Keep)?;
        }
    }
    Ok(())
}

/// Whether an object is there and has just these bytes.
fn has_content(root: &Root, path: &BlobPath, bytes: &[u8]) -> Result<bool> {
    let file = match root.open_file(path, OFlags::RDONLY) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
        Err(errno) => return Err(Error::system("open", path, errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| Error::system("stat", path, errno))?;
    let same_size = super::object_stat(&stat).is_some_and(|stat| stat.size == bytes.len() as u64);
    // What cannot be read is written anew.
    Ok(same_size && content::read_all(&file, bytes.len(), 0, path).is_ok_and(|held| held == bytes))
}

/// Renames a private file to `to`, replacing what is there, and makes the directories above it as needed.
fn rename(root: &Root, from: &str, to: &BlobPath) -> Result<()> {
    for _ in 0..ATTEMPTS {
        match rustix::fs::renameat(root.fd(), from, root.fd(), to.relative()) {
            Ok(()) => return Ok(()),
            // The directories are missing, or somebody deleted them again.
            Err(Errno::NOENT) => make_parents(root, to, Inodes::Any)?,
            Err(errno) => return Err(Error::system("write", to, errno)),
        }
    }
    Err(Error::system("write", to, Errno::NOENT))
}

/// Gives an upload, whose bytes are durable, its final name.
fn publish(root: &Root, from: &BlobPath, to: &BlobPath) -> Result<()> {
    // An upload may have taken days; a sweep of unreferenced objects must not take it for an old one.
    match rustix::fs::utimensat(root.fd(), from.relative(), &now(), AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(Error::NotFound { path: from.clone() }),
        Err(errno) => return Err(Error::system("publish", from, errno)),
    }
    for _ in 0..ATTEMPTS {
        let moved = rustix::fs::renameat_with(
            root.fd(),
            from.relative(),
            root.fd(),
            to.relative(),
            RenameFlags::NOREPLACE,
        );
        match moved {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT) => make_parents(root, to, Inodes::New)?,
            // There is something, or this filesystem cannot tell and somebody has to look.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                if keep_existing(root, from, to)? {
                    return Ok(());
                }
                match rustix::fs::renameat(root.fd(), from.relative(), root.fd(), to.relative()) {
                    Ok(()) => return Ok(()),
                    Err(Errno::NOENT) => make_parents(root, to, Inodes::New)?,
                    Err(errno) => return Err(Error::system("publish", to, errno)),
                }
            }
            Err(errno) => return Err(Error::system("publish", to, errno)),
        }
        if matches!(root.stat(from), Err(Errno::NOENT)) {
            return Err(Error::NotFound { path: from.clone() });
        }
    }
    Err(Error::system("publish", to, Errno::NOENT))
}

/// Keeps an object that has the length of the upload, and removes the upload. One of another length was damaged by something
/// other than this driver; the upload, which was just verified, may replace it.
fn keep_existing(root: &Root, from: &BlobPath, to: &BlobPath) -> Result<bool> {
    let same = match (root.stat(from), root.stat(to)) {
        (Ok(upload), Ok(existing)) => upload.st_size == existing.st_size,
        _ => false,
    };
    if !same || !refresh(root, to)? {
        return Ok(false);
    }
    match rustix::fs::unlinkat(root.fd(), from.relative(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(Error::system("remove", from, errno)),
    }
}

/// Makes the bytes of an existing object durable and its age new; `false` when there is none.
///
/// Whoever wrote it may not have done so yet: another call may be between its rename and its sync, or another registry may
/// never have synced it. When it did, nothing is left to write.
fn refresh(root: &Root, path: &BlobPath) -> Result<bool> {
    if !sync_file(root, path)? {
        return Ok(false);
    }
    match rustix::fs::utimensat(root.fd(), path.relative(), &now(), AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(Error::system("touch", path, errno)),
    }
}

fn sync_file(root: &Root, path: &BlobPath) -> Result<bool> {
    match root.open_file(path, OFlags::RDONLY) {
        Ok(file) => {
            let stat = rustix::fs::fstat(&file).map_err(|errno| Error::system("stat", path, errno))?;
            if super::object_stat(&stat).is_none() {
                return Ok(false);
            }
            rustix::fs::fdatasync(file.as_fd()).map_err(|errno| Error::system("sync", path, errno))?;
            Ok(true)
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(Error::system("open", path, errno)),
    }
}

const fn now() -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
    }
}
