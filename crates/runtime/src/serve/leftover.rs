//! What a service leaves unread of a request's body on an HTTP/1 connection.
//!
//! A service may refuse a request after its head. The rest of the body is still on its way then, in front of the next
//! request, so the connection is either read clean or said to end: a server that just closes it takes its own answer with
//! it, since bytes that arrive at a closed socket make the peer's kernel drop what it had received.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

/// Bytes of a refused body that are read to keep its connection: more than the largest manifest, so that the refusal of one
/// that is too large arrives.
const BYTES: u64 = 8 << 20;
/// For reading them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a body that is dropped early is put.
#[derive(Clone, Default)]
pub(super) struct Leftover(Arc<Mutex<Rest>>);

#[derive(Default)]
enum Rest {
    /// The body was read to its end, or is still being read.
    #[default]
    Nothing,
    /// There is more to read.
    Body(Incoming),
    /// The body is broken, or the client waits to be asked for it: nothing can be read.
    Lost,
}

impl Leftover {
    /// Keeps the rest of a body.
    pub(super) fn keep(&self, body: Incoming) {
        self.put(Rest::Body(body));
    }

    /// Notes that the rest of a body cannot be had.
    pub(super) fn lose(&self) {
        self.put(Rest::Lost);
    }

    fn put(&self, rest: Rest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }

    /// Reads what is left, for no longer than `stalled`; whether the connection can carry another request.
    pub(super) async fn settle(self, stalled: Duration) -> bool {
        let rest = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        match rest {
            Rest::Nothing => true,
            Rest::Lost => false,
            Rest::Body(body) => timeout(PATIENCE.min(stalled), discard(body))
                .await
                .unwrap_or(false),
        }
    }
}

/// Reads a body to its end; false when it is longer than [`BYTES`] or breaks.
async fn discard(mut body: Incoming) -> bool {
    let mut left = BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}
