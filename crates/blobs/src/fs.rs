//! Objects as files below a directory.
//!
//! The files lie exactly where their paths say, so that other registries can serve the same directory. Beside them there is
//! one directory of our own, [`root::PRIVATE`], for files that are being written; a file gets its name only when it is
//! complete.
//!
//! # What a crash leaves
//! A small object is written to a private file, synced, and renamed; an upload is synced and renamed. A name therefore
//! always stands for the whole object, whenever the machine stops. After the renames the directories that changed are
//! synced, and only then does the call return, so what was acknowledged is still there after a power failure. Private files
//! of a process that died are removed at the next start.
//!
//! # What it costs
//! Each call runs as one piece of work on a blocking thread, whatever number of system calls it takes. Reads that the kernel
//! can answer without waiting (name and pages in its caches) do not leave the calling thread at all.

mod commit;
mod content;
mod directories;
mod root;
mod spares;
mod temp;
mod tree;
mod writer;

use std::{
    os::fd::AsFd as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use tokio::{sync::Semaphore, task::JoinHandle};

use self::{root::Root, tree::Remains};
use crate::{Append, BlobPath, Driver, Error, Listing, Result, SMALL_MAX_BYTES, Source, Stat, Step};

/// How the filesystem driver works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory; it is created if it does not exist.
    pub root: PathBuf,
    /// Most calls that wait for the disk at the same time; more wait their turn. Default 32.
    pub max_threads: usize,
    /// Private files older than this are left over from a process that died. Default one day, longer than any write takes.
    pub leftover_age: Duration,
    /// Directories that will hold everything in subdirectories named by two hexadecimal digits. Those are made when the root is
    /// opened, and not one by one, each with syncs of its own, by the first pushes. Default none.
    pub fan_out: Vec<BlobPath>,
}

impl Config {
    /// The defaults for a directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Config {
            root: root.into(),
            max_threads: 32,
            leftover_age: Duration::from_secs(24 * 60 * 60),
            fan_out: Vec::new(),
        }
    }
}

/// Objects as files below a directory. Clones share it.
#[derive(Clone, Debug)]
pub struct FilesystemDriver {
    root: Arc<Root>,
    permits: Arc<Semaphore>,
    writers: writer::Writers,
}

impl FilesystemDriver {
    /// Opens the directory, checks that it can be written and lies on one filesystem, and removes what a process that died
    /// left behind. Blocks while it does.
    ///
    /// # Errors
    /// [`Error::Root`] when the directory cannot be used, with what to do about it.
    pub fn open(config: &Config) -> Result<Self> {
        let root = Root::open(&config.root, config.leftover_age, &config.fan_out)?;
        Ok(FilesystemDriver {
            root: Arc::new(root),
            permits: Arc::new(Semaphore::new(config.max_threads.max(1))),
            writers: writer::Writers::default(),
        })
    }

    /// Starts `work` on a blocking thread, when it is its turn. It runs to its end even if nobody waits for it any more.
    async fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::Stopping)?;
        let root = Arc::clone(&self.root);
        Ok(tokio::task::spawn_blocking(move || {
            let result = work(&root);
            drop(permit);
            result
        }))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        finish(self.start(work).await?).await
    }
}

/// The result of a piece of work; its panic is passed on.
async fn finish<T>(handle: JoinHandle<Result<T>>) -> Result<T> {
    match handle.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Stopping),
        },
    }
}

#[async_trait]
impl Driver for FilesystemDriver {
    async fn stat(&self, path: &BlobPath) -> Result<Option<Stat>> {
        root::check(path)?;
        if let Some(opened) = self.root.open_cached(path, OFlags::PATH) {
            return match opened {
                Ok(file) => {
                    let stat = rustix::fs::fstat(&file).map_err(|e| Error::system("stat", path, e))?;
                    Ok(object_stat(&stat))
                }
                Err(errno) => absent("stat", path, errno),
            };
        }
        let path = path.clone();
        self.run(move |root| match root.stat(&path) {
            Ok(stat) => Ok(object_stat(&stat)),
            Err(errno) => absent("stat", &path, errno),
        })
        .await
    }

    async fn read(&self, path: &BlobPath) -> Result<Option<Bytes>> {
        root::check(path)?;
        if let Some(opened) = self.root.open_cached(path, OFlags::RDONLY) {
            let file = match opened {
                Ok(file) => file,
                Err(errno) => return absent("open", path, errno),
            };
            let Some(size) = small_size(&file, path)? else {
                return Ok(None);
            };
            let mut buffer = vec![0; size];
            if content::read_cached(&file, &mut buffer, 0) == Some(size) {
                return Ok(Some(buffer.into()));
            }
            let path = path.clone();
            return self
                .run(move |_| content::read_all(&file, size, 0, &path).map(|b| Some(b.into())))
                .await;
        }
        let path = path.clone();
        self.run(move |root| {
            let file = match root.open_file(&path, OFlags::RDONLY) {
                Ok(file) => file,
                Err(errno) => return absent("open", &path, errno),
            };
            let Some(size) = small_size(&file, &path)? else {
                return Ok(None);
            };
            content::read_all(&file, size, 0, &path).map(|bytes| Some(bytes.into()))
        })
        .await
    }

    async fn open(&self, path: &BlobPath) -> Result<Option<Source>> {
        root::check(path)?;
        let file = match self.root.open_cached(path, OFlags::RDONLY) {
            Some(Ok(file)) => file,
            Some(Err(errno)) => return absent("open", path, errno),
            None => {
                let path = path.clone();
                let opened = self
                    .run(move |root| match root.open_file(&path, OFlags::RDONLY) {
                        Ok(file) => Ok(Some(file)),
                        Err(errno) => absent("open", &path, errno),
                    })
                    .await?;
                match opened {
                    Some(file) => file,
                    None => return Ok(None),
                }
            }
        };
        // The length is asked of the open file, not of the name, which may stand for another file by now.
        let stat = rustix::fs::fstat(&file).map_err(|e| Error::system("stat", path, e))?;
        Ok(object_stat(&stat).map(|stat| content::source(self.clone(), path.clone(), file, stat)))
    }

    async fn list(&self, directory: &BlobPath, after: Option<&str>, limit: usize) -> Result<Listing> {
        root::check(directory)?;
        let (directory, after) = (directory.clone(), after.map(str::to_owned));
        self.run(move |root| tree::list(root, &directory, after.as_deref(), limit.max(1)))
            .await
    }

    async fn append(&self, path: &BlobPath, offset: u64) -> Result<Box<dyn Append>> {
        root::check(path)?;
        let wanted = path.clone();
        let file = self.run(move |root| writer::open(root, &wanted, offset)).await?;
        Ok(Box::new(writer::Writer::new(
            self.clone(),
            path.clone(),
            file,
            offset,
        )))
    }

    async fn commit(&self, steps: Vec<Step>) -> Result<()> {
        self.run(move |root| commit::apply(root, steps, None)).await
    }

    async fn delete(&self, path: &BlobPath) -> Result<bool> {
        root::check(path)?;
        let path = path.clone();
        self.run(move |root| {
            match rustix::fs::unlinkat(root.fd(), path.relative(), AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR) => return Ok(false),
                Err(errno) => return Err(Error::system("delete", &path, errno)),
            }
            directories::sync_parent(root, &path)?;
            Ok(true)
        })
        .await
    }

    async fn delete_tree(&self, path: &BlobPath) -> Result<bool> {
        root::check(path)?;
        let path = path.clone();
        self.run(move |root| {
            let found = tree::delete(root, &path, Remains::Delete)?;
            if found {
                directories::sync_parent(root, &path)?;
            }
            Ok(found)
        })
        .await
    }
}

/// Answers "not there" for the errors that say so, and passes the others on.
fn absent<T>(operation: &'static str, path: &BlobPath, errno: Errno) -> Result<Option<T>> {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Ok(None),
        errno => Err(Error::system(operation, path, errno)),
    }
}

/// Length and age of a file; `None` for a directory or anything else that is not an object.
fn object_stat(stat: &rustix::fs::Stat) -> Option<Stat> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    Some(Stat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified(stat),
    })
}

/// When something was last written or touched.
fn modified(stat: &rustix::fs::Stat) -> SystemTime {
    let since = Duration::new(u64::try_from(stat.st_mtime).unwrap_or(0), 0)
        + Duration::from_nanos(stat.st_mtime_nsec);
    std::time::UNIX_EPOCH + since
}

/// Length of a file that shall be read whole.
fn small_size(file: &std::fs::File, path: &BlobPath) -> Result<Option<usize>> {
    let stat = rustix::fs::fstat(file.as_fd()).map_err(|e| Error::system("stat", path, e))?;
    let Some(stat) = object_stat(&stat) else {
        return Ok(None);
    };
    match usize::try_from(stat.size) {
        Ok(size) if stat.size <= SMALL_MAX_BYTES => Ok(Some(size)),
        _ => Err(Error::TooLarge {
            path: path.clone(),
            size: stat.size,
        }),
    }
}

/// Permissions of new files, before the umask: the files are shared with other registries through the group.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
/// Permissions of new directories, before the umask.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

#[cfg(test)]
mod tests;
