//! An object opened for reading.

use std::{fs::File, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::{Result, Stat};

/// Size of the pieces that [`Source::stream`] yields, in bytes. Two of them are in memory at most.
pub const CHUNK_BYTES: usize = 256 << 10;

/// An object opened for reading. Cloning it opens nothing anew.
#[derive(Clone)]
pub struct Source {
    stat: Stat,
    content: Arc<dyn Content>,
}

/// What a driver has behind a [`Source`].
#[async_trait]
pub trait Content: Send + Sync + 'static {
    /// The bytes of `range`, which lies within the object and is not empty, at once. Callers ask for little.
    async fn bytes(&self, range: Range<u64>) -> Result<Bytes>;

    /// The bytes of `range`, which lies within the object and is not empty, in pieces of at most [`CHUNK_BYTES`].
    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>>;

    /// The file, where the object is one, for sending it without a copy through this process. It is shared, so it must only
    /// be read at given offsets.
    fn file(&self) -> Option<&Arc<File>> {
        None
    }
}

impl Source {
    /// Joins what a driver opened with what it knows about it.
    #[must_use]
    pub fn new(stat: Stat, content: Arc<dyn Content>) -> Self {
        Source { stat, content }
    }

    /// Length, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.stat.size
    }

    /// When the object was last written or touched.
    #[must_use]
    pub const fn modified(&self) -> SystemTime {
        self.stat.modified
    }

    /// The file behind the object, if there is one; read it only at given offsets.
    #[must_use]
    pub fn file(&self) -> Option<&Arc<File>> {
        self.content.file()
    }

    /// The bytes of `range`, cut off at the end of the object, at once. Keep the range small; what is large is streamed.
    ///
    /// # Errors
    /// When the storage fails, or the object has become shorter.
    pub async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        match self.clip(range) {
            Some(range) => self.content.bytes(range).await,
            None => Ok(Bytes::new()),
        }
    }

    /// The bytes of `range`, cut off at the end of the object, in pieces of at most [`CHUNK_BYTES`]. Reads ahead by one piece
    /// at most; after an error it ends.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        match self.clip(range) {
            Some(range) => Arc::clone(&self.content).stream(range),
            None => stream::empty().boxed(),
        }
    }

    fn clip(&self, range: Range<u64>) -> Option<Range<u64>> {
        let range = range.start..range.end.min(self.stat.size);
        (range.start < range.end).then_some(range)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.stat).finish()
    }
}
