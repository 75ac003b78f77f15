//! `v1 ConfigMap`: configuration data.

use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};

use super::data::{MAX_DATA_BYTES, check_immutable, check_keys, entries};

/// Everything that is wrong with a config map, in Kubernetes' words.
pub(super) fn validate(map: &Object, old: Option<&Object>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut size = 0;
    check_keys(map, "data", false, &mut size, &mut errors);
    check_keys(map, "binaryData", true, &mut size, &mut errors);
    for (key, _) in entries(map, "data") {
        if map.at(&["binaryData", key]).is_some() {
            let detail = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(format!("data[{key}]"), key.as_str(), detail));
        }
    }
    if size > MAX_DATA_BYTES {
        errors.push(FieldError::too_long("", MAX_DATA_BYTES));
    }
    if let Some(old) = old {
        check_immutable(map, old, &["data", "binaryData"], &mut errors);
    }
    errors
}

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Data", "Number of keys."),
        Column::age(),
    ];
    Resource::namespaced("", "v1", "ConfigMap", "configmaps")
        .with_short_names(&["cm"])
        .with_table(Table::new(columns, |map, now| {
            vec![
                map.name().into(),
                super::data::count(map, &["data", "binaryData"]).into(),
                table::age(map, now).into(),
            ]
        }))
}

/// The rules of config maps.
#[derive(Debug)]
pub(super) struct ConfigMapStrategy;

impl Strategy for ConfigMapStrategy {
    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        validate(object, old)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_is_wrong() {
        for (object, old, want) in [
            (
                json!({"data": {"a.b_c-D": "x"}, "binaryData": {"e": "eA=="}}),
                None,
                vec![],
            ),
            (
                json!({"data": {"a": "x"}, "binaryData": {"a": "eA=="}}),
                None,
                vec!["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
            ),
            (
                json!({"data": {"a": "x"}, "immutable": true}),
                Some(json!({"data": {"a": "y"}, "immutable": true})),
                vec!["data: Forbidden: field is immutable when `immutable` is set"],
            ),
            (
                json!({"data": {"a": "x"}, "immutable": true}),
                Some(json!({"data": {"a": "y"}})),
                vec![],
            ),
        ] {
            let old = old.and_then(Object::from_value);
            let errors = validate(&Object::from_value(object.clone()).unwrap(), old.as_ref());
            let got: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(got, want, "{object}");
        }
    }
}
