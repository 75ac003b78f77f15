//! Giving out codes and tokens.
use berth_apimachinery::object::Object;
use berth_apimachinery::status::Status;
use jiff::Timestamp;
use serde_json::json;

use super::OAuth;
use crate::kinds::{self, Client};
use crate::opaque::Opaque;
use crate::request::Wish;
use crate::session::Login;

/// Seconds in which a code must be exchanged.
const CODE_LIFETIME: i64 = 300;

/// A token that was given out.
pub(super) struct Issued {
    pub(super) token: Opaque,
    /// Seconds; 0 for never.
    pub(super) expires_in: i64,
}

impl OAuth {
    /// Stores a code and returns it.
    pub(super) async fn issue_code(
        &self,
        client: &Client,
        redirect: &str,
        wish: &Wish,
        login: &Login,
    ) -> Result<Opaque, Status> {
        let code = Opaque::generate();
        let mut object = Object::new(&kinds::gvk("OAuthAuthorizeToken"), &code.object_name());
        object.set("clientName", client.name.as_str());
        object.set("expiresIn", CODE_LIFETIME);
        object.set("scopes", json!(wish.scopes));
        object.set("redirectURI", redirect);
        if !wish.state.is_empty() {
            object.set("state", wish.state.as_str());
        }
        object.set("userName", login.user.as_str());
        object.set("userUID", login.uid.as_str());
        if !wish.challenge.is_empty() {
            object.set("codeChallenge", wish.challenge.as_str());
            object.set("codeChallengeMethod", wish.method.name());
        }
        self.0.stores.authorize_tokens.create(object).await?;
        Ok(code)
    }

    /// Stores a token and returns it.
    pub(super) async fn issue_token(
        &self,
        client: &Client,
        redirect: &str,
        scopes: &[String],
        login: &Login,
        code: Option<&str>,
        now: Timestamp,
    ) -> Result<Issued, Status> {
        let token = Opaque::generate();
        let expires_in = client
            .access_token_max_age_seconds
            .unwrap_or(self.0.token_lifetime.as_secs());
        let mut object = Object::new(&kinds::gvk("OAuthAccessToken"), &token.object_name());
        object.set_creation_timestamp(now);
        object.set("clientName", client.name.as_str());
        if expires_in > 0 {
            object.set("expiresIn", expires_in);
        }
        object.set("scopes", json!(scopes));
        object.set("redirectURI", redirect);
        object.set("userName", login.user.as_str());
        object.set("userUID", login.uid.as_str());
        if let Some(code) = code {
            object.set("authorizeToken", code);
        }
        let timeout = self.0.activity.timeout(&client.name);
        if timeout > 0 {
            object.set("inactivityTimeoutSeconds", timeout);
        }
        self.0.stores.access_tokens.create(object).await?;
        Ok(Issued { token, expires_in })
    }
}
