//! Who is let in, how often the cluster is asked, and what everybody else is told.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::support::{self, As, HOST, api::Api, config, registry, with};

const WHOAMI: &str = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
const CAN_I: &str = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const CAN_THEY: &str = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews";
const TAGS: &str = "/v2/demo/app/tags/list";

/// An API with a stream `demo/app` that `alice` may push to and `bob` may pull from.
fn api() -> Api {
    let api = Api::new();
    api.builder("a", "alice", "demo")
        .user("b", "bob")
        .grant("bob get imagestreams/layers demo/app")
        .user("e", "eve");
    api.state()
        .streams
        .insert("demo/app".to_owned(), [("v1".to_owned(), vec![])].into());
    api
}

#[tokio::test]
async fn challenges_follow_the_credentials() {
    let registry = registry(&api());
    let bearer = format!("Bearer realm=\"http://{HOST}/openshift/token\"");
    let basic = |why: &str| format!("Basic realm=openshift,error=\"{why}\"");
    for (who, path, status, code, challenge) in [
        (As::Nobody, "/v2/", 401, "UNAUTHORIZED", Some(bearer.clone())),
        (As::Nobody, TAGS, 401, "UNAUTHORIZED", Some(bearer.clone())),
        (
            As::Nobody,
            "/v2/demo/app/x/tags/list",
            401,
            "UNAUTHORIZED",
            Some(bearer.clone()),
        ),
        (
            As::Bearer("anonymous"),
            TAGS,
            401,
            "UNAUTHORIZED",
            Some(basic("access denied")),
        ),
        (
            As::Basic("anonymous"),
            "/v2/",
            401,
            "UNAUTHORIZED",
            Some(basic("access denied")),
        ),
        (
            As::Basic("garbage"),
            "/v2/",
            401,
            "UNAUTHORIZED",
            Some(basic("access denied")),
        ),
        (
            As::Basic(""),
            "/v2/",
            401,
            "UNAUTHORIZED",
            Some(basic("failed to decode credentials")),
        ),
        (As::Basic("e"), TAGS, 403, "DENIED", None),
        (As::Bearer("e"), "/v2/other/app/tags/list", 403, "DENIED", None),
        (
            As::Basic("e"),
            "/v2/demo/app/x/tags/list",
            400,
            "NAME_INVALID",
            None,
        ),
        (As::Basic("e"), "/v2/app/tags/list", 400, "NAME_INVALID", None),
        (As::Basic("e"), "/v2/_catalog", 403, "DENIED", None),
    ] {
        let answer = registry.get(who, path).await;
        let codes = answer.codes().expect("an error body");
        assert_eq!(
            (answer.status.as_u16(), codes[0].as_str()),
            (status, code),
            "{who:?} {path}"
        );
        assert_eq!(
            answer.header("www-authenticate"),
            challenge.as_deref(),
            "{who:?} {path}"
        );
        let id = answer.header("x-request-id").expect("an id");
        assert_eq!(
            answer.json()["errors"][0]["detail"]["requestId"],
            id,
            "{who:?} {path}"
        );
    }
    // Where a push begins nothing can be explained, so it is not refused there.
    let blob = format!("/v2/demo/app/x/blobs/{}", berth_oci::Digest::sha256(b""));
    let head = registry.send(As::Basic("e"), Method::HEAD, &blob, &[], b"").await;
    assert_eq!(head.status, StatusCode::NOT_FOUND);
    let post = registry
        .send(
            As::Basic("e"),
            Method::POST,
            "/v2/demo/app/x/blobs/uploads/",
            &[],
            b"",
        )
        .await;
    assert_eq!(
        (post.status.as_u16(), post.codes().expect("a body")[0].as_str()),
        (400, "NAME_INVALID")
    );
    assert_eq!(
        registry.get(As::Bearer("anonymous"), "/v2/").await.status,
        StatusCode::OK
    );
    assert_eq!(registry.get(As::Basic("b"), TAGS).await.status, StatusCode::OK);
    let denied = registry.get(As::Basic("e"), TAGS).await.message();
    assert!(
        denied.contains("\"eve\"") && denied.contains("demo/app") && denied.contains("system:image-puller"),
        "{denied}"
    );
}

#[tokio::test]
async fn the_token_endpoint_gives_back_the_token() {
    let registry = registry(&api());
    let token = |answer: &support::Answer| answer.json()["token"].as_str().map(str::to_owned);
    let path = "/openshift/token?account=x&scope=repository:demo/app:pull&service=s";
    let anonymous = registry.get(As::Nobody, path).await;
    assert_eq!(
        (anonymous.status, token(&anonymous).as_deref()),
        (StatusCode::OK, Some("anonymous"))
    );
    let known = registry.get(As::Basic("b"), path).await;
    assert_eq!(
        (known.status, token(&known).as_deref()),
        (StatusCode::OK, Some("b"))
    );
    assert_eq!(known.json()["access_token"], "b");
    // A name that cannot be is explained where clients show it, whoever asks.
    for who in [As::Nobody, As::Basic("b")] {
        let answer = registry
            .get(who, "/openshift/token?scope=repository%3Ademo%2Fa%2Fb%3Apull")
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let details = answer.json()["details"].as_str().expect("details").to_owned();
        assert!(
            details.contains("demo/a/b") && details.contains("exactly one slash"),
            "{details}"
        );
    }
    for who in [
        As::Basic("garbage"),
        As::Basic(""),
        As::Bearer("b"),
        As::Bearer("anonymous"),
    ] {
        let answer = registry.get(who, path).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::UNAUTHORIZED, 0),
            "{who:?}"
        );
    }
    let post = registry
        .send(As::Basic("b"), Method::POST, path, &[], b"grant_type=password")
        .await;
    assert_eq!(
        (post.status, post.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, Some("GET"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_cluster_is_asked_once_in_ten_seconds() {
    let api = api();
    let registry = registry(&api);
    let alice = As::Bearer("a");
    let reviews = |api: &Api| {
        let calls = api.take_calls();
        calls
            .into_iter()
            .filter(|call| call.contains("review"))
            .map(|call| call.replace("alice ", ""))
            .collect::<Vec<_>>()
    };
    // A push asks for both rights, in this order, after asking who it is; then nothing for ten seconds.
    let upload = "/v2/demo/app/blobs/uploads/";
    assert_eq!(
        registry.send(alice, Method::POST, upload, &[], b"").await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(reviews(&api), [WHOAMI, CAN_I, CAN_I]);
    for _ in 0..10 {
        assert_eq!(
            registry.send(alice, Method::POST, upload, &[], b"").await.status,
            StatusCode::ACCEPTED
        );
        assert_eq!(registry.get(alice, TAGS).await.status, StatusCode::OK);
    }
    assert_eq!(reviews(&api), [""; 0]);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(registry.get(alice, TAGS).await.status, StatusCode::OK);
    assert_eq!(reviews(&api), [WHOAMI, CAN_I]);
    // A right that is taken away is gone ten seconds later at most; one that is given works at once.
    api.state().grants.remove("alice get imagestreams/layers demo/*");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(registry.get(alice, TAGS).await.status, StatusCode::FORBIDDEN);
    api.grant("alice get imagestreams/layers demo/*");
    assert_eq!(registry.get(alice, TAGS).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn concurrent_questions_are_one_question() {
    let api = api();
    api.state().delay = Duration::from_millis(50);
    let registry = registry(&api);
    let asked = (0..64).map(|_| registry.get(As::Basic("b"), TAGS));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    let calls = api.take_calls();
    let count = |what: &str| calls.iter().filter(|call| call.contains(what)).count();
    assert_eq!((count(WHOAMI), count(CAN_I)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_does_not_answer_is_a_503() {
    let api = api();
    let registry = registry(&api);
    api.state().down = true;
    let answer = registry.get(As::Basic("b"), TAGS).await;
    assert_eq!(
        (answer.status, answer.codes().expect("a body")[0].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(
        registry.get(As::Basic("b"), "/openshift/token").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(registry.get(As::Nobody, "/healthz").await.status, StatusCode::OK);
    let ready = registry.get(As::Nobody, "/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8_lossy(&ready.body).contains("api:"), "{ready:?}");
    // It comes back, and so does everything else.
    api.state().down = false;
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(registry.get(As::Basic("b"), TAGS).await.status, StatusCode::OK);
    assert_eq!(registry.get(As::Nobody, "/readyz").await.status, StatusCode::OK);
    registry.0.drain();
    assert_eq!(
        registry.get(As::Nobody, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(registry.get(As::Nobody, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_everybody_may_pull_needs_no_token() {
    let api = api();
    api.grant("system:anonymous get imagestreams/layers demo/app")
        .user("s", "scoped");
    let registry = registry(&api);
    for who in [As::Nobody, As::Bearer("anonymous"), As::Basic("s")] {
        assert_eq!(registry.get(who, TAGS).await.status, StatusCode::OK, "{who:?}");
    }
    // Nobody in particular is asked about with the registry's own identity.
    assert!(api.take_calls().contains(&format!("registry {CAN_THEY}")));
    // Reading is all that is done without a header: whoever writes is asked for credentials.
    for (method, path) in [
        (Method::POST, "/v2/demo/app/blobs/uploads/"),
        (Method::PUT, "/v2/demo/app/manifests/v1"),
    ] {
        let answer = registry.send(As::Nobody, method, path, &[], b"").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(
            answer
                .header("www-authenticate")
                .expect("a challenge")
                .starts_with("Bearer ")
        );
    }
    assert_eq!(
        registry.get(As::Nobody, "/v2/").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        registry.get(As::Nobody, "/v2/demo/other/tags/list").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_mount_never_reveals_what_may_not_be_pulled() {
    let api = api();
    api.builder("c", "carol", "mine");
    api.state().namespaces.insert("mine".to_owned());
    let registry = registry(&api);
    let blob = b"of alice";
    assert_eq!(
        registry.push_blob(As::Basic("a"), "demo/app", blob).await.status,
        StatusCode::CREATED
    );
    let digest = berth_oci::Digest::sha256(blob);
    for (from, grant, want) in [
        ("&from=demo/app", None, StatusCode::ACCEPTED),
        ("", None, StatusCode::ACCEPTED),
        (
            "&from=demo/app",
            Some("carol get imagestreams/layers demo/app"),
            StatusCode::CREATED,
        ),
    ] {
        if let Some(grant) = grant {
            api.grant(grant);
        }
        let who = As::Basic("c");
        let path = format!("/v2/mine/copy/blobs/uploads/?mount={digest}{from}");
        let answer = registry.send(who, Method::POST, &path, &[], b"").await;
        assert_eq!(answer.status, want, "{from} {grant:?}");
        let seen = registry
            .send(
                who,
                Method::HEAD,
                &format!("/v2/mine/copy/blobs/{digest}"),
                &[],
                b"",
            )
            .await;
        let want = if grant.is_some() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        assert_eq!(seen.status, want, "{from} {grant:?}");
    }
}

#[tokio::test]
async fn metrics_are_for_those_who_may() {
    let api = api();
    api.grant("bob get registry/metrics /*");
    let plain = registry(&api);
    let secret = with(
        &api,
        berth_registry::Config {
            metrics_secret: berth_registry::Secret::new("s3cret"),
            ..config()
        },
    );
    let off = with(
        &api,
        berth_registry::Config {
            metrics: false,
            ..config()
        },
    );
    let path = "/extensions/v2/metrics";
    for (registry, who, want) in [
        (&plain, As::Nobody, StatusCode::UNAUTHORIZED),
        (&plain, As::Bearer("s3cret"), StatusCode::UNAUTHORIZED),
        (&plain, As::Bearer("anonymous"), StatusCode::UNAUTHORIZED),
        (&plain, As::Basic("e"), StatusCode::FORBIDDEN),
        (&plain, As::Basic("b"), StatusCode::OK),
        (&secret, As::Bearer("s3cret"), StatusCode::OK),
        (&secret, As::Basic("s3cret"), StatusCode::OK),
        (&secret, As::Bearer("s3cre"), StatusCode::UNAUTHORIZED),
        (&secret, As::Basic("b"), StatusCode::OK),
        (&off, As::Basic("b"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(registry.get(who, path).await.status, want, "{who:?}");
    }
    let post = plain.send(As::Basic("b"), Method::POST, path, &[], b"").await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn requests_beyond_the_limit_are_turned_away() {
    let api = api();
    let reads = berth_registry::limiter::Config {
        max_running: 1,
        ..Default::default()
    };
    let registry = with(&api, berth_registry::Config { reads, ..config() });
    let path = "/v2/demo/app/tags/list";
    // A place is held until the answer is sent.
    let request = http::Request::get(path)
        .body(http_body_util::Full::new(bytes::Bytes::new()))
        .expect("a request");
    let held = registry.0.serve(request).await;
    let answer = registry.get(As::Basic("b"), path).await;
    assert_eq!(answer.codes().expect("a body"), ["TOOMANYREQUESTS"]);
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(
        registry.get(As::Nobody, "/healthz").await.status,
        StatusCode::OK,
        "probes are not limited"
    );
    drop(held);
    assert_eq!(registry.get(As::Basic("b"), path).await.status, StatusCode::OK);
}
