//! `v1 ServiceAccount`: identities for programs.

use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};
use serde_json::Value;

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Secrets", "Number of secrets that pods of this account may use."),
        Column::age(),
    ];
    Resource::namespaced("", "v1", "ServiceAccount", "serviceaccounts")
        .with_short_names(&["sa"])
        .with_table(Table::new(columns, |account, now| {
            let secrets = account
                .get("secrets")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            vec![
                account.name().into(),
                secrets.into(),
                table::age(account, now).into(),
            ]
        }))
}

/// The rules of service accounts.
#[derive(Debug)]
pub(super) struct ServiceAccountStrategy;

impl Strategy for ServiceAccountStrategy {}
