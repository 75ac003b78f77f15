//! Response bodies: what the service made, or a file that the kernel sends by itself.
use std::{
    error::Error as StdError,
    fs::File,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};

use super::{
    connections::Busy,
    wire::{FileQueue, PLACEHOLDER},
};

/// Put into a response's extensions beside an ordinary body with the same bytes: where the connection can, the kernel
/// sends `length` bytes of `file` from `offset` and the body is never polled.
#[derive(Clone, Debug)]
pub struct SendFile {
    /// The open file; it must not shrink while it is sent.
    pub file: Arc<File>,
    /// First byte.
    pub offset: u64,
    /// Bytes to send; must equal the response's `Content-Length`.
    pub length: u64,
}

/// What hyper polls.
pub(super) struct Outbound<B> {
    kind: Kind<B>,
    /// Keeps the connection marked busy until the body is done with.
    _busy: Busy,
}

enum Kind<B> {
    Service(Pin<Box<B>>),
    File {
        remaining: u64,
        queued: Option<(SendFile, FileQueue)>,
        /// Never polled, but dropped no earlier than the file is queued: whoever wrapped it (an access log) learns from
        /// the drop that the response is over.
        _unread: Pin<Box<B>>,
    },
}

impl<B: Body<Data = Bytes>> Outbound<B> {
    pub(super) fn wrap(mut response: Response<B>, files: Option<FileQueue>, busy: Busy) -> Response<Self> {
        let file = response.extensions_mut().remove::<SendFile>().zip(files);
        response.map(|body| {
            let kind = match file {
                Some((file, files)) if file.length > 0 => Kind::File {
                    remaining: file.length,
                    queued: Some((file, files)),
                    _unread: Box::pin(body),
                },
                _ => Kind::Service(Box::pin(body)),
            };
            Self { kind, _busy: busy }
        })
    }
}

impl<B> Body for Outbound<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.kind {
            Kind::Service(body) => body
                .as_mut()
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Kind::File { remaining: 0, .. } => Poll::Ready(None),
            Kind::File {
                remaining, queued, ..
            } => {
                if let Some((file, files)) = queued.take() {
                    files.push(file);
                }
                let length = usize::try_from(*remaining)
                    .unwrap_or(usize::MAX)
                    .min(PLACEHOLDER.len());
                *remaining -= length as u64;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PLACEHOLDER[..length])))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Service(body) => body.is_end_stream(),
            Kind::File { remaining, .. } => *remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Service(body) => body.size_hint(),
            Kind::File { remaining, .. } => SizeHint::with_exact(*remaining),
        }
    }
}
