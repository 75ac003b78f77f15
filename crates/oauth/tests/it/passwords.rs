//! Names and passwords: the challenge, the form, and what slows down guessing.
use std::time::Duration;

use berth_oauth::{MappingMethod, ProviderConfig, ProviderKind};
use http::StatusCode;

use crate::world::{Ask, PASSWORD, World, basic};

const IMPLICIT: &str = "/oauth/authorize?client_id=openshift-challenging-client&response_type=token";

#[tokio::test]
async fn a_challenge_is_only_for_programs() {
    let world = World::new().await;
    let without = world.get(IMPLICIT).await;
    assert_eq!(without.status, StatusCode::UNAUTHORIZED);
    assert!(
        !without.headers.contains_key("www-authenticate"),
        "a browser would ask for a password"
    );
    assert!(
        without.headers["warning"]
            .to_str()
            .unwrap()
            .contains("X-CSRF-Token"),
        "{without:?}"
    );
    let credentials = vec![("Authorization", basic("ann", PASSWORD))];
    let without = world
        .ask(Ask {
            path: IMPLICIT,
            headers: credentials,
            ..Ask::default()
        })
        .await;
    assert_eq!(
        without.status,
        StatusCode::UNAUTHORIZED,
        "also not with credentials that a browser remembered"
    );
    let asked = vec![("X-CSRF-Token", "x".to_owned())];
    let asked = world
        .ask(Ask {
            path: IMPLICIT,
            headers: asked,
            ..Ask::default()
        })
        .await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert_eq!(asked.headers["www-authenticate"], "Basic realm=\"openshift\"");
    let granted = world
        .challenge("ann", PASSWORD, "response_type=token&state=s")
        .await;
    assert_eq!(granted.status, StatusCode::FOUND);
    assert!(
        granted
            .location()
            .starts_with("https://api.test/oauth/token/implicit#access_token=sha256~"),
        "{granted:?}"
    );
    for (name, want) in [
        ("expires_in", "86400"),
        ("scope", "user:full"),
        ("token_type", "Bearer"),
        ("state", "s"),
    ] {
        assert_eq!(granted.parameter(name).as_deref(), Some(want), "{name}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_by_nobody() {
    let world = World::new().await;
    let mut answers = Vec::new();
    for (user, password) in [
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("ann", ""),
        ("", PASSWORD),
        ("kubeadmin", "wrong"),
    ] {
        let answer = world.challenge(user, password, "response_type=token").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user}");
        assert!(answer.headers.contains_key("www-authenticate"), "{user}");
        answers.push(answer.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(world.stores.users.list("").is_empty() && world.stores.access_tokens.list("").is_empty());
}

#[tokio::test]
async fn without_anybody_who_takes_passwords_a_client_is_told_where_to_go() {
    let world = World::with(|config| {
        config.kubeadmin = None;
        config.providers.clear();
    })
    .await;
    let answer = world.challenge("ann", PASSWORD, "response_type=token").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer.text.contains("https://api.test/oauth/token/request"),
        "{answer:?}"
    );
    assert!(!answer.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_no_wrong_password() {
    let world = World::with(|config| {
        config.providers = vec![ProviderConfig {
            name: "gone".to_owned(),
            mapping: MappingMethod::Claim,
            kind: ProviderKind::Htpasswd {
                file: "/nowhere".into(),
            },
        }];
    })
    .await;
    let answer = world.challenge("ann", PASSWORD, "response_type=token").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let answer = world
        .challenge("kubeadmin", "kubeadmin-password", "response_type=token")
        .await;
    assert_eq!(answer.status, StatusCode::FOUND, "others can still log in");
}

#[tokio::test(start_paused = true)]
async fn guessing_becomes_slow_and_the_owner_still_gets_in() {
    let world = World::new().await;
    let mut refused = 0;
    for number in 0..40 {
        let guess = format!("guess{number}");
        let answer = world.challenge("ann", &guess, "response_type=token").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=31).contains(&seconds), "{seconds}");
        } else {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
    }
    assert!(refused > 20, "only {refused} of 40 guesses were refused");
    let began = tokio::time::Instant::now();
    let headers = vec![
        ("X-CSRF-Token", "1".to_owned()),
        ("Authorization", basic("ann", PASSWORD)),
    ];
    let owner = world
        .ask(Ask {
            path: IMPLICIT,
            headers,
            from: "198.51.100.7",
            ..Ask::default()
        })
        .await;
    assert_eq!(owner.status, StatusCode::FOUND, "from elsewhere: {owner:?}");
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
    tokio::time::sleep(Duration::from_secs(31)).await;
    let owner = world.challenge("ann", PASSWORD, "response_type=token").await;
    assert_eq!(
        owner.status,
        StatusCode::FOUND,
        "from the same address after a while: {owner:?}"
    );
}

#[tokio::test]
async fn the_form_wants_to_be_ours() {
    let world = World::new().await;
    let then = "/oauth/authorize?client_id=openshift-browser-client&response_type=code";
    let page = world.get(&format!("/login/local?then={}", encode(then))).await;
    assert_eq!(page.status, StatusCode::OK);
    let cookie = page.headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let csrf = cookie.split_once('=').unwrap().1.to_owned();
    assert!(page.text.contains(&csrf));
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .ends_with("form-action 'self' https://api.test")
    );
    for (cookie, csrf, password, want) in [
        ("", csrf.as_str(), PASSWORD, StatusCode::FORBIDDEN),
        (&cookie, "", PASSWORD, StatusCode::FORBIDDEN),
        (&cookie, "forged", PASSWORD, StatusCode::FORBIDDEN),
        (&cookie, &csrf, "wrong", StatusCode::UNAUTHORIZED),
        (&cookie, &csrf, PASSWORD, StatusCode::FOUND),
    ] {
        let form = vec![
            ("csrf", csrf),
            ("then", then),
            ("username", "ann"),
            ("password", password),
        ];
        let headers = vec![("Cookie", cookie.to_owned())];
        let answer = world
            .ask(Ask {
                method: "POST",
                path: "/login/local",
                headers,
                form,
                ..Ask::default()
            })
            .await;
        assert_eq!(answer.status, want, "{cookie} {csrf} {password}");
        assert!(
            !answer.text.contains(password) || password.is_empty(),
            "the page repeats the password"
        );
        let remembered = answer
            .headers
            .get_all("set-cookie")
            .iter()
            .any(|cookie| cookie.to_str().unwrap().contains("session"));
        assert_eq!(remembered, want == StatusCode::FOUND);
        if want == StatusCode::FOUND {
            assert_eq!(answer.location(), then);
        }
    }
    let elsewhere = world.get("/login/local?then=https%3A%2F%2Fevil.example%2F").await;
    assert!(!elsewhere.text.contains("evil.example"));
}

#[tokio::test]
async fn several_providers_are_a_choice() {
    let world = World::new().await;
    let page = world.get("/login?then=%2Foauth%2Ftoken%2Frequest").await;
    for name in ["kube:admin", "local"] {
        assert!(
            page.text
                .contains(&format!("/login/{name}?then=%2Foauth%2Ftoken%2Frequest")),
            "{}",
            page.text
        );
    }
    for (path, want) in [
        ("/login/nowhere", StatusCode::NOT_FOUND),
        ("/login/kube:admin", StatusCode::OK),
        ("/login/kube%3Aadmin", StatusCode::OK),
        ("/oauth2callback/local", StatusCode::FORBIDDEN),
        ("/oauth/nothing", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(world.get(path).await.status, want, "{path}");
    }
    let alone = World::with(|config| config.kubeadmin = None).await;
    let page = alone.get("/login").await;
    assert_eq!(
        page.location(),
        "/login/local?then=%2Foauth%2Ftoken%2Frequest",
        "one is no choice"
    );
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
