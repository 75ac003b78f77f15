//! `/oauth/authorize`: who are you, and may this client act for you?
use berth_apimachinery::server::Body;
use berth_apimachinery::status::Status;
use http::{HeaderValue, Method, Response, StatusCode, header};
use url::Url;

use super::passwords::Outcome;
use super::{
    AUTHORIZE, Call, LOGIN, OAuth, TOKEN_REQUEST, redirect_to, retry_after, text_response, with_cookies,
};
use crate::kinds::{Client, GrantMethod};
use crate::page::{self, Page};
use crate::params::{self, Params};
use crate::request::{self, Error, ResponseType, Wish};
use crate::session::{self, CSRF_FIELD, Login};
use crate::{opaque, redirect};

/// Programs set it, browsers that were tricked into a request cannot.
const CSRF_HEADER: &str = "X-CSRF-Token";
const REALM: &str = "Basic realm=\"openshift\"";
/// What a client is told that forgot [`CSRF_HEADER`].
const NO_CSRF: &str = "A non-empty X-CSRF-Token header is required to receive basic-auth challenges.";

/// A request whose client and address are right, so that errors may be sent there.
struct Known {
    client: Client,
    redirect: Url,
    params: Params,
    response_type: ResponseType,
}

impl OAuth {
    pub(super) async fn authorize(&self, call: &Call<'_>) -> Result<Response<Body>, Status> {
        let params = Params::of_form(call.request, call.body)?;
        let known = match self.known(params) {
            Ok(known) => known,
            Err(problem) => return Ok(Page::problem(StatusCode::BAD_REQUEST, problem).respond()),
        };
        let own_page = known
            .redirect
            .as_str()
            .starts_with(&format!("{}/", self.0.issuer));
        let wish = match Wish::read(&known.params, &known.client, own_page) {
            Ok(wish) => wish,
            Err(error) => return known.error(&error),
        };
        let login = if known.client.respond_with_challenges {
            match self.challenge(call).await {
                Ok(login) => login,
                Err(response) => return Ok(*response),
            }
        } else {
            let login = self.0.sessions.login(&call.request.headers, call.now);
            match login.filter(|login| self.still_there(login)) {
                Some(login) => login,
                None => return Self::send_to_login(&known),
            }
        };
        if known.client.grant_method == GrantMethod::Prompt {
            if call.request.method == Method::POST && known.params.get("approve").is_some() {
                if !session::is_ours(&call.request.headers, known.params.text(CSRF_FIELD)) {
                    let problem =
                        "This form is too old, or was not made for this browser. Go back and start again.";
                    return Ok(Page::problem(StatusCode::FORBIDDEN, problem).respond());
                }
                if known.params.text("approve") != "yes" {
                    return known.error(&Error::new("access_denied", "the user did not agree"));
                }
            } else {
                return Ok(Self::ask_user(call, &known, &wish, &login));
            }
        }
        self.grant(call, &known, &wish, &login).await
    }

    /// The client, and where it wants the answer; nothing may be sent to an address before both are known to be right.
    fn known(&self, params: Params) -> Result<Known, &'static str> {
        let client = self
            .client(params.text("client_id"))
            .ok_or("The client (client_id) is not known here.")?;
        let redirect = redirect::choose(&client.redirect_uris, params.get("redirect_uri")).ok_or(
            "The address to send the answer to (redirect_uri) is not one that the client is registered with.",
        )?;
        let response_type = match params.text("response_type") {
            "token" => ResponseType::Token,
            _ => ResponseType::Code,
        };
        Ok(Known {
            client,
            redirect,
            params,
            response_type,
        })
    }

    /// Finds out who a command-line client acts for, by user name and password. An error is the whole answer.
    async fn challenge(&self, call: &Call<'_>) -> Result<Login, Box<Response<Body>>> {
        let headers = &call.request.headers;
        if headers.get(CSRF_HEADER).is_none_or(HeaderValue::is_empty) {
            let mut response = text_response(StatusCode::UNAUTHORIZED, format!("{NO_CSRF}\n"));
            let warning = format!("199 - \"{NO_CSRF}\"");
            if let Ok(warning) = HeaderValue::try_from(warning) {
                response.headers_mut().insert(header::WARNING, warning);
            }
            return Err(Box::new(response));
        }
        if !self.takes_passwords() {
            let text = format!(
                "You must obtain an API token by visiting {}{TOKEN_REQUEST}\n",
                self.0.issuer
            );
            return Err(Box::new(text_response(StatusCode::UNAUTHORIZED, text)));
        }
        let ask = |text: &str| {
            let mut response = text_response(StatusCode::UNAUTHORIZED, text.to_owned());
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(REALM));
            Box::new(response)
        };
        let Some((user, password)) = params::basic(headers) else {
            return Err(ask(""));
        };
        match self.check(None, &user, &password, call.address).await {
            Outcome::User(login) => Ok(login),
            Outcome::Wrong => Err(ask("The user name or the password is wrong.\n")),
            Outcome::Slow(time) => {
                let seconds = time.as_secs() + 1;
                let text =
                    format!("There were too many attempts to log in. Try again in {seconds} seconds.\n");
                Err(Box::new(retry_after(
                    text_response(StatusCode::TOO_MANY_REQUESTS, text),
                    seconds,
                )))
            }
            Outcome::Refused(sentence) => Err(Box::new(text_response(
                StatusCode::FORBIDDEN,
                format!("{sentence}\n"),
            ))),
            Outcome::Unavailable => {
                let text =
                    "Nobody can be logged in at the moment: an identity provider does not work.\n".to_owned();
                Err(Box::new(retry_after(
                    text_response(StatusCode::SERVICE_UNAVAILABLE, text),
                    5,
                )))
            }
        }
    }

    /// Sends a browser to log in, and back here afterwards.
    fn send_to_login(known: &Known) -> Result<Response<Body>, Status> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let kept = known
            .params
            .iter()
            .filter(|(name, _)| !matches!(*name, "approve" | CSRF_FIELD));
        let then = format!("{AUTHORIZE}?{}", query.extend_pairs(kept).finish());
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        redirect_to(&format!("{LOGIN}?{}", query.append_pair("then", &then).finish()))
    }

    /// Asks the user whether the client may.
    fn ask_user(call: &Call<'_>, known: &Known, wish: &Wish, login: &Login) -> Response<Body> {
        let (csrf, cookie) = session::csrf(&call.request.headers);
        let mut hidden: Vec<(&str, &str)> = known
            .params
            .iter()
            .filter(|(name, _)| !matches!(*name, "approve" | CSRF_FIELD))
            .collect();
        hidden.push((CSRF_FIELD, &csrf));
        let target = known.redirect.origin().ascii_serialization();
        let target = if target == "null" {
            known.redirect.scheme().to_owned()
        } else {
            target
        };
        let page = page::approve(&known.client.name, &login.user, &wish.scopes, &target, &hidden);
        with_cookies(page.leading_to(origins(&known.redirect)).respond(), cookie)
    }

    async fn grant(
        &self,
        call: &Call<'_>,
        known: &Known,
        wish: &Wish,
        login: &Login,
    ) -> Result<Response<Body>, Status> {
        let (client, redirect) = (&known.client, &known.redirect);
        let asked = known.params.get("redirect_uri").unwrap_or(redirect.as_str());
        match wish.response_type {
            ResponseType::Code => {
                let code = self.issue_code(client, asked, wish, login).await?;
                known.answer(&[("code", code.reveal())])
            }
            ResponseType::Token => {
                let token = self
                    .issue_token(client, asked, &wish.scopes, login, None, call.now)
                    .await?;
                let expires = token.expires_in.to_string();
                known.answer(&[
                    ("access_token", token.token.reveal()),
                    ("expires_in", &expires),
                    ("scope", &wish.scopes.join(" ")),
                    ("token_type", "Bearer"),
                ])
            }
        }
    }

    /// Starts what a person does who wants to see a token.
    pub(super) fn request_token(&self, call: &Call<'_>) -> Result<Response<Body>, Status> {
        let (csrf, cookie) = session::csrf(&call.request.headers);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", super::bootstrap::BROWSER_CLIENT)
            .append_pair(
                "redirect_uri",
                &format!("{}{}", self.0.issuer, super::TOKEN_DISPLAY),
            )
            .append_pair("response_type", "code")
            .append_pair("state", &csrf)
            .finish();
        Ok(with_cookies(
            redirect_to(&format!("{AUTHORIZE}?{query}"))?,
            cookie,
        ))
    }
}

impl Known {
    fn answer(&self, answer: &[(&str, &str)]) -> Result<Response<Body>, Status> {
        let url = request::answer(
            &self.redirect,
            self.response_type,
            answer,
            self.params.text("state"),
        );
        redirect_to(url.as_str())
    }

    fn error(&self, error: &Error) -> Result<Response<Body>, Status> {
        self.answer(&[("error", error.code), ("error_description", &error.description)])
    }
}

/// The origin that a form may lead to through redirects; none if it cannot be written in a policy.
pub(super) fn origins(redirect: &Url) -> Option<Vec<String>> {
    match redirect.host() {
        // IPv6 addresses have no place in the grammar of host sources.
        Some(url::Host::Ipv6(_)) | None => None,
        Some(_) => Some(vec![redirect.origin().ascii_serialization()]),
    }
}

/// A fresh value that ties an answer to its request.
pub(super) fn nonce() -> String {
    opaque::random_text(32)
}
