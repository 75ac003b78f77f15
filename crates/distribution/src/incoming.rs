//! The body of a request, read no slower than the limits allow.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::Instant;

use crate::body::BodyError;
use crate::limits;

/// The body of a request.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body does not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("fewer than {} bytes arrived within {} s", limits::PROGRESS, .window.as_secs_f32())]
    Slow { window: Duration },
    #[error("the request body ended early: {0}")]
    Body(BodyError),
}

/// Reads a request body.
///
/// Within every window of time some bytes have to arrive, or the body its end: a client that sends a byte now and then
/// would otherwise keep its turn for ever.
pub(crate) struct Incoming {
    body: RequestBody,
    window: Duration,
    began: Instant,
    /// Bytes since `began`.
    arrived: usize,
}

impl Incoming {
    pub(crate) fn new(body: RequestBody, window: Duration) -> Self {
        Self {
            body,
            window,
            began: Instant::now(),
            arrived: 0,
        }
    }

    /// The next bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = tokio::time::timeout_at(self.began + self.window, self.body.frame())
                .await
                .map_err(|_| Error::Slow { window: self.window })?;
            let Some(frame) = frame else { return Ok(None) };
            // Trailers say nothing about content.
            let Ok(bytes) = frame.map_err(Error::Body)?.into_data() else {
                continue;
            };
            self.arrived += bytes.len();
            if self.arrived >= limits::PROGRESS {
                self.arrived = 0;
                self.began = Instant::now();
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    /// Everything up to the end of the body, or a little more than `limit` bytes of it; and whether that was the end.
    pub(crate) async fn prefix(&mut self, limit: usize) -> Result<(Bytes, bool), Error> {
        let Some(first) = self.next().await? else {
            return Ok((Bytes::new(), true));
        };
        if first.len() > limit {
            return Ok((first, false));
        }
        let Some(second) = self.next().await? else {
            return Ok((first, true));
        };
        let mut all = bytes::BytesMut::from(&first[..]);
        all.extend_from_slice(&second);
        while all.len() <= limit {
            match self.next().await? {
                Some(bytes) => all.extend_from_slice(&bytes),
                None => return Ok((all.freeze(), true)),
            }
        }
        Ok((all.freeze(), false))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    fn incoming(pieces: Vec<&'static [u8]>, pause: Duration) -> Incoming {
        let frames = stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(pause).await;
            Ok(Frame::data(Bytes::from_static(piece)))
        });
        Incoming::new(StreamBody::new(frames).boxed_unsync(), Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn the_beginning_of_a_body() {
        for (pieces, limit, want, ended) in [
            (vec![], 4, "", true),
            (vec![&b"ab"[..]], 4, "ab", true),
            (vec![b"ab", b"cd"], 4, "abcd", true),
            (vec![b"ab", b"cd", b"e", b"f"], 4, "abcde", false),
            (vec![b"abcde", b"f"], 4, "abcde", false),
        ] {
            let (got, end) = incoming(pieces.clone(), Duration::ZERO)
                .prefix(limit)
                .await
                .unwrap();
            assert_eq!((&got[..], end), (want.as_bytes(), ended), "{pieces:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_must_keep_coming() {
        let slow = |pieces: Vec<&'static [u8]>, seconds| async move {
            incoming(pieces, Duration::from_secs(seconds))
                .prefix(usize::MAX - 1)
                .await
        };
        const ENOUGH: &[u8] = &[0; limits::PROGRESS];
        assert!(slow(vec![b"a", b"b"], 20).await.is_ok());
        assert!(
            matches!(slow(vec![b"a"; 4], 20).await, Err(Error::Slow { .. })),
            "a trickle"
        );
        assert!(
            matches!(slow(vec![b"a"], 61).await, Err(Error::Slow { .. })),
            "silence"
        );
        assert!(slow(vec![ENOUGH; 10], 50).await.is_ok(), "slow, but not too slow");
    }
}
