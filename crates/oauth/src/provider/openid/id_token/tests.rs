//! Forged, misdirected and stale ID tokens, and what is read from good ones.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://sso.example";
const NONCE: &str = "the-nonce";

/// A key pair of a provider, or of somebody who would like to be one.
struct Pair {
    private: EncodingKey,
    public: Jwk,
    pem: String,
}

impl Pair {
    fn new(id: &str) -> Pair {
        let _ = DEFAULT_PROVIDER.install_default();
        let pair = rcgen::KeyPair::generate().unwrap();
        let pem = pair.serialize_pem();
        let private = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        public.common.key_id = Some(id.to_owned());
        Pair {
            private,
            public,
            pem: pair.public_key_pem(),
        }
    }

    fn sign(&self, id: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = id.map(str::to_owned);
        encode(&header, claims, &self.private).unwrap()
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "berth", "sub": "1", "nonce": NONCE, "exp": get_current_timestamp() + 60,
        "iat": get_current_timestamp()})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn check(token: &str, keys: &JwkSet) -> Result<Claims, Error> {
    verify(
        token,
        keys,
        &Expected {
            issuer: ISSUER,
            client: "berth",
            nonce: NONCE,
        },
    )
}

#[test]
fn claims_must_fit() {
    let pair = Pair::new("a");
    let keys = JwkSet {
        keys: vec![pair.public.clone()],
    };
    let now = get_current_timestamp();
    for (claims, fine) in [
        (claims(), true),
        (with("aud", json!(["berth"])), true),
        (with("aud", json!(["berth", "other"])), false),
        (with("aud", json!("other")), false),
        (with("aud", json!(null)), false),
        (with("iss", json!("https://evil.example")), false),
        (with("iss", json!(null)), false),
        (with("exp", json!(now - 60)), false),
        (with("exp", json!(null)), false),
        (with("nbf", json!(now + 60)), false),
        (with("nbf", json!(now - 60)), true),
        (with("nonce", json!("another")), false),
        (with("nonce", json!(null)), false),
        (with("sub", json!(null)), false),
        (with("azp", json!("berth")), true),
        (with("azp", json!("other")), false),
    ] {
        let got = check(&pair.sign(Some("a"), &claims), &keys);
        assert_eq!(got.is_ok(), fine, "{claims}: {got:?}");
    }
    let mut several = with("aud", json!(["berth", "other"]));
    several["azp"] = json!("berth");
    assert!(check(&pair.sign(Some("a"), &several), &keys).is_ok());
}

#[test]
fn only_the_providers_own_keys_count() {
    let (ours, theirs, evil) = (Pair::new("a"), Pair::new("b"), Pair::new("a"));
    let keys = JwkSet {
        keys: vec![ours.public.clone(), theirs.public.clone()],
    };
    let one = JwkSet {
        keys: vec![ours.public.clone()],
    };
    assert!(check(&ours.sign(Some("a"), &claims()), &keys).is_ok());
    assert!(
        check(&ours.sign(None, &claims()), &one).is_ok(),
        "no key is named, and there is only one"
    );
    for (what, token, keys) in [
        ("another's key", evil.sign(Some("a"), &claims()), &keys),
        ("the key's name swapped", ours.sign(Some("b"), &claims()), &keys),
        (
            "a key that is not published",
            ours.sign(Some("c"), &claims()),
            &keys,
        ),
        (
            "no key named, and several to choose from",
            ours.sign(None, &claims()),
            &keys,
        ),
        ("not a token", "a.b.c".to_owned(), &keys),
        ("nothing", String::new(), &keys),
        ("too long", "a".repeat(TOKEN_LIMIT + 1), &keys),
    ] {
        assert!(check(&token, keys).is_err(), "{what}");
    }
    assert!(
        matches!(check(&ours.sign(Some("c"), &claims()), &keys), Err(Error::Key)),
        "newer keys may help"
    );

    // A key in the header, or the address of one, is the forger's.
    let mut header = Header::new(Algorithm::ES256);
    header.jwk = Some(evil.public.clone());
    header.jku = Some("https://evil.example/keys".to_owned());
    for id in [None, Some("a".to_owned())] {
        header.kid = id;
        let token = encode(&header, &claims(), &evil.private).unwrap();
        assert!(check(&token, &one).is_err(), "{:?}", header.kid);
    }
}

#[test]
fn algorithms_that_prove_nothing_are_refused() {
    let pair = Pair::new("a");
    let keys = JwkSet {
        keys: vec![pair.public.clone()],
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let good = pair.sign(Some("a"), &claims());
    let signature = good.rsplit('.').next().unwrap();
    for algorithm in ["none", "None", "", "HS256", "ES256K"] {
        for signature in ["", signature] {
            let token = format!(
                "{}.{}.{signature}",
                part(&json!({"alg": algorithm, "kid": "a"})),
                part(&claims())
            );
            assert!(check(&token, &keys).is_err(), "{algorithm} {signature}");
        }
    }
    // The public key, which everybody has, as a shared secret.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("a".to_owned());
    let token = encode(&header, &claims(), &EncodingKey::from_secret(pair.pem.as_bytes())).unwrap();
    assert!(matches!(check(&token, &keys), Err(Error::Algorithm)));
}

#[test]
fn keys_that_are_not_known_do_not_spoil_the_others() {
    let pair = Pair::new("a");
    let published = json!({"keys": [
        {"kty": "unheard-of", "kid": "x"},
        {"kty": "oct", "kid": "y", "k": "c2VjcmV0"},
        pair.public,
        "nonsense",
    ]});
    let keys = serde_json::from_value::<Keys>(published).unwrap().usable();
    assert_eq!(keys.keys.len(), 1);
    assert!(check(&pair.sign(Some("a"), &claims()), &keys).is_ok());
}

#[test]
fn people_are_read_from_the_first_claims_that_have_values() {
    let pair = Pair::new("a");
    let keys = JwkSet {
        keys: vec![pair.public.clone()],
    };
    let mut claims = claims();
    claims["email"] = json!("a@b.example");
    claims["roles"] = json!("one");
    let read = || check(&pair.sign(Some("a"), &claims), &keys).unwrap();
    let list = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<String>>()
    };
    let names = ClaimNames {
        preferred_username: list(&["nick", "email"]),
        name: list(&["name"]),
        email: list(&["email"]),
        groups: list(&["groups", "roles"]),
    };
    assert!(read().lacks(&names), "no name");
    let more = json!({"sub": "1", "name": "Ann", "email": "other@b.example", "groups": ["two", 3, "four"]});
    let more = more.as_object().unwrap().clone();
    let person = read().person(more.clone(), &names);
    let want = Person {
        subject: "1".to_owned(),
        preferred_username: "a@b.example".to_owned(),
        name: "Ann".to_owned(),
        email: "a@b.example".to_owned(),
        groups: Some(list(&["two", "four", "one"])),
    };
    assert_eq!(person, want);
    let mut other = more;
    other.insert("sub".to_owned(), json!("2"));
    let person = read().person(other, &ClaimNames::default());
    assert_eq!(
        (person.name.as_str(), person.groups),
        ("", None),
        "about somebody else"
    );
    assert_eq!(person.preferred_username, "1", "the subject, for want of a name");
}
