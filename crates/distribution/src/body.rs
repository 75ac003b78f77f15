//! Response bodies: nothing, bytes, a stream that may be a part of a file. One concrete type, whose length is always known.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http_body::{Frame, SizeHint};

/// What goes wrong while a body is sent.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A part of an open file. Responses with a file-backed [`Body`] carry it in their extensions, so that a transport can
/// send the bytes without copying them through this process.
#[derive(Clone, Debug)]
pub struct FileRegion {
    /// The file, open for reading. It is shared, so it must only be read at given offsets.
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
    Stream {
        stream: BoxStream<'static, Result<Bytes, BodyError>>,
        remaining: u64,
        /// The same bytes, until the first of them was taken.
        region: Option<FileRegion>,
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

    /// A stream of exactly `len` bytes; one that ends early fails the body.
    #[must_use]
    pub fn stream(stream: BoxStream<'static, Result<Bytes, BodyError>>, len: u64) -> Self {
        if len == 0 {
            Self::empty()
        } else {
            Self(Inner::Stream {
                stream,
                remaining: len,
                region: None,
            })
        }
    }

    /// A part of a file, for transports that can send it themselves, and its bytes for all others.
    #[must_use]
    pub fn file(region: FileRegion, stream: BoxStream<'static, Result<Bytes, BodyError>>) -> Self {
        let remaining = region.len;
        if remaining == 0 {
            Self::empty()
        } else {
            Self(Inner::Stream {
                stream,
                remaining,
                region: Some(region),
            })
        }
    }

    /// The part of a file that the body is, as long as nothing of it was taken.
    #[must_use]
    pub fn region(&self) -> Option<&FileRegion> {
        match &self.0 {
            Inner::Stream { region, .. } => region.as_ref(),
            Inner::Empty | Inner::Full(_) => None,
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
            Inner::Stream {
                stream,
                remaining,
                region,
            } => {
                *region = None;
                match ready!(stream.as_mut().poll_next(cx)) {
                    Some(Ok(bytes)) if bytes.len() as u64 <= *remaining => {
                        *remaining -= bytes.len() as u64;
                        Some(Ok(bytes))
                    }
                    Some(Ok(_)) => Some(Err("the content is longer than announced".into())),
                    Some(Err(error)) => Some(Err(error)),
                    None if *remaining == 0 => None,
                    None => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
                }
            }
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
            Inner::Stream { remaining, .. } => *remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Inner::Empty => 0,
            Inner::Full(bytes) => bytes.len() as u64,
            Inner::Stream { remaining, .. } => *remaining,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn pieces(parts: Vec<&'static [u8]>) -> BoxStream<'static, Result<Bytes, BodyError>> {
        stream::iter(parts)
            .map(|part| Ok(Bytes::from_static(part)))
            .boxed()
    }

    #[tokio::test]
    async fn a_stream_is_as_long_as_announced() {
        let body = |parts, len| Body::stream(pieces(parts), len);
        assert_eq!(
            body(vec![b"ab", b"c"], 3).collect().await.unwrap().to_bytes(),
            "abc"
        );
        assert_eq!(body(vec![], 0).collect().await.unwrap().to_bytes(), "");
        assert!(body(vec![b"ab"], 3).collect().await.is_err(), "too short");
        assert!(body(vec![b"ab", b"cd"], 3).collect().await.is_err(), "too long");
    }

    #[tokio::test]
    async fn a_file_is_offered_until_its_bytes_are_taken() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut body = Body::file(
            FileRegion {
                file,
                offset: 5,
                len: 3,
            },
            pieces(vec![b"a", b"bc"]),
        );
        assert_eq!(
            body.region().map(|region| (region.offset, region.len)),
            Some((5, 3))
        );
        assert_eq!(body.size_hint().exact(), Some(3));
        body.frame().await.unwrap().unwrap();
        assert!(body.region().is_none());
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "bc");
    }

    #[test]
    fn lengths_are_exact() {
        for (body, len) in [(Body::empty(), 0), (Body::full("abc"), 3), (Body::full(""), 0)] {
            assert_eq!(body.size_hint().exact(), Some(len));
            assert_eq!(body.is_end_stream(), len == 0);
        }
    }
}
