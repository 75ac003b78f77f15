use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use kube::{Config, config::AuthInfo};
use serde::{Serialize, de::DeserializeOwned};
use tower::Service;

use crate::{
    Error, REQUEST_TIMEOUT, Result, Token, TokenSource,
    error::from_response,
    transport::{InProcess, Network, Transport, is_too_large},
};

/// A client of one API server. Cheap to clone; holds no state but its transports.
#[derive(Clone)]
pub struct Client {
    own: Arc<dyn Transport>,
    /// Adds no identity of its own, neither a token nor a client certificate: what a caller's token travels through.
    bare: Arc<dyn Transport>,
    identity: Option<TokenSource>,
}

impl Client {
    /// Speaks to an API server in this process; the role's own requests carry the token of `identity`.
    pub fn in_process<S, B>(service: S, identity: TokenSource) -> Self
    where
        S: Service<Request<kube::client::Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<tower::BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<tower::BoxError>,
    {
        let transport: Arc<dyn Transport> = Arc::new(InProcess::new(service));
        Self {
            own: Arc::clone(&transport),
            bare: transport,
            identity: Some(identity),
        }
    }

    /// Speaks to the API server of `config` (a kubeconfig, or the pod's own service account), whose identity is the
    /// role's own.
    ///
    /// # Errors
    /// [`Error::Configuration`] if the TLS or authentication settings of `config` cannot be used.
    pub fn from_config(mut config: Config) -> Result<Self> {
        // Whoever asks decides about repetition, and a client of the registry waits meanwhile.
        config.default_retry = false;
        let configuration = |error: kube::Error| Error::Configuration(Box::new(error));
        let mut bare = config.clone();
        bare.auth_info = AuthInfo::default();
        Ok(Self {
            own: Arc::new(Network::new(
                kube::Client::try_from(config).map_err(configuration)?,
            )),
            bare: Arc::new(Network::new(kube::Client::try_from(bare).map_err(configuration)?)),
            identity: None,
        })
    }

    /// Speaks through two transports: `own` adds the role's identity by itself, `bare` adds none.
    pub fn from_transports(own: Arc<dyn Transport>, bare: Arc<dyn Transport>) -> Self {
        Self {
            own,
            bare,
            identity: None,
        }
    }

    /// Requests with the role's own identity.
    #[must_use]
    pub fn own(&self) -> Session<'_> {
        Session {
            transport: &*self.own,
            authorization: self.identity.as_ref().map(TokenSource::header),
        }
    }

    /// Requests with a caller's identity and nothing of the role's own.
    #[must_use]
    pub fn with_token(&self, token: &Token) -> Session<'_> {
        Session {
            transport: &*self.bare,
            authorization: Some(token.header().clone()),
        }
    }

    /// Requests without any identity.
    #[must_use]
    pub fn anonymous(&self) -> Session<'_> {
        Session {
            transport: &*self.bare,
            authorization: None,
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Requests under one identity.
#[derive(Clone)]
pub struct Session<'a> {
    transport: &'a dyn Transport,
    authorization: Option<HeaderValue>,
}

/// The only encoding that is asked for and sent.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What the server sees as user agent.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION")));

impl Session<'_> {
    /// Sends a request and returns the body of a successful answer.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer of 400 and above, [`Error::Unreachable`], [`Error::TimedOut`] or
    /// [`Error::TooLarge`] when there is none.
    pub async fn send(&self, method: Method, path: &str, body: Bytes, accept: HeaderValue) -> Result<Bytes> {
        let what = || format!("{method} {path}");
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::ACCEPT, accept)
            .header(header::USER_AGENT, USER_AGENT);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, JSON);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(body).map_err(|error| Error::Request {
            what: what(),
            source: error.into(),
        })?;
        let response = match tokio::time::timeout(REQUEST_TIMEOUT, self.transport.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(source)) if is_too_large(&source) => {
                return Err(Error::TooLarge {
                    what: what(),
                    limit: crate::MAX_RESPONSE_BYTES,
                });
            }
            Ok(Err(source)) => return Err(Error::Unreachable { what: what(), source }),
            Err(_elapsed) => return Err(Error::TimedOut { what: what() }),
        };
        let status = response.status();
        if status.is_success() {
            Ok(response.into_body())
        } else {
            Err(from_response(status.as_u16(), response.body()))
        }
    }

    /// The bytes of an object as the server sends them. Equal bytes are the same object: whoever keeps the parsed
    /// value beside them need not parse again.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn get_bytes(&self, path: &str) -> Result<Bytes> {
        self.send(Method::GET, path, Bytes::new(), JSON).await
    }

    /// An object.
    ///
    /// # Errors
    /// As [`Session::send`]; [`Error::Answer`] if the answer is no `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, kind: &'static str) -> Result<T> {
        parse(&self.get_bytes(path).await?, kind, || format!("GET {path}"))
    }

    /// Creates an object and returns what the server made of it.
    ///
    /// # Errors
    /// As [`Session::get`]; [`Error::Request`] if `object` does not serialize.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        object: &impl Serialize,
        kind: &'static str,
    ) -> Result<T> {
        parse(&self.post(path, object).await?, kind, || format!("POST {path}"))
    }

    /// Creates an object and returns the bytes of the answer.
    ///
    /// # Errors
    /// As [`Session::send`]; [`Error::Request`] if `object` does not serialize.
    pub async fn post(&self, path: &str, object: &impl Serialize) -> Result<Bytes> {
        self.send_object(Method::POST, path, object).await
    }

    /// Replaces an object and returns the bytes of the answer.
    ///
    /// # Errors
    /// As [`Session::post`].
    pub async fn put(&self, path: &str, object: &impl Serialize) -> Result<Bytes> {
        self.send_object(Method::PUT, path, object).await
    }

    async fn send_object(&self, method: Method, path: &str, object: &impl Serialize) -> Result<Bytes> {
        let body = serde_json::to_vec(object).map_err(|error| Error::Request {
            what: format!("{method} {path}"),
            source: error.into(),
        })?;
        self.send(method, path, body.into(), JSON).await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, Bytes::new(), JSON)
            .await
            .map(drop)
    }
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("identified", &self.authorization.is_some())
            .finish_non_exhaustive()
    }
}

pub(crate) fn parse<T: DeserializeOwned>(
    bytes: &[u8],
    kind: &'static str,
    what: impl FnOnce() -> String,
) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Answer {
        what: what(),
        kind,
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Mutex};

    use super::*;

    type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

    /// An API server that remembers what it was asked and by whom.
    fn recorder(seen: &Seen) -> Client {
        let seen = Arc::clone(seen);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let seen = Arc::clone(&seen);
            async move {
                let authorization = request.headers().get(header::AUTHORIZATION);
                let authorization = authorization.map(|value| value.to_str().expect("text").to_owned());
                seen.lock()
                    .expect("no panic")
                    .push((format!("{} {}", request.method(), request.uri()), authorization));
                let (status, body) = match request.uri().path() {
                    "/slow" => {
                        tokio::time::sleep(REQUEST_TIMEOUT * 2).await;
                        (200, Bytes::new())
                    }
                    "/large" => (200, Bytes::from(vec![b' '; MAX + 1])),
                    "/missing" => (
                        404,
                        Bytes::from_static(br#"{"kind":"Status","reason":"NotFound","code":404}"#),
                    ),
                    _ => (200, Bytes::from_static(b"{}")),
                };
                let body = http_body_util::Full::new(body);
                Ok::<_, Infallible>(Response::builder().status(status).body(body).expect("valid"))
            }
        });
        Client::in_process(service, TokenSource::new(Token::new("own").expect("a token")))
    }

    const MAX: usize = crate::MAX_RESPONSE_BYTES;

    #[tokio::test]
    async fn keeps_identities_apart() {
        let seen = Seen::default();
        let client = recorder(&seen);
        client.own().get_bytes("/a").await.expect("an answer");
        client
            .with_token(&Token::new("theirs").expect("a token"))
            .delete("/b")
            .await
            .expect("an answer");
        client
            .anonymous()
            .post("/c", &serde_json::json!({}))
            .await
            .expect("an answer");
        let seen = seen.lock().expect("no panic").clone();
        let want = [
            ("GET /a", Some("Bearer own")),
            ("DELETE /b", Some("Bearer theirs")),
            ("POST /c", None),
        ];
        assert_eq!(
            seen,
            want.map(|(what, who)| (what.to_owned(), who.map(str::to_owned)))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn says_why_there_is_no_answer() {
        let client = recorder(&Seen::default());
        let own = client.own();
        assert!(own.get_bytes("/missing").await.expect_err("404").is_not_found());
        assert!(matches!(
            own.get_bytes("/slow").await,
            Err(Error::TimedOut { .. })
        ));
        assert!(matches!(
            own.get_bytes("/large").await,
            Err(Error::TooLarge { limit: MAX, .. })
        ));
        assert!(matches!(
            own.get::<Vec<u8>>("/x", "List").await,
            Err(Error::Answer { kind: "List", .. })
        ));
    }
}
