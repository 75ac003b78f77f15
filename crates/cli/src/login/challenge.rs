//! A login with user name and password: the server challenges for them, and its last redirect carries the token.
//!
//! Spec: RFC 6749, section 4.2 "Implicit Grant"; RFC 7617, "The 'Basic' HTTP Authentication Scheme".
use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Request, StatusCode, header};
use url::Url;

use super::{
    issuer::{Issuer, origin, path_and_query},
    target::Target,
};
use crate::{
    Output,
    error::{Error, Result, failed},
    secret::Secret,
};

/// The client that every server of this kind knows for this grant.
const CLIENT: &str = "openshift-challenging-client";
/// Most requests of one login.
const MAX_STEPS: usize = 10;

/// Logs in; asks for what is not given. Returns the token.
pub(super) async fn login(
    target: &Target,
    username: Option<String>,
    password: Option<Secret>,
    output: &mut Output<'_>,
) -> Result<String> {
    let issuer = Issuer::discover(target).await?;
    let mut url = issuer.authorization.clone();
    url.query_pairs_mut()
        .append_pair("client_id", CLIENT)
        .append_pair("response_type", "token");
    let home = origin(&url);
    let mut given = Some((username, password));
    let mut credentials = None;
    for _ in 0..MAX_STEPS {
        let mut request = Request::get(path_and_query(&url))
            .header("X-CSRF-Token", "1")
            .header(header::ACCEPT, "application/json");
        // The password goes where the server said that people log in, and nowhere else.
        if let Some(credentials) = credentials.as_ref().filter(|_| origin(&url) == home) {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        let request = request
            .body(Vec::new())
            .map_err(|error| failed(format!("{url}: {error}")))?;
        let answer = target.anonymous(&origin(&url))?.exchange(request).await?;
        match answer.status() {
            StatusCode::FOUND | StatusCode::SEE_OTHER => {
                url = redirect(&url, answer.headers())?;
                if let Some(token) = granted(&url)? {
                    return Ok(token);
                }
            }
            StatusCode::UNAUTHORIZED => {
                let Some(realm) = basic_realm(answer.headers()) else {
                    return Err(failed(format!(
                        "{} lets nobody log in with a password; use --web or --token",
                        target.server
                    )));
                };
                let Some((username, password)) = given.take() else {
                    return Err(Error::LoginFailed);
                };
                credentials = Some(basic(&target.server, &realm, username, password, output)?);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = answer
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|wait| wait.to_str().ok());
                let wait = wait.filter(|wait| wait.parse::<u64>().is_ok()).unwrap_or("60");
                return Err(failed(format!(
                    "too many failed logins: try again in {wait} seconds"
                )));
            }
            status => {
                return Err(failed(format!(
                    "logging in to {}: the server answered {status}",
                    target.server
                )));
            }
        }
    }
    Err(failed(format!(
        "logging in to {}: too many redirects",
        target.server
    )))
}

/// The header with the credentials, asked for where they were not given.
fn basic(
    server: &str,
    realm: &str,
    username: Option<String>,
    password: Option<Secret>,
    output: &mut Output<'_>,
) -> Result<String> {
    if username.is_none() || password.is_none() {
        let realm = if realm.is_empty() {
            String::new()
        } else {
            format!(" ({realm})")
        };
        output.note(format_args!("Authentication required for {server}{realm}"))?;
    }
    let username = match username {
        Some(username) => username,
        None => output.ask("Username", false, "give it with -u")?,
    };
    if username.contains(':') {
        return Err(Error::Usage(format!(
            "a user name for a login has no colon: \"{username}\""
        )));
    }
    let password = match password {
        Some(password) => password,
        None => output
            .ask("Password", true, "type it, or write it to standard input")?
            .into(),
    };
    Ok(format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{}", password.reveal()))
    ))
}

/// The realm of a Basic challenge; a challenge of another kind is `None`.
fn basic_realm(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .find_map(|challenge| {
            let (scheme, rest) = challenge
                .to_str()
                .ok()?
                .split_once(' ')
                .unwrap_or((challenge.to_str().ok()?, ""));
            let realm = rest
                .split("realm=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            let realm = realm.unwrap_or_default().replace(char::is_control, "");
            scheme.eq_ignore_ascii_case("basic").then_some(realm)
        })
}

fn redirect(from: &Url, headers: &HeaderMap) -> Result<Url> {
    let location = headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok());
    let url = location.and_then(|location| from.join(location).ok());
    url.filter(|url| matches!(url.scheme(), "https" | "http"))
        .ok_or_else(|| failed("the server's login redirects to nowhere"))
}

/// The token in a redirect's fragment; the refusal in its fragment or query.
fn granted(url: &Url) -> Result<Option<String>> {
    let fields = |text: Option<&str>| -> HashMap<String, String> {
        url::form_urlencoded::parse(text.unwrap_or_default().as_bytes())
            .into_owned()
            .collect()
    };
    let mut fragment = fields(url.fragment());
    if let Some(token) = fragment.remove("access_token") {
        return Ok(Some(token));
    }
    for mut fields in [fragment, fields(url.query())] {
        if let Some(error) = fields.remove("error") {
            let why = fields.remove("error_description").unwrap_or(error);
            return Err(failed(format!(
                "the server refused the login: {}",
                why.replace(char::is_control, " ")
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_redirect_carries_the_token_or_a_refusal() {
        for (url, want) in [
            (
                "https://h/oauth/token/implicit#access_token=sha256~a&expires_in=86400",
                Ok(Some("sha256~a")),
            ),
            ("https://h/login?then=x", Ok(None)),
            (
                "https://h/x#error=access_denied&error_description=not+you",
                Err("error: the server refused the login: not you"),
            ),
            (
                "https://h/x?error=server_error",
                Err("error: the server refused the login: server_error"),
            ),
        ] {
            let found = granted(&Url::parse(url).unwrap()).map_err(|error| error.to_string());
            assert_eq!(
                found.as_ref().map(Option::as_deref).map_err(String::as_str),
                want,
                "{url}"
            );
        }
    }

    #[test]
    fn only_a_basic_challenge_asks_for_a_password() {
        for (challenge, want) in [
            ("Basic realm=\"openshift\"", Some("openshift")),
            ("basic", Some("")),
            ("Negotiate", None),
            ("Bearer realm=\"x\"", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
            assert_eq!(basic_realm(&headers).as_deref(), want, "{challenge}");
        }
    }
}
