//! The HTTP listener: accepts, speaks TLS, bounds what one peer can hold, and drains.
//!
//! HTTP/1.1 on plain connections, HTTP/2 or HTTP/1.1 over TLS. Every request carries a [`Peer`] in its extensions; a
//! response that carries a [`SendFile`] is sent by the kernel where the connection allows it.
mod connections;
mod inbound;
mod leftover;
mod outbound;
mod read_ahead;
mod wire;

use std::{convert::Infallible, error::Error as StdError, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service;
use tracing::{debug, warn};

use self::{
    connections::{Connections, Slot},
    leftover::Leftover,
    outbound::Outbound,
    read_ahead::ReadAhead,
    wire::{FileQueue, Plain, Stalling},
};
pub use self::{
    inbound::{Inbound, InboundError},
    outbound::SendFile,
};
use crate::Stop;

/// What one listener grants its peers. Every limit is listed in docs/limits.md.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections; beyond it the one that has been idle longest is closed to make room.
    pub connections: usize,
    /// For a TLS handshake to complete.
    pub handshake: Duration,
    /// For a request's head to arrive, and for how long an HTTP/1.1 connection may wait for its next request.
    pub head: Duration,
    /// For a body to arrive, or a response to be taken, without a single byte of progress.
    pub stalled: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            stalled: Duration::from_secs(60),
            head_bytes: 64 * 1024,
            headers: 100,
            streams: 128,
        }
    }
}

/// Bytes that an HTTP/2 client may send ahead on one stream, and on one connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes that wait on one HTTP/2 stream for a client that reads slowly.
const SEND_BUFFER: usize = 256 * 1024;
const FRAME_BYTES: u32 = 64 * 1024;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before accepting again when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of a request's connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The client certificate chain, leaf first, DER; verified by the handshake. Empty when none was shown.
    pub certificates: Arc<[Vec<u8>]>,
}

type BoxError = Box<dyn StdError + Send + Sync>;

/// Serves `service` on `listener` until `stop`, then lets the requests in flight finish.
///
/// # Errors
/// When the listener's own address cannot be read; a connection's failure ends that connection only.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    service: S,
    stop: Stop,
) -> io::Result<()>
where
    S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let local = listener.local_addr()?;
    let tls = tls.map(TlsAcceptor::from);
    let limits = Arc::new(limits);
    let connections = Connections::new(limits.connections);
    let mut running = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.stopped() => break,
            Some(_) = running.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a peer that was gone before we looked: neither ends the listener.
                warn!(%error, "accepting a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = connections.admit() else {
            warn!(%address, "every connection is busy; a new one is turned away");
            continue;
        };
        let connection = Connection {
            address,
            local,
            tls: tls.clone(),
            limits: limits.clone(),
            slot,
            stop: stop.clone(),
        };
        running.spawn(connection.run(stream, service.clone()));
    }
    drop(listener);
    while running.join_next().await.is_some() {}
    Ok(())
}

struct Connection {
    address: SocketAddr,
    local: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Arc<Limits>,
    slot: Slot,
    stop: Stop,
}

impl Connection {
    async fn run<S, B>(self, stream: TcpStream, service: S)
    where
        S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Answers are small and clients wait for them: Nagle's algorithm only adds delay.
        let _ = stream.set_nodelay(true);
        let address = self.address;
        let ended = match self.tls.clone() {
            None => self.plain(stream, service).await,
            Some(acceptor) => {
                let handshake = tokio::select! {
                    handshake = timeout(self.limits.handshake, acceptor.accept(ReadAhead::new(stream))) => handshake,
                    () = self.slot.evicted() => return,
                    () = self.stop.stopped() => return,
                };
                match handshake {
                    Ok(Ok(stream)) => self.encrypted(stream, service).await,
                    Ok(Err(error)) => return debug!(%address, %error, "TLS handshake failed"),
                    Err(_) => return debug!(%address, "TLS handshake took too long"),
                }
            }
        };
        if let Err(error) = ended {
            debug!(%address, %error, "connection ended");
        }
    }

    fn peer(&self, tls: bool, certificates: Vec<Vec<u8>>) -> Peer {
        Peer {
            address: self.address,
            local: self.local,
            tls,
            certificates: certificates.into(),
        }
    }

    async fn plain<S, B>(self, stream: TcpStream, service: S) -> Result<(), hyper::Error>
    where
        S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let files = FileQueue::default();
        let peer = self.peer(false, Vec::new());
        let io = Stalling::new(Plain::new(stream, files.clone()), self.limits.stalled);
        self.http1(TokioIo::new(io), peer, Some(files), service).await
    }

    async fn encrypted<S, B>(
        self,
        stream: tokio_rustls::server::TlsStream<ReadAhead<TcpStream>>,
        service: S,
    ) -> Result<(), hyper::Error>
    where
        S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let session = stream.get_ref().1;
        let two = session.alpn_protocol() == Some(b"h2");
        let certificates = session
            .peer_certificates()
            .map(|chain| chain.iter().map(|certificate| certificate.to_vec()).collect())
            .unwrap_or_default();
        let peer = self.peer(true, certificates);
        let io = TokioIo::new(Stalling::new(stream, self.limits.stalled));
        if two {
            self.http2(io, peer, service).await
        } else {
            self.http1(io, peer, None, service).await
        }
    }

    async fn http1<I, S, B>(
        self,
        io: I,
        peer: Peer,
        files: Option<FileQueue>,
        service: S,
    ) -> Result<(), hyper::Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
        S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = self.adapt(peer, files, service);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(self.limits.head_bytes)
            .max_headers(self.limits.headers)
            // File placeholders must reach the wire as they are, so buffers are queued and never copied together.
            .writev(true)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.asked_to_end() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }

    async fn http2<I, S, B>(self, io: I, peer: Peer, service: S) -> Result<(), hyper::Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
        S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = self.adapt(peer, None, service);
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.asked_to_end() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }

    async fn asked_to_end(&self) {
        tokio::select! {
            () = self.stop.stopped() => {}
            () = self.slot.evicted() => {}
        }
    }

    /// Turns the service into what hyper calls: bodies that notice a stall, a busy mark, files on their way.
    fn adapt<S, B>(
        &self,
        peer: Peer,
        files: Option<FileQueue>,
        service: S,
    ) -> impl hyper::service::Service<
        Request<hyper::body::Incoming>,
        Response = Response<Outbound<B>>,
        Error = Infallible,
        Future: Send,
    > + use<S, B>
    where
        S: Service<Request<Inbound>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let stalled = self.limits.stalled;
        let activity = self.slot.activity();
        hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            let busy = activity.begin();
            let leftover = leftover_of(&request);
            let asks = request.headers().contains_key(header::EXPECT);
            let mut request = request.map(|body| match leftover.clone() {
                Some(leftover) => Inbound::new(body, stalled).leaving(leftover, asks),
                None => Inbound::new(body, stalled),
            });
            request.extensions_mut().insert(peer.clone());
            let mut service = service.clone();
            let files = files.clone();
            async move {
                if let Err(never) = std::future::poll_fn(|cx| service.poll_ready(cx)).await {
                    match never {}
                }
                let head = request.method() == http::Method::HEAD;
                let mut response = service.call(request).await?;
                if let Some(leftover) = leftover
                    && !leftover.settle(stalled).await
                {
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(Outbound::wrap(response, files.filter(|_| !head), busy))
            }
        })
    }
}

/// A place for what is left of a request's body, where it has one and the next request comes behind it.
fn leftover_of(request: &Request<hyper::body::Incoming>) -> Option<Leftover> {
    let shares_its_connection = request.version() < Version::HTTP_2;
    (shares_its_connection && !request.body().is_end_stream()).then(Leftover::default)
}
