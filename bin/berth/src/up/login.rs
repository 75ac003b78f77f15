//! What logging in is put together from: addresses, keys, and the file with the first password.
use std::{io, sync::Arc};

use anyhow::Result;

use crate::{config::Login, data_dir::DataDir};

/// The password of `kubeadmin`, below the data directory.
const PASSWORD: &str = "kubeadmin-password";
/// The key that proves that a cookie is ours; kept, so that a restart interrupts nobody who is logging in.
const SESSION_KEY: &str = "pki/session.secret";

/// The configuration of logging in, at the API's address `api`.
///
/// # Errors
/// When the key cannot be kept.
pub(super) fn config(login: &Login, api: &str, data: &Arc<DataDir>) -> Result<berth_oauth::Config> {
    let key = super::kept_secret(data, SESSION_KEY)?;
    let mut config = berth_oauth::Config::new(login.public_url.as_deref().unwrap_or(api), key);
    config.providers.clone_from(&login.providers);
    config.token_lifetime = login.token_lifetime;
    config.inactivity_timeout = login.inactivity_timeout;
    let data = Arc::clone(data);
    config.kubeadmin = Some(Arc::new(move |offered: &str| keep_password(&data, offered)));
    Ok(config)
}

/// Returns the password that the file holds, which is `offered` if there was none.
fn keep_password(data: &DataDir, offered: &str) -> io::Result<String> {
    let failed = |error: anyhow::Error| io::Error::other(format!("{error:#}"));
    if let Some(held) = data.read(PASSWORD).map_err(failed)? {
        let held = String::from_utf8_lossy(&held).trim().to_owned();
        if !held.is_empty() {
            return Ok(held);
        }
    }
    data.write(PASSWORD, offered.as_bytes()).map_err(failed)?;
    Ok(offered.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_there_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let data = DataDir::open(scratch.path()).unwrap();
        assert_eq!(keep_password(&data, "one").unwrap(), "one");
        assert_eq!(keep_password(&data, "two").unwrap(), "one");
        assert_eq!(data.read(PASSWORD).unwrap().as_deref(), Some(&b"one"[..]));
        data.write(PASSWORD, b" \n").unwrap();
        assert_eq!(keep_password(&data, "three").unwrap(), "three");
    }
}
