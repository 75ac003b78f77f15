//! TokenReview: telling another server whom a token stands for.
use serde_json::{Value, json};

use super::{TokenAuthenticator, TokenError};

/// The `status` of a TokenReview whose `spec` has this `token` and `audiences`.
pub async fn review(kinds: &dyn TokenAuthenticator, token: &str, audiences: &[String]) -> Value {
    if token.is_empty() {
        return json!({"user": {}, "error": "no token is given"});
    }
    match kinds.identify(token, audiences).await {
        Ok(Some(identity)) => {
            let user = serde_json::to_value(identity.user.as_ref()).unwrap_or_default();
            let mut status = json!({"authenticated": true, "user": user});
            if !identity.audiences.is_empty() {
                status["audiences"] = json!(identity.audiences);
            }
            status
        }
        Ok(None) => json!({"user": {}}),
        Err(TokenError::Invalid(cause) | TokenError::Unavailable(cause)) => {
            json!({"user": {}, "error": cause})
        }
    }
}
