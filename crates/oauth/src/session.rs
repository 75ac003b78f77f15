//! Cookies: who has logged in with this browser a moment ago, and that a form was made for it.
//!
//! Nothing is kept on the server: a cookie says what it says under a keyed hash, so that any replica with the same key
//! understands it. All of them are `__Host-` cookies: only this host sets them, over TLS, for itself.
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::opaque::{random_text, same};
use crate::params;

/// How long a browser is remembered after logging in: long enough to finish what it came for.
const SESSION: SignedDuration = SignedDuration::from_mins(5);
/// How long somebody may take at another provider.
const ERRAND: SignedDuration = SignedDuration::from_mins(10);
const SESSION_COOKIE: &str = "__Host-berth-session";
const ERRAND_COOKIE: &str = "__Host-berth-errand";
const CSRF_COOKIE: &str = "__Host-berth-csrf";
/// Name of the form field that carries the same as [`CSRF_COOKIE`].
pub(crate) const CSRF_FIELD: &str = "csrf";
/// Bytes of randomness against forged forms.
const CSRF_BYTES: usize = 24;
/// Longest cookie that is looked at, in bytes.
const COOKIE_LIMIT: usize = 4096;

/// Who has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) uid: String,
}

/// Somebody is on the way to another provider and back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) provider: String,
    /// Where to go on afterwards.
    pub(crate) then: String,
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    /// What it is for, so that one kind of cookie is never taken for another.
    kind: String,
    /// End of its life, in seconds of Unix time.
    until: i64,
    content: T,
}

/// Makes and reads cookies. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions(hmac::Key);

impl Sessions {
    pub(crate) fn new(key: &[u8]) -> Sessions {
        Sessions(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A cookie that remembers who logged in.
    pub(crate) fn remember(&self, login: &Login, now: Timestamp) -> HeaderValue {
        self.cookie(SESSION_COOKIE, login, SESSION, now)
    }

    /// Who logged in with this browser.
    pub(crate) fn login(&self, headers: &HeaderMap, now: Timestamp) -> Option<Login> {
        self.open(SESSION_COOKIE, params::cookie(headers, SESSION_COOKIE)?, now)
    }

    /// A cookie that sends somebody on an errand.
    pub(crate) fn send(&self, errand: &Errand, now: Timestamp) -> HeaderValue {
        self.cookie(ERRAND_COOKIE, errand, ERRAND, now)
    }

    /// The errand this browser is on.
    pub(crate) fn errand(&self, headers: &HeaderMap, now: Timestamp) -> Option<Errand> {
        self.open(ERRAND_COOKIE, params::cookie(headers, ERRAND_COOKIE)?, now)
    }

    fn cookie<T: Serialize>(
        &self,
        name: &str,
        content: &T,
        life: SignedDuration,
        now: Timestamp,
    ) -> HeaderValue {
        set_cookie(name, &self.seal(name, content, life, now), life.as_secs())
    }

    fn seal<T: Serialize>(&self, kind: &str, content: &T, life: SignedDuration, now: Timestamp) -> String {
        let until = now.as_second().saturating_add(life.as_secs());
        let sealed = Sealed {
            kind: kind.to_owned(),
            until,
            content,
        };
        let text = serde_json::to_vec(&sealed).expect("texts and numbers can be written as JSON");
        let tag = hmac::sign(&self.0, &text);
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&text),
            URL_SAFE_NO_PAD.encode(tag)
        )
    }

    fn open<T: DeserializeOwned>(&self, kind: &str, cookie: &str, now: Timestamp) -> Option<T> {
        let (text, tag) = cookie.split_once('.').filter(|_| cookie.len() <= COOKIE_LIMIT)?;
        let text = URL_SAFE_NO_PAD.decode(text).ok()?;
        hmac::verify(&self.0, &text, &URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
        let sealed: Sealed<T> = serde_json::from_slice(&text).ok()?;
        (sealed.kind == kind && now.as_second() < sealed.until).then_some(sealed.content)
    }
}

/// Cookies that make a browser forget who logged in.
pub(crate) fn forget() -> [HeaderValue; 2] {
    [SESSION_COOKIE, ERRAND_COOKIE].map(|name| set_cookie(name, "", 0))
}

/// A cookie that ends an errand.
pub(crate) fn end_errand() -> HeaderValue {
    set_cookie(ERRAND_COOKIE, "", 0)
}

fn set_cookie(name: &str, value: &str, seconds: i64) -> HeaderValue {
    // Lax: people come here by links and redirects from elsewhere, forms only from here.
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(cookie).expect("base64url and fixed words fit into a header")
}

/// What a form of this browser must carry, and the cookie that says so if it has none yet.
pub(crate) fn csrf(headers: &HeaderMap) -> (String, Option<HeaderValue>) {
    let held = params::cookie(headers, CSRF_COOKIE)
        .filter(|held| held.len() == CSRF_BYTES * 4 / 3 && URL_SAFE_NO_PAD.decode(held).is_ok());
    match held {
        Some(held) => (held.to_owned(), None),
        None => {
            let fresh = random_text(CSRF_BYTES);
            let cookie = set_cookie(CSRF_COOKIE, &fresh, 24 * 60 * 60);
            (fresh, Some(cookie))
        }
    }
}

/// Whether a form was made for the browser that sends it.
pub(crate) fn is_ours(headers: &HeaderMap, field: &str) -> bool {
    params::cookie(headers, CSRF_COOKIE).is_some_and(|held| !held.is_empty() && same(held, field))
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn headers(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(pair).unwrap())])
    }

    #[test]
    fn a_session_lasts_as_long_as_it_says_and_cannot_be_made_up() {
        let sessions = Sessions::new(b"key");
        let login = Login {
            user: "ann".into(),
            uid: "1".into(),
        };
        let now = Timestamp::now();
        let cookie = sessions.remember(&login, now);
        assert_eq!(sessions.login(&headers(&cookie), now), Some(login.clone()));
        assert_eq!(sessions.login(&headers(&cookie), now + SESSION), None, "over");
        assert_eq!(
            Sessions::new(b"other").login(&headers(&cookie), now),
            None,
            "another key"
        );
        let sealed = sessions.seal(ERRAND_COOKIE, &login, SESSION, now);
        let wrong_kind = HeaderValue::from_str(&format!("{SESSION_COOKIE}={sealed}")).unwrap();
        assert_eq!(sessions.login(&headers(&wrong_kind), now), None, "another kind");
        let text = cookie.to_str().unwrap();
        for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(text.contains(attribute), "{text}");
        }
        let mut bytes = text.split(';').next().unwrap().as_bytes().to_vec();
        for position in SESSION_COOKIE.len() + 1..bytes.len() {
            bytes[position] ^= 1;
            if let Ok(changed) = HeaderValue::from_bytes(&bytes) {
                assert_eq!(sessions.login(&headers(&changed), now), None, "byte {position}");
            }
            bytes[position] ^= 1;
        }
    }

    #[test]
    fn forms_carry_what_the_browser_was_given() {
        let (field, cookie) = csrf(&HeaderMap::new());
        let held = headers(&cookie.unwrap());
        assert!(is_ours(&held, &field));
        assert_eq!(csrf(&held), (field.clone(), None), "kept");
        assert!(
            !is_ours(&held, "") && !is_ours(&HeaderMap::new(), "") && !is_ours(&HeaderMap::new(), &field)
        );
        assert!(!is_ours(&held, &random_text(CSRF_BYTES)));
    }
}
