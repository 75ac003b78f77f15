//! The whole registry as one service: the distribution protocol with OpenShift's routes around it.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use berth_blobs::Driver;
use berth_client::Client;
use berth_distribution::{Access, Body, Caller, Distribution, Operation, Refusal, RequestId, Scheme};
use berth_oci::{ErrorCode, RepositoryName};
use berth_runtime::serve::Peer;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use tracing::{Instrument as _, error_span};

use crate::{
    Config,
    access::Gate,
    admin,
    decision::{Object, Right},
    exchange::{Exchange, ResponseBody, given_id},
    fresh::Sequence,
    health::Health,
    limiter::Limiter,
    metrics::{Measured, Metrics},
    refuse,
    repositories::ImageStreams,
    signature, token,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const SUPPORTS_SIGNATURES: HeaderName = HeaderName::from_static("x-registry-supports-signatures");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The registry of a cluster. Cheap to clone; every clone is the same registry.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    gate: Arc<Gate>,
    distribution: Distribution,
    driver: Arc<dyn Driver>,
    client: Client,
    health: Health,
    reads: Limiter,
    writes: Limiter,
    metrics: Metrics,
    sequence: Sequence,
    config: Config,
}

impl Registry {
    /// A registry over the blobs of `driver` and the API behind `client`, whose own identity is the registry's.
    ///
    /// It does nothing until it is asked, except for [`Distribution`]'s purge, which its owner runs.
    pub fn new(
        config: Config,
        protocol: berth_distribution::Config,
        driver: Arc<dyn Driver>,
        client: Client,
    ) -> Self {
        let gate = Arc::new(Gate::new(&client, &config));
        let build = (
            env!("CARGO_PKG_VERSION"),
            option_env!("BERTH_COMMIT").unwrap_or("unknown"),
        );
        let metrics = Metrics::new("filesystem", build, Arc::clone(&gate));
        let driver: Arc<dyn Driver> = if config.metrics {
            Arc::new(Measured::new(driver, metrics.clone()))
        } else {
            driver
        };
        let streams = Arc::new(ImageStreams::new(
            &client,
            Arc::clone(&gate),
            &config,
            Arc::clone(&driver),
            metrics.clone(),
        ));
        let access: Arc<dyn Access> = Arc::clone(&gate) as Arc<dyn Access>;
        Self(Arc::new(Inner {
            distribution: Distribution::new(protocol, Arc::clone(&driver), access, streams),
            health: Health::new(client.clone(), Arc::clone(&driver)),
            reads: Limiter::new(config.reads),
            writes: Limiter::new(config.writes),
            sequence: Sequence::new(),
            gate,
            driver,
            client,
            metrics,
            config,
        }))
    }

    /// The protocol below, whose purge of abandoned uploads is to be run.
    #[must_use]
    pub fn distribution(&self) -> &Distribution {
        &self.0.distribution
    }

    /// Says that the process is about to stop: `/readyz` fails from now on, everything else works as before.
    pub fn drain(&self) {
        self.0.health.drain();
    }

    /// Serves one request.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let inner = &self.0;
        let (mut head, body) = request.into_parts();
        let id = given_id(&head.headers)
            .unwrap_or_else(|| RequestId(format!("{:016x}", inner.sequence.next()).into()));
        let tls = head.extensions.get::<Peer>().is_some_and(|peer| peer.tls);
        head.extensions
            .insert(if tls { Scheme::Https } else { Scheme::Http });
        head.extensions.insert(id.clone());
        let mut exchange = Exchange::begin(&head, id.clone(), &inner.metrics, inner.config.access_log);
        head.extensions.insert(exchange.who());
        let span = error_span!("request", id = id.as_str());
        let mut response = inner
            .dispatch(head, body, &mut exchange, &id)
            .instrument(span)
            .await;
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        exchange.answer(response)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl<B> tower::Service<Request<B>> for Registry
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let registry = self.clone();
        Box::pin(async move { Ok(registry.serve(request).await) })
    }
}

/// The routes beside the protocol's own.
#[derive(Debug, PartialEq, Eq)]
enum Extension {
    Token,
    Metrics,
    Signatures { name: RepositoryName, digest: String },
    AdminBlob { digest: String },
}

impl Extension {
    /// What a path names; none for the protocol's paths and for those that nothing serves.
    fn parse(path: &str) -> Option<Self> {
        if path.starts_with(token::PATH) {
            return Some(Self::Token);
        }
        let path = percent_decode_str(path).decode_utf8().ok()?;
        if path == "/extensions/v2/metrics" {
            return Some(Self::Metrics);
        }
        if let Some(digest) = path.strip_prefix("/admin/blobs/") {
            return (!digest.is_empty() && !digest.contains('/')).then(|| Self::AdminBlob {
                digest: digest.to_owned(),
            });
        }
        let (name, digest) = path
            .strip_prefix("/extensions/v2/")?
            .rsplit_once("/signatures/")?;
        let name = name
            .parse()
            .ok()
            .filter(|_| !digest.is_empty() && !digest.contains('/'))?;
        Some(Self::Signatures {
            name,
            digest: digest.to_owned(),
        })
    }
}

impl Inner {
    async fn dispatch<B>(
        &self,
        head: Parts,
        body: B,
        exchange: &mut Exchange,
        id: &RequestId,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match head.uri.path() {
            "/" | "/healthz" | "/livez" => {
                exchange.mark_probe();
                return Health::live();
            }
            "/readyz" => {
                exchange.mark_probe();
                return self.health.ready().await;
            }
            _ => {}
        }
        let reads = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let limiter = if reads { &self.reads } else { &self.writes };
        let mut response = match limiter.enter().await {
            Err(refusal) => refusal.response(Some(id)),
            Ok(place) => {
                exchange.hold(place);
                self.route(head, exchange.count(body), id).await
            }
        };
        response
            .headers_mut()
            .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        response
    }

    async fn route<B>(&self, head: Parts, body: B, id: &RequestId) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = head.uri.path();
        if path == "/v2" || path.starts_with("/v2/") {
            let mut response = self.distribution.call(Request::from_parts(head, body)).await;
            response
                .headers_mut()
                .insert(SUPPORTS_SIGNATURES, HeaderValue::from_static("1"));
            return response;
        }
        let Some(extension) = Extension::parse(path) else {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        let served = match extension {
            Extension::Token => token::serve(&self.gate, &head).await,
            Extension::Metrics => self.metrics(&head).await,
            Extension::Signatures { name, digest } => self.signatures(&head, body, &name, &digest).await,
            Extension::AdminBlob { digest } => self.admin(&head, &digest).await,
        };
        served.unwrap_or_else(|refusal| refusal.response(Some(id)))
    }

    /// `GET /extensions/v2/metrics`: for whoever knows the secret, and for whoever may get `registry/metrics`.
    async fn metrics(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        if !self.config.metrics {
            return Ok(text(StatusCode::NOT_FOUND, "404 page not found\n"));
        }
        if head.method != Method::GET {
            return Ok(method_not_allowed("GET"));
        }
        let caller = match self.metrics_secret(head) {
            Some(caller) => caller,
            None => {
                self.gate
                    .admit(head, &[(Right::Metrics, Object::CLUSTER)])
                    .await?
            }
        };
        let (content_type, metrics) = self.metrics.encode(&head.headers).map_err(|error| {
            Refusal::of(
                ErrorCode::Unknown,
                format!("the metrics could not be written: {error}"),
            )
        })?;
        let mut response = Response::new(Body::full(metrics));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        Ok(by(caller, response))
    }

    fn metrics_secret(&self, head: &Parts) -> Option<Caller> {
        use crate::credentials::Credentials;
        let secret = self.config.metrics_secret.as_ref()?;
        match Credentials::of(&head.headers) {
            Credentials::Token(token) if secret.matches(token.expose()) => {
                Some(Caller::new("metrics secret", ()))
            }
            _ => None,
        }
    }

    /// `/extensions/v2/<name>/signatures/<digest>`.
    async fn signatures<B>(
        &self,
        head: &Parts,
        body: B,
        name: &RepositoryName,
        digest: &str,
    ) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let write = match head.method {
            Method::GET => false,
            Method::PUT => true,
            _ => return Ok(method_not_allowed("GET, PUT")),
        };
        let Some((namespace, stream)) = name.pair() else {
            self.gate.admit(head, &[]).await?;
            return Err(refuse::not_two_parts(name.as_str()));
        };
        let object = Object {
            namespace,
            name: stream,
        };
        let rights = [
            (Right::Sign, object),
            (Right::Pull, object),
            (Right::Push, object),
        ];
        let rights = if write { &rights[..] } else { &rights[1..2] };
        let caller = self.gate.admit(head, rights).await?;
        let response = if write {
            signature::add(&self.client, &caller, name, digest, body).await?
        } else {
            match signature::list(&self.client, name, digest).await {
                // Not every manifest of a repository has an Image: another registry may have stored it.
                Err(refusal)
                    if refusal.status == StatusCode::NOT_FOUND && self.holds(head, name, digest).await =>
                {
                    signature::none()
                }
                listed => listed?,
            }
        };
        Ok(by(caller, response))
    }

    /// Whether the repository holds a manifest, for whoever sent `head`: the protocol itself says so.
    async fn holds(&self, head: &Parts, name: &RepositoryName, digest: &str) -> bool {
        let mut request = Request::new(http_body_util::Empty::<Bytes>::new());
        *request.method_mut() = Method::HEAD;
        let Ok(uri) = format!("/v2/{name}/manifests/{digest}").parse() else {
            return false;
        };
        *request.uri_mut() = uri;
        if let Some(authorization) = head.headers.get(header::AUTHORIZATION) {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, authorization.clone());
        }
        for kind in berth_oci::Kind::ALL {
            request
                .headers_mut()
                .append(header::ACCEPT, HeaderValue::from_static(kind.media_type()));
        }
        self.distribution.call(request).await.status() == StatusCode::OK
    }

    /// `DELETE /admin/blobs/<digest>`.
    async fn admin(&self, head: &Parts, digest: &str) -> Result<Response<Body>, Refusal> {
        if head.method != Method::DELETE {
            return Ok(method_not_allowed("DELETE"));
        }
        let caller = self.gate.admit(head, &[(Right::Prune, Object::CLUSTER)]).await?;
        let mut response =
            admin::delete_blob(&*self.driver, &self.distribution, caller.name(), digest).await?;
        response.extensions_mut().insert(Operation("BlobStore.Delete"));
        Ok(by(caller, response))
    }
}

/// The response with its caller, for the access log.
fn by(caller: Caller, mut response: Response<Body>) -> Response<Body> {
    response.extensions_mut().insert(caller);
    response
}

fn text(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(words));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}

/// A method that the route does not know.
pub(crate) fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_beside_the_protocol() {
        let signatures = |name: &str, digest: &str| {
            Some(Extension::Signatures {
                name: name.parse().expect("a name"),
                digest: digest.to_owned(),
            })
        };
        for (path, want) in [
            ("/openshift/token", Some(Extension::Token)),
            ("/openshift/token/", Some(Extension::Token)),
            ("/openshift/tokens", Some(Extension::Token)),
            ("/openshift", None),
            ("/extensions/v2/metrics", Some(Extension::Metrics)),
            ("/extensions/v2/metrics/", None),
            (
                "/extensions/v2/ns/app/signatures/sha256:0",
                signatures("ns/app", "sha256:0"),
            ),
            (
                "/extensions/v2/ns/app/signatures/sha256%3A0",
                signatures("ns/app", "sha256:0"),
            ),
            ("/extensions/v2/a/b/c/signatures/d", signatures("a/b/c", "d")),
            (
                "/extensions/v2/signatures/signatures/signatures/x",
                signatures("signatures/signatures", "x"),
            ),
            ("/extensions/v2/Ns/app/signatures/d", None),
            ("/extensions/v2/ns/app/signatures/", None),
            ("/extensions/v2/ns/app/signatures", None),
            (
                "/admin/blobs/sha256:0",
                Some(Extension::AdminBlob {
                    digest: "sha256:0".to_owned(),
                }),
            ),
            ("/admin/blobs/", None),
            ("/admin/blobs/a/b", None),
            ("/v3/x", None),
            ("/%ff", None),
        ] {
            assert_eq!(Extension::parse(path), want, "{path}");
        }
    }
}
