//! Codes, and what clients may ask for.
use berth_apimachinery::object::Object;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::{Answer, Ask, PASSWORD, World, basic, put};

/// Of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CLIENT: &str = "openshift-challenging-client";
const REDIRECT: &str = "https://api.test/oauth/token/implicit";

async fn code(world: &World) -> String {
    let query = format!(
        "response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256&redirect_uri={REDIRECT}"
    );
    let answer = world.challenge("ann", PASSWORD, &query).await;
    answer.parameter("code").unwrap_or_else(|| panic!("{answer:?}"))
}

async fn exchange(world: &World, code: &str, client: &str, redirect: &str, verifier: &str) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", client),
        ("redirect_uri", redirect),
        ("code_verifier", verifier),
    ];
    world.post("/oauth/token", &form).await
}

#[tokio::test]
async fn a_code_is_good_once_for_whom_it_was_given() {
    let world = World::new().await;
    for (client, redirect, verifier, want) in [
        (CLIENT, REDIRECT, VERIFIER, ""),
        (CLIENT, "", VERIFIER, ""),
        (CLIENT, REDIRECT, "", "invalid_grant"),
        (CLIENT, REDIRECT, CHALLENGE, "invalid_grant"),
        (CLIENT, "https://api.test/", VERIFIER, "invalid_grant"),
        ("openshift-cli-client", REDIRECT, VERIFIER, "invalid_grant"),
        ("nobody", REDIRECT, VERIFIER, "invalid_client"),
        ("openshift-browser-client", REDIRECT, VERIFIER, "invalid_client"),
    ] {
        let code = code(&world).await;
        let answer = exchange(&world, &code, client, redirect, verifier).await;
        assert_eq!(
            answer.json()["error"].as_str().unwrap_or_default(),
            want,
            "{client} {redirect} {verifier}"
        );
        assert_eq!(answer.headers["cache-control"], "no-store");
        if want.is_empty() {
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(answer.json()["expires_in"], 86400);
            assert_eq!(answer.json()["token_type"], "Bearer");
            assert_eq!(world.whoami(&token).await.unwrap().name, "ann");
            // Whoever sends it again may have stolen it, or have been stolen from.
            let again = exchange(&world, &code, client, redirect, verifier).await;
            assert_eq!(again.json()["error"], "invalid_grant");
            assert!(world.whoami(&token).await.is_err(), "the token is revoked");
        } else if want == "invalid_grant" {
            let again = exchange(&world, &code, CLIENT, REDIRECT, VERIFIER).await;
            assert_eq!(again.json()["error"], "invalid_grant", "one attempt only");
        }
    }
}

#[tokio::test]
async fn a_code_does_not_wait_long() {
    let world = World::new().await;
    let code = code(&world).await;
    let name = berth_oauth::opaque::object_name(&code).unwrap();
    let age = |stored: &Object| {
        let mut stored = stored.clone();
        stored.set_creation_timestamp(Timestamp::now() - SignedDuration::from_secs(301));
        Ok(Some(stored))
    };
    world
        .stores
        .authorize_tokens
        .update("", &name, age)
        .await
        .unwrap();
    let answer = exchange(&world, &code, CLIENT, REDIRECT, VERIFIER).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
}

#[tokio::test]
async fn the_token_endpoint_explains_what_is_wrong() {
    let world = World::new().await;
    for (form, status, error) in [
        (vec![], StatusCode::UNAUTHORIZED, "invalid_client"),
        (
            vec![("client_id", CLIENT)],
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            vec![("client_id", CLIENT), ("grant_type", "password")],
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
        ),
        (
            vec![("client_id", CLIENT), ("grant_type", "authorization_code")],
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            vec![
                ("client_id", CLIENT),
                ("grant_type", "authorization_code"),
                ("code", "sha256~x"),
            ],
            StatusCode::BAD_REQUEST,
            "invalid_grant",
        ),
        (
            vec![
                ("client_id", CLIENT),
                ("grant_type", "authorization_code"),
                ("code", "a"),
                ("code", "b"),
            ],
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
    ] {
        let answer = world.post("/oauth/token", &form).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (status, Some(error)),
            "{form:?}"
        );
    }
    assert_eq!(
        world.get("/oauth/token").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn a_secret_is_asked_for_and_cannot_be_guessed_quickly() {
    let world = World::new().await;
    let client = json!({"metadata": {"name": "app"}, "secret": "s3cret&%", "grantMethod": "auto",
        "redirectURIs": ["https://app.example/cb"], "respondWithChallenges": true});
    put(&world.stores.clients, client).await;
    let headers = |user: &str| {
        vec![
            ("X-CSRF-Token", "1".to_owned()),
            ("Authorization", basic(user, PASSWORD)),
        ]
    };
    let path = "/oauth/authorize?client_id=app&response_type=code";
    for (secret, header, want) in [
        ("s3cret&%", false, true),
        ("s3cret%26%25", true, true),
        ("s3cret&%", true, true),
        ("wrong", false, false),
        ("", false, false),
        ("wrong", true, false),
    ] {
        let code = world
            .ask(Ask {
                path,
                headers: headers("ann"),
                ..Ask::default()
            })
            .await
            .parameter("code")
            .unwrap();
        let mut form = vec![("grant_type", "authorization_code"), ("code", &code)];
        let mut ask = Ask {
            method: "POST",
            path: "/oauth/token",
            ..Ask::default()
        };
        if header {
            ask.headers.push(("Authorization", basic("app", secret)));
        } else {
            form.extend([("client_id", "app"), ("client_secret", secret)]);
        }
        ask.form = form;
        assert_eq!(
            world.ask(ask).await.status == StatusCode::OK,
            want,
            "{secret} {header}"
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_where_the_client_is_not_registered() {
    let world = World::new().await;
    for query in [
        "client_id=openshift-cli-client&redirect_uri=https://evil.example/callback",
        "client_id=openshift-cli-client&redirect_uri=http://127.0.0.1:1/other",
        "client_id=openshift-cli-client",
        "client_id=nobody&redirect_uri=https://evil.example/",
        "redirect_uri=https://evil.example/",
    ] {
        let answer = world
            .get(&format!("/oauth/authorize?response_type=code&{query}"))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.location(), "", "{query}");
        assert!(!answer.text.contains("evil"), "{query}");
    }
    let loopback = "client_id=openshift-cli-client&redirect_uri=http://127.0.0.1:41234/callback";
    for (query, error) in [
        ("response_type=code&state=s", "invalid_request"),
        ("response_type=id_token&state=s", "unsupported_response_type"),
        ("response_type=token&scope=nonsense&state=s", "invalid_scope"),
    ] {
        let answer = world.get(&format!("/oauth/authorize?{loopback}&{query}")).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{query}");
        assert!(
            answer.location().starts_with("http://127.0.0.1:41234/callback"),
            "{query}: {answer:?}"
        );
        assert_eq!(answer.parameter("error").as_deref(), Some(error), "{query}");
        assert_eq!(answer.parameter("state").as_deref(), Some("s"), "{query}");
    }
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(answers: &[&Answer]) -> String {
    let set = answers
        .iter()
        .flat_map(|answer| answer.headers.get_all("set-cookie"));
    set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned())
        .collect::<Vec<_>>()
        .join("; ")
}

/// A browser in which somebody has just logged in: its cookies and what its forms carry.
async fn browser(world: &World) -> (String, String) {
    let page = world.get("/login/local").await;
    let csrf = cookies(&[&page]).split_once('=').unwrap().1.to_owned();
    let form = vec![
        ("csrf", csrf.as_str()),
        ("username", "ann"),
        ("password", PASSWORD),
    ];
    let headers = vec![("Cookie", cookies(&[&page]))];
    let login = world
        .ask(Ask {
            method: "POST",
            path: "/login/local",
            headers,
            form,
            ..Ask::default()
        })
        .await;
    assert_eq!(login.status, StatusCode::FOUND);
    (cookies(&[&page, &login]), csrf)
}

#[tokio::test]
async fn people_are_asked_where_the_client_wants_it() {
    let world = World::new().await;
    let client = json!({"metadata": {"name": "<app>"}, "secret": "s", "grantMethod": "prompt",
        "redirectURIs": ["https://app.example/cb"]});
    put(&world.stores.clients, client).await;
    let (cookie, csrf) = browser(&world).await;
    let path = "/oauth/authorize?client_id=%3Capp%3E&response_type=code&state=s&scope=user:info";
    let headers = || vec![("Cookie", cookie.clone())];
    let asked = world
        .ask(Ask {
            path,
            headers: headers(),
            ..Ask::default()
        })
        .await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(
        asked.text.contains("&lt;app&gt;") && asked.text.contains("user:info"),
        "{}",
        asked.text
    );
    for (csrf, approve, status, parameter) in [
        ("forged", "yes", StatusCode::FORBIDDEN, ""),
        (csrf.as_str(), "no", StatusCode::FOUND, "error"),
        (&csrf, "yes", StatusCode::FOUND, "code"),
    ] {
        let form = vec![("csrf", csrf), ("approve", approve)];
        let answer = world
            .ask(Ask {
                method: "POST",
                path,
                headers: headers(),
                form,
                ..Ask::default()
            })
            .await;
        assert_eq!(answer.status, status, "{csrf} {approve}");
        assert_eq!(
            answer.parameter(parameter).is_some(),
            !parameter.is_empty(),
            "{answer:?}"
        );
    }
    let sneaked = world
        .ask(Ask {
            path: &format!("{path}&approve=yes"),
            headers: headers(),
            ..Ask::default()
        })
        .await;
    assert_eq!(sneaked.status, StatusCode::OK, "a link cannot agree");
}

#[tokio::test]
async fn a_browser_is_sent_to_log_in_and_back() {
    let world = World::new().await;
    let query = format!(
        "client_id=openshift-cli-client&response_type=code&redirect_uri=http%3A%2F%2F127.0.0.1%3A41234%2Fcallback&state=s\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let path = format!("/oauth/authorize?{query}");
    let sent = world.get(&path).await;
    assert!(sent.location().starts_with("/login?then="), "{sent:?}");
    let (cookie, _) = browser(&world).await;
    let back = world
        .ask(Ask {
            path: &path,
            headers: vec![("Cookie", cookie.clone())],
            ..Ask::default()
        })
        .await;
    assert!(
        back.location()
            .starts_with("http://127.0.0.1:41234/callback?code=sha256~"),
        "{back:?}"
    );
    let code = back.parameter("code").unwrap();
    let answer = exchange(
        &world,
        &code,
        "openshift-cli-client",
        "http://127.0.0.1:41234/callback",
        VERIFIER,
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let anew = world
        .stores
        .users
        .delete("", "ann", &berth_apimachinery::options::Preconditions::default())
        .await;
    anew.unwrap();
    let gone = world
        .ask(Ask {
            path: &path,
            headers: vec![("Cookie", cookie)],
            ..Ask::default()
        })
        .await;
    assert!(
        gone.location().starts_with("/login?"),
        "the user of the session is gone: {gone:?}"
    );
}

#[tokio::test]
async fn discovery_says_what_is_there() {
    let world = World::new().await;
    let found = world.get("/.well-known/oauth-authorization-server").await;
    let want: Value = json!({
        "issuer": "https://api.test",
        "authorization_endpoint": "https://api.test/oauth/authorize",
        "token_endpoint": "https://api.test/oauth/token",
        "scopes_supported": ["user:check-access", "user:full", "user:info"],
        "response_types_supported": ["code", "token"],
        "grant_types_supported": ["authorization_code", "implicit"],
        "code_challenge_methods_supported": ["plain", "S256"],
    });
    assert_eq!(found.json(), want);
}
