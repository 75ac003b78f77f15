use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{ISSUER, NOW, Setup, later, now};
use crate::authn::{
    Bound, BoundKind, SigningKey, SigningKeys, TokenError, TokenIssuer, TokenRequest, TokenVerifier, review,
};

fn request(bound: Option<&Bound>) -> TokenRequest<'_> {
    TokenRequest {
        namespace: "demo",
        name: "builder",
        uid: "u1",
        audiences: &[],
        lifetime: SignedDuration::from_secs(600),
        bound,
    }
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn cause<T: std::fmt::Debug>(result: Result<T, TokenError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn tokens_say_what_kubernetes_tokens_say() {
    let setup = Setup::new();
    let bound = Bound {
        kind: BoundKind::Secret,
        name: "s".into(),
        uid: "su".into(),
    };
    let issued = setup.issuer.issue(&request(Some(&bound)), now()).unwrap();
    assert_eq!(issued.expires, later(600));
    let mut claims = part(&issued.token, 1);
    assert_eq!(claims["jti"], json!(issued.id));
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "sub": "system:serviceaccount:demo:builder", "aud": [ISSUER], "exp": NOW + 600, "iat": NOW, "nbf": NOW,
            "kubernetes.io": {"namespace": "demo", "serviceaccount": {"name": "builder", "uid": "u1"}, "secret": {"name": "s", "uid": "su"}},
        })
    );
    let jwks: Value = serde_json::from_slice(&setup.keys.jwks()).unwrap();
    assert_eq!(
        part(&issued.token, 0),
        json!({"alg": "ES256", "kid": jwks["keys"][0]["kid"]})
    );
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    for (field, want) in [("use", "sig"), ("kty", "EC"), ("crv", "P-256"), ("alg", "ES256")] {
        assert_eq!(jwks["keys"][0][field], json!(want), "{field}");
    }
    assert!(jwks["keys"][0].get("d").is_none());
    assert_eq!(
        setup
            .keys
            .openid_configuration(ISSUER, "https://host/openid/v1/jwks"),
        json!({
            "issuer": ISSUER, "jwks_uri": "https://host/openid/v1/jwks", "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })
    );
}

#[test]
fn a_token_identifies_its_service_account() {
    let setup = Setup::new();
    let issued = setup.issuer.issue(&request(None), now()).unwrap();
    let identity = setup.verifier(now).verify(&issued.token, &[]).unwrap().unwrap();
    assert_eq!(identity.user.name, "system:serviceaccount:demo:builder");
    assert_eq!(identity.user.uid, "u1");
    assert_eq!(
        identity.user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:demo",
            "system:authenticated"
        ]
    );
    assert_eq!(
        identity.user.extra["authentication.kubernetes.io/credential-id"],
        [format!("JTI={}", issued.id)]
    );
    assert_eq!(identity.audiences, [ISSUER]);
}

#[test]
fn rsa_keys_sign_and_verify() {
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)
        .unwrap()
        .serialize_pem();
    let keys = SigningKeys::new(vec![SigningKey::from_pem(pem.as_bytes()).unwrap()]).unwrap();
    let setup = Setup::new();
    let issued = TokenIssuer::new(keys.clone(), ISSUER, &[])
        .issue(&request(None), now())
        .unwrap();
    assert_eq!(part(&issued.token, 0)["alg"], json!("RS256"));
    let verifier = TokenVerifier::new(keys, ISSUER, &[], setup.cluster.clone())
        .unwrap()
        .at(now);
    assert!(verifier.verify(&issued.token, &[]).unwrap().is_some());
    // The other server's keys do not know it.
    assert_eq!(setup.verifier(now).verify(&issued.token, &[]), Ok(None));
}

#[test]
fn times_are_checked_on_every_use() {
    let setup = Setup::new();
    let token = setup.issuer.issue(&request(None), now()).unwrap().token;
    for (clock, want) in [
        (
            (|| later(-11)) as fn() -> jiff::Timestamp,
            Some("the token is not valid yet"),
        ),
        (|| later(-9), None),
        (|| later(599), None),
        (|| later(609), None),
        (|| later(610), Some("the token has expired")),
    ] {
        let verifier = setup.verifier(clock);
        for _ in 0..2 {
            let got = verifier.verify(&token, &[]).err().map(|error| error.to_string());
            assert_eq!(got.as_deref(), want, "{}", clock());
        }
    }
}

#[test]
fn audiences_must_overlap() {
    let setup = Setup::new();
    let own = vec!["registry".to_owned(), "other".to_owned()];
    let token = setup
        .issuer
        .issue(
            &TokenRequest {
                audiences: &own,
                ..request(None)
            },
            now(),
        )
        .unwrap()
        .token;
    let verifier = setup.verifier(now);
    assert!(cause(verifier.verify(&token, &[])).contains("is meant for"));
    for (asked, want) in [
        (vec!["registry"], Some(vec!["registry"])),
        (vec!["x", "other"], Some(vec!["other"])),
        (vec!["x"], None),
    ] {
        let asked: Vec<String> = asked.into_iter().map(str::to_owned).collect();
        let got = verifier
            .verify(&token, &asked)
            .ok()
            .flatten()
            .map(|identity| identity.audiences);
        assert_eq!(
            got,
            want.map(|want| want.into_iter().map(str::to_owned).collect()),
            "{asked:?}"
        );
    }
}

#[test]
fn deletions_revoke() {
    let setup = Setup::new();
    let verifier = setup.verifier(now);
    let kinds = [
        (BoundKind::Secret, "secret", "demo"),
        (BoundKind::Pod, "pod", "demo"),
        (BoundKind::Node, "node", ""),
    ];
    for (kind, word, namespace) in kinds {
        let bound = Bound {
            kind,
            name: "b".into(),
            uid: "bu".into(),
        };
        let token = setup.issuer.issue(&request(Some(&bound)), now()).unwrap().token;
        let gone = format!("the {word} \"b\" that the token is bound to is gone");
        assert_eq!(cause(verifier.verify(&token, &[])), gone);
        setup
            .cluster
            .put(word, namespace, "b", json!({"metadata": {"uid": "bu"}}));
        assert!(verifier.verify(&token, &[]).is_ok(), "{word}");
        setup
            .cluster
            .put(word, namespace, "b", json!({"metadata": {"uid": "new"}}));
        assert_eq!(cause(verifier.verify(&token, &[])), gone);
        setup.cluster.put(
            word,
            namespace,
            "b",
            json!({"metadata": {"uid": "bu", "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        );
        assert_eq!(cause(verifier.verify(&token, &[])), gone);
        setup.cluster.remove(word, namespace, "b");
        assert_eq!(cause(verifier.verify(&token, &[])), gone);
    }
    let token = setup.issuer.issue(&request(None), now()).unwrap().token;
    assert!(verifier.verify(&token, &[]).is_ok());
    setup
        .cluster
        .put("account", "demo", "builder", json!({"metadata": {"uid": "u2"}}));
    assert!(cause(verifier.verify(&token, &[])).ends_with("was created anew since the token was issued"));
    setup.cluster.remove("account", "demo", "builder");
    assert_eq!(
        cause(verifier.verify(&token, &[])),
        "the service account demo/builder is gone"
    );
}

#[test]
fn tokens_in_secrets_live_as_long_as_their_secret_holds_them() {
    let setup = Setup::new();
    let verifier = setup.verifier(now);
    let token = setup.issuer.issue_legacy("demo", "builder", "u1", "s").unwrap();
    let gone = "the secret \"s\" that the token lived in is gone";
    assert_eq!(cause(verifier.verify(&token, &[])), gone);
    setup.cluster.put(
        "secret",
        "demo",
        "s",
        json!({"data": {"token": STANDARD.encode(&token)}}),
    );
    let identity = verifier.verify(&token, &[]).unwrap().unwrap();
    assert_eq!(identity.user.name, "system:serviceaccount:demo:builder");
    assert!(identity.user.extra.is_empty());
    assert!(verifier.verify(&token, &["elsewhere".into()]).is_err());
    setup.cluster.put(
        "secret",
        "demo",
        "s",
        json!({"data": {"token": STANDARD.encode("another")}}),
    );
    assert_eq!(cause(verifier.verify(&token, &[])), gone);
}

#[tokio::test]
async fn reviews_tell_other_servers() {
    let setup = Setup::new();
    let issued = setup.issuer.issue(&request(None), now()).unwrap();
    let verifier = setup.verifier(now);
    assert_eq!(
        review(&verifier, &issued.token, &[]).await,
        json!({
            "authenticated": true,
            "user": {
                "username": "system:serviceaccount:demo:builder", "uid": "u1",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:demo", "system:authenticated"],
                "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={}", issued.id)]},
            },
            "audiences": [ISSUER],
        })
    );
    for (token, audiences, want) in [
        ("", vec![], json!({"user": {}, "error": "no token is given"})),
        ("sha256~opaque", vec![], json!({"user": {}})),
        (
            issued.token.as_str(),
            vec!["x".to_owned()],
            json!({"user": {}, "error": format!("the token is meant for [{ISSUER:?}], not for [\"x\"]")}),
        ),
    ] {
        assert_eq!(review(&verifier, token, &audiences).await, want, "{token}");
    }
}
