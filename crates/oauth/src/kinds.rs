//! The kinds of `oauth.openshift.io/v1`: their names, columns and rules.
//!
//! Access tokens, codes and clients are stored; a user's own tokens are a view of the access tokens.
mod access_token;
mod authorize_token;
mod client;
mod user_token;

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::{Gvk, Resource};
use berth_apimachinery::table::Column;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use self::access_token::{AccessTokenStrategy, AccessTokens};
pub use self::authorize_token::AuthorizeTokenStrategy;
pub use self::client::ClientStrategy;
pub(crate) use self::client::{Client, GrantMethod};
pub use self::user_token::UserTokens;

/// The API group.
pub const GROUP: &str = "oauth.openshift.io";

/// Definitions of the group's kinds, as the API server reads them.
pub const SCHEMA: &str = include_str!("../schemas/oauth.openshift.io.yaml");

/// Names and columns of access tokens.
#[must_use]
pub fn access_tokens() -> Resource {
    access_token::resource()
}

/// Names and columns of codes.
#[must_use]
pub fn authorize_tokens() -> Resource {
    authorize_token::resource()
}

/// Names and columns of clients.
#[must_use]
pub fn clients() -> Resource {
    client::resource()
}

/// Names and columns of a user's own access tokens.
#[must_use]
pub fn user_access_tokens() -> Resource {
    user_token::resource()
}

pub(crate) fn gvk(kind: &str) -> Gvk {
    Gvk::new(GROUP, "v1", kind)
}

/// When a token or code ends; none if it does not.
pub(crate) fn expires_at(token: &Object) -> Option<Timestamp> {
    let seconds = token
        .get("expiresIn")
        .and_then(Value::as_i64)
        .filter(|seconds| *seconds > 0)?;
    let created = token.creation_timestamp()?;
    Some(
        created
            .saturating_add(SignedDuration::from_secs(seconds))
            .unwrap_or(Timestamp::MAX),
    )
}

/// The scopes of a token or code.
pub(crate) fn scopes(token: &Object) -> Vec<String> {
    let scopes = token
        .get("scopes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    scopes.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Columns that codes and tokens share, without the name of the user.
fn token_columns() -> Vec<Column> {
    vec![
        Column::new("Client Name", "Name of the client that asked for it."),
        Column::new("Created", "When it was given."),
        Column::new("Expires", "When it ends."),
        Column::new("Redirect URI", "Where it was sent."),
        Column::new("Scopes", "What it may be used for."),
    ]
}

/// Cells of [`token_columns`].
fn token_cells(token: &Object) -> Vec<Value> {
    let expires =
        expires_at(token).map_or_else(|| "never".to_owned(), berth_apimachinery::object::format_time);
    vec![
        token.str_at(&["clientName"]).into(),
        token.meta("creationTimestamp").into(),
        expires.into(),
        token.str_at(&["redirectURI"]).into(),
        scopes(token).join(",").into(),
    ]
}
