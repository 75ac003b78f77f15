//! Request bodies that notice when their sender stops sending.
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use super::leftover::Leftover;

/// A request's body; fails with [`InboundError::Stalled`] when no byte arrives for the listener's limit.
pub struct Inbound {
    /// Only a body that is being dropped has none.
    body: Option<Incoming>,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    progress: Progress,
    /// Takes what is not read.
    leftover: Option<Leftover>,
}

#[derive(PartialEq, Eq)]
enum Progress {
    /// The client sends the body only when it is asked for.
    Unasked,
    Reading,
    Ended,
    Broken,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The connection broke, or the framing is wrong.
    #[error("reading the request body")]
    Http(#[from] hyper::Error),
    /// Nothing came for this long.
    #[error("the request body made no progress for {0:?}")]
    Stalled(Duration),
}

impl Inbound {
    pub(super) fn new(body: Incoming, patience: Duration) -> Self {
        Self {
            body: Some(body),
            patience,
            timer: None,
            waiting: false,
            progress: Progress::Reading,
            leftover: None,
        }
    }

    /// Hands over what is not read when it is dropped; `asks` says that the client waits to be asked for the body.
    pub(super) fn leaving(mut self, leftover: Leftover, asks: bool) -> Self {
        if asks {
            self.progress = Progress::Unasked;
        }
        self.leftover = Some(leftover);
        self
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let (Some(leftover), Some(body)) = (self.leftover.take(), self.body.take()) else {
            return;
        };
        match self.progress {
            Progress::Reading if !body.is_end_stream() => leftover.keep(body),
            Progress::Reading | Progress::Ended => {}
            Progress::Unasked | Progress::Broken => leftover.lose(),
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.progress == Progress::Unasked {
            this.progress = Progress::Reading;
        }
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            this.waiting = false;
            match &frame {
                None => this.progress = Progress::Ended,
                Some(Err(_)) => this.progress = Progress::Broken,
                Some(Ok(_)) => {}
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(InboundError::Http)));
        }
        let patience = this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !this.waiting {
            this.waiting = true;
            timer.as_mut().reset(Instant::now() + patience);
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                this.progress = Progress::Broken;
                Poll::Ready(Some(Err(InboundError::Stalled(patience))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
