//! What the log says of a request, and what it never says.

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::Method;
use serde_json::Value;
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

use crate::{
    routes::{RECORDED, World},
    support::{As, api::Api, registry},
};

/// Everything that is logged, one JSON object a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts to log everything that happens on this thread.
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let json = tracing_subscriber::fmt::layer().json().with_writer(self.clone());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(json))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }

    fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_is_one_line_with_its_id() {
    let api = Api::new();
    api.builder("secret-token", "alice", "demo");
    api.state()
        .failures
        .push(("imagestreams/app", 500, "InternalError", "broken"));
    let registry = registry(&api);
    let log = Log::default();
    let guard = log.start();
    let headers = [
        ("x-forwarded-for", "192.0.2.7, 10.0.0.1"),
        ("user-agent", "podman/5"),
        ("x-request-id", "abc-1"),
    ];
    let path = "/v2/demo/app/tags/list?n=3&access_token=secret-token";
    let answer = registry
        .send(As::Basic("secret-token"), Method::GET, path, &headers, b"")
        .await;
    let denied = registry
        .get(As::Basic("secret-token"), "/v2/other/app/tags/list")
        .await;
    registry.get(As::Nobody, "/healthz").await;
    drop(guard);
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    let lines = log.lines();
    let access: Vec<&Value> = lines
        .iter()
        .filter(|line| line["target"] == "berth_registry::access")
        .collect();
    let fields = &access[0]["fields"];
    for (field, want) in [
        ("http.request.id", Value::from("abc-1")),
        ("http.request.method", Value::from("GET")),
        ("http.request.host", Value::from("REGISTRY")),
        (
            "http.request.uri",
            Value::from("/v2/demo/app/tags/list?n=3&access_token=…"),
        ),
        ("http.request.remoteaddr", Value::from("192.0.2.7")),
        ("http.request.useragent", Value::from("podman/5")),
        ("vars.name", Value::from("demo/app")),
        ("openshift.auth.user", Value::from("alice")),
        ("openshift.auth.userid", Value::from("u1")),
        ("http.response.status", Value::from(answer.status.as_u16())),
        ("http.response.written", Value::from(answer.body.len())),
        ("http.response.contenttype", Value::from("application/json")),
        ("err.code", Value::from("UNAVAILABLE")),
    ] {
        assert_eq!(fields[field], want, "{field} in {fields}");
    }
    let seconds: f64 = fields["http.response.duration"]
        .as_str()
        .expect("a duration")
        .parse()
        .expect("seconds");
    assert!((0.0..60.0).contains(&seconds));
    // What was logged on the way, here the API's failure, has the same id.
    let cause = lines.iter().find(|line| {
        line["fields"]["error"]
            .as_str()
            .is_some_and(|error| error.contains("broken"))
    });
    assert_eq!(cause.expect("the cause is logged")["span"]["id"], "abc-1");
    // The second one has an id of its own, in the log, the header and the body.
    let id = denied.header("x-request-id").expect("an id");
    assert_eq!(access[1]["fields"]["http.request.id"], id);
    assert_eq!(denied.json()["errors"][0]["detail"]["requestId"], id);
    assert_eq!(access[1]["fields"]["err.code"], "DENIED");
    assert_eq!(access[1]["fields"]["openshift.auth.user"], "alice");
    // Probes are not worth a line at the usual level.
    assert_eq!(
        (access[2]["level"].as_str(), access[0]["level"].as_str()),
        (Some("DEBUG"), Some("INFO"))
    );
    assert!(!log.text().contains("secret-token"), "{}", log.text());
}

#[tokio::test]
async fn no_token_is_ever_logged() {
    let world = World::start(true).await;
    let log = Log::default();
    let guard = log.start();
    for route in RECORDED {
        for who in ["puller", "builder", "admin", "foreign"] {
            let call = world.call(route).await.expect("a call");
            world.play(&call, who).await;
        }
    }
    drop(guard);
    let text = log.text();
    assert!(
        text.lines().count() > 4 * RECORDED.len(),
        "every request is logged"
    );
    for token in world.tokens() {
        // Not even the signature alone.
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(!text.contains(signature));
        let basic = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("anything:{token}"),
        );
        assert!(!text.contains(&basic[20..60]));
    }
}
