use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::client::Body;
use tower::{BoxError, Service, ServiceExt};

use crate::MAX_RESPONSE_BYTES;

/// Carries one request to an API server and brings the whole answer back, at most [`MAX_RESPONSE_BYTES`] of it.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends a request whose URI is a path.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError>;
}

/// An API server in this process: any tower service that could stand behind [`kube::Client::new`].
/// The call runs in the caller's own task: no socket, no channel, no second task.
#[derive(Clone, Debug)]
pub struct InProcess<S>(S);

impl<S> InProcess<S> {
    /// Sends to `service`, which is cloned for every request.
    pub const fn new(service: S) -> Self {
        Self(service)
    }
}

#[async_trait]
impl<S, B> Transport for InProcess<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let response = self
            .0
            .clone()
            .oneshot(request.map(Body::from))
            .await
            .map_err(Into::into)?;
        collect(response).await
    }
}

/// An API server over the network, through kube's own client: TLS, connection pool, identity of a kubeconfig.
#[derive(Clone)]
pub struct Network(kube::Client);

impl Network {
    /// Sends through `client`, with whatever identity that client adds by itself.
    #[must_use]
    pub const fn new(client: kube::Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        collect(self.0.send(request.map(Body::from)).await?).await
    }
}

async fn collect<B>(response: Response<B>) -> Result<Response<Bytes>, BoxError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    // A body of one frame, as an API server in this process sends it, comes out as the same bytes without a copy.
    let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Whether `error` says that the answer went past [`MAX_RESPONSE_BYTES`].
pub(crate) fn is_too_large(error: &BoxError) -> bool {
    error.downcast_ref::<LengthLimitError>().is_some()
}
