//! `/oauth/token`: a code for a token, once.
use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use berth_apimachinery::server::Body;
use berth_apimachinery::status::Status;
use http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::issue::Issued;
use super::{Call, OAuth, error_response, json_response, retry_after};
use crate::kinds::{self, Client};
use crate::opaque;
use crate::params::{self, Params};
use crate::request::{self, Error, Method};
use crate::session::Login;

/// Why a code was not exchanged.
pub(super) enum Refused {
    /// The client's mistake.
    Client(Error),
    /// Ours.
    Server(Status),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Refused::Server(status)
    }
}

fn invalid_grant<T>(description: &str) -> Result<T, Refused> {
    Err(Refused::Client(Error::new("invalid_grant", description)))
}

impl OAuth {
    pub(super) async fn token(&self, call: &Call<'_>) -> Result<Response<Body>, Status> {
        let params = match Params::of_form(call.request, call.body) {
            Ok(params) => params,
            Err(status) => {
                let error = Error::new("invalid_request", status.message());
                return Ok(error_response(StatusCode::BAD_REQUEST, &error));
            }
        };
        let client = match self.authenticate_client(call, &params).await {
            Ok(client) => client,
            Err(response) => return Ok(*response),
        };
        let problem = match (params.text("grant_type"), params.get("code")) {
            ("authorization_code", Some(_)) => None,
            ("authorization_code", None) => Some(Error::new("invalid_request", "code is missing")),
            ("", _) => Some(Error::new("invalid_request", "grant_type is missing")),
            _ => Some(Error::new(
                "unsupported_grant_type",
                "grant_type must be authorization_code",
            )),
        };
        if let Some(error) = problem {
            return Ok(error_response(StatusCode::BAD_REQUEST, &error));
        }
        let (code, redirect) = (params.text("code"), params.get("redirect_uri"));
        match self
            .exchange(&client, code, redirect, params.text("code_verifier"), call.now)
            .await
        {
            Ok((issued, scopes)) => {
                let mut answer = json!({
                    "access_token": issued.token.reveal(),
                    "token_type": "Bearer",
                    "scope": scopes.join(" "),
                });
                if issued.expires_in > 0 {
                    answer["expires_in"] = issued.expires_in.into();
                }
                Ok(json_response(StatusCode::OK, &answer))
            }
            Err(Refused::Client(error)) => Ok(error_response(StatusCode::BAD_REQUEST, &error)),
            Err(Refused::Server(status)) => Err(status),
        }
    }

    /// The client that asks, by Basic credentials or by parameters. An error is the whole answer.
    async fn authenticate_client(
        &self,
        call: &Call<'_>,
        params: &Params,
    ) -> Result<Client, Box<Response<Body>>> {
        let refuse = || {
            let error = Error::new(
                "invalid_client",
                "the client is not known, or its secret is wrong",
            );
            let mut response = error_response(StatusCode::UNAUTHORIZED, &error);
            let challenge = HeaderValue::from_static("Basic realm=\"openshift\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            Box::new(response)
        };
        let decoded = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let basic = params::basic(&call.request.headers);
        let (name, secret) = match &basic {
            Some((name, secret)) => (decoded(name), decoded(secret)),
            None => (
                params.text("client_id").to_owned(),
                params.text("client_secret").to_owned(),
            ),
        };
        if params.get("client_id").is_some_and(|named| named != name) {
            return Err(refuse());
        }
        let Some(client) = self.client(&name) else {
            return Err(refuse());
        };
        if client.proves_itself("") {
            return Ok(client);
        }
        // Secrets can be guessed like passwords, so guessing is slowed as for those.
        let attempt = match self
            .0
            .throttle
            .enter(&format!("client {name}"), call.address)
            .await
        {
            Ok(attempt) => attempt,
            Err(refused) => {
                let error = Error::new("temporarily_unavailable", "there were too many attempts");
                let response = error_response(StatusCode::TOO_MANY_REQUESTS, &error);
                return Err(Box::new(retry_after(response, refused.retry_after.as_secs() + 1)));
            }
        };
        // A client that does not encode its credentials, as it should, is understood too.
        let plain = basic
            .as_ref()
            .is_some_and(|(_, secret)| client.proves_itself(secret));
        if plain || client.proves_itself(&secret) {
            return Ok(client);
        }
        attempt.failed();
        Err(refuse())
    }

    /// Exchanges a code for a token and its scopes. Whatever comes of it, the code is used up.
    pub(super) async fn exchange(
        &self,
        client: &Client,
        code: &str,
        redirect: Option<&str>,
        verifier: &str,
        now: Timestamp,
    ) -> Result<(Issued, Vec<String>), Refused> {
        const UNKNOWN: &str = "the code is not known, was used before, or has expired";
        let Some(name) = opaque::object_name(code) else {
            return invalid_grant(UNKNOWN);
        };
        let codes = &self.0.stores.authorize_tokens;
        let entry = match codes.delete("", &name, &Preconditions::default()).await {
            Ok(entry) => entry,
            Err(status) if status.is_not_found() => {
                self.revoke_token_of(&name).await;
                return invalid_grant(UNKNOWN);
            }
            Err(status) => return Err(status.into()),
        };
        let code = entry.object();
        if kinds::expires_at(code).is_none_or(|end| now >= end) {
            return invalid_grant(UNKNOWN);
        }
        if code.str_at(&["clientName"]) != client.name {
            return invalid_grant("the code was given to another client");
        }
        let sent_to = code.str_at(&["redirectURI"]);
        if redirect.is_some_and(|redirect| redirect != sent_to) {
            return invalid_grant("redirect_uri is not the one that the code was sent to");
        }
        let method = Method::parse(code.str_at(&["codeChallengeMethod"])).unwrap_or(Method::S256);
        if !request::proves(code.str_at(&["codeChallenge"]), method, verifier) {
            return invalid_grant("code_verifier does not fit the code_challenge");
        }
        let login = login_of(code);
        if !self.still_there(&login) {
            return invalid_grant("the user does not exist any more");
        }
        let scopes = kinds::scopes(code);
        let issued = self
            .issue_token(client, sent_to, &scopes, &login, Some(&name), now)
            .await?;
        Ok((issued, scopes))
    }

    /// A code that comes a second time has been stolen, before or after it was used: what came of it is revoked
    /// (RFC 6749, section 4.1.2).
    async fn revoke_token_of(&self, code: &str) {
        let Some(token) = self.0.spent.token(code) else {
            return;
        };
        tracing::warn!("a code was used twice; the token that came of it is revoked");
        let tokens = &self.0.stores.access_tokens;
        if let Err(error) = tokens.delete("", &token, &Preconditions::default()).await
            && !error.is_not_found()
        {
            tracing::warn!(%error, "a token could not be revoked");
        }
    }
}

fn login_of(code: &Object) -> Login {
    Login {
        user: code.str_at(&["userName"]).to_owned(),
        uid: code.str_at(&["userUID"]).to_owned(),
    }
}
