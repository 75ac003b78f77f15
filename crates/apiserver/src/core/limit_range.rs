//! `v1 LimitRange`: limits of single objects.

use std::collections::BTreeSet;

use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use serde_json::{Map, Value};

use crate::quantity::{self, Quantity};

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

/// Shows every quantity in canonical form.
pub(super) fn normalize(range: &mut Object) {
    let limits = range
        .fields_mut()
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("limits"));
    for item in limits.and_then(Value::as_array_mut).into_iter().flatten() {
        for list in LISTS {
            if let Some(list) = item.get_mut(list) {
                quantity::canonicalize(list);
            }
        }
    }
}

/// Everything that is wrong with a limit range.
pub(super) fn validate(range: &Object) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut types = BTreeSet::new();
    let limits = range.at(&["spec", "limits"]).and_then(Value::as_array);
    for (index, item) in limits.into_iter().flatten().enumerate() {
        let path = format!("spec.limits[{index}]");
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        } else if !types.insert(kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind));
        }
        validate_item(&path, kind, item, &mut errors);
    }
    errors
}

fn validate_item(path: &str, kind: &str, item: &Value, errors: &mut FieldErrors) {
    let list = |name: &str| {
        item.get(name)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let at = |list: &Map<String, Value>, key: &str| list.get(key).and_then(Quantity::from_json);
    for name in LISTS {
        for (key, value) in &list(name) {
            if Quantity::from_json(value).is_none() {
                errors.push(FieldError::invalid(
                    format!("{path}.{name}[{key}]"),
                    value.clone(),
                    crate::quantity::ParseQuantityError.to_string(),
                ));
            }
        }
    }
    if kind == "Pod" {
        for name in ["default", "defaultRequest"]
            .into_iter()
            .filter(|name| !list(name).is_empty())
        {
            let detail = "may not be specified when `type` is 'Pod'";
            errors.push(FieldError::forbidden(format!("{path}.{name}"), detail));
        }
    }
    let (max, min, default, request) = (list("max"), list("min"), list("default"), list("defaultRequest"));
    let keys: BTreeSet<&String> = max
        .keys()
        .chain(min.keys())
        .chain(default.keys())
        .chain(request.keys())
        .collect();
    // Each of these must not exceed the next that is given, as in Kubernetes.
    let chain = [
        ("min", &min),
        ("defaultRequest", &request),
        ("default", &default),
        ("max", &max),
    ];
    for key in keys {
        for (index, (low_name, low)) in chain.iter().enumerate() {
            for (high_name, high) in &chain[index + 1..] {
                let (Some(low), Some(high)) = (at(low, key), at(high, key)) else {
                    continue;
                };
                if low > high {
                    let words = |name: &str| match name {
                        "defaultRequest" => "default request".to_owned(),
                        name => name.to_owned(),
                    };
                    let detail = format!(
                        "{} value {low} is greater than {} value {high}",
                        words(low_name),
                        words(high_name)
                    );
                    errors.push(FieldError::invalid(
                        format!("{path}.{low_name}[{key}]"),
                        low.to_string(),
                        detail,
                    ));
                }
            }
        }
    }
}

/// Names and columns.
pub(super) fn resource() -> Resource {
    Resource::namespaced("", "v1", "LimitRange", "limitranges")
        .with_short_names(&["limits"])
        .with_table(crate::columns::created_at())
}

/// The rules of limit ranges.
#[derive(Debug)]
pub(super) struct LimitRangeStrategy;

impl Strategy for LimitRangeStrategy {
    fn defaults(&self, object: &mut Object) {
        normalize(object);
    }

    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        validate(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_is_wrong() {
        for (limits, want) in [
            (
                json!([{"type": "openshift.io/Image", "max": {"storage": "1Gi"}}]),
                vec![],
            ),
            (json!([{"type": ""}]), vec!["spec.limits[0].type: Required value"]),
            (
                json!([{"type": "Container"}, {"type": "Container"}]),
                vec!["spec.limits[1].type: Duplicate value: \"Container\""],
            ),
            (
                json!([{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]),
                vec![
                    "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
                ],
            ),
            (
                json!([{"type": "Pod", "default": {"cpu": "1"}}]),
                vec!["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
            ),
        ] {
            let range = Object::from_value(json!({"spec": {"limits": limits}})).unwrap();
            let got: Vec<_> = validate(&range).iter().map(ToString::to_string).collect();
            assert_eq!(got, want, "{limits}");
        }
    }

    #[test]
    fn quantities_become_canonical() {
        let mut range = Object::from_value(
            json!({"spec": {"limits": [{"max": {"openshift.io/images": 1000, "storage": "1024Mi"}}]}}),
        )
        .unwrap();
        normalize(&mut range);
        assert_eq!(
            range.at(&["spec", "limits"]),
            Some(&json!([{"max": {"openshift.io/images": "1k", "storage": "1Gi"}}]))
        );
    }
}
