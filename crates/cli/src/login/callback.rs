//! The port of this machine to which a browser brings the code.
use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use crate::error::{Result, failed};

/// Where the browser comes back to.
const PATH: &str = "/callback";
/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long a browser may take to ask.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last page may take to arrive.
const FAREWELL: Duration = Duration::from_secs(2);
/// Most connections at once; a browser opens a few.
const MAX_CONNECTIONS: usize = 16;

/// A listener that waits for one code.
#[derive(Debug)]
pub(super) struct Callback {
    listener: TcpListener,
    address: String,
    state: String,
}

impl Callback {
    /// Listens on `port` of 127.0.0.1; 0 takes a free one. Only what brings `state` back is heard.
    pub(super) async fn listen(port: u16, state: String) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| {
            failed(format!(
                "listening on port {port} for the browser: {error}; see --callback-port"
            ))
        })?;
        let port = listener
            .local_addr()
            .map_err(|error| failed(format!("listening: {error}")))?
            .port();
        Ok(Self {
            listener,
            address: format!("http://127.0.0.1:{port}{PATH}"),
            state,
        })
    }

    /// The address for the browser.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the code.
    pub(super) async fn code(self) -> Result<String> {
        let (send, mut receive) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let outcome = loop {
            tokio::select! {
                outcome = receive.recv() => break outcome,
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                    let Ok((stream, _)) = accepted else { continue };
                    let (send, state) = (send.clone(), self.state.clone());
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        let (page, outcome) = answer(request.uri(), &state);
                        if let Some(outcome) = outcome {
                            // A second answer is not waited for.
                            let _ = send.try_send(outcome);
                        }
                        async move { Ok::<_, Infallible>(page) }
                    });
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEADER_TIMEOUT)
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service);
                    connections.spawn(connection);
                }
                _ = connections.join_next(), if !connections.is_empty() => {}
                () = tokio::time::sleep(PATIENCE) => break None,
            }
        };
        // The browser shall see its page before this program ends.
        let _ = tokio::time::timeout(FAREWELL, async {
            while connections.join_next().await.is_some() {}
        })
        .await;
        outcome
            .unwrap_or_else(|| Err("nobody logged in in time".to_owned()))
            .map_err(failed)
    }
}

/// The page for a request, and what it brought.
fn answer(uri: &http::Uri, state: &str) -> (Response<Full<Bytes>>, Option<Result<String, String>>) {
    if uri.path() != PATH {
        return (page(StatusCode::NOT_FOUND, "There is nothing here."), None);
    }
    let field = |name: &str| {
        let query = uri.query().unwrap_or_default().as_bytes();
        let found = url::form_urlencoded::parse(query).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    // Another page of the browser could send somebody else's code here.
    if field("state").as_deref() != Some(state) {
        let text = "This is not the login that was begun. Run 'berth login --web' again.";
        return (page(StatusCode::BAD_REQUEST, text), None);
    }
    match (
        field("code"),
        field("error_description").or_else(|| field("error")),
    ) {
        (Some(code), None) => (
            page(
                StatusCode::OK,
                "You are logged in. You can close this page and return to the terminal.",
            ),
            Some(Ok(code)),
        ),
        (_, why) => (
            page(
                StatusCode::BAD_REQUEST,
                "You are not logged in. The terminal says why.",
            ),
            Some(Err(format!(
                "the server refused the login: {}",
                why.unwrap_or_else(|| "it gave no code".to_owned())
                    .replace(char::is_control, " ")
            ))),
        ),
    }
}

fn page(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Berth</title><p style=\"font: 1.2em sans-serif; \
         margin: 3em\">{text}</p></html>\n"
    );
    let mut page = Response::new(Full::new(Bytes::from(html)));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_our_question_is_heard() {
        for (uri, status, want) in [
            ("/callback?state=s&code=c", 200, Some(Ok("c"))),
            ("/callback?state=other&code=c", 400, None),
            ("/callback?code=c", 400, None),
            ("/favicon.ico?state=s&code=c", 404, None),
            (
                "/callback?state=s&error=access_denied",
                400,
                Some(Err("the server refused the login: access_denied")),
            ),
            (
                "/callback?state=s",
                400,
                Some(Err("the server refused the login: it gave no code")),
            ),
        ] {
            let (page, outcome) = answer(&uri.parse().unwrap(), "s");
            assert_eq!(page.status().as_u16(), status, "{uri}");
            let outcome = outcome
                .as_ref()
                .map(|outcome| outcome.as_deref().map_err(String::as_str));
            assert_eq!(outcome, want, "{uri}");
        }
    }
}
