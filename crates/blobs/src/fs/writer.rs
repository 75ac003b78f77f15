//! Appending to files.

use std::{
    fs::File,
    io::IoSlice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use rustix::{
    fs::{AtFlags, FlockOperation, OFlags},
    io::Errno,
};
use tokio::task::JoinHandle;

use super::{
    FilesystemDriver, commit,
    directories::{ATTEMPTS, Inodes, make_parents},
    finish,
    root::Root,
};
use crate::{Append, BlobPath, Error, Result, Step};

/// So many bytes are gathered at least before they are written, and as many more may be on their way to the file at the same
/// time. Writes end at multiples of this, so that the kernel can keep them in large pieces.
const WRITE_BYTES: usize = 256 << 10;
/// So many bytes are gathered at most: each write is a hop to another thread, which counts while large uploads are few.
const WRITE_BYTES_MAX: usize = 512 << 10;
/// All uploads together gather so many bytes before each has to do with [`WRITE_BYTES`].
const WRITE_BYTES_TOGETHER: usize = 2 << 20;
/// Most buffers given to the kernel at once; Linux takes 1024.
const VECTOR_MAX: usize = 512;

/// Opens the file for appending, and locks it against other writers, here and in other processes.
pub(super) fn open(root: &Arc<Root>, path: &BlobPath, offset: u64) -> Result<Arc<File>> {
    for _ in 0..ATTEMPTS {
        let create = if offset == 0 {
            OFlags::CREATE
        } else {
            OFlags::empty()
        };
        let file = match root.open_file(path, OFlags::WRONLY | OFlags::NOFOLLOW | create) {
            Ok(file) => file,
            Err(Errno::NOENT) if offset == 0 => {
                make_parents(root, path, Inodes::New)?;
                continue;
            }
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(Error::NotFound { path: path.clone() }),
            Err(errno) => return Err(Error::system("open", path, errno)),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::Locked { path: path.clone() }),
            Err(errno) => return Err(Error::system("lock", path, errno)),
        }
        let stat = rustix::fs::fstat(&file).map_err(|errno| Error::system("stat", path, errno))?;
        // Between opening and locking, another writer may have published or discarded the file. What we hold may by now be a
        // blob, which nobody must ever append to.
        let same = match root.stat(path) {
            Ok(named) => named.st_ino == stat.st_ino && named.st_dev == stat.st_dev,
            Err(Errno::NOENT) => false,
            Err(errno) => return Err(Error::system("stat", path, errno)),
        };
        if !same {
            continue;
        }
        let held = u64::try_from(stat.st_size).unwrap_or(0);
        if held != offset {
            return Err(Error::Offset {
                path: path.clone(),
                held,
                got: offset,
            });
        }
        return Ok(Arc::new(file));
    }
    Err(Error::NotFound { path: path.clone() })
}

/// How many writers a driver has.
#[derive(Clone, Debug, Default)]
pub(super) struct Writers(Arc<AtomicUsize>);

/// Counts as one of the writers until it is dropped.
struct Writing(Arc<AtomicUsize>);

impl Writers {
    fn enter(&self) -> Writing {
        self.0.fetch_add(1, Ordering::Relaxed);
        Writing(Arc::clone(&self.0))
    }
}

impl Writing {
    /// All writers, this one included.
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Appends to an open, locked file. The lock goes with the last handle of the file, and so not before a write that is still
/// under way when the writer is dropped.
pub(super) struct Writer {
    driver: FilesystemDriver,
    path: BlobPath,
    file: Arc<File>,
    /// Where the gathered bytes will go.
    offset: u64,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    under_way: Option<JoinHandle<Result<()>>>,
    writing: Writing,
}

impl Writer {
    pub(super) fn new(driver: FilesystemDriver, path: BlobPath, file: Arc<File>, offset: u64) -> Self {
        let writing = driver.writers.enter();
        Writer {
            writing,
            driver,
            path,
            file,
            offset,
            gathered: Vec::new(),
            gathered_bytes: 0,
            under_way: None,
        }
    }

    async fn settle(&mut self) -> Result<()> {
        match self.under_way.take() {
            Some(handle) => finish(handle).await,
            None => Ok(()),
        }
    }

    async fn end(mut self: Box<Self>, then: Vec<Step>, durable: bool) -> Result<u64> {
        self.settle().await?;
        let (bytes, offset) = self.take_gathered();
        let length = self.offset;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        let driver = self.driver.clone();
        // The work keeps the file, and with it the lock, until the last step is taken.
        drop(self);
        driver
            .run(move |root| {
                write_at(&file, bytes, offset, &path)?;
                if durable && let Err(errno) = rustix::fs::fdatasync(&*file) {
                    // The kernel reports a lost page once and then takes it for clean. Nothing may be built on this file.
                    let _ = rustix::fs::unlinkat(root.fd(), path.relative(), AtFlags::empty());
                    return Err(Error::system("sync", &path, errno));
                }
                commit::apply(root, then, durable.then_some(&path))?;
                drop(file);
                Ok(length)
            })
            .await
    }

    /// Takes what lies behind the last multiple of [`WRITE_BYTES`] in the file away from what is gathered, if that is only a
    /// part of the last piece.
    fn cut(&mut self) -> Bytes {
        let behind = (self.offset + self.gathered_bytes as u64) % WRITE_BYTES as u64;
        let behind = usize::try_from(behind).unwrap_or(0);
        match self.gathered.last_mut() {
            Some(last) if behind < last.len() => {
                self.gathered_bytes -= behind;
                last.split_off(last.len() - behind)
            }
            _ => Bytes::new(),
        }
    }

    /// The gathered bytes and where they go.
    fn take_gathered(&mut self) -> (Vec<Bytes>, u64) {
        let offset = self.offset;
        self.offset += self.gathered_bytes as u64;
        self.gathered_bytes = 0;
        (std::mem::take(&mut self.gathered), offset)
    }
}

#[async_trait]
impl Append for Writer {
    fn length(&self) -> u64 {
        self.offset + self.gathered_bytes as u64
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        let enough = (WRITE_BYTES_TOGETHER / self.writing.count()).clamp(WRITE_BYTES, WRITE_BYTES_MAX);
        if self.gathered_bytes < enough && self.gathered.len() < VECTOR_MAX {
            return Ok(());
        }
        // One write after the other: the file must never have a gap.
        self.settle().await?;
        let rest = self.cut();
        let (bytes, offset) = self.take_gathered();
        self.gathered_bytes = rest.len();
        self.gathered.extend((!rest.is_empty()).then_some(rest));
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        self.under_way = Some(
            self.driver
                .start(move |_| write_at(&file, bytes, offset, &path))
                .await?,
        );
        Ok(())
    }

    async fn close(self: Box<Self>, then: Vec<Step>) -> Result<u64> {
        self.end(then, true).await
    }

    async fn release(self: Box<Self>, then: Vec<Step>) -> Result<u64> {
        self.end(then, false).await
    }
}

fn write_at(file: &File, mut bytes: Vec<Bytes>, mut offset: u64, path: &BlobPath) -> Result<()> {
    let mut first = 0;
    while first < bytes.len() {
        let vector: Vec<IoSlice<'_>> = bytes[first..]
            .iter()
            .take(VECTOR_MAX)
            .map(|b| IoSlice::new(b))
            .collect();
        let mut written = match rustix::io::pwritev(file, &vector, offset) {
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(Error::system("write", path, errno)),
        };
        offset += written as u64;
        while first < bytes.len() && written >= bytes[first].len() {
            written -= bytes[first].len();
            first += 1;
        }
        if written > 0 {
            bytes[first].advance(written);
        }
    }
    Ok(())
}
