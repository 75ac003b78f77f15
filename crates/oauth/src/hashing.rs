//! Password hashes, computed where they do not hold up other requests.
//!
//! A hash takes a good part of a second of one core on purpose, so only a few are computed at once; more wait.
use tokio::sync::{Semaphore, SemaphorePermit};

mod apr1;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Hashes computed at once. More would starve everything else on a small machine.
const AT_ONCE: usize = 2;
/// Work factor of hashes that are made here: 2^10 rounds.
const COST: u32 = 10;
/// Highest work factor that is accepted in a file: beyond, one log-in would occupy a core for minutes.
const MAX_COST: u32 = 16;
/// Longest password that is looked at, in bytes. bcrypt itself takes 72 of them.
const PASSWORD_LIMIT: usize = 1024;
/// A hash that no password has been made for, to spend the same time on users who do not exist.
const NOBODY: &str = "$2y$10$HtehAjU599SF5GG5l3Ca3.aYbxowHJea1GeWfaOGXAOMoXpDNM0EK";

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Why a password could not be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The work was cut short.
    #[error("checking a password was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
    /// A hash could not be made.
    #[error("hashing a password")]
    Hash(#[source] bcrypt::BcryptError),
}

async fn place() -> SemaphorePermit<'static> {
    PLACES.acquire().await.expect("the semaphore is never closed")
}

/// Whether `password` is the one of `hash`. A hash of a form that is not known fits no password.
pub(crate) async fn verify(password: &str, hash: &str) -> Result<bool, Error> {
    if password.len() > PASSWORD_LIMIT {
        return Ok(false);
    }
    let _place = place().await;
    let (password, hash) = (password.to_owned(), hash.to_owned());
    tokio::task::spawn_blocking(move || fits(&password, &hash))
        .await
        .map_err(Error::Interrupted)
}

/// Takes as long as checking a password does, for somebody who is not known.
pub(crate) async fn verify_nobody(password: &str) -> Result<(), Error> {
    verify(password, NOBODY).await.map(drop)
}

/// A bcrypt hash of `password`.
pub(crate) async fn hash(password: &str) -> Result<String, Error> {
    let _place = place().await;
    let password = password.to_owned();
    tokio::task::spawn_blocking(move || bcrypt::hash(password, COST))
        .await
        .map_err(Error::Interrupted)?
        .map_err(Error::Hash)
}

/// Whether hashes of this form can be checked.
pub(crate) fn is_known(hash: &str) -> bool {
    bcrypt_cost(hash).is_some_and(|cost| cost <= MAX_COST)
        || hash.starts_with(apr1::PREFIX)
        || hash.starts_with("{SHA}")
}

fn bcrypt_cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .find_map(|prefix| hash.strip_prefix(prefix))?;
    rest.split_once('$')?.0.parse().ok()
}

fn fits(password: &str, hash: &str) -> bool {
    if !is_known(hash) {
        return false;
    }
    if let Some(sha) = hash.strip_prefix("{SHA}") {
        let wanted = STANDARD.encode(digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            password.as_bytes(),
        ));
        return crate::opaque::same(sha, &wanted);
    }
    if hash.starts_with(apr1::PREFIX) {
        return apr1::hash(password, hash).is_some_and(|computed| crate::opaque::same(&computed, hash));
    }
    bcrypt::verify(password, hash).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_form_of_htpasswd_is_checked() {
        // Made by `htpasswd -nb{B,m,s} user secret` and, for apr1, `openssl passwd -apr1 -salt saltsalt secret`.
        let bcrypt = hash("secret").await.unwrap();
        for hash in [
            bcrypt.as_str(),
            "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        ] {
            assert!(is_known(hash), "{hash}");
            assert!(verify("secret", hash).await.unwrap(), "{hash}");
            assert!(!verify("Secret", hash).await.unwrap(), "{hash}");
            assert!(!verify("", hash).await.unwrap(), "{hash}");
        }
        for hash in [
            "",
            "secret",
            "$1$abc$def",
            "$2y$31$HtehAjU599SF5GG5l3Ca3.aYbxowHJea1GeWfaOGXAOMoXpDNM0EK",
        ] {
            assert!(!is_known(hash), "{hash}");
            assert!(!verify("secret", hash).await.unwrap(), "{hash}");
        }
        assert!(is_known(NOBODY));
    }
}
