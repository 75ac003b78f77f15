//! A login in a browser: the code grant, whose code comes back to a port of this machine.
//!
//! Spec: RFC 6749, section 4.1 "Authorization Code Grant"; RFC 7636, "Proof Key for Code Exchange"; RFC 8252, section 7.3
//! "Loopback Interface Redirection".
use std::{ffi::OsStr, process::Stdio};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use url::form_urlencoded::Serializer;

use super::{
    callback::Callback,
    issuer::{Issuer, origin, path_and_query},
    target::Target,
};
use crate::{
    Environment, Output,
    error::{Result, failed},
};

/// The client that every server of this kind knows for this grant.
const CLIENT: &str = "openshift-cli-client";
/// Bytes of a secret that nobody can guess.
const SECRET_BYTES: usize = 32;

/// Logs in. Returns the token.
pub(super) async fn login(
    target: &Target,
    port: u16,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<String> {
    let issuer = Issuer::discover(target).await?;
    let (verifier, state) = (secret()?, secret()?);
    let callback = Callback::listen(port, state.clone()).await?;
    let mut url = issuer.authorization.clone();
    url.query_pairs_mut()
        .append_pair("client_id", CLIENT)
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", callback.address())
        .append_pair("state", &state)
        .append_pair("code_challenge", &challenge(&verifier))
        .append_pair("code_challenge_method", "S256");

    let opened = open(url.as_str(), environment.browser.as_deref());
    output.note(if opened.is_ok() {
        format!("Opening login URL in the default browser: {url}")
    } else {
        format!("Open this page in a browser of this machine: {url}")
    })?;
    let redirect = callback.address().to_owned();
    let code = callback.code().await?;
    drop(opened);
    exchange(target, &issuer, &code, &redirect, &verifier).await
}

/// Gives the code for a token.
async fn exchange(
    target: &Target,
    issuer: &Issuer,
    code: &str,
    redirect: &str,
    verifier: &str,
) -> Result<String> {
    let form = Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", CLIENT)
        .append_pair("code", code)
        .append_pair("redirect_uri", redirect)
        .append_pair("code_verifier", verifier)
        .finish();
    let request = Request::post(path_and_query(&issuer.token))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form.into_bytes())
        .map_err(|error| failed(format!("{}: {error}", issuer.token)))?;
    let answer = target
        .anonymous(&origin(&issuer.token))?
        .exchange(request)
        .await?;
    let fields: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    if let Some(token) = text("access_token").filter(|_| answer.status().is_success()) {
        return Ok(token.to_owned());
    }
    let why = text("error_description")
        .or_else(|| text("error"))
        .unwrap_or("no reason given");
    Err(failed(format!(
        "the server gave no token ({}): {}",
        answer.status(),
        why.replace(char::is_control, " ")
    )))
}

fn secret() -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| failed("the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Starts a browser; it lives on when this program ends.
fn open(url: &str, browser: Option<&OsStr>) -> std::io::Result<tokio::process::Child> {
    let program = browser.unwrap_or(OsStr::new(if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    }));
    Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_ne!(secret().unwrap(), secret().unwrap());
    }
}
