//! Tokens of service accounts, as strangers send them.

use std::sync::{Arc, OnceLock};

use berth_apimachinery::authn::{
    Accounts, BoundKind, SigningKey, SigningKeys, TokenIssuer, TokenRequest, TokenVerifier, bearer_token,
};
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use jiff::{SignedDuration, Timestamp};

const ISSUER: &str = "https://kubernetes.default.svc";

/// Every service account exists.
struct Everybody;

impl Accounts for Everybody {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        let mut account = Object::default();
        account.set_namespace(namespace);
        account.set_name(name);
        account.set_uid("u");
        Some(account.into())
    }

    fn bound(&self, _: BoundKind, _: &str, _: &str) -> Option<Arc<Entry>> {
        None
    }
}

struct Setup {
    verifier: TokenVerifier,
    /// A token that is valid for as long as the fuzzer may run.
    token: String,
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let key = rcgen::KeyPair::generate()
            .expect("the machine has randomness")
            .serialize_pem();
        let key = SigningKey::from_pem(key.as_bytes()).expect("the key is one");
        let keys = SigningKeys::new(vec![key]).expect("there is a key");
        let request = TokenRequest {
            namespace: "demo",
            name: "builder",
            uid: "u",
            audiences: &[],
            lifetime: SignedDuration::from_hours(10_000),
            bound: None,
        };
        let issuer = TokenIssuer::new(keys.clone(), ISSUER, &[]);
        let token = issuer
            .issue(&request, Timestamp::now())
            .expect("a key signs")
            .token;
        let verifier =
            TokenVerifier::new(keys, ISSUER, &[], Arc::new(Everybody)).expect("the machine has randomness");
        assert!(verifier.verify(&token, &[]).is_ok_and(|found| found.is_some()));
        Setup { verifier, token }
    })
}

/// A token that nobody signed. The bytes stand for themselves, for what is put in place of a part of a valid token, and for
/// changes of single bytes of it; nothing of that may be accepted.
pub fn token(data: &[u8]) {
    let setup = setup();
    let refused = |token: &str| {
        let found = setup.verifier.verify(token, &[]);
        assert!(
            token == setup.token || !found.is_ok_and(|found| found.is_some()),
            "accepted: {token}"
        );
    };
    let text = String::from_utf8_lossy(data);
    refused(&text);
    let parts: Vec<&str> = setup.token.split('.').collect();
    for place in 0..parts.len() {
        let mut forged = parts.clone();
        forged[place] = &text;
        refused(&forged.join("."));
    }
    if let [high, low, bits, ..] = *data {
        let mut bytes = setup.token.clone().into_bytes();
        let place = (usize::from(high) << 8 | usize::from(low)) % bytes.len();
        bytes[place] ^= bits & 0x7f;
        // The last character of a part has bits that no byte needs: decoders may ignore them, and then nothing was changed.
        let ends = bytes.get(place + 1).is_none_or(|next| *next == b'.');
        if let (false, Ok(forged)) = (ends, String::from_utf8(bytes)) {
            refused(&forged);
        }
    }
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_bytes(data) {
        headers.insert(http::header::AUTHORIZATION, value);
        assert!(bearer_token(&headers).is_none_or(|token| !token.is_empty()));
    }
}
