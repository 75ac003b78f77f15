//! A client of an API server over a socket: whose identity travels with which request.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use berth_client::{Client, Error, Token};
use berth_runtime::{
    Stop,
    serve::{Inbound, Limits, serve},
};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{net::TcpListener, task::JoinSet};

type Seen = Arc<Mutex<Vec<String>>>;

/// A server that remembers who asked for what, and the kubeconfig of an administrator with the token `own`.
async fn server(tasks: &mut JoinSet<()>) -> (Seen, Config) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Seen::default();
    let service = {
        let seen = Arc::clone(&seen);
        tower::service_fn(move |request: Request<Inbound>| {
            let who = request
                .headers()
                .get(header::AUTHORIZATION)
                .map(|value| value.to_str().expect("text"));
            let line = format!("{} {} {}", who.unwrap_or("-"), request.method(), request.uri());
            seen.lock().expect("no panic").push(line);
            let (status, body) = match request.uri().path() {
                "/busy" => (
                    503,
                    r#"{"kind":"Status","reason":"ServiceUnavailable","code":503}"#,
                ),
                _ => (200, "{}"),
            };
            let response = Response::builder()
                .status(status)
                .body(Full::new(Bytes::from(body)));
            async move { Ok::<_, Infallible>(response.expect("a response")) }
        })
    };
    tasks.spawn(async move {
        serve(listener, None, Limits::default(), service, Stop::new())
            .await
            .expect("a listener");
    });
    let kubeconfig = format!(
        r#"{{"current-context":"c","clusters":[{{"name":"k","cluster":{{"server":"http://{address}"}}}}],
            "users":[{{"name":"u","user":{{"token":"own"}}}}],"contexts":[{{"name":"c","context":{{"cluster":"k","user":"u"}}}}]}}"#
    );
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a configuration");
    (seen, config)
}

#[tokio::test]
async fn a_callers_token_never_travels_with_the_own_identity() {
    let mut tasks = JoinSet::new();
    let (seen, config) = server(&mut tasks).await;
    let client = Client::from_config(config).expect("a client");
    client.own().get_bytes("/a").await.expect("an answer");
    client
        .with_token(&Token::new("theirs").expect("a token"))
        .get_bytes("/b")
        .await
        .expect("an answer");
    client.anonymous().get_bytes("/c").await.expect("an answer");
    let seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    assert_eq!(seen, ["Bearer own GET /a", "Bearer theirs GET /b", "- GET /c"]);
}

#[tokio::test]
async fn a_failure_is_told_at_once() {
    let mut tasks = JoinSet::new();
    let (seen, config) = server(&mut tasks).await;
    let client = Client::from_config(config).expect("a client");
    assert!(
        client
            .own()
            .get_bytes("/busy")
            .await
            .expect_err("503")
            .is_unavailable()
    );
    assert_eq!(
        seen.lock().expect("no panic").len(),
        1,
        "nothing is repeated behind the caller's back"
    );
    tasks.shutdown().await;
    let gone = client.own().get_bytes("/a").await.expect_err("nobody listens");
    assert!(
        matches!(gone, Error::Unreachable { .. }) && gone.is_unavailable(),
        "{gone:?}"
    );
}
