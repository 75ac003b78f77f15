//! One request from its arrival to the last byte of its answer: what is counted and what the access log says of it.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use berth_distribution::{
    Body, Caller, FileRegion, Operation, Refused, RequestId,
    body::BodyError,
    route::{self, Route},
};
use berth_runtime::serve::{Peer, SendFile};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri, header, request::Parts};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::{
    identity::Identity,
    limiter::Place,
    metrics::{Finished, InFlight, Metrics},
};

/// The status that stands for a client that went before it had its answer.
const CLIENT_GONE: u16 = 499;
/// The longest text of a header or a query that goes into the log, in bytes.
const LOGGED_BYTES: usize = 512;

/// A request that is being served. Dropping it ends it: the counters move and the access log gets its line.
pub(crate) struct Exchange {
    started: Instant,
    id: RequestId,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
    remote: String,
    metrics: Metrics,
    _in_flight: InFlight,
    place: Option<Place>,
    received: Arc<AtomicU64>,
    log: bool,
    /// A probe of this process's health: neither counted nor worth a line at the usual level.
    probe: bool,
    status: u16,
    answer_type: Option<HeaderValue>,
    operation: Option<&'static str>,
    caller: Option<Caller>,
    who: Who,
    refused: Option<Refused>,
    sent: u64,
    /// Bytes that the kernel sends without passing through here.
    by_kernel: Option<u64>,
}

impl Exchange {
    pub(crate) fn begin(head: &Parts, id: RequestId, metrics: &Metrics, log: bool) -> Self {
        let header = |name| head.headers.get(name).cloned();
        Self {
            started: Instant::now(),
            id,
            method: head.method.clone(),
            uri: head.uri.clone(),
            host: header(header::HOST),
            user_agent: header(header::USER_AGENT),
            referer: header(header::REFERER),
            content_type: header(header::CONTENT_TYPE),
            remote: if log { remote(head) } else { String::new() },
            metrics: metrics.clone(),
            _in_flight: metrics.begin(),
            place: None,
            received: Arc::default(),
            log,
            probe: false,
            status: CLIENT_GONE,
            answer_type: None,
            operation: None,
            caller: None,
            who: Who::default(),
            refused: None,
            sent: 0,
            by_kernel: None,
        }
    }

    /// Where the gate says who the sender is, also of a request that it refuses.
    pub(crate) fn who(&self) -> Who {
        self.who.clone()
    }

    /// Holds a place among the running requests until the answer is sent.
    pub(crate) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }

    pub(crate) const fn mark_probe(&mut self) {
        self.probe = true;
    }

    /// The body of the request, counted as it is read.
    pub(crate) fn count<B>(&self, body: B) -> Counted<B> {
        Counted {
            body,
            received: Arc::clone(&self.received),
        }
    }

    /// The answer, which ends this exchange when it is sent.
    pub(crate) fn answer(mut self, mut response: Response<Body>) -> Response<ResponseBody> {
        self.metrics.header_written(self.started.elapsed());
        self.status = response.status().as_u16();
        self.answer_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let extensions = response.extensions_mut();
        self.caller = extensions.remove::<Caller>();
        self.refused = extensions.remove::<Refused>();
        self.operation = extensions.remove::<Operation>().map(|operation| operation.0);
        if let Some(FileRegion {
            file,
            offset,
            len: length,
        }) = extensions.remove::<FileRegion>()
        {
            self.by_kernel = Some(length);
            extensions.insert(SendFile { file, offset, length });
        }
        response.map(|body| ResponseBody {
            body,
            exchange: Box::new(self),
        })
    }

    fn finish(&mut self) {
        let duration = self.started.elapsed();
        // The kernel's bytes are not seen one by one: what was announced counts as sent.
        let sent = match self.by_kernel {
            Some(length) if self.sent == 0 && self.method != Method::HEAD => length,
            _ => self.sent,
        };
        let received = self.received.load(Ordering::Relaxed);
        /// Turned away before anything was done for it.
        const TURNED_AWAY: u16 = 429;
        if !self.probe && self.status != TURNED_AWAY {
            let (method, status, operation) = (&self.method, self.status, self.operation);
            self.metrics.finished(&Finished {
                method,
                status,
                operation,
                duration,
                received,
                sent,
            });
        }
        if self.log {
            self.write_line(duration, received, sent);
        }
    }

    fn write_line(&self, duration: std::time::Duration, received: u64, sent: u64) {
        let route = route::parse(self.uri.path()).ok();
        let (name, reference) = route.as_ref().map_or((None, None), vars);
        let who = self.who.0.get();
        let named = || self.caller.as_ref().map(|caller| &**caller.name());
        let user = who.map(|who| &*who.name).or_else(named);
        let uid = who.map(|who| &*who.uid).filter(|uid| !uid.is_empty());
        let code = self.refused.as_ref().map(|refused| refused.code.as_str());
        let message = self.refused.as_ref().map(|refused| &*refused.message);
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    target: "berth_registry::access",
                    {
                    http.request.id = self.id.as_str(),
                    http.request.method = self.method.as_str(),
                    http.request.host = text(self.host.as_ref()),
                    http.request.uri = %uri(&self.uri),
                    http.request.remoteaddr = self.remote,
                    http.request.useragent = text(self.user_agent.as_ref()),
                    http.request.referer = text(self.referer.as_ref()),
                    http.request.contenttype = text(self.content_type.as_ref()),
                    http.request.read = received,
                    vars.name = name,
                    vars.reference = reference,
                    openshift.auth.user = user,
                    openshift.auth.userid = uid,
                    http.response.status = self.status,
                    http.response.written = sent,
                    http.response.duration = %format_args!("{:.6}", duration.as_secs_f64()),
                    http.response.contenttype = text(self.answer_type.as_ref()),
                    err.code = code,
                    err.message = message,
                    },
                    "response"
                )
            };
        }
        if self.probe {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The sender of a request, once the gate knows; in the extensions of the request.
#[derive(Clone, Default)]
pub(crate) struct Who(Arc<OnceLock<Arc<Identity>>>);

impl Who {
    pub(crate) fn is(&self, identity: &Arc<Identity>) {
        // A request has one sender: whoever asks twice says the same.
        let _known = self.0.set(Arc::clone(identity));
    }
}

/// The repository and the reference, digest or session that a path names.
fn vars(route: &Route) -> (Option<&str>, Option<&str>) {
    match route {
        Route::Base | Route::Catalog => (None, None),
        Route::Tags { name } | Route::Uploads { name } => (Some(name.as_str()), None),
        Route::Manifest { name, reference } => (Some(name.as_str()), Some(reference)),
        Route::Blob { name, digest } | Route::Referrers { name, digest } => {
            (Some(name.as_str()), Some(digest))
        }
        Route::Upload { name, session } => (Some(name.as_str()), Some(session)),
    }
}

/// Where the request came from: the first hop that a proxy names, else the connection.
fn remote(head: &Parts) -> String {
    let named = |name: &str| {
        let value = head.headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
        value
            .parse::<std::net::IpAddr>()
            .is_ok()
            .then(|| value.to_owned())
    };
    let peer = || head.extensions.get::<Peer>().map(|peer| peer.address.to_string());
    named("x-forwarded-for")
        .or_else(|| named("x-real-ip"))
        .or_else(peer)
        .unwrap_or_default()
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    let text = value?.to_str().ok()?;
    Some(&text[..text.len().min(LOGGED_BYTES)])
}

/// Query parameters whose values say what was asked for. All others may be secrets of a client that put them there.
const SPOKEN: [&str; 9] = [
    "n",
    "last",
    "mount",
    "from",
    "digest",
    "tag",
    "artifactType",
    "scope",
    "service",
];

/// The path and what may be told of the query.
fn uri(uri: &Uri) -> Cow<'_, str> {
    let path = uri.path();
    let path = &path[..path.len().min(4 * LOGGED_BYTES)];
    let Some(query) = uri.query() else {
        return Cow::Borrowed(path);
    };
    let mut told = format!("{path}?");
    for (at, pair) in query.split('&').enumerate() {
        if told.len() > path.len() + LOGGED_BYTES {
            told.push('…');
            break;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = if SPOKEN.contains(&key) { value } else { "…" };
        let and = if at == 0 { "" } else { "&" };
        told.push_str(&format!("{and}{key}={}", &value[..value.len().min(LOGGED_BYTES)]));
    }
    Cow::Owned(told)
}

/// The id that a proxy gave to the request, if it looks like one.
pub(crate) fn given_id(headers: &HeaderMap) -> Option<RequestId> {
    /// A UUID with room to spare.
    const LONGEST: usize = 64;
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (!id.is_empty() && id.len() <= LONGEST && id.bytes().all(plain)).then(|| RequestId(id.into()))
}

/// A request body that counts its bytes.
pub(crate) struct Counted<B> {
    body: B,
    received: Arc<AtomicU64>,
}

impl<B> http_body::Body for Counted<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; when it goes, the request is over.
pub struct ResponseBody {
    body: Body,
    exchange: Box<Exchange>,
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody")
            .field("sent", &self.exchange.sent)
            .finish_non_exhaustive()
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.exchange.sent += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            }
            Poll::Ready(Some(Err(error))) => {
                debug!(id = self.exchange.id.as_str(), %error, "the answer ended early");
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_no_secret_of_a_query() {
        for (given, want) in [
            ("/v2/", "/v2/"),
            ("/v2/a/b/tags/list?n=3&last=x", "/v2/a/b/tags/list?n=3&last=x"),
            (
                "/v2/a/b/blobs/uploads/1?_state=abc&digest=sha256:0",
                "/v2/a/b/blobs/uploads/1?_state=…&digest=sha256:0",
            ),
            ("/x?token=secret&access_token", "/x?token=…&access_token=…"),
        ] {
            assert_eq!(uri(&given.parse().expect("a URI")), want);
        }
    }

    #[test]
    fn only_ids_are_taken_for_ids() {
        for (given, want) in [
            ("a-B_9.z", true),
            ("", false),
            ("a b", false),
            ("\"", false),
            (&*"x".repeat(65), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_str(given).expect("valid"));
            assert_eq!(given_id(&headers).is_some(), want, "{given}");
        }
    }
}
