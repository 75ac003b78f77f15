//! `berth logout`: ends a session at the server and here.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Environment, Output,
    api::segment,
    connection::Connection,
    error::{Result, failed},
    kubeconfig::Section,
};

/// Prefix of tokens that the server keeps under their hash.
const HASHED: &str = "sha256~";

/// Flags of `berth logout`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

/// Revokes the session's token and removes it from the kubeconfig, wherever it stands in it.
///
/// # Errors
/// When the session has no token, or the server cannot be asked; the kubeconfig is unchanged then.
pub async fn run(arguments: &Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let session = arguments.connection.open(environment).await?;
    let Some(token) = &session.token else {
        return Err(failed(
            "You must have a token in order to logout. This session authenticates in another way",
        ));
    };
    let user = match session.api.whoami().await {
        Ok(user) => Some(user),
        // The token is no longer valid: what is left to do is to forget it.
        Err(error) if error.is(401) => None,
        Err(error) => return Err(error),
    };
    if user.is_some() {
        match stored_name(token) {
            Some(name) => {
                let path = format!("/apis/oauth.openshift.io/v1/useroauthaccesstokens/{}", segment(&name));
                match session.api.delete(&path).await {
                    Err(error) if !error.is(404) && !error.is(401) => {
                        output.warning(format_args!(
                            "the server did not revoke the token, it stays valid until it expires: {error}"
                        ))?;
                    }
                    _ => {}
                }
            }
            None => output.warning(format_args!(
                "this token was not given by a login, so it cannot be revoked here; it stays valid until it expires"
            ))?,
        }
    }
    session.paths.edit(|config| {
        config.set_all(Section::Users, |entry| {
            if entry.get("token").and_then(Value::as_str) == Some(token) {
                entry.remove("token");
            }
        });
    })?;
    let user = user.or(session.user).unwrap_or_default();
    output.line(format_args!(
        "Logged \"{user}\" out on \"{}\"",
        session.api.server()
    ))
}

/// Name of the object under which the server keeps a token. It is made from the token's hash, so it may be shown.
fn stored_name(token: &str) -> Option<String> {
    let secret = token.strip_prefix(HASHED)?;
    Some(format!(
        "{HASHED}{}",
        URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_by_its_hash() {
        // printf abc | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(
            stored_name("sha256~abc").unwrap(),
            "sha256~ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
        );
        assert_eq!(stored_name("eyJhbGciOi.e30.x"), None);
    }
}
