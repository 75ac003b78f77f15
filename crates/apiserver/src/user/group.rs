//! `Group`: a set of users.

use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table};
use serde_json::Value;

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Users", "Names of the users in this group."),
    ];
    Resource::cluster(super::GROUP, "v1", "Group", "groups").with_table(Table::new(columns, |group, _now| {
        let users = group.get("users").and_then(Value::as_array).into_iter().flatten();
        let users: Vec<&str> = users.filter_map(Value::as_str).collect();
        vec![group.name().into(), users.join(", ").into()]
    }))
}

/// The rules of groups.
#[derive(Debug)]
pub(super) struct GroupStrategy;

impl Strategy for GroupStrategy {
    fn defaults(&self, object: &mut Object) {
        if object.get("users").is_none_or(Value::is_null) {
            object.set("users", Value::Array(Vec::new()));
        }
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)?;
        match name.find(':') {
            Some(_) => Err("may not contain \":\"".to_owned()),
            None => Ok(()),
        }
    }
}
