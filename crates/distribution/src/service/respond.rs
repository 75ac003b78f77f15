//! Responses.

use berth_oci::{ContentRange, Digest};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LINK,
    LOCATION, RANGE,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;

use super::{CONTENT_DIGEST, UPLOAD_ID, conditional, url};
use crate::blob::Answer;
use crate::{Body, Urls};

/// What was done, in the words of the metrics, and the response to it.
pub(super) type Answered = (&'static str, Response<Body>);

/// Content that is named by its digest never changes.
const FOREVER: HeaderValue = HeaderValue::from_static("max-age=31536000");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Sets a header. A value that cannot be sent is left out; those made here always can.
pub(super) fn header(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    // Clients of the Docker protocol want to see the length even where HTTP lets it be left out.
    if status != StatusCode::NO_CONTENT {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// A JSON document.
pub(super) fn json(body: impl Into<Bytes>) -> Response<Body> {
    let body = body.into();
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response.map(|_| Body::full(body))
}

/// The way to a path that a client meant.
pub(super) fn moved(path: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static(path));
    response
}

/// Adds the link to the next page, which is the same path with another query.
pub(super) fn link(
    mut response: Response<Body>,
    urls: &Urls,
    head: &Parts,
    next: Option<&str>,
) -> Response<Body> {
    if let Some(next) = next {
        let url = url::of(urls, head, &format!("{}?{next}", head.uri.path()));
        header(&mut response, LINK, &format!("<{url}>; rel=\"next\""));
    }
    response
}

/// Content with its digest.
pub(super) fn content(digest: &Digest, status: StatusCode, body: Body) -> Response<Body> {
    let size = body.size_hint().exact();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let mut buffer = [0; Digest::MAX_TEXT];
    header(&mut response, CONTENT_DIGEST, digest.encode(&mut buffer));
    header(&mut response, ETAG, &conditional::etag(digest));
    if let Some(size) = size.filter(|_| status != StatusCode::NOT_MODIFIED) {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    response
}

/// A blob.
pub(super) fn blob(digest: &Digest, answer: Answer) -> Response<Body> {
    let mut response = match answer {
        Answer::NotModified => content(digest, StatusCode::NOT_MODIFIED, Body::empty()),
        Answer::Redirect(url) => {
            let mut response = content(digest, StatusCode::TEMPORARY_REDIRECT, Body::empty());
            header(&mut response, LOCATION, &url);
            return response;
        }
        Answer::Whole { size, body } => {
            let mut response = with_region(digest, StatusCode::OK, body);
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(size));
            response
        }
        Answer::Part {
            start,
            end,
            size,
            body,
        } => {
            let mut response = with_region(digest, StatusCode::PARTIAL_CONTENT, body);
            if let Ok(range) = ContentRange::answer(start, end - 1, Some(size)) {
                header(&mut response, CONTENT_RANGE, &range.to_string());
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, FOREVER);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, OCTETS);
    response
}

/// Content whose file a transport may find in the extensions.
fn with_region(digest: &Digest, status: StatusCode, body: Body) -> Response<Body> {
    let region = body.region().cloned();
    let mut response = content(digest, status, body);
    if let Some(region) = region {
        response.extensions_mut().insert(region);
    }
    response
}

/// The same without its body, as `HEAD` wants it: the length stays.
pub(super) fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if !head.headers.contains_key(CONTENT_LENGTH)
        && head.status != StatusCode::NO_CONTENT
        && head.status != StatusCode::NOT_MODIFIED
        && let Some(size) = body.size_hint().exact()
    {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    head.extensions.remove::<crate::FileRegion>();
    Response::from_parts(head, Body::empty())
}

/// Where an upload session stands.
pub(super) struct Upload {
    pub(super) location: String,
    pub(super) id: String,
    pub(super) held: u64,
}

impl Upload {
    pub(super) fn headers(self) -> [(HeaderName, String); 3] {
        // The range names the last byte, so that nothing and one byte look alike, as they always did.
        let range = format!("0-{}", self.held.saturating_sub(1));
        [(LOCATION, self.location), (RANGE, range), (UPLOAD_ID, self.id)]
    }
}
