//! `v1 ResourceQuota`: how much a namespace may hold, and the arithmetic of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::{GroupResource, Resource};
use berth_apimachinery::status::Status;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};
use serde_json::{Map, Value};

use crate::quantity::{self, ParseQuantityError, Quantity};

/// Names without a prefix that count objects, with the resource that they count.
const COUNTED: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];
/// Names without a prefix that may be limited though nothing here is counted by them.
const OTHER: [&str; 12] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "services.loadbalancers",
    "services.nodeports",
];
/// OpenShift's name for the number of image streams.
const IMAGE_STREAMS: &str = "openshift.io/imagestreams";
const COUNT_PREFIX: &str = "count/";

/// The resource whose objects a limit counts; none if the limit is not about a number of objects.
pub(crate) fn counted(name: &str) -> Option<GroupResource> {
    if let Some(resource) = name.strip_prefix(COUNT_PREFIX) {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        return Some(GroupResource::new(group, resource));
    }
    if name == IMAGE_STREAMS {
        return Some(GroupResource::new("image.openshift.io", "imagestreams"));
    }
    COUNTED.contains(&name).then(|| GroupResource::new("", name))
}

/// The quantities of a map field; what is none is left out.
pub(crate) fn quantities(quota: &Object, path: &[&str]) -> BTreeMap<String, Quantity> {
    let entries = quota.at(path).and_then(Value::as_object);
    let parse = |(key, value): (&String, &Value)| Some((key.clone(), Quantity::from_json(value)?));
    entries.into_iter().flatten().filter_map(parse).collect()
}

/// The JSON form of quantities.
pub(crate) fn to_json(quantities: &BTreeMap<String, Quantity>) -> Value {
    let entries = quantities
        .iter()
        .map(|(key, value)| (key.clone(), Value::String(value.to_string())));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// The status that a quota should have when `count` tells how many objects of a resource there are.
pub(crate) fn status(quota: &Object, count: impl Fn(&GroupResource) -> i64) -> Value {
    let hard = quantities(quota, &["spec", "hard"]);
    let used = hard
        .keys()
        .map(|key| {
            (
                key.clone(),
                Quantity::count(counted(key).map_or(0, |resource| count(&resource))),
            )
        })
        .collect();
    serde_json::json!({ "hard": to_json(&hard), "used": to_json(&used) })
}

/// What an admission of new objects comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Charge {
    /// The quota says nothing about the resource.
    Unlimited,
    /// The quota allows it; its status becomes this.
    Allowed(Value),
    /// The quota would be exceeded; the text is Kubernetes'.
    Exceeded(String),
}

/// Adds `delta` objects of `resource` to a quota. `status` is the quota's, complete for its spec.
pub(crate) fn charge(quota: &Object, status: &Value, resource: &GroupResource, delta: i64) -> Charge {
    let read = |field: &str| -> BTreeMap<String, Quantity> {
        let entries = status.get(field).and_then(Value::as_object).into_iter().flatten();
        entries
            .filter_map(|(key, value)| Some((key.clone(), Quantity::from_json(value)?)))
            .collect()
    };
    let hard = read("hard");
    let mut used = read("used");
    let names: Vec<&String> = hard
        .keys()
        .filter(|name| counted(name).as_ref() == Some(resource))
        .collect();
    if names.is_empty() {
        return Charge::Unlimited;
    }
    let zero = Quantity::count(0);
    let over: Vec<&&String> = names
        .iter()
        .filter(|name| {
            used.get(**name)
                .copied()
                .unwrap_or(zero)
                .plus(Quantity::count(delta))
                > hard[**name]
        })
        .collect();
    if !over.is_empty() {
        let list = |value: &dyn Fn(&str) -> Quantity| {
            over.iter()
                .map(|name| format!("{name}={}", value(name)))
                .collect::<Vec<_>>()
                .join(",")
        };
        return Charge::Exceeded(format!(
            "exceeded quota: {}, requested: {}, used: {}, limited: {}",
            quota.name(),
            list(&|_| Quantity::count(delta)),
            list(&|name| used.get(name).copied().unwrap_or(zero)),
            list(&|name| hard[name]),
        ));
    }
    for name in names {
        let sum = used
            .get(name)
            .copied()
            .unwrap_or(zero)
            .plus(Quantity::count(delta));
        used.insert(name.clone(), sum);
    }
    Charge::Allowed(serde_json::json!({ "hard": to_json(&hard), "used": to_json(&used) }))
}

/// Whether the status says something about every limit that is wanted, with the wanted value.
pub(crate) fn is_current(quota: &Object) -> bool {
    let used = quantities(quota, &["status", "used"]);
    let hard = quantities(quota, &["spec", "hard"]);
    hard == quantities(quota, &["status", "hard"]) && hard.keys().all(|key| used.contains_key(key))
}

/// Shows every quantity in canonical form.
pub(super) fn normalize(quota: &mut Object) {
    for (part, field) in [("spec", "hard"), ("status", "hard"), ("status", "used")] {
        let list = quota
            .fields_mut()
            .get_mut(part)
            .and_then(|part| part.get_mut(field));
        if let Some(list) = list {
            quantity::canonicalize(list);
        }
    }
}

/// Everything that is wrong with a quota, in Kubernetes' words.
pub(super) fn validate(quota: &Object) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (part, field) in [("spec", "hard"), ("status", "hard"), ("status", "used")] {
        let entries = quota.at(&[part, field]).and_then(Value::as_object);
        for (name, value) in entries.into_iter().flatten() {
            let path = format!("{part}.{field}[{name}]");
            if !is_quota_name(name) {
                errors.push(FieldError::invalid(
                    &path,
                    name.as_str(),
                    "must be a standard resource for quota",
                ));
            }
            let Some(quantity) = Quantity::from_json(value) else {
                errors.push(FieldError::invalid(
                    &path,
                    value.clone(),
                    ParseQuantityError.to_string(),
                ));
                continue;
            };
            if quantity.is_negative() {
                let detail = "must be greater than or equal to 0";
                errors.push(FieldError::invalid(&path, quantity.to_string(), detail));
            }
            if counted(name).is_some() && !quantity.is_whole() {
                errors.push(FieldError::invalid(
                    &path,
                    quantity.to_string(),
                    "must be an integer",
                ));
            }
        }
    }
    errors
}

fn is_quota_name(name: &str) -> bool {
    let qualified = |name: &str| {
        let (prefix, rest) = name.split_once('/').unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        !prefix.is_empty() && !rest.is_empty() && rest.len() <= 253 && name.chars().all(fits)
    };
    COUNTED.contains(&name) || OTHER.contains(&name) || name.starts_with("hugepages-") || qualified(name)
}

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Request", "Used and allowed amounts, except of limits."),
        Column::new("Limit", "Used and allowed amounts of limits."),
        Column::age(),
    ];
    Resource::namespaced("", "v1", "ResourceQuota", "resourcequotas")
        .with_short_names(&["quota"])
        .with_table(Table::new(columns, |quota, now| {
            let used = quantities(quota, &["status", "used"]);
            let zero = Quantity::count(0);
            let (mut requests, mut limits) = (Vec::new(), Vec::new());
            for (name, hard) in quantities(quota, &["status", "hard"]) {
                let text = format!("{name}: {}/{hard}", used.get(&name).copied().unwrap_or(zero));
                if name.starts_with("limits.") {
                    limits.push(text)
                } else {
                    requests.push(text)
                }
            }
            let age = table::age(quota, now);
            vec![
                quota.name().into(),
                requests.join(", ").into(),
                limits.join(", ").into(),
                age.into(),
            ]
        }))
}

/// The rules of quotas.
#[derive(Debug)]
pub(super) struct QuotaStrategy;

#[async_trait]
impl Strategy for QuotaStrategy {
    fn defaults(&self, object: &mut Object) {
        normalize(object);
    }

    async fn prepare_for_create(&self, _cx: &Context, object: &mut Object) -> Result<(), Status> {
        object.set("status", serde_json::json!({}));
        Ok(())
    }

    async fn prepare_for_update(
        &self,
        _cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        crate::strategies::keep(object, old, "status");
        Ok(())
    }

    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        validate(object)
    }
}

/// The rules of a quota's status.
#[derive(Debug)]
pub(super) struct QuotaStatusStrategy;

#[async_trait]
impl Strategy for QuotaStatusStrategy {
    fn defaults(&self, object: &mut Object) {
        normalize(object);
    }

    async fn prepare_for_update(
        &self,
        _cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        crate::strategies::keep(object, old, "spec");
        Ok(())
    }

    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        validate(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quota(hard: &Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "small"}, "spec": {"hard": hard}})).unwrap()
    }

    #[test]
    fn knows_what_a_limit_counts() {
        for (name, want) in [
            ("configmaps", Some(("", "configmaps"))),
            ("count/configmaps", Some(("", "configmaps"))),
            (
                "count/imagestreams.image.openshift.io",
                Some(("image.openshift.io", "imagestreams")),
            ),
            (
                "openshift.io/imagestreams",
                Some(("image.openshift.io", "imagestreams")),
            ),
            ("cpu", None),
            ("openshift.io/images", None),
        ] {
            assert_eq!(
                counted(name),
                want.map(|(g, r)| GroupResource::new(g, r)),
                "{name}"
            );
        }
    }

    #[test]
    fn charges_until_the_limit() {
        let quota = quota(&json!({"openshift.io/imagestreams": "2", "count/secrets": 1}));
        let streams = GroupResource::new("image.openshift.io", "imagestreams");
        let at = |count: i64| status(&quota, |resource| if *resource == streams { count } else { 0 });
        assert_eq!(
            charge(&quota, &at(0), &GroupResource::new("", "configmaps"), 1),
            Charge::Unlimited
        );
        let want = json!({
            "hard": {"count/secrets": "1", "openshift.io/imagestreams": "2"},
            "used": {"count/secrets": "0", "openshift.io/imagestreams": "2"},
        });
        assert_eq!(charge(&quota, &at(1), &streams, 1), Charge::Allowed(want));
        assert_eq!(
            charge(&quota, &at(2), &streams, 1),
            Charge::Exceeded(
                "exceeded quota: small, requested: openshift.io/imagestreams=1, used: openshift.io/imagestreams=2, \
                 limited: openshift.io/imagestreams=2"
                    .to_owned()
            )
        );
    }

    #[test]
    fn status_must_answer_the_spec() {
        let mut quota = quota(&json!({"secrets": "3"}));
        assert!(!is_current(&quota));
        quota.set("status", status(&quota, |_| 1));
        assert!(is_current(&quota));
        quota.set("spec", json!({"hard": {"secrets": "4"}}));
        assert!(!is_current(&quota));
    }

    #[test]
    fn finds_what_is_wrong() {
        for (hard, want) in [
            (
                json!({"secrets": "3", "count/x.example.com": "1", "cpu": "500m"}),
                None,
            ),
            (
                json!({"wishes": "3"}),
                Some("must be a standard resource for quota"),
            ),
            (
                json!({"secrets": "-1"}),
                Some("must be greater than or equal to 0"),
            ),
            (json!({"secrets": "500m"}), Some("must be an integer")),
            (
                json!({"secrets": "many"}),
                Some("quantities must match the regular expression"),
            ),
        ] {
            let errors = validate(&quota(&hard));
            match want {
                None => assert!(errors.is_empty(), "{hard}: {errors:?}"),
                Some(want) => assert!(errors[0].to_string().contains(want), "{hard}: {errors:?}"),
            }
        }
    }
}
