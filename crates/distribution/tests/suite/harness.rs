//! A registry on a loopback port, and a plain HTTP client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use berth_blobs::{Driver, FilesystemConfig, FilesystemDriver, MemoryDriver};
use berth_distribution::plain::{Anonymous, PlainRepositories};
use berth_distribution::{Access, Config, Distribution, Repositories, RequestId};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

type RequestBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// A registry that listens until it is dropped.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    pub(crate) distribution: Distribution,
    pub(crate) driver: Arc<dyn Driver>,
    client: Client<HttpConnector, RequestBody>,
    _tasks: JoinSet<()>,
}

impl Registry {
    /// Serves a storage with the plain adapters.
    pub(crate) async fn plain(config: Config, driver: Arc<dyn Driver>) -> Self {
        let repositories = Arc::new(PlainRepositories::new(Arc::clone(&driver)));
        Self::with(config, driver, Arc::new(Anonymous), repositories).await
    }

    /// Serves a storage with any adapters.
    pub(crate) async fn with(
        config: Config,
        driver: Arc<dyn Driver>,
        access: Arc<dyn Access>,
        repositories: Arc<dyn Repositories>,
    ) -> Self {
        let distribution = Distribution::new(config, Arc::clone(&driver), access, repositories);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, distribution.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            distribution,
            driver,
            client,
            _tasks: tasks,
        }
    }

    pub(crate) async fn memory() -> Self {
        Self::plain(Config::default(), Arc::new(MemoryDriver::new())).await
    }

    pub(crate) async fn directory(config: Config, directory: &TempDir) -> Self {
        Self::plain(config, filesystem(directory)).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let body = Full::new(body.into())
            .map_err(|never: Infallible| match never {})
            .boxed_unsync();
        self.send_body(method, path, headers, body).await
    }

    /// Sends a body in pieces, without telling its length.
    pub(crate) async fn stream(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        pieces: Vec<Bytes>,
    ) -> Reply {
        let frames = stream::iter(pieces).map(|piece| Ok(Frame::data(piece)));
        self.send_body(method, path, headers, StreamBody::new(frames).boxed_unsync())
            .await
    }

    pub(crate) async fn send_body(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: RequestBody,
    ) -> Reply {
        let uri = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.address)
        };
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(body).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.send("HEAD", path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], "").await
    }

    /// Starts an upload and returns its location.
    pub(crate) async fn start(&self, name: &str) -> String {
        let reply = self
            .send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], "")
            .await;
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.header("location").to_owned()
    }

    /// Pushes a blob and returns its digest.
    pub(crate) async fn push_blob(&self, name: &str, content: impl Into<Bytes>) -> String {
        let content = content.into();
        let digest = sha256(&content);
        let reply = self
            .send(
                "POST",
                &format!("/v2/{name}/blobs/uploads/?digest={digest}"),
                &[],
                content,
            )
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
        digest
    }

    /// Pushes an image with one layer under a reference and returns its bytes.
    pub(crate) async fn push_image(&self, name: &str, reference: &str, seed: &str) -> Bytes {
        let manifest = self.image(name, seed).await;
        self.push_manifest(name, reference, &manifest).await;
        manifest
    }

    /// Pushes the blobs of an image, and returns its manifest.
    pub(crate) async fn image(&self, name: &str, seed: &str) -> Bytes {
        let config = format!("{{\"seed\":\"{seed}\"}}");
        let layer = format!("layer of {seed}");
        self.push_blob(name, config.clone()).await;
        self.push_blob(name, layer.clone()).await;
        bytes(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config.as_bytes()),
            "layers": [descriptor(OCI_LAYER, layer.as_bytes())],
        }))
    }

    /// Pushes a manifest that must be accepted.
    pub(crate) async fn push_manifest(&self, name: &str, reference: &str, manifest: &Bytes) -> Reply {
        let reply = self.put_manifest(name, reference, manifest).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply
    }

    pub(crate) async fn put_manifest(&self, name: &str, reference: &str, manifest: &Bytes) -> Reply {
        let parsed: Value = serde_json::from_slice(manifest).unwrap_or_default();
        let media_type = parsed["mediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned();
        let path = format!("/v2/{name}/manifests/{reference}");
        self.send("PUT", &path, &[("content-type", &media_type)], manifest.clone())
            .await
    }
}

async fn serve(listener: TcpListener, distribution: Distribution) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let distribution = distribution.clone();
        connections.spawn(async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let distribution = distribution.clone();
                request.extensions_mut().insert(RequestId("test-request".into()));
                async move { Ok::<_, Infallible>(distribution.call(request).await) }
            });
            // A client that goes away is no failure of the server.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

/// An answer, with its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of the first error in the body.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["errors"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Checks status and error code, and that the error names the request.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
        assert_eq!(
            self.json()["errors"][0]["detail"]["requestId"],
            "test-request",
            "{self:?}"
        );
    }
}

pub(crate) fn filesystem(directory: &TempDir) -> Arc<dyn Driver> {
    Arc::new(FilesystemDriver::open(&FilesystemConfig::new(directory.path())).unwrap())
}

/// Runs a test on a registry over each driver.
pub(crate) async fn on_every_driver(test: impl AsyncFn(Registry)) {
    on_every_driver_with(Config::default(), test).await;
}

/// Runs a test on a configured registry over each driver.
pub(crate) async fn on_every_driver_with(config: Config, test: impl AsyncFn(Registry)) {
    test(Registry::plain(config.clone(), Arc::new(MemoryDriver::new())).await).await;
    let directory = TempDir::new().unwrap();
    test(Registry::directory(config, &directory).await).await;
}

/// The digest of content, by another implementation than the registry's.
pub(crate) fn sha256(content: &[u8]) -> String {
    format!(
        "sha256:{}",
        hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content).as_ref())
    )
}

pub(crate) fn sha512(content: &[u8]) -> String {
    format!(
        "sha512:{}",
        hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, content).as_ref())
    )
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(content), "size": content.len() })
}

pub(crate) fn bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap().into()
}

/// Content that does not repeat.
pub(crate) fn noise(len: usize, seed: u32) -> Bytes {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect::<Vec<u8>>().into()
}

/// A request body that begins with some content and ends when the sender is dropped.
pub(crate) fn open_ended(content: Bytes) -> (RequestBody, oneshot::Sender<()>) {
    let (sender, dropped) = oneshot::channel::<()>();
    let end = stream::once(dropped).filter_map(async |_| None);
    let frames = stream::once(async { Ok(Frame::data(content)) }).chain(end);
    (StreamBody::new(frames).boxed_unsync(), sender)
}
