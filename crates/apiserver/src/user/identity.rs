//! `Identity`: what an identity provider knows of a user.

use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table};

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("IDP Name", "Name of the identity provider."),
        Column::new("IDP User Name", "The user's name at the provider."),
        Column::new("User Name", "The user that the identity belongs to."),
        Column::new("User UID", "UID of that user."),
    ];
    Resource::cluster(super::GROUP, "v1", "Identity", "identities").with_table(Table::new(
        columns,
        |identity, _now| {
            vec![
                identity.name().into(),
                identity.str_at(&["providerName"]).into(),
                identity.str_at(&["providerUserName"]).into(),
                identity.str_at(&["user", "name"]).into(),
                identity.str_at(&["user", "uid"]).into(),
            ]
        },
    ))
}

/// The rules of identities.
#[derive(Debug)]
pub(super) struct IdentityStrategy;

impl Strategy for IdentityStrategy {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)?;
        match name.split(':').collect::<Vec<_>>()[..] {
            [provider, user] if !provider.is_empty() && !user.is_empty() => Ok(()),
            _ => Err("must be in the format <providerName>:<providerUserName>".to_owned()),
        }
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        let mut errors = FieldErrors::new();
        for field in ["providerName", "providerUserName"] {
            let value = object.str_at(&[field]);
            if value.is_empty() {
                errors.push(FieldError::required(field, ""));
            } else if value.contains(':') {
                errors.push(FieldError::invalid(field, value, "may not contain \":\""));
            } else if old.is_some_and(|old| old.str_at(&[field]) != value) {
                errors.push(FieldError::invalid(field, value, "may not change"));
            }
        }
        let name = format!(
            "{}:{}",
            object.str_at(&["providerName"]),
            object.str_at(&["providerUserName"])
        );
        if errors.is_empty() && object.name() != name {
            let detail = format!("must be {name}, as providerName and providerUserName say");
            errors.push(FieldError::invalid("metadata.name", object.name(), detail));
        }
        errors
    }
}
