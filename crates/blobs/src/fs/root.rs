//! The directory that holds everything.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags},
    io::Errno,
};

use super::{DIRECTORY_MODE, FILE_MODE, directories::Unsynced, spares::Spares};
use crate::{BlobPath, Error, Result};

/// The directory of our own below the root. No object can lie in it.
pub(super) const PRIVATE: &str = ".berth";
/// Where files are written before they get their name.
pub(super) const TEMPORARY: &str = ".berth/tmp";

/// How deep the check for foreign filesystems looks: `docker/registry/v2/blobs` and its siblings.
const MOUNT_CHECK_DEPTH: usize = 4;
/// How many entries of one directory it looks at.
const MOUNT_CHECK_WIDTH: usize = 64;

/// Filesystems on this machine, where a cached name can be opened without waiting for anybody. On a network, even opening a
/// known file asks the server.
const LOCAL_FILESYSTEMS: [u64; 7] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
];

/// An open storage root.
#[derive(Debug)]
pub(super) struct Root {
    directory: OwnedFd,
    path: PathBuf,
    /// Whether cached files may be opened on the calling thread.
    inline: bool,
    /// Begins the names of this process' private files; unique, since replicas may share the directory.
    prefix: String,
    next: AtomicU64,
    unsynced: Unsynced,
    spares: Spares,
}

/// Refuses paths into the driver's own directory.
pub(super) fn check(path: &BlobPath) -> Result<()> {
    let own = path
        .relative()
        .strip_prefix(PRIVATE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if own {
        Err(Error::Denied {
            operation: "use",
            path: path.clone(),
        })
    } else {
        Ok(())
    }
}

impl Root {
    pub(super) fn open(path: &Path, leftover_age: Duration, fan_out: &[BlobPath]) -> Result<Root> {
        let problem = |problem: String| Error::Root {
            root: path.to_owned(),
            problem,
        };
        std::fs::create_dir_all(path).map_err(|e| problem(format!("it cannot be created: {e}")))?;
        let directory = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| problem(format!("it cannot be opened: {e}")))?;
        let mut root = Root {
            directory,
            path: path.to_owned(),
            inline: false,
            prefix: uuid::Uuid::new_v4().simple().to_string(),
            next: AtomicU64::new(0),
            unsynced: Unsynced::default(),
            spares: Spares::default(),
        };
        root.check_usable()?;
        let local = root.is_local();
        root.inline = local && root.can_open_cached();
        if local {
            let mut spares = Spares::default();
            spares.learn(&root);
            root.spares = spares;
        }
        root.remove_leftovers(leftover_age);
        for directory in fan_out {
            root.fan_out(directory);
        }
        // Names that a process which died made may not have reached the disk, and nobody remembers which.
        rustix::fs::syncfs(&root.directory).map_err(|e| problem(format!("it cannot be synced: {e}")))?;
        Ok(root)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(super) const fn unsynced(&self) -> &Unsynced {
        &self.unsynced
    }

    pub(super) const fn spares(&self) -> &Spares {
        &self.spares
    }

    /// A name for a private file, relative to the root, that was never used before.
    pub(super) fn temporary_name(&self) -> String {
        format!(
            "{TEMPORARY}/{}-{}",
            self.prefix,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Opens a file, waiting for the disk if need be.
    pub(super) fn open_file(&self, path: &BlobPath, flags: OFlags) -> rustix::io::Result<File> {
        // A fifo that somebody put there must not make us wait for its writer.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(&self.directory, path.relative(), flags, FILE_MODE).map(File::from)
    }

    /// Opens a file only if the kernel finds it in its caches; `None` when it would have to wait, or cannot tell.
    pub(super) fn open_cached(&self, path: &BlobPath, flags: OFlags) -> Option<rustix::io::Result<File>> {
        if !self.inline {
            return None;
        }
        // Without `NONBLOCK` a fifo would make us wait for its writer; `PATH` waits for nobody and stands alone.
        let more = if flags.contains(OFlags::PATH) {
            OFlags::CLOEXEC
        } else {
            OFlags::CLOEXEC | OFlags::NONBLOCK
        };
        let opened = rustix::fs::openat2(
            &self.directory,
            path.relative(),
            flags | more,
            Mode::empty(),
            ResolveFlags::CACHED,
        );
        match opened {
            Ok(file) => Some(Ok(File::from(file))),
            Err(Errno::NOENT) => Some(Err(Errno::NOENT)),
            // Anything unusual is left to the ordinary way, which reports it.
            Err(_) => None,
        }
    }

    pub(super) fn stat(&self, path: &BlobPath) -> rustix::io::Result<rustix::fs::Stat> {
        rustix::fs::statat(&self.directory, path.relative(), AtFlags::empty())
    }

    /// Makes every call wait for the disk on a blocking thread.
    #[cfg(test)]
    pub(super) const fn never_inline(&mut self) {
        self.inline = false;
    }

    /// Syncs the root directory itself.
    pub(super) fn sync(&self) -> Result<()> {
        match rustix::fs::fsync(&self.directory) {
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(self.problem(format!("it cannot be synced: {errno}"))),
        }
    }

    fn problem(&self, problem: String) -> Error {
        Error::Root {
            root: self.path.clone(),
            problem,
        }
    }

    /// Writes, syncs and renames a file, as every commit will.
    fn check_usable(&self) -> Result<()> {
        for directory in [PRIVATE, TEMPORARY] {
            match rustix::fs::mkdirat(&self.directory, directory, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(self.problem(format!(
                        "it cannot be written: {errno}; its owner or group must be that of this process (uid {})",
                        rustix::process::geteuid().as_raw()
                    )));
                }
            }
        }
        let probe = self.temporary_name();
        let renamed = self.temporary_name();
        let written = (|| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&self.directory, probe.as_str(), flags, FILE_MODE)?;
            rustix::io::write(&file, b"berth")?;
            rustix::fs::fdatasync(&file)?;
            match rustix::fs::renameat_with(
                &self.directory,
                probe.as_str(),
                &self.directory,
                renamed.as_str(),
                RenameFlags::NOREPLACE,
            ) {
                // Some network filesystems have only the plain rename.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    rustix::fs::renameat(&self.directory, probe.as_str(), &self.directory, renamed.as_str())
                }
                result => result,
            }
        })();
        for name in [&probe, &renamed] {
            // One of the two exists, or none; a leftover is harmless and removed by age.
            let _ = rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::empty());
        }
        match written {
            Ok(()) => {}
            // A full disk serves reads, and recovers when space returns; it must not keep the registry from starting.
            Err(Errno::NOSPC | Errno::DQUOT) => {
                tracing::error!(root = %self.path.display(), "the storage is full; pushes will be refused");
            }
            Err(errno) => {
                return Err(self.problem(format!("a file cannot be written and renamed in it: {errno}")));
            }
        }
        let device = rustix::fs::fstat(&self.directory)
            .map_err(|errno| self.problem(format!("it cannot be examined: {errno}")))?
            .st_dev;
        self.check_one_filesystem("", device, MOUNT_CHECK_DEPTH)
    }

    /// A rename cannot cross filesystems, so a mount inside the root would break every publication into it.
    fn check_one_filesystem(&self, below: &str, device: u64, depth: usize) -> Result<()> {
        let name = if below.is_empty() { "." } else { below };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(directory) = rustix::fs::openat(&self.directory, name, flags, Mode::empty()) else {
            return Ok(());
        };
        let found = rustix::fs::fstat(&directory).map(|stat| stat.st_dev);
        if found.is_ok_and(|found| found != device) {
            return Err(self.problem(format!(
                "{below} is on another filesystem; uploads are moved within the root and need it to be one filesystem"
            )));
        }
        if depth == 0 {
            return Ok(());
        }
        let Ok(entries) = Dir::new(directory) else {
            return Ok(());
        };
        for entry in entries.take(MOUNT_CHECK_WIDTH).flatten() {
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            // The check is no traversal: of repositories and blobs, only the top is looked at.
            if matches!(name, "." | "..")
                || !matches!(entry.file_type(), FileType::Directory | FileType::Unknown)
            {
                continue;
            }
            let path = if below.is_empty() {
                name.to_owned()
            } else {
                format!("{below}/{name}")
            };
            self.check_one_filesystem(&path, device, depth - 1)?;
        }
        Ok(())
    }

    /// Makes the 256 subdirectories that are named by two hexadecimal digits. What cannot be made now is made when it is needed,
    /// or the failure is reported then.
    fn fan_out(&self, directory: &BlobPath) {
        let mut path = String::new();
        for component in directory.relative().split('/') {
            path.push_str(component);
            let _ = rustix::fs::mkdirat(&self.directory, path.as_str(), DIRECTORY_MODE);
            path.push('/');
        }
        for byte in 0..=u8::MAX {
            let _ = rustix::fs::mkdirat(&self.directory, format!("{path}{byte:02x}"), DIRECTORY_MODE);
        }
    }

    fn is_local(&self) -> bool {
        rustix::fs::fstatfs(&self.directory)
            .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| LOCAL_FILESYSTEMS.contains(&kind)))
    }

    /// Whether the kernel knows the way and the sandbox allows it: a directory just used is in every cache.
    fn can_open_cached(&self) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(
            &self.directory,
            TEMPORARY,
            flags,
            Mode::empty(),
            ResolveFlags::CACHED,
        )
        .is_ok()
    }

    /// Removes private files that are older than any write takes. Failure is not worth stopping for.
    fn remove_leftovers(&self, age: Duration) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(directory) = rustix::fs::openat(&self.directory, TEMPORARY, flags, Mode::empty()) else {
            return;
        };
        let Ok(entries) = Dir::read_from(&directory) else {
            return;
        };
        let mut removed = 0_u64;
        for entry in entries.flatten() {
            let Ok(stat) = rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            else {
                continue;
            };
            let flags = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => AtFlags::empty(),
                FileType::Directory => AtFlags::REMOVEDIR,
                _ => continue,
            };
            let old = SystemTime::now()
                .duration_since(super::modified(&stat))
                .is_ok_and(|since| since > age);
            // `.` and `..` are directories, too, and the kernel refuses to remove them.
            if old && rustix::fs::unlinkat(&directory, entry.file_name(), flags).is_ok() {
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(root = %self.path.display(), files = removed, "removed what an earlier process left half written");
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.spares.clear(self.directory.as_fd());
    }
}
