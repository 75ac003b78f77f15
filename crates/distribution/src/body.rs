//! Response bodies: nothing, bytes, a part of a file, a stream. One concrete type, whose length is always known.

use std::fs::File;
use std::future::Future as _;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use http_body::{Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use tokio::task::JoinHandle;

/// What goes wrong while a body is sent.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes read from a file at once. Small enough that allocators recycle the buffer instead of mapping it anew.
const CHUNK: usize = 64 * 1024;

/// A part of an open file. Responses with a file-backed [`Body`] carry it in their extensions, so that a transport can
/// send the bytes without copying them through this process.
#[derive(Clone, Debug)]
pub struct FileRegion {
    /// The file, open for reading.
    pub file: Arc<File>,
    /// First byte of the part.
    pub offset: u64,
    /// Length of the part, in bytes.
    pub len: u64,
}

/// The body of a response.
pub struct Body(Inner);

enum Inner {
    Empty,
    Full(Bytes),
    File(Reader),
    Stream {
        stream: BoxStream<'static, Result<Bytes, BodyError>>,
        remaining: u64,
    },
}

impl Body {
    /// A body without bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// A body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Inner::Full(bytes))
        }
    }

    /// A part of a file, read as it is sent.
    #[must_use]
    pub fn file(region: FileRegion) -> Self {
        if region.len == 0 {
            Self::empty()
        } else {
            Self(Inner::File(Reader::new(region)))
        }
    }

    /// A stream of exactly `len` bytes; one that ends early fails the body.
    #[must_use]
    pub fn stream(stream: BoxStream<'static, Result<Bytes, BodyError>>, len: u64) -> Self {
        Self(Inner::Stream {
            stream,
            remaining: len,
        })
    }

    /// The part of a file that is left to send, when the body is file-backed.
    #[must_use]
    pub fn region(&self) -> Option<FileRegion> {
        match &self.0 {
            Inner::File(reader) => Some(reader.region.clone()),
            Inner::Empty | Inner::Full(_) | Inner::Stream { .. } => None,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match &mut self.0 {
            Inner::Empty => return Poll::Ready(None),
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Inner::Empty;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Inner::File(reader) => ready!(reader.poll(cx)),
            Inner::Stream { stream, remaining } => match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) if bytes.len() as u64 <= *remaining => {
                    *remaining -= bytes.len() as u64;
                    Some(Ok(bytes))
                }
                Some(Ok(_)) => Some(Err("the content is longer than announced".into())),
                Some(Err(error)) => Some(Err(error)),
                None if *remaining == 0 => None,
                None => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
            },
        };
        if !matches!(polled, Some(Ok(_))) {
            self.0 = Inner::Empty;
        }
        Poll::Ready(polled.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Full(_) => false,
            Inner::File(reader) => reader.region.len == 0,
            Inner::Stream { remaining, .. } => *remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Inner::Empty => 0,
            Inner::Full(bytes) => bytes.len() as u64,
            Inner::File(reader) => reader.region.len,
            Inner::Stream { remaining, .. } => *remaining,
        })
    }
}

/// Reads a region in order. What the page cache holds is read at once; the rest on a thread that may block.
struct Reader {
    region: FileRegion,
    pending: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reader {
    const fn new(region: FileRegion) -> Self {
        Self {
            region,
            pending: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.region.len == 0 {
            return Poll::Ready(None);
        }
        let read = if let Some(pending) = &mut self.pending {
            let joined = ready!(Pin::new(pending).poll(cx));
            self.pending = None;
            joined.unwrap_or_else(|error| Err(io::Error::other(error)))
        } else {
            let want = usize::try_from(self.region.len).map_or(CHUNK, |len| len.min(CHUNK));
            if let Some(bytes) = read_cached(&self.region, want) {
                Ok(bytes)
            } else {
                let region = self.region.clone();
                self.pending = Some(tokio::task::spawn_blocking(move || read_blocking(&region, want)));
                return self.poll(cx);
            }
        };
        match read {
            Ok(bytes) if bytes.is_empty() => {
                Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())))
            }
            Ok(bytes) => {
                self.region.offset += bytes.len() as u64;
                self.region.len -= bytes.len() as u64;
                Poll::Ready(Some(Ok(bytes)))
            }
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
}

/// Reads without waiting for a disk; none when the kernel would have to wait, or cannot tell.
fn read_cached(region: &FileRegion, want: usize) -> Option<Bytes> {
    let mut buffer = BytesMut::zeroed(want);
    let read = rustix::io::preadv2(
        &region.file,
        &mut [IoSliceMut::new(&mut buffer)],
        region.offset,
        ReadWriteFlags::NOWAIT,
    )
    .ok()?;
    if read == 0 {
        return None;
    }
    buffer.truncate(read);
    Some(buffer.freeze())
}

fn read_blocking(region: &FileRegion, want: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(want);
    let read = region.file.read_at(&mut buffer, region.offset)?;
    buffer.truncate(read);
    Ok(buffer.freeze())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures_util::{StreamExt as _, stream};
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_region_is_sent_exactly() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..200_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        file.write_all(&content).unwrap();
        let file = Arc::new(file);
        for (offset, len) in [(0, 200_000), (0, 0), (1, 1), (65_535, 65_537), (199_999, 1)] {
            let body = Body::file(FileRegion {
                file: Arc::clone(&file),
                offset,
                len,
            });
            assert_eq!(body.size_hint().exact(), Some(len), "{offset}+{len}");
            let sent = body.collect().await.unwrap().to_bytes();
            assert!(
                sent == content[usize::try_from(offset).unwrap()..][..usize::try_from(len).unwrap()],
                "{offset}+{len}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_that_shrank_fails_the_body() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        let body = Body::file(FileRegion {
            file: Arc::new(file),
            offset: 0,
            len: 10,
        });
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_stream_is_as_long_as_announced() {
        let body = |parts: Vec<&'static [u8]>, len| {
            Body::stream(
                stream::iter(parts)
                    .map(|part| Ok(Bytes::from_static(part)))
                    .boxed(),
                len,
            )
        };
        assert_eq!(
            body(vec![b"ab", b"c"], 3).collect().await.unwrap().to_bytes(),
            "abc"
        );
        assert!(body(vec![b"ab"], 3).collect().await.is_err(), "too short");
        assert!(body(vec![b"ab", b"cd"], 3).collect().await.is_err(), "too long");
    }
}
