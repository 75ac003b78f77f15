//! `/login`: the choice of a provider, the form for name and password; `/logout`.
use berth_apimachinery::server::Body;
use berth_apimachinery::status::Status;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use url::{Url, form_urlencoded};

use super::authorize::{nonce, origins};
use super::passwords::Outcome;
use super::{AUTHORIZE, CALLBACK, Call, LOGIN, OAuth, TOKEN_REQUEST, redirect_to, retry_after, with_cookies};
use crate::kubeadmin;
use crate::page::{self, Choice, Page, Prompt};
use crate::params::Params;
use crate::provider::openid::{OpenId, Sent};
use crate::provider::{Kind, Provider};
use crate::redirect;
use crate::session::{self, CSRF_FIELD, Errand};

const WRONG: &str = "Invalid login or password. Please try again.";
const STALE: &str = "The form was too old, or not made for this browser. Please try again.";
const BROKEN: &str = "The identity provider does not work at the moment. Please try again later.";

impl OAuth {
    /// The providers to choose from, with where they lead.
    fn choices(&self, then: &str) -> Vec<Choice> {
        let kubeadmin = self.0.kubeadmin.is_on().then_some(kubeadmin::USER);
        let names = kubeadmin
            .into_iter()
            .chain(self.0.providers.iter().map(|provider| provider.name.as_str()));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("then", then)
            .finish();
        names
            .map(|name| Choice {
                name: name.to_owned(),
                address: format!("{LOGIN}/{name}?{query}"),
            })
            .collect()
    }

    pub(super) fn choose_provider(&self, call: &Call<'_>) -> Result<Response<Body>, Status> {
        let params = Params::of_query(call.request)?;
        let choices = self.choices(safe(params.text("then")));
        match &choices[..] {
            [] => {
                let problem = "Nobody can log in here: no identity provider is configured, and kubeadmin is switched off.";
                Ok(Page::problem(StatusCode::NOT_FOUND, problem).respond())
            }
            [only] => redirect_to(&only.address),
            several => Ok(page::choose(several).respond()),
        }
    }

    pub(super) async fn login(&self, call: &Call<'_>, provider: &str) -> Result<Response<Body>, Status> {
        let params = Params::of_form(call.request, call.body)?;
        let name = percent_decode_str(provider).decode_utf8_lossy();
        let then = safe(params.text("then"));
        let found = self.0.providers.iter().find(|provider| provider.name == name);
        match found {
            Some(Provider {
                name,
                kind: Kind::Redirect(openid),
                ..
            }) => self.send_away(call, name, openid, then).await,
            Some(Provider {
                name,
                kind: Kind::Passwords(_),
                ..
            }) => self.form(call, name, &params, then).await,
            None if name == kubeadmin::USER && self.0.kubeadmin.is_on() => {
                self.form(call, kubeadmin::USER, &params, then).await
            }
            None => Ok(Page::problem(
                StatusCode::NOT_FOUND,
                "There is no identity provider of this name.",
            )
            .respond()),
        }
    }

    async fn form(
        &self,
        call: &Call<'_>,
        provider: &str,
        params: &Params,
        then: &str,
    ) -> Result<Response<Body>, Status> {
        if call.request.method == Method::GET {
            return Ok(self.prompt(call, provider, then, "", (StatusCode::OK, "")));
        }
        let user = params.text("username");
        if !session::is_ours(&call.request.headers, params.text(CSRF_FIELD)) {
            return Ok(self.prompt(call, provider, then, user, (StatusCode::FORBIDDEN, STALE)));
        }
        match self
            .check(Some(provider), user, params.text("password"), call.address)
            .await
        {
            Outcome::User(login) => {
                let cookie = self.0.sessions.remember(&login, call.now);
                Ok(with_cookies(redirect_to(then)?, [cookie]))
            }
            Outcome::Wrong => Ok(self.prompt(call, provider, then, user, (StatusCode::UNAUTHORIZED, WRONG))),
            Outcome::Slow(time) => {
                let seconds = time.as_secs() + 1;
                let problem = format!("There were too many attempts. Please try again in {seconds} seconds.");
                let status = StatusCode::TOO_MANY_REQUESTS;
                Ok(retry_after(
                    self.prompt(call, provider, then, user, (status, &problem)),
                    seconds,
                ))
            }
            Outcome::Refused(sentence) => {
                Ok(self.prompt(call, provider, then, user, (StatusCode::FORBIDDEN, &sentence)))
            }
            Outcome::Unavailable => {
                let problem = (StatusCode::SERVICE_UNAVAILABLE, BROKEN);
                Ok(self.prompt(call, provider, then, user, problem))
            }
        }
    }

    fn prompt(
        &self,
        call: &Call<'_>,
        provider: &str,
        then: &str,
        user: &str,
        (status, problem): (StatusCode, &str),
    ) -> Response<Body> {
        let (csrf, cookie) = session::csrf(&call.request.headers);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("then", then)
            .finish();
        let others = format!("{LOGIN}?{query}");
        let several = self.choices(then).len() > 1;
        let page = page::login(&Prompt {
            status,
            provider,
            action: &format!("{LOGIN}/{provider}"),
            then,
            csrf: &csrf,
            user,
            problem,
            others: several.then_some(others.as_str()),
        });
        with_cookies(page.leading_to(self.leads_to(then)).respond(), cookie)
    }

    /// The origins that a browser passes through on the way to `then` and on to the client.
    fn leads_to(&self, then: &str) -> Option<Vec<String>> {
        let Ok(url) = Url::parse(&format!("{}{then}", self.0.issuer)) else {
            return Some(Vec::new());
        };
        let parameter = |name: &str| {
            url.query_pairs()
                .find(|(held, _)| held == name)
                .map(|(_, value)| value.into_owned())
        };
        let client = parameter("client_id").and_then(|name| self.client(&name));
        let redirect = client
            .and_then(|client| redirect::choose(&client.redirect_uris, parameter("redirect_uri").as_deref()));
        redirect.map_or(Some(Vec::new()), |redirect| origins(&redirect))
    }

    /// Sends a browser to another provider.
    async fn send_away(
        &self,
        call: &Call<'_>,
        name: &str,
        openid: &OpenId,
        then: &str,
    ) -> Result<Response<Body>, Status> {
        let errand = Errand {
            provider: name.to_owned(),
            then: then.to_owned(),
            state: nonce(),
            nonce: nonce(),
            verifier: nonce(),
        };
        let sent = Sent {
            redirect: &self.callback_address(name),
            state: &errand.state,
            nonce: &errand.nonce,
            verifier: &errand.verifier,
        };
        match openid.begin(&sent).await {
            Ok(url) => Ok(with_cookies(
                redirect_to(url.as_str())?,
                [self.0.sessions.send(&errand, call.now)],
            )),
            Err(error) => {
                super::callback::log(name, &error);
                Ok(Page::problem(StatusCode::SERVICE_UNAVAILABLE, BROKEN).respond())
            }
        }
    }

    /// Where a provider sends people back to; it must be registered there.
    pub(super) fn callback_address(&self, provider: &str) -> String {
        format!("{}{CALLBACK}/{provider}", self.0.issuer)
    }

    pub(super) fn logout(&self, call: &Call<'_>) -> Result<Response<Body>, Status> {
        let headers = &call.request.headers;
        if call.request.method == Method::POST {
            let params = Params::of_form(call.request, call.body)?;
            if session::is_ours(headers, params.text(CSRF_FIELD)) {
                return Ok(with_cookies(page::logged_out().respond(), session::forget()));
            }
        }
        let (csrf, cookie) = session::csrf(headers);
        Ok(with_cookies(page::logout(&csrf).respond(), cookie))
    }
}

/// Where to go on after logging in: only to an endpoint here, else to where a token is requested.
fn safe(then: &str) -> &str {
    let ours = then == TOKEN_REQUEST
        || then
            .strip_prefix(AUTHORIZE)
            .is_some_and(|rest| rest.starts_with('?'));
    if ours && !then.chars().any(|c| c.is_control() || c == '\\') {
        then
    } else {
        TOKEN_REQUEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (then, kept) in [
            ("/oauth/authorize?client_id=a", true),
            ("/oauth/token/request", true),
            ("", false),
            ("/oauth/authorize", false),
            ("/oauth/authorize.evil.example", false),
            ("https://evil.example/oauth/authorize?", false),
            ("//evil.example/oauth/authorize?", false),
            ("/oauth/authorize?\r\nSet-Cookie: a=b", false),
            ("/\\evil.example", false),
        ] {
            assert_eq!(safe(then) == then, kept, "{then:?}");
            assert!(kept || safe(then) == TOKEN_REQUEST, "{then:?}");
        }
    }
}
