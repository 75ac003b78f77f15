//! `/oauth/token/display`: a token for a person to copy.
use berth_apimachinery::server::Body;
use berth_apimachinery::status::Status;
use http::{Method, Response, StatusCode};

use super::token::Refused;
use super::{Call, OAuth, TOKEN_DISPLAY, bootstrap, with_cookies};
use crate::page::{self, Page, Shown};
use crate::params::Params;
use crate::session::{self, CSRF_FIELD};

const AGAIN: &str = "This page is too old, or was not made for this browser. Request a token again.";

impl OAuth {
    pub(super) async fn display_token(&self, call: &Call<'_>) -> Result<Response<Body>, Status> {
        let params = Params::of_form(call.request, call.body)?;
        let headers = &call.request.headers;
        let Some(code) = params.get("code") else {
            let problem = match params.text("error") {
                "access_denied" => "The token was denied.",
                _ => "There is no code to exchange for a token. Request a token again.",
            };
            return Ok(Page::problem(StatusCode::BAD_REQUEST, problem).respond());
        };
        let posted = call.request.method == Method::POST;
        // The state that came back is the value that this browser's forms carry: both prove where the code was asked for.
        let proof = params.text(if posted { CSRF_FIELD } else { "state" });
        if !session::is_ours(headers, proof) {
            return Ok(Page::problem(StatusCode::FORBIDDEN, AGAIN).respond());
        }
        let (csrf, cookie) = session::csrf(headers);
        if !posted {
            return Ok(with_cookies(page::ask_to_show(code, &csrf).respond(), cookie));
        }
        let client = self
            .client(bootstrap::BROWSER_CLIENT)
            .ok_or_else(|| Status::internal("the client of this page does not exist"))?;
        let redirect = format!("{}{TOKEN_DISPLAY}", self.0.issuer);
        match self.exchange(&client, code, Some(&redirect), "", call.now).await {
            Ok((issued, _)) => {
                let shown = Shown {
                    token: issued.token.reveal(),
                    server: &self.0.issuer,
                    hours: (issued.expires_in > 0).then(|| (issued.expires_in / 3600).max(1)),
                    csrf: &csrf,
                };
                Ok(with_cookies(page::show(&shown).respond(), cookie))
            }
            Err(Refused::Client(_)) => Ok(Page::problem(StatusCode::BAD_REQUEST, AGAIN).respond()),
            Err(Refused::Server(status)) => Err(status),
        }
    }
}
