//! Tokens that somebody made who does not hold the key.
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Request;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ISSUER, NOW, Setup, ec_pem, now};
use crate::{
    authn::{BearerTokens, TokenRequest, Union, bearer_token},
    identity::Authenticator,
};

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "system:serviceaccount:demo:builder", "aud": [ISSUER], "exp": NOW + 600, "iat": NOW, "nbf": NOW,
        "kubernetes.io": {"namespace": "demo", "serviceaccount": {"name": "builder", "uid": "u1"}},
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn signed(pem: &str, header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()).unwrap()
}

#[test]
fn forged_tokens_are_refused() {
    let setup = Setup::new();
    let verifier = setup.verifier(now);
    let jwks: Value = serde_json::from_slice(&setup.keys.jwks()).unwrap();
    let kid = jwks["keys"][0]["kid"].as_str().unwrap().to_owned();
    let other_kid = jwks["keys"][1]["kid"].as_str().unwrap().to_owned();
    let header = |kid: &str| Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    // The control: the same construction with the right key is accepted, by either of the keys.
    assert!(
        verifier
            .verify(&signed(&setup.pem, &header(&kid), &claims()), &[])
            .unwrap()
            .is_some()
    );
    assert!(
        verifier
            .verify(&signed(&setup.other_pem, &header(&other_kid), &claims()), &[])
            .unwrap()
            .is_some()
    );

    let thief = ec_pem();
    let thief_jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(
        &EncodingKey::from_ec_pem(thief.as_bytes()).unwrap(),
        Algorithm::ES256,
    )
    .unwrap();
    // The public key as the secret of an HMAC, in the forms in which a careless verifier might hold it.
    let confused = |secret: &[u8]| {
        let message = unsigned(&json!({"alg": "HS256", "kid": kid}), &claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let key = &jwks["keys"][0];
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let good = signed(&setup.pem, &header(&kid), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let evil = unsigned(
        &json!({"alg": "ES256", "kid": kid}),
        &with("sub", json!("system:serviceaccount:kube-system:admin")),
    );
    for (name, token) in [
        (
            "alg none",
            format!("{}.", unsigned(&json!({"alg": "none", "kid": kid}), &claims())),
        ),
        (
            "alg none in capitals",
            format!("{}.", unsigned(&json!({"alg": "NONE", "kid": kid}), &claims())),
        ),
        ("empty signature", format!("{message}.")),
        ("wrong key", signed(&thief, &header(&kid), &claims())),
        ("kid swapped", signed(&setup.pem, &header(&other_kid), &claims())),
        ("kid unknown", signed(&setup.pem, &header("x"), &claims())),
        (
            "kid missing",
            signed(&setup.pem, &Header::new(Algorithm::ES256), &claims()),
        ),
        ("HMAC with the point", confused(&point)),
        ("HMAC with the jwk", confused(key.to_string().as_bytes())),
        ("HMAC with x", confused(&coordinate("x"))),
        (
            "alg of another curve",
            format!(
                "{}.{signature}",
                unsigned(&json!({"alg": "ES384", "kid": kid}), &claims())
            ),
        ),
        (
            "alg RS256",
            format!(
                "{}.{signature}",
                unsigned(&json!({"alg": "RS256", "kid": kid}), &claims())
            ),
        ),
        ("claims changed", format!("{evil}.{signature}")),
        (
            "key in the header",
            signed(
                &thief,
                &Header {
                    jwk: Some(thief_jwk),
                    ..header(&kid)
                },
                &claims(),
            ),
        ),
        (
            "key by address",
            signed(
                &thief,
                &Header {
                    jku: Some("https://thief/jwks".into()),
                    ..header(&kid)
                },
                &claims(),
            ),
        ),
        (
            "critical extension",
            signed(
                &setup.pem,
                &Header {
                    crit: Some(vec!["x".into()]),
                    ..header(&kid)
                },
                &claims(),
            ),
        ),
        (
            "wrong issuer",
            signed(
                &setup.pem,
                &header(&kid),
                &with("iss", json!("https://elsewhere")),
            ),
        ),
        (
            "wrong audience",
            signed(&setup.pem, &header(&kid), &with("aud", json!(["x"]))),
        ),
        (
            "no audience",
            signed(&setup.pem, &header(&kid), &with("aud", json!([]))),
        ),
        (
            "expired",
            signed(&setup.pem, &header(&kid), &with("exp", json!(NOW - 11))),
        ),
        (
            "no expiry",
            signed(&setup.pem, &header(&kid), &with("exp", Value::Null)),
        ),
        (
            "expiry overflows",
            signed(&setup.pem, &header(&kid), &with("exp", json!(1e300))),
        ),
        (
            "not yet valid",
            signed(&setup.pem, &header(&kid), &with("nbf", json!(NOW + 11))),
        ),
        (
            "subject of another",
            signed(
                &setup.pem,
                &header(&kid),
                &with("sub", json!("system:serviceaccount:demo:admin")),
            ),
        ),
        (
            "not an account",
            signed(
                &setup.pem,
                &header(&kid),
                &with("kubernetes.io", json!({"namespace": "demo"})),
            ),
        ),
        (
            "no uid",
            signed(
                &setup.pem,
                &header(&kid),
                &with(
                    "kubernetes.io",
                    json!({"namespace": "demo", "serviceaccount": {"name": "builder"}}),
                ),
            ),
        ),
        (
            "legacy claims under our issuer",
            signed(&setup.pem, &header(&kid), &with("kubernetes.io", Value::Null)),
        ),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.x")),
        ("too long", format!("{good}{}", "A".repeat(17_000))),
    ] {
        for _ in 0..2 {
            let got = verifier.verify(&token, &[]);
            assert!(!matches!(got, Ok(Some(_))), "{name}: {got:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No single changed character of a token is accepted, and no text panics.
    #[test]
    fn changed_tokens_are_refused(at in 0_usize..400, to in "[A-Za-z0-9_.-]", noise in "[ -~]{0,40}") {
        let setup = Setup::new();
        let request = TokenRequest { namespace: "demo", name: "builder", uid: "u1", audiences: &[], lifetime: SignedDuration::from_secs(600), bound: None };
        let token = setup.issuer.issue(&request, now()).unwrap().token;
        let verifier = setup.verifier(now);
        let at = at % token.len();
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        // The last character of an encoding may carry unused bits, which decoders must not accept either.
        prop_assert!(changed == token || !matches!(verifier.verify(&changed, &[]), Ok(Some(_))), "{}", changed);
        prop_assert!(!matches!(verifier.verify(&noise, &[]), Ok(Some(_))));
    }
}

#[tokio::test]
async fn wrong_tokens_are_never_anonymous() {
    let setup = Setup::new();
    let union = Union::new(vec![Arc::new(BearerTokens::new(vec![Arc::new(
        setup.verifier(now),
    )]))]);
    let request = TokenRequest {
        namespace: "demo",
        name: "builder",
        uid: "u1",
        audiences: &[],
        lifetime: SignedDuration::from_secs(600),
        bound: None,
    };
    let token = setup.issuer.issue(&request, now()).unwrap().token;
    for (header, want) in [
        (None, Ok("system:anonymous")),
        (
            Some(format!("Bearer {token}")),
            Ok("system:serviceaccount:demo:builder"),
        ),
        (
            Some(format!("bearer  {token} ")),
            Ok("system:serviceaccount:demo:builder"),
        ),
        (Some("Bearer nonsense".to_owned()), Err(401)),
        (Some(format!("Bearer {token}x")), Err(401)),
        (Some("Basic dTpw".to_owned()), Ok("system:anonymous")),
        (Some("Bearer ".to_owned()), Ok("system:anonymous")),
    ] {
        let mut request = Request::builder();
        if let Some(header) = &header {
            request = request.header("authorization", header);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let got = union.authenticate(&parts).await;
        let got = got
            .as_ref()
            .map(|user| user.as_ref().unwrap().name.as_str())
            .map_err(crate::status::Status::code);
        assert_eq!(got, want, "{header:?} {:?}", bearer_token(&parts.headers));
    }
    let (parts, ()) = Request::new(()).into_parts();
    assert_eq!(
        union
            .without_anonymous()
            .authenticate(&parts)
            .await
            .unwrap_err()
            .code(),
        401
    );
}
