//! Larger reads below TLS: rustls asks the socket for 4 KiB at a time, a quarter of a record, and each question is a system
//! call. Large uploads spend a sixth of their time on that.
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// Bytes asked of the socket at a time: four records of TLS. They are held only while they arrive.
const READ_BYTES: usize = 64 << 10;

/// A connection that is read in large pieces, whatever is asked for.
#[derive(Debug)]
pub(super) struct ReadAhead<T> {
    io: T,
    /// What was read and not asked for yet.
    held: BytesMut,
}

impl<T> ReadAhead<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            held: BytesMut::new(),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadAhead<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.held.is_empty() {
            this.held.reserve(READ_BYTES);
            let read = poll_read_buf(Pin::new(&mut this.io), cx, &mut this.held);
            if read.is_pending() {
                // An idle connection keeps no buffer.
                this.held = BytesMut::new();
            }
            ready!(read)?;
        }
        let length = this.held.len().min(buffer.remaining());
        buffer.put_slice(&this.held[..length]);
        this.held.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadAhead<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_come_in_order_and_none_are_kept_while_idle() {
        let (mut there, here) = tokio::io::duplex(1 << 20);
        let mut here = ReadAhead::new(here);
        let sent: Vec<u8> = (0..=250).cycle().take(300_000).collect();
        there.write_all(&sent).await.unwrap();
        let mut got = Vec::new();
        for size in [1, 5, 4096, 100_000].into_iter().cycle() {
            let mut piece = vec![0; size.min(sent.len() - got.len())];
            if piece.is_empty() {
                break;
            }
            let read = here.read(&mut piece).await.unwrap();
            assert!(read > 0);
            got.extend_from_slice(&piece[..read]);
        }
        assert_eq!(got, sent);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), here.read_u8()).await;
        assert!(waiting.is_err());
        assert_eq!(here.held.capacity(), 0);
        // Writes pass through, and the end is told.
        here.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        there.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
        drop(there);
        assert_eq!(here.read(&mut [0; 9]).await.unwrap(), 0);
    }
}
