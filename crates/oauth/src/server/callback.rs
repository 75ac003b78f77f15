//! `/oauth2callback/PROVIDER`: back from another provider.
use berth_apimachinery::server::Body;
use berth_apimachinery::status::Status;
use http::{Response, StatusCode};
use tracing::{info, warn};

use super::passwords::Outcome;
use super::{Call, OAuth, redirect_to, with_cookies};
use crate::opaque::same;
use crate::page::Page;
use crate::params::Params;
use crate::provider::openid::{self, OpenId, Sent};
use crate::provider::{Kind, Provider};
use crate::session::{self, Errand};

const STALE: &str = "This log-in took too long, or was not begun in this browser. Please start again.";
const FAILED: &str = "The identity provider did not say who you are. Please start again.";
const BROKEN: &str = "Nobody can be logged in at the moment. Please try again later.";

impl OAuth {
    pub(super) async fn callback(&self, call: &Call<'_>, name: &str) -> Result<Response<Body>, Status> {
        let params = Params::of_query(call.request)?;
        let problem = |status, problem: &str| {
            let page = Page::problem(status, problem).respond();
            Ok(with_cookies(page, [session::end_errand()]))
        };
        let errand = self.0.sessions.errand(&call.request.headers, call.now);
        let Some(errand) =
            errand.filter(|errand| errand.provider == name && same(&errand.state, params.text("state")))
        else {
            return problem(StatusCode::FORBIDDEN, STALE);
        };
        let found = self
            .0
            .providers
            .iter()
            .find(|provider| provider.name == errand.provider);
        let Some((provider, openid)) = found.and_then(redirecting) else {
            return problem(
                StatusCode::NOT_FOUND,
                "There is no identity provider of this name any more.",
            );
        };
        let Some(code) = params.get("code") else {
            let error: String = params.text("error").chars().take(64).collect();
            info!(provider = name, ?error, "the provider refused a log-in");
            return problem(StatusCode::FORBIDDEN, FAILED);
        };
        match self.person(provider, openid, code, &errand).await {
            Outcome::User(login) => {
                let cookies = [self.0.sessions.remember(&login, call.now), session::end_errand()];
                Ok(with_cookies(redirect_to(&errand.then)?, cookies))
            }
            Outcome::Refused(sentence) => problem(StatusCode::FORBIDDEN, &sentence),
            Outcome::Wrong => problem(StatusCode::FORBIDDEN, FAILED),
            Outcome::Slow(_) | Outcome::Unavailable => problem(StatusCode::SERVICE_UNAVAILABLE, BROKEN),
        }
    }

    async fn person(&self, provider: &Provider, openid: &OpenId, code: &str, errand: &Errand) -> Outcome {
        let sent = Sent {
            redirect: &self.callback_address(&provider.name),
            state: &errand.state,
            nonce: &errand.nonce,
            verifier: &errand.verifier,
        };
        match openid.finish(code, &sent).await {
            Ok(person) => self.map(provider, &person).await,
            Err(error) => {
                log(&provider.name, &error);
                Outcome::Wrong
            }
        }
    }
}

fn redirecting(provider: &Provider) -> Option<(&Provider, &OpenId)> {
    match &provider.kind {
        Kind::Redirect(openid) => Some((provider, openid)),
        Kind::Passwords(_) => None,
    }
}

pub(super) fn log(provider: &str, error: &openid::Error) {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    warn!(provider, error = %text, "an identity provider could not be used");
}
