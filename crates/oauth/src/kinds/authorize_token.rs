//! `OAuthAuthorizeToken`: a code, to be exchanged once.
use berth_apimachinery::field::FieldErrors;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table};

use super::access_token;

pub(super) fn resource() -> Resource {
    let mut columns = vec![
        Column::name(),
        Column::new("User Name", "The user it stands for."),
    ];
    columns.extend(super::token_columns());
    let table = Table::new(columns, |token, _now| {
        let mut cells = vec![token.name().into(), token.str_at(&["userName"]).into()];
        cells.extend(super::token_cells(token));
        cells
    });
    Resource::cluster(super::GROUP, "v1", "OAuthAuthorizeToken", "oauthauthorizetokens").with_table(table)
}

/// The rules of codes.
#[derive(Debug)]
pub struct AuthorizeTokenStrategy;

impl Strategy for AuthorizeTokenStrategy {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        access_token::validate_name(name)
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        access_token::validate(object, old)
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        ["clientName", "userName", "userUID"]
            .map(|field| (field, object.str_at(&[field]).to_owned()))
            .into()
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["clientName", "userName", "userUID"]
    }
}
