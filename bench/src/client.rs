//! One client: a connection that is kept, and the requests that registry clients make over it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::Over;
use crate::content::{Blob, Image};
use crate::server::Server;

/// What clients accept as a manifest.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json,application/vnd.oci.image.index.v1+json,\
    application/vnd.docker.distribution.manifest.v2+json,application/vnd.docker.distribution.manifest.list.v2+json";

/// A request body.
pub(crate) enum Payload {
    Empty,
    Whole(Option<Bytes>),
    /// Of a length that is not announced, so that it goes in chunks.
    Stream(Box<dyn Iterator<Item = Bytes> + Send>),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match self.get_mut() {
            Self::Empty => None,
            Self::Whole(bytes) => bytes.take(),
            Self::Stream(frames) => frames.next(),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty | Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// What is of interest in an answer.
struct Answer {
    status: StatusCode,
    location: Option<Uri>,
    bytes: u64,
    /// The digest of the body, if it was asked for.
    digest: Option<String>,
}

/// A client with one connection.
pub(crate) struct Client {
    sender: SendRequest<Payload>,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    /// The connection's task; it ends with the client.
    _connection: JoinSet<()>,
}

impl Client {
    /// Connects to a server.
    pub(crate) async fn connect(server: &Server, over: Over) -> Result<Self> {
        let address = server.address(over).context("the server does not listen there")?;
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let mut connection = JoinSet::new();
        let sender = match over {
            Over::Plain => {
                let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
                connection.spawn(async move { _ = driver.await });
                sender
            }
            Over::Tls => {
                let name =
                    rustls_pki_types::ServerName::try_from("127.0.0.1").context("an address is a name")?;
                let tls = TlsConnector::from(Arc::clone(&server.tls))
                    .connect(name, stream)
                    .await?;
                let (sender, driver) = http1::handshake(TokioIo::new(tls)).await?;
                connection.spawn(async move { _ = driver.await });
                sender
            }
        };
        let host = HeaderValue::from_str(address)?;
        Ok(Self {
            sender,
            host,
            authorization: server.authorization.clone(),
            _connection: connection,
        })
    }

    async fn send(&mut self, request: http::request::Builder, body: Payload, hashed: bool) -> Result<Answer> {
        let mut request: Request<Payload> = request.header(header::HOST, self.host.clone()).body(body)?;
        if let Some(authorization) = &self.authorization {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, authorization.clone());
        }
        let what = format!("{} {}", request.method(), request.uri());
        self.sender
            .ready()
            .await
            .context("the server closed the connection")?;
        let answer = self
            .sender
            .send_request(request)
            .await
            .with_context(|| what.clone())?;
        let (head, mut body) = answer.into_parts();
        let mut bytes = 0;
        let mut hash = hashed.then(Sha256::new);
        let mut refusal = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.with_context(|| what.clone())?.into_data() else {
                continue;
            };
            bytes += data.len() as u64;
            if let Some(hash) = &mut hash {
                hash.update(&data);
            }
            if head.status.is_client_error() || head.status.is_server_error() {
                refusal.extend_from_slice(&data[..data.len().min(500)]);
            }
        }
        if head.status.is_server_error()
            || (head.status.is_client_error() && head.status != StatusCode::NOT_FOUND)
        {
            bail!(
                "{what} was answered with {}: {}",
                head.status,
                String::from_utf8_lossy(&refusal)
            );
        }
        let location = head
            .headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok()?.parse().ok());
        let digest = hash.map(|hash| format!("sha256:{}", hex::encode(hash.finalize())));
        Ok(Answer {
            status: head.status,
            location,
            bytes,
            digest,
        })
    }

    /// `GET` of a manifest that exists, by tag or digest; returns its size.
    pub(crate) async fn manifest(&mut self, repository: &str, reference: &str) -> Result<u64> {
        let request =
            Request::get(format!("/v2/{repository}/manifests/{reference}")).header(header::ACCEPT, ACCEPT);
        let answer = self.send(request, Payload::Empty, false).await?;
        ensure!(
            answer.status == StatusCode::OK,
            "a manifest was answered with {}",
            answer.status
        );
        Ok(answer.bytes)
    }

    /// `HEAD` of a blob; returns whether it exists.
    pub(crate) async fn has_blob(&mut self, repository: &str, digest: &str) -> Result<bool> {
        let request = Request::builder()
            .method(Method::HEAD)
            .uri(format!("/v2/{repository}/blobs/{digest}"));
        let answer = self.send(request, Payload::Empty, false).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => bail!("HEAD of a blob was answered with {status}"),
        }
    }

    /// `GET` of a blob, whose size is checked and, if `verify` is set, its digest.
    pub(crate) async fn blob(&mut self, repository: &str, blob: &Blob, verify: bool) -> Result<u64> {
        let request = Request::get(format!("/v2/{repository}/blobs/{}", blob.digest));
        let answer = self.send(request, Payload::Empty, verify).await?;
        ensure!(
            answer.status == StatusCode::OK,
            "a blob was answered with {}",
            answer.status
        );
        ensure!(
            answer.bytes == blob.size,
            "a blob of {} bytes came with {}",
            blob.size,
            answer.bytes
        );
        if let Some(digest) = answer.digest {
            ensure!(digest == blob.digest, "a blob came with the digest {digest}");
        }
        Ok(answer.bytes)
    }

    /// A pull: the manifest by tag, the config and every layer.
    pub(crate) async fn pull(
        &mut self,
        repository: &str,
        tag: &str,
        image: &Image,
        verify: bool,
    ) -> Result<u64> {
        let mut bytes = self.manifest(repository, tag).await?;
        ensure!(
            bytes == image.manifest.len() as u64,
            "a manifest came with {bytes} bytes"
        );
        bytes += self.blob(repository, &image.config, verify).await?;
        for layer in &image.layers {
            bytes += self.blob(repository, layer, verify).await?;
        }
        Ok(bytes)
    }

    /// A push as podman does it: for every blob HEAD, POST, one streamed PATCH, PUT; then the manifest.
    pub(crate) async fn push(&mut self, repository: &str, tag: &str, image: &Image) -> Result<u64> {
        for blob in image.blobs() {
            if !self.has_blob(repository, &blob.digest).await? {
                self.upload(repository, blob).await?;
            }
        }
        let request = Request::put(format!("/v2/{repository}/manifests/{tag}"))
            .header(header::CONTENT_TYPE, berth_testkit::image::MANIFEST);
        let answer = self
            .send(request, Payload::Whole(Some(image.manifest.clone())), false)
            .await?;
        ensure!(
            answer.status == StatusCode::CREATED,
            "PUT of a manifest was answered with {}",
            answer.status
        );
        Ok(image.size())
    }

    async fn upload(&mut self, repository: &str, blob: &Blob) -> Result<()> {
        let request = Request::post(format!("/v2/{repository}/blobs/uploads/"));
        let answer = self
            .send(request, Payload::Whole(Some(Bytes::new())), false)
            .await?;
        let location = next_location(&answer, "POST")?;
        let request = Request::patch(location).header(header::CONTENT_TYPE, "application/octet-stream");
        let answer = self
            .send(request, Payload::Stream(Box::new(blob.frames())), false)
            .await?;
        let location = next_location(&answer, "PATCH")?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let digest = blob.digest.replace(':', "%3A");
        let request = Request::put(format!("{location}{separator}digest={digest}"))
            .header(header::CONTENT_TYPE, "application/octet-stream");
        let answer = self
            .send(request, Payload::Whole(Some(Bytes::new())), false)
            .await?;
        ensure!(
            answer.status == StatusCode::CREATED,
            "PUT of a blob was answered with {}",
            answer.status
        );
        Ok(())
    }
}

/// Where an upload goes on: the path and query of an absolute or relative `Location`.
fn next_location(answer: &Answer, what: &str) -> Result<String> {
    ensure!(
        answer.status == StatusCode::ACCEPTED,
        "{what} of an upload was answered with {}",
        answer.status
    );
    let location = answer.location.as_ref().and_then(Uri::path_and_query);
    location
        .map(ToString::to_string)
        .with_context(|| format!("{what} of an upload was answered without a location"))
}
