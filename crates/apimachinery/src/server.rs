//! [`ApiServer`]: requests in, answers out.
mod body;
mod builder;
mod call;
mod decode;
mod impersonate;
mod limits;
mod negotiate;
mod path;
mod query;
mod render;
mod root;
mod watch;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::body::Body;
pub use self::builder::{Builder, Version};
use self::call::Call;
pub use self::limits::{
    BODIES_IN_MEMORY, READS_IN_FLIGHT, REQUEST_TIMEOUT, SMALL_BODY, URI_LIMIT, WATCHES, WRITES_IN_FLIGHT,
};
use self::negotiate::Output;
use self::query::Query;
pub(crate) use self::render::respond;
use crate::access::{Attributes, Authorizer, Target};
use crate::admission::Admission;
use crate::context::{Context, Warnings};
use crate::discovery::Catalog;
use crate::health::Named;
use crate::identity::{Authenticator, UserInfo};
use crate::metrics::Metrics;
pub use crate::resource::BODY_LIMIT;
use crate::status::Status;

/// Serves paths that are no resources, such as `/openapi/v3` or `/oauth/authorize`.
#[async_trait]
pub trait RawHandler: Send + Sync + 'static {
    /// Answers a request to the path it was registered for, or below.
    ///
    /// # Errors
    /// A Status that the client shall see.
    async fn handle(
        &self,
        cx: &Context,
        request: &http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, Status>;

    /// Whether the path is open to everybody, without authentication and authorization, as a login page is.
    fn open(&self) -> bool {
        false
    }
}

/// An API server: a service from requests to answers, for a socket or for a client in the same process. Cheap to clone.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

pub(crate) struct Inner {
    catalog: Catalog,
    authenticator: Option<Arc<dyn Authenticator>>,
    authorizer: Option<Arc<dyn Authorizer>>,
    admission: Option<Arc<dyn Admission>>,
    raw: Vec<(String, Arc<dyn RawHandler>)>,
    checks: Vec<Named>,
    version: Version,
    metrics: Metrics,
    limits: limits::Limits,
    protobuf: crate::protobuf::Kinds,
    closing: CancellationToken,
}

impl ApiServer {
    /// A server to be put together.
    #[must_use]
    pub fn builder(version: Version) -> Builder {
        Builder::new(version)
    }

    /// Ends every watch and makes `/readyz` fail, so that connections drain.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let head = parts.method == Method::HEAD;
        if head {
            parts.method = Method::GET;
        }
        let request_id = request_id(&parts.headers);
        let warnings = Warnings::default();
        let exchange = Exchange {
            server: &self.0,
            parts: &parts,
            request_id: &request_id,
            warnings: &warnings,
        };
        let mut response = match tokio::time::timeout(REQUEST_TIMEOUT, exchange.answer(body)).await {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => render::status(exchange.output(), &status),
            Err(_) => {
                let status = Status::timeout("request did not complete within the allotted timeout");
                render::status(exchange.output(), &status)
            }
        };
        finish(response.headers_mut(), &request_id, &warnings);
        if head {
            let length = http_body::Body::size_hint(response.body()).exact();
            if let Some(length) = length {
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, length.into());
            }
            *response.body_mut() = Body::empty();
        }
        response
    }
}

impl<B> tower::Service<Request<B>> for ApiServer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.handle(request).await) })
    }
}

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken over from a client.
const REQUEST_ID_LIMIT: usize = 64;

/// The id that the client or a proxy gave the request, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(AUDIT_ID)
        .or_else(|| headers.get(REQUEST_ID))
        .and_then(|value| value.to_str().ok());
    match given {
        Some(id)
            if (1..=REQUEST_ID_LIMIT).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)) =>
        {
            id.to_owned()
        }
        _ => uuid::Uuid::new_v4().to_string(),
    }
}

fn finish(headers: &mut HeaderMap, request_id: &str, warnings: &Warnings) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(AUDIT_ID, id.clone());
        headers.insert(REQUEST_ID, id);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    for warning in warnings.take() {
        // Printable text only: what cannot be a header value is not worth failing for.
        let text = warning
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace(char::is_control, " ");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            headers.append(header::WARNING, value);
        }
    }
}

/// A request on its way.
pub(crate) struct Exchange<'a> {
    server: &'a Inner,
    parts: &'a http::request::Parts,
    request_id: &'a str,
    warnings: &'a Warnings,
}

impl<'a> Exchange<'a> {
    /// How errors are written.
    fn output(&self) -> Output {
        let query = Query::parse(self.parts.uri.query());
        let output = negotiate::negotiate(&self.parts.headers, negotiate::Offer::Plain, query.pretty());
        output.unwrap_or(Output::JSON)
    }

    async fn answer<B>(&self, body: B) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let uri = &self.parts.uri;
        if uri
            .path_and_query()
            .is_some_and(|path| path.as_str().len() > URI_LIMIT)
        {
            return Err(limits::uri_too_long());
        }
        let path = uri.path();
        let query = Query::parse(uri.query());
        if let Some(info) = path::parse(path)? {
            let call = Call::parse(self, info, query)?;
            return call.answer(body).await;
        }
        let raw = self
            .server
            .raw
            .iter()
            .find(|(prefix, _)| covers(prefix, path))
            .map(|(_, handler)| handler);
        if let Some(handler) = raw
            && handler.open()
        {
            let cx = self.context(Arc::new(UserInfo::anonymous()), query);
            let body = decode::read(body, BODY_LIMIT, &self.server.limits).await?;
            return handler.handle(&cx, self.parts, body.clone()).await;
        }
        let user = self.authenticate().await?;
        let verb = self.parts.method.as_str().to_ascii_lowercase();
        let attributes = Attributes {
            user: &user,
            verb: &verb,
            target: Target::Path(path),
        };
        self.authorize(&attributes).await?;
        match raw {
            Some(handler) => {
                let cx = self.context(Arc::clone(&user), query);
                let body = decode::read(body, BODY_LIMIT, &self.server.limits).await?;
                handler.handle(&cx, self.parts, body.clone()).await
            }
            None => self.root(path, &query).await,
        }
    }

    /// Who asks; after impersonation, the impersonated.
    async fn authenticate(&self) -> Result<Arc<UserInfo>, Status> {
        let user = match &self.server.authenticator {
            Some(authenticator) => authenticator.authenticate(self.parts).await?,
            None => None,
        };
        let user = user.unwrap_or_else(|| Arc::new(UserInfo::anonymous()));
        match impersonate::wanted(&self.parts.headers)? {
            Some(wanted) => self.impersonate(&user, wanted).await,
            None => Ok(user),
        }
    }

    async fn authorize(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        // Without an authorizer everything is allowed: that is for tests and for servers behind another one.
        let Some(authorizer) = &self.server.authorizer else {
            return Ok(());
        };
        let decision = authorizer.authorize(attributes).await;
        if decision.allowed {
            return Ok(());
        }
        if !decision.error.is_empty() {
            tracing::warn!(error = %decision.error, user = %attributes.user.name, "authorization incomplete");
        }
        Err(crate::authz::forbidden(attributes, &decision))
    }

    fn context(&self, user: Arc<UserInfo>, query: Query) -> Context {
        Context {
            user,
            namespace: None,
            verb: "",
            resource: None,
            subresource: String::new(),
            name: String::new(),
            request_id: self.request_id.to_owned(),
            dry_run: false,
            warnings: self.warnings.clone(),
            now: Timestamp::now(),
            field_manager: query.get("fieldManager").unwrap_or_default().to_owned(),
            query: query.0,
            admission: self.server.admission.clone(),
        }
    }
}

/// Whether a path is a prefix's own or below it.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}
