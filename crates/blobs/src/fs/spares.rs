//! Files and directories that are used again instead of being deleted.
//!
//! A file system may take long to find a free inode: ext4 without a journal skips, one by one, every inode that was deleted in
//! the last minutes, so that a registry which makes and deletes a few small files for each upload slows itself down with each
//! of them. What a discarded upload leaves is therefore kept in the private directory, and becomes the next small file or
//! directory by a rename.

use std::{
    ffi::CStr,
    os::fd::BorrowedFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};

use super::{DIRECTORY_MODE, FILE_MODE, root::Root};
use crate::BlobPath;

/// Most files, and most directories, that are kept.
const SPARES_MAX: usize = 256;
/// Larger files are not worth the space that they take meanwhile.
const FILE_MAX_BYTES: i64 = 4096;

/// What is kept, by its name relative to the root.
#[derive(Debug, Default)]
pub(super) struct Spares {
    kept: Mutex<Kept>,
    /// What a new file and a new directory of this process look like; none when nothing shall be kept.
    looks: Option<(Look, Look)>,
}

#[derive(Debug, Default)]
struct Kept {
    files: Vec<String>,
    directories: Vec<String>,
}

/// Owner, group and permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look(u32, u32, Mode);

impl Look {
    fn of(stat: &Stat) -> Self {
        Look(stat.st_uid, stat.st_gid, Mode::from_raw_mode(stat.st_mode))
    }
}

impl Spares {
    /// Finds out what new files look like. Where directories hand down their group, or on any trouble, nothing is kept: then
    /// every inode is made in its place.
    pub(super) fn learn(&mut self, root: &Root) {
        self.looks = looks(root).unwrap_or_default();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A private file with other content, to be overwritten. It may be gone, if somebody tidied up.
    pub(super) fn take_file(&self) -> Option<String> {
        self.lock().files.pop()
    }

    /// Keeps a file instead of deleting it; `false` if it has to be deleted.
    pub(super) fn keep_file(&self, root: &Root, directory: BorrowedFd<'_>, name: &CStr) -> bool {
        let Some((look, _)) = self.looks else { return false };
        if self.lock().files.len() >= SPARES_MAX {
            return false;
        }
        // A writer may still be at work on an upload that was given up, and must not write into what the file becomes. It
        // holds the lock until its last write has ended; one that comes later finds that the name it opened is gone.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let Ok(file) = rustix::fs::openat(directory, name, flags, FILE_MODE) else {
            return false;
        };
        let fits = rustix::fs::fstat(&file).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && stat.st_nlink == 1
                && stat.st_size <= FILE_MAX_BYTES
                && Look::of(&stat) == look
        }) && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let spare = root.temporary_name();
        if !fits || rustix::fs::renameat(directory, name, root.fd(), spare.as_str()).is_err() {
            return false;
        }
        self.lock().files.push(spare);
        true
    }

    /// Keeps an empty directory instead of deleting it; `false` if it has to be deleted.
    pub(super) fn keep_directory(&self, root: &Root, path: &BlobPath) -> bool {
        let Some((_, look)) = self.looks else { return false };
        if self.lock().directories.len() >= SPARES_MAX {
            return false;
        }
        let fits = rustix::fs::statat(root.fd(), path.relative(), AtFlags::SYMLINK_NOFOLLOW)
            // Two links: its name and its own dot. One more is a directory in it; some filesystems do not count at all.
            .is_ok_and(|stat| Look::of(&stat) == look && stat.st_nlink == 2);
        let spare = root.temporary_name();
        if !fits || rustix::fs::renameat(root.fd(), path.relative(), root.fd(), spare.as_str()).is_err() {
            return false;
        }
        self.lock().directories.push(spare);
        true
    }

    /// Makes a directory out of one that was kept, or else anew.
    ///
    /// What was being written into it when it was discarded may still appear in it. So it serves where a name is put in place
    /// by a rename that replaces whatever is there, and not where a name that exists is believed.
    pub(super) fn make_directory(&self, root: &Root, path: &BlobPath) -> rustix::io::Result<()> {
        let spare = self.lock().directories.pop();
        let Some(spare) = spare else {
            return rustix::fs::mkdirat(root.fd(), path.relative(), DIRECTORY_MODE);
        };
        // Without the flag, an empty directory that is in use would be replaced.
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(root.fd(), spare.as_str(), root.fd(), path.relative(), flags) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                self.lock().directories.push(spare);
                Err(Errno::EXIST)
            }
            // The directory above is missing, and the spare may serve next; or the spare is gone, or of no use here.
            Err(_) => {
                let made = rustix::fs::mkdirat(root.fd(), path.relative(), DIRECTORY_MODE);
                if made == Err(Errno::NOENT) {
                    self.lock().directories.push(spare);
                }
                made
            }
        }
    }

    /// Deletes what is kept.
    pub(super) fn clear(&self, root: BorrowedFd<'_>) {
        let Kept { files, directories } = std::mem::take(&mut *self.lock());
        for name in files {
            // What cannot be deleted is removed by its age at a later start.
            let _ = rustix::fs::unlinkat(root, name.as_str(), AtFlags::empty());
        }
        for name in directories {
            let _ = rustix::fs::unlinkat(root, name.as_str(), AtFlags::REMOVEDIR);
        }
    }
}

fn looks(root: &Root) -> rustix::io::Result<Option<(Look, Look)>> {
    let top = rustix::fs::fstat(root.fd())?;
    if Mode::from_raw_mode(top.st_mode).contains(Mode::SGID) {
        return Ok(None);
    }
    let (file, directory) = (root.temporary_name(), root.temporary_name());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let looks = (|| {
        let file = rustix::fs::fstat(rustix::fs::openat(root.fd(), file.as_str(), flags, FILE_MODE)?)?;
        rustix::fs::mkdirat(root.fd(), directory.as_str(), DIRECTORY_MODE)?;
        let directory = rustix::fs::statat(root.fd(), directory.as_str(), AtFlags::empty())?;
        Ok(Some((Look::of(&file), Look::of(&directory))))
    })();
    // One of them may not have been made; a leftover is harmless and removed by age.
    let _ = rustix::fs::unlinkat(root.fd(), file.as_str(), AtFlags::empty());
    let _ = rustix::fs::unlinkat(root.fd(), directory.as_str(), AtFlags::REMOVEDIR);
    looks
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

    use bytes::Bytes;

    use super::*;
    use crate::{Driver as _, FilesystemConfig, FilesystemDriver, Step};

    fn path(text: &str) -> BlobPath {
        text.parse().unwrap()
    }

    fn stash(to: &str, content: &'static str) -> Step {
        Step::Stash {
            path: path(to),
            bytes: Bytes::from_static(content.as_bytes()),
        }
    }

    fn discard(at: &str) -> Step {
        Step::Discard { path: path(at) }
    }

    fn inode(root: &Path, at: &str) -> u64 {
        fs::metadata(root.join(at)).unwrap().ino()
    }

    fn private(root: &Path) -> usize {
        fs::read_dir(root.join(".berth/tmp")).unwrap().count()
    }

    /// A driver on a new directory, unless the file system of temporary directories is one that nothing is kept on.
    fn driver() -> Option<(FilesystemDriver, tempfile::TempDir)> {
        let directory = tempfile::tempdir().unwrap();
        let driver = FilesystemDriver::open(&FilesystemConfig::new(directory.path())).unwrap();
        driver
            .root
            .spares()
            .looks
            .is_some()
            .then_some((driver, directory))
    }

    #[tokio::test]
    async fn what_was_discarded_is_used_again() {
        let Some((driver, directory)) = driver() else {
            return;
        };
        let root = directory.path();
        driver
            .commit(vec![stash("/up/1/started", "a time that is rather long")])
            .await
            .unwrap();
        let (file, above) = (inode(root, "up/1/started"), inode(root, "up/1"));
        driver.commit(vec![discard("/up/1")]).await.unwrap();
        assert!(!root.join("up/1").exists());
        assert_eq!(private(root), 2);
        // A shorter content and a longer one, in another place.
        driver
            .commit(vec![stash("/links/x/link", "short")])
            .await
            .unwrap();
        // `links` was made first, and anew the directory below it, or the other way round.
        assert_eq!(inode(root, "links/x/link"), file);
        assert!([inode(root, "links"), inode(root, "links/x")].contains(&above));
        assert_eq!(fs::read(root.join("links/x/link")).unwrap(), b"short");
        assert_eq!(private(root), 0);
        driver
            .commit(vec![
                discard("/links/x"),
                stash("/links/y/link", "more than it held before"),
            ])
            .await
            .unwrap();
        assert_eq!(
            fs::read(root.join("links/y/link")).unwrap(),
            b"more than it held before"
        );
        assert_eq!(driver.read(&path("/links/x/link")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_directory_in_use_is_never_replaced() {
        let Some((driver, directory)) = driver() else {
            return;
        };
        let root = directory.path();
        driver
            .commit(vec![stash("/up/1/started", "x"), discard("/up/1")])
            .await
            .unwrap();
        fs::create_dir_all(root.join("links/x")).unwrap();
        let before = inode(root, "links/x");
        let made = driver
            .root
            .spares()
            .make_directory(&driver.root, &path("/links/x"));
        assert_eq!(made, Err(Errno::EXIST));
        assert_eq!(inode(root, "links/x"), before);
        let made = driver
            .root
            .spares()
            .make_directory(&driver.root, &path("/missing/x"));
        assert_eq!(made, Err(Errno::NOENT));
        assert_eq!(private(root), 2, "the spare directory waits for another use");
    }

    #[tokio::test]
    async fn spares_that_are_gone_are_no_loss() {
        let Some((driver, directory)) = driver() else {
            return;
        };
        let root = directory.path();
        driver
            .commit(vec![stash("/up/1/started", "x"), discard("/up/1")])
            .await
            .unwrap();
        for entry in fs::read_dir(root.join(".berth/tmp")).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                fs::remove_dir(entry).unwrap()
            } else {
                fs::remove_file(entry).unwrap()
            }
        }
        driver
            .commit(vec![stash("/links/x/link", "y"), stash("/links/z/link", "z")])
            .await
            .unwrap();
        assert_eq!(fs::read(root.join("links/z/link")).unwrap(), b"z");
    }

    #[tokio::test]
    async fn only_what_looks_like_new_is_kept() {
        use std::os::unix::fs::PermissionsExt as _;

        let Some((driver, directory)) = driver() else {
            return;
        };
        let root = directory.path();
        driver
            .commit(vec![stash("/up/1/strange", "x"), stash("/up/1/linked", "x")])
            .await
            .unwrap();
        fs::set_permissions(root.join("up/1/strange"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::hard_link(root.join("up/1/linked"), root.join("elsewhere")).unwrap();
        fs::write(root.join("up/1/large"), vec![0; 5000]).unwrap();
        std::os::unix::fs::symlink("/etc/hosts", root.join("up/1/symlink")).unwrap();
        fs::set_permissions(root.join("up/1"), fs::Permissions::from_mode(0o700)).unwrap();
        driver.commit(vec![discard("/up/1")]).await.unwrap();
        assert_eq!(private(root), 0);
        assert!(!root.join("up/1").exists());
        assert_eq!(fs::read(root.join("elsewhere")).unwrap(), b"x");
    }

    #[tokio::test]
    async fn a_file_with_a_writer_is_not_used_again() {
        let Some((driver, directory)) = driver() else {
            return;
        };
        let root = directory.path();
        let mut writer = driver.append(&path("/up/1/data"), 0).await.unwrap();
        writer
            .write(Bytes::from_static(b"from the upload"))
            .await
            .unwrap();
        let upload = inode(root, "up/1/data");
        driver
            .commit(vec![discard("/up/1"), stash("/links/x/link", "the link")])
            .await
            .unwrap();
        assert_ne!(inode(root, "links/x/link"), upload);
        writer.write(Bytes::from_static(b", and late")).await.unwrap();
        writer.release(Vec::new()).await.unwrap();
        assert_eq!(fs::read(root.join("links/x/link")).unwrap(), b"the link");
        assert_eq!(private(root), 0);
    }

    #[tokio::test]
    async fn what_a_user_deletes_is_deleted_and_spares_go_with_the_driver() {
        let Some((driver, directory)) = driver() else {
            return;
        };
        let root = directory.path();
        driver
            .commit(vec![
                stash("/a/x", "secret"),
                stash("/up/1/started", "x"),
                discard("/up/1"),
            ])
            .await
            .unwrap();
        let spares = private(root);
        driver.delete_tree(&path("/a")).await.unwrap();
        assert_eq!(private(root), spares);
        drop(driver);
        assert_eq!(private(root), 0);
    }

    #[tokio::test]
    async fn the_number_of_spares_is_bounded() {
        let Some((driver, directory)) = driver() else {
            return;
        };
        for number in 0..SPARES_MAX + 10 {
            // Made directly, since the driver would use the spares.
            let upload = directory.path().join(format!("up/{number}"));
            fs::create_dir_all(&upload).unwrap();
            fs::write(upload.join("started"), "x").unwrap();
        }
        for number in 0..SPARES_MAX + 10 {
            driver
                .commit(vec![discard(&format!("/up/{number}"))])
                .await
                .unwrap();
        }
        assert_eq!(private(directory.path()), 2 * SPARES_MAX);
    }
}
