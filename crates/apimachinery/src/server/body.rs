//! [`Body`]: the body of every answer.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use http_body::{Frame, SizeHint};

/// Parts smaller than this are joined into frames of about this many bytes.
const FRAME_BYTES: usize = 32 << 10;

/// The body of an answer: bytes, many shared parts, or a stream that goes on.
pub struct Body(Inner);

enum Inner {
    Full(Option<Bytes>),
    Parts { parts: VecDeque<Bytes>, left: u64 },
    Lazy(Box<dyn Iterator<Item = Bytes> + Send>),
    Stream(BoxStream<'static, Bytes>),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self(Inner::Full(None))
    }

    /// Parts that were serialized before, sent one after the other without being copied together first.
    pub(crate) fn parts(parts: VecDeque<Bytes>) -> Self {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        Self(Inner::Parts { parts, left })
    }

    /// Parts that are made when it is their turn, so that a long list is never in memory as text.
    pub(crate) fn lazy(parts: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Self(Inner::Lazy(Box::new(parts)))
    }

    /// Bytes as they come.
    #[must_use]
    pub fn stream(stream: BoxStream<'static, Bytes>) -> Self {
        Self(Inner::Stream(stream))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Full((!bytes.is_empty()).then_some(bytes)))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// Joins small parts to a frame. `parts` is peeked at, since the part that does not fit begins the next frame.
fn next_frame(parts: &mut VecDeque<Bytes>) -> Option<Bytes> {
    let first = parts.pop_front()?;
    if first.len() >= FRAME_BYTES || parts.is_empty() {
        return Some(first);
    }
    let mut frame = BytesMut::with_capacity(FRAME_BYTES);
    frame.extend_from_slice(&first);
    while let Some(part) = parts.front() {
        if frame.len() + part.len() > FRAME_BYTES {
            break;
        }
        frame.extend_from_slice(part);
        parts.pop_front();
    }
    Some(frame.freeze())
}

/// Joins parts until there is enough for a frame.
fn gather(parts: &mut dyn Iterator<Item = Bytes>) -> Option<Bytes> {
    let mut frame = BytesMut::new();
    for part in parts {
        frame.extend_from_slice(&part);
        if frame.len() >= FRAME_BYTES {
            break;
        }
    }
    (!frame.is_empty()).then(|| frame.freeze())
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.0 {
            Inner::Full(bytes) => bytes.take(),
            Inner::Parts { parts, left } => {
                let frame = next_frame(parts);
                *left -= frame.as_ref().map_or(0, |frame| frame.len() as u64);
                frame
            }
            Inner::Lazy(parts) => gather(parts),
            Inner::Stream(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Ready(bytes) => bytes,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.is_none(),
            Inner::Parts { left, .. } => *left == 0,
            Inner::Lazy(_) | Inner::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Parts { left, .. } => SizeHint::with_exact(*left),
            Inner::Lazy(_) | Inner::Stream(_) => SizeHint::default(),
        }
    }
}
