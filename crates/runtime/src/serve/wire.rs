//! The byte stream below HTTP: files sent by the kernel, and writers that notice a reader who stopped reading.
//!
//! hyper knows only buffers. To send a file without copying it through this process, the body yields slices of one static
//! [`PLACEHOLDER`]; hyper counts and frames them like any other bytes, and [`Plain`] recognises their address when it is
//! asked to write them, and lets `sendfile(2)` send that many bytes of the file at the head of the [`FileQueue`] instead.
//! HTTP/1.1 answers leave in order, so the head of the queue is always the file meant. Real data never lies inside the
//! placeholder, since nothing else refers to that memory.
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::outbound::SendFile;

/// Zeroes that are never sent; their address means "the next bytes of the queued file". They occupy no memory.
pub(super) static PLACEHOLDER: [u8; 1 << 20] = [0; 1 << 20];

fn is_placeholder(buffer: &[u8]) -> bool {
    let start = PLACEHOLDER.as_ptr() as usize;
    (start..start + PLACEHOLDER.len()).contains(&(buffer.as_ptr() as usize))
}

/// The files whose placeholders were handed to hyper, in the order of their answers.
#[derive(Clone, Default)]
pub(super) struct FileQueue(Arc<Mutex<VecDeque<SendFile>>>);

impl FileQueue {
    pub(super) fn push(&self, file: SendFile) {
        // The kernel reads ahead more when it knows that everything will be wanted; without it a cold file is read in
        // small steps while a worker thread waits.
        let length = std::num::NonZeroU64::new(file.length);
        let _ = rustix::fs::fadvise(&file.file, file.offset, length, rustix::fs::Advice::Sequential);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(file);
    }
}

/// A plain TCP connection.
pub(super) struct Plain {
    tcp: TcpStream,
    files: FileQueue,
}

impl Plain {
    pub(super) fn new(tcp: TcpStream, files: FileQueue) -> Self {
        Self { tcp, files }
    }

    fn poll_send_file(&self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            let mut files = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(file) = files.front_mut() else {
                return Poll::Ready(Err(io::Error::other("a placeholder without its file")));
            };
            let wanted = wanted.min(usize::try_from(file.length).unwrap_or(usize::MAX));
            let sent = self.tcp.try_io(Interest::WRITABLE, || {
                Ok(rustix::fs::sendfile(
                    &self.tcp,
                    &file.file,
                    Some(&mut file.offset),
                    wanted,
                )?)
            });
            match sent {
                Ok(0) => {
                    let error =
                        io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was");
                    return Poll::Ready(Err(error));
                }
                Ok(sent) => {
                    file.length -= sent as u64;
                    if file.length == 0 {
                        files.pop_front();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if is_placeholder(buffer) {
            return self.poll_send_file(cx, buffer.len());
        }
        Pin::new(&mut self.tcp).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let start = buffers.iter().position(|buffer| !buffer.is_empty()).unwrap_or(0);
        let buffers = &buffers[start..];
        let real = buffers
            .iter()
            .position(|buffer| is_placeholder(buffer))
            .unwrap_or(buffers.len());
        match buffers.first() {
            Some(first) if real == 0 => self.poll_send_file(cx, first.len()),
            _ => Pin::new(&mut self.tcp).poll_write_vectored(cx, &buffers[..real]),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Fails a write that could not make progress for `patience`: a reader that stopped reading must not hold a connection,
/// its buffers and an open file for ever.
pub(super) struct Stalling<T> {
    io: T,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<T> Stalling<T> {
    pub(super) fn new(io: T, patience: Duration) -> Self {
        Self {
            io,
            patience,
            timer: None,
            waiting: false,
        }
    }

    fn observe<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + patience);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client took nothing for {patience:?}"),
        )))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stalling<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stalling<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buffer);
        self.observe(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, buffers);
        self.observe(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.observe(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(cx);
        self.observe(cx, closed)
    }
}
