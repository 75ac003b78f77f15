//! `OAuthClient`: a program that may ask for tokens.
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table};
use serde::Deserialize;
use serde_json::Value;

use crate::opaque::same;
use crate::redirect;

/// The least inactivity timeout that may be set, in seconds: uses are not recorded more often.
pub(crate) const MIN_INACTIVITY: i64 = 300;

pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Secret", "Whether the client has a secret."),
        Column::new(
            "WWW-Challenge",
            "Whether it is asked for credentials by a challenge.",
        )
        .of("boolean"),
        Column::new("Token-Max-Age", "Lifetime of its tokens, in seconds."),
        Column::new("Redirect URIs", "Where tokens and codes may be sent."),
    ];
    let table = Table::new(columns, |client, _now| {
        let max_age = match client.get("accessTokenMaxAgeSeconds").and_then(Value::as_i64) {
            None => "default".to_owned(),
            Some(0) => "unexpiring".to_owned(),
            Some(seconds) => seconds.to_string(),
        };
        let redirects = client
            .get("redirectURIs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let redirects: Vec<&str> = redirects.filter_map(Value::as_str).collect();
        // Whoever lists clients need not see what they prove themselves with.
        let secret = if client.str_at(&["secret"]).is_empty() {
            "<none>"
        } else {
            "<set>"
        };
        vec![
            client.name().into(),
            secret.into(),
            client
                .get("respondWithChallenges")
                .and_then(Value::as_bool)
                .unwrap_or(false)
                .into(),
            max_age.into(),
            redirects.join(",").into(),
        ]
    });
    Resource::cluster(super::GROUP, "v1", "OAuthClient", "oauthclients").with_table(table)
}

/// How users agree to a client's wishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GrantMethod {
    /// A page asks them.
    #[default]
    Prompt,
    /// Nobody asks them.
    Auto,
}

/// A client, read from its object.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Client {
    #[serde(skip)]
    pub(crate) name: String,
    secret: String,
    additional_secrets: Vec<String>,
    pub(crate) respond_with_challenges: bool,
    #[serde(rename = "redirectURIs")]
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grant_method: GrantMethod,
    scope_restrictions: Vec<ScopeRestriction>,
    pub(crate) access_token_max_age_seconds: Option<i64>,
    pub(crate) access_token_inactivity_timeout_seconds: Option<i64>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct ScopeRestriction {
    literals: Vec<String>,
}

impl Client {
    /// Reads a client; none if its object does not hold together.
    pub(crate) fn read(object: &Object) -> Option<Client> {
        let mut client: Client = object.to_typed().ok()?;
        object.name().clone_into(&mut client.name);
        Some(client)
    }

    /// Whether `secret` is one of the client's; a client without any cannot keep one and need not show it.
    pub(crate) fn proves_itself(&self, secret: &str) -> bool {
        let mut secrets = std::iter::once(&self.secret)
            .chain(&self.additional_secrets)
            .filter(|secret| !secret.is_empty())
            .peekable();
        secrets.peek().is_none() || secrets.any(|held| same(held, secret))
    }

    /// Whether the client may ask for a scope.
    pub(crate) fn may_ask_for(&self, scope: &str) -> bool {
        let mut restrictions = self.scope_restrictions.iter().peekable();
        restrictions.peek().is_none()
            || restrictions.any(|restriction| restriction.literals.iter().any(|literal| literal == scope))
    }
}

/// The rules of clients.
#[derive(Debug)]
pub struct ClientStrategy;

impl Strategy for ClientStrategy {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)?;
        // The user name of Basic credentials ends at a colon.
        if name.contains(':') {
            return Err("may not contain ':'".to_owned());
        }
        Ok(())
    }

    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let redirects = object
            .get("redirectURIs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for (index, redirect) in redirects.filter_map(Value::as_str).enumerate() {
            if let Err(problem) = redirect::check(redirect) {
                errors.push(FieldError::invalid(
                    format!("redirectURIs[{index}]"),
                    redirect,
                    problem,
                ));
            }
        }
        match object.str_at(&["grantMethod"]) {
            "auto" | "prompt" => {}
            "" => errors.push(FieldError::required("grantMethod", "must be auto or prompt")),
            other => errors.push(FieldError::not_supported(
                "grantMethod",
                other,
                &["auto", "prompt"],
            )),
        }
        let number = |field: &str| object.get(field).and_then(Value::as_i64);
        if let Some(age) = number("accessTokenMaxAgeSeconds").filter(|age| *age < 0) {
            errors.push(FieldError::invalid(
                "accessTokenMaxAgeSeconds",
                age,
                "must not be negative",
            ));
        }
        let timeout = "accessTokenInactivityTimeoutSeconds";
        if let Some(seconds) = number(timeout).filter(|seconds| *seconds != 0 && *seconds < MIN_INACTIVITY) {
            let detail = format!("must be 0, or at least {MIN_INACTIVITY} seconds");
            errors.push(FieldError::invalid(timeout, seconds, detail));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn client(fields: Value) -> Object {
        let mut object = Object::from_value(fields).unwrap();
        object.set_name("c");
        object
    }

    #[test]
    fn clients_that_make_no_sense_are_refused() {
        for (fields, wrong) in [
            (
                json!({"grantMethod": "auto", "redirectURIs": ["https://a.example/cb"]}),
                "",
            ),
            (json!({"grantMethod": "prompt"}), ""),
            (json!({}), "grantMethod"),
            (json!({"grantMethod": "deny"}), "grantMethod"),
            (
                json!({"grantMethod": "auto", "redirectURIs": ["/cb"]}),
                "redirectURIs[0]",
            ),
            (
                json!({"grantMethod": "auto", "redirectURIs": ["https://a/#x"]}),
                "redirectURIs[0]",
            ),
            (
                json!({"grantMethod": "auto", "redirectURIs": ["javascript:alert(1)"]}),
                "redirectURIs[0]",
            ),
            (
                json!({"grantMethod": "auto", "accessTokenMaxAgeSeconds": -1}),
                "accessTokenMaxAgeSeconds",
            ),
            (
                json!({"grantMethod": "auto", "accessTokenInactivityTimeoutSeconds": 10}),
                "accessTokenInactivityTimeoutSeconds",
            ),
        ] {
            let errors = ClientStrategy.validate(&client(fields.clone()), None);
            let found: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(found.join(","), wrong, "{fields}");
        }
    }

    #[test]
    fn secrets_and_scopes() {
        let open = Client::read(&client(json!({"grantMethod": "auto"}))).unwrap();
        assert!(open.proves_itself("") && open.proves_itself("anything"));
        let closed = client(
            json!({"grantMethod": "auto", "secret": "a", "additionalSecrets": ["b"],
            "scopeRestrictions": [{"literals": ["user:info"]}]}),
        );
        let closed = Client::read(&closed).unwrap();
        for (secret, want) in [("a", true), ("b", true), ("", false), ("c", false)] {
            assert_eq!(closed.proves_itself(secret), want, "{secret}");
        }
        assert!(closed.may_ask_for("user:info") && !closed.may_ask_for("user:full"));
        assert!(open.may_ask_for("user:full"));
    }
}
