//! Reading files.

use std::{fs::File, io, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};

use super::FilesystemDriver;
use crate::{BlobPath, CHUNK_BYTES, Content, Error, Result, Source, Stat};

/// From this length on, the kernel is told that a file will be read to its end.
const READ_AHEAD_FROM: u64 = 1 << 20;

/// A piece that the kernel has only partly in memory is sent as it is from this length on; below it, waiting for the rest is
/// cheaper than another piece.
const PARTIAL_MIN_BYTES: usize = CHUNK_BYTES / 4;

/// An open file.
struct FileContent {
    driver: FilesystemDriver,
    path: BlobPath,
    file: Arc<File>,
}

pub(super) fn source(driver: FilesystemDriver, path: BlobPath, file: File, stat: Stat) -> Source {
    Source::new(
        stat,
        Arc::new(FileContent {
            driver,
            path,
            file: Arc::new(file),
        }),
    )
}

/// Reads what the kernel has in memory, without waiting; `None` when that is nothing, or it cannot tell.
pub(super) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
    if buffer.is_empty() {
        return Some(0);
    }
    let mut vector = [io::IoSliceMut::new(buffer)];
    rustix::io::preadv2(file, &mut vector, offset, ReadWriteFlags::NOWAIT)
        .ok()
        .filter(|read| *read > 0)
}

/// Reads `size` bytes at `offset`, waiting for them.
pub(super) fn read_all(file: &File, size: usize, offset: u64, path: &BlobPath) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(size);
    while buffer.len() < size {
        // The capacity is what is asked for: a growing file must not make this grow.
        let at = offset + buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => return Err(cut_off(path)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("read", path, errno)),
        }
    }
    buffer.truncate(size);
    Ok(buffer)
}

fn fill(file: &File, buffer: &mut [u8], offset: u64, path: &BlobPath) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => return Err(cut_off(path)),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("read", path, errno)),
        }
    }
    Ok(())
}

/// The file is shorter than it was when it was opened, which no registry does to it.
fn cut_off(path: &BlobPath) -> Error {
    Error::Io {
        operation: "read",
        path: path.clone(),
        source: io::ErrorKind::UnexpectedEof.into(),
    }
}

#[async_trait]
impl Content for FileContent {
    async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        let size = range.end - range.start;
        let size = usize::try_from(size).map_err(|_| Error::TooLarge {
            path: self.path.clone(),
            size,
        })?;
        let mut buffer = vec![0; size];
        if read_cached(&self.file, &mut buffer, range.start) == Some(size) {
            return Ok(buffer.into());
        }
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        self.driver
            .run(move |_| {
                fill(&file, &mut buffer, range.start, &path)?;
                Ok(buffer.into())
            })
            .await
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        if range.end - range.start >= READ_AHEAD_FROM {
            // Advice only: without it the file is read all the same.
            let _ = rustix::fs::fadvise(&*self.file, range.start, None, Advice::Sequential);
        }
        let reader = Reader {
            content: self,
            rest: range,
            buffers: Buffers::default(),
        };
        stream::try_unfold(reader, Reader::next).boxed()
    }

    fn file(&self) -> Option<&Arc<File>> {
        Some(&self.file)
    }
}

/// A read in progress.
struct Reader {
    content: Arc<FileContent>,
    rest: Range<u64>,
    buffers: Buffers,
}

impl Reader {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let left = self.rest.end - self.rest.start;
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let mut buffer = self.buffers.take(wanted);
        let offset = self.rest.start;
        let cached = read_cached(&self.content.file, &mut buffer[..wanted], offset).unwrap_or(0);
        let read = if cached == wanted || cached >= PARTIAL_MIN_BYTES {
            cached
        } else {
            let (file, path) = (Arc::clone(&self.content.file), self.content.path.clone());
            let filled = self.content.driver.run(move |_| {
                fill(&file, &mut buffer[cached..wanted], offset + cached as u64, &path)?;
                Ok(buffer)
            });
            buffer = filled.await?;
            wanted
        };
        self.rest.start += read as u64;
        let piece = self.buffers.lend(buffer, read);
        Ok(Some((piece, self)))
    }
}

/// Buffers that are used again once the connection is done with them, so that a long read does not allocate, and clear, each
/// piece anew. Two suffice: one is being sent while the other is being filled.
#[derive(Default)]
struct Buffers {
    lent: [Option<Bytes>; 2],
}

impl Buffers {
    /// A buffer of at least `size` bytes.
    fn take(&mut self, size: usize) -> BytesMut {
        for slot in &mut self.lent {
            if let Some(bytes) = slot.take_if(|bytes| bytes.is_unique() && bytes.len() >= size) {
                match bytes.try_into_mut() {
                    Ok(buffer) => return buffer,
                    Err(bytes) => *slot = Some(bytes),
                }
            }
        }
        BytesMut::zeroed(size)
    }

    /// The first `length` bytes for the reader, while the whole is remembered for later.
    fn lend(&mut self, buffer: BytesMut, length: usize) -> Bytes {
        let whole = buffer.freeze();
        let piece = whole.slice(..length);
        if let Some(slot) = self.lent.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(whole);
        }
        piece
    }
}
