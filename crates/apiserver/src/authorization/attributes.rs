//! The questions of a review, read from its spec.

use berth_apimachinery::access::Target;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::identity::UserInfo;
use serde::Deserialize;
use serde_json::Value;

/// `spec` of the access reviews; only `SelfSubjectAccessReview` lacks the user.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    resource_attributes: Option<ResourceAttributes>,
    non_resource_attributes: Option<PathAttributes>,
    #[serde(flatten)]
    who: Who,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Who {
    user: String,
    groups: Option<Vec<String>>,
    uid: String,
    extra: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceAttributes {
    namespace: String,
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PathAttributes {
    path: String,
    verb: String,
}

impl Spec {
    /// The user that the spec names.
    pub(super) fn user(&self) -> UserInfo {
        UserInfo {
            name: self.who.user.clone(),
            uid: self.who.uid.clone(),
            groups: self.who.groups.clone().unwrap_or_default(),
            extra: self.who.extra.clone().unwrap_or_default(),
        }
    }

    /// The verb that is asked about.
    pub(super) fn verb(&self) -> &str {
        match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(attributes), _) => &attributes.verb,
            (None, Some(attributes)) => &attributes.verb,
            (None, None) => "",
        }
    }

    /// The namespace that is asked about; empty for none.
    pub(super) fn namespace(&self) -> &str {
        self.resource_attributes
            .as_ref()
            .map_or("", |attributes| &attributes.namespace)
    }

    /// What is asked about.
    pub(super) fn target(&self) -> Target<'_> {
        match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(attributes), _) => {
                // The registry of OpenShift sends `imagestreams/layers` as the resource.
                let (resource, subresource) = match attributes.resource.split_once('/') {
                    Some((resource, part)) if attributes.subresource.is_empty() => (resource, part),
                    _ => (attributes.resource.as_str(), attributes.subresource.as_str()),
                };
                Target::Resource {
                    group: &attributes.group,
                    version: &attributes.version,
                    resource,
                    subresource,
                    namespace: &attributes.namespace,
                    name: &attributes.name,
                }
            }
            (None, Some(attributes)) => Target::Path(&attributes.path),
            (None, None) => Target::Path(""),
        }
    }

    /// Everything that is wrong with a spec. `named` says that it must name a user, `local` that it may only ask about
    /// resources.
    pub(super) fn validate(&self, named: bool, local: bool) -> FieldErrors {
        let mut errors = FieldErrors::new();
        match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(_), Some(path)) => {
                let detail = "cannot be specified in combination with resourceAttributes";
                errors.push(FieldError::invalid(
                    "spec.nonResourceAttributes",
                    path.path.as_str(),
                    detail,
                ));
            }
            (None, None) => {
                let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
                errors.push(FieldError::invalid(
                    "spec.resourceAttributes",
                    Value::Null,
                    detail,
                ));
            }
            (None, Some(path)) if local => {
                let detail = "disallowed on this kind of request";
                errors.push(FieldError::invalid(
                    "spec.nonResourceAttributes",
                    path.path.as_str(),
                    detail,
                ));
            }
            _ => {}
        }
        if named && self.who.user.is_empty() && self.who.groups.as_ref().is_none_or(Vec::is_empty) {
            errors.push(FieldError::invalid(
                "spec.user",
                "",
                "at least one of user or group must be specified",
            ));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_slash_in_the_resource_parts_off_the_subresource() {
        for (resource, subresource, want) in [
            ("imagestreams/layers", "", ("imagestreams", "layers")),
            ("imagestreams", "layers", ("imagestreams", "layers")),
            ("imagestreams", "", ("imagestreams", "")),
        ] {
            let spec =
                spec(json!({"resourceAttributes": {"resource": resource, "subresource": subresource}}));
            let Target::Resource {
                resource: got,
                subresource: part,
                ..
            } = spec.target()
            else {
                panic!()
            };
            assert_eq!((got, part), want, "{resource} {subresource}");
        }
    }

    #[test]
    fn exactly_one_question_of_somebody() {
        let resource = json!({"verb": "get", "resource": "pods"});
        let path = json!({"verb": "get", "path": "/metrics"});
        for (value, named, local, want) in [
            (
                json!({"user": "ann", "resourceAttributes": resource}),
                true,
                false,
                None,
            ),
            (
                json!({"groups": ["a"], "nonResourceAttributes": path}),
                true,
                false,
                None,
            ),
            (json!({"resourceAttributes": resource}), false, false, None),
            (
                json!({"user": "ann"}),
                true,
                false,
                Some("spec.resourceAttributes: Invalid value: null: exactly one of"),
            ),
            (
                json!({"resourceAttributes": resource}),
                true,
                false,
                Some("spec.user: Invalid value: \"\": at least one of user or group"),
            ),
            (
                json!({"user": "ann", "resourceAttributes": resource, "nonResourceAttributes": path}),
                true,
                false,
                Some(
                    "spec.nonResourceAttributes: Invalid value: \"/metrics\": cannot be specified in combination",
                ),
            ),
            (
                json!({"user": "ann", "nonResourceAttributes": path}),
                true,
                true,
                Some(
                    "spec.nonResourceAttributes: Invalid value: \"/metrics\": disallowed on this kind of request",
                ),
            ),
        ] {
            let errors = spec(value.clone()).validate(named, local);
            match want {
                None => assert!(errors.is_empty(), "{value}: {errors:?}"),
                Some(want) => assert!(errors[0].to_string().starts_with(want), "{value}: {errors:?}"),
            }
        }
    }
}
