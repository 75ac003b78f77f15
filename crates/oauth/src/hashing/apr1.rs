//! `$apr1$`: Apache's variant of the MD5-based crypt, which `htpasswd` makes unless told otherwise.
//!
//! It is weak by today's standards and only here because such files exist; the documentation recommends bcrypt. The steps
//! are those of `apr_md5_encode` of the Apache Portable Runtime.
use md5::{Digest as _, Md5};

pub(super) const PREFIX: &str = "$apr1$";
/// Salts are at most this long.
const SALT: usize = 8;
const ROUNDS: usize = 1000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The hash of `password` with the salt of `like`; none if that is no such hash.
pub(super) fn hash(password: &str, like: &str) -> Option<String> {
    let (salt, _) = like.strip_prefix(PREFIX)?.split_once('$')?;
    if salt.len() > SALT {
        return None;
    }
    let (password, bytes) = (password.as_bytes(), salt.as_bytes());
    let mut inner = Md5::new();
    for part in [password, bytes, password] {
        inner.update(part);
    }
    let inner = inner.finalize();
    let mut outer = Md5::new();
    for part in [password, PREFIX.as_bytes(), bytes] {
        outer.update(part);
    }
    for chunk in password.chunks(inner.len()) {
        outer.update(&inner[..chunk.len()]);
    }
    // A bit of the length at a time: a zero byte for a one, the password's first byte for a zero.
    let mut length = password.len();
    while length > 0 {
        outer.update(if length & 1 == 1 { &[0][..] } else { &password[..1] });
        length >>= 1;
    }
    let mut digest = outer.finalize();
    for round in 0..ROUNDS {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &digest[..] });
        if round % 3 != 0 {
            next.update(bytes);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &digest[..] } else { password });
        digest = next.finalize();
    }
    Some(format!("{PREFIX}{salt}${}", encode(&digest)))
}

/// Twenty-two characters, the bytes in the order that crypt gives them.
fn encode(digest: &[u8]) -> String {
    let mut text = String::with_capacity(22);
    let mut push = |mut bits: u32, characters: usize| {
        for _ in 0..characters {
            text.push(char::from(ALPHABET[(bits & 0x3f) as usize]));
            bits >>= 6;
        }
    };
    for (first, second, third) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        let byte = |index: usize| u32::from(digest[index]);
        push(byte(first) << 16 | byte(second) << 8 | byte(third), 4);
    }
    push(u32::from(digest[11]), 2);
    text
}
