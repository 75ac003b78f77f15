//! [`Action`]: what a review asks about.

use berth_apimachinery::access::Target;
use berth_apimachinery::context::Context;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Gvk;
use berth_apimachinery::status::Status;
use serde::Deserialize;
use serde_json::Value;

/// A request, in the fields that a review of this group carries beside its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Action {
    pub(super) namespace: String,
    pub(super) verb: String,
    #[serde(rename = "resourceAPIGroup")]
    group: String,
    #[serde(rename = "resourceAPIVersion")]
    version: String,
    resource: String,
    resource_name: String,
    path: String,
    #[serde(rename = "isNonResourceURL")]
    is_path: bool,
}

impl Action {
    /// Reads the action of a review and checks it. In a namespaced review, the namespace is that of the request.
    ///
    /// # Errors
    /// 400 for a namespace other than the request's, 422 for an action without verb or object.
    pub(super) fn read(review: &Object, cx: &Context, local: bool) -> Result<Action, Status> {
        let mut action: Action = read(review.to_value(), review.kind())?;
        let errors = action.validate();
        if !errors.is_empty() {
            return Err(Status::invalid(&review.gvk().group_kind(), "", &errors));
        }
        if local {
            let namespace = cx.require_namespace()?;
            if !action.namespace.is_empty() && action.namespace != namespace {
                let detail = format!("namespace must be: {namespace}");
                let error = FieldError::invalid("namespace", action.namespace.as_str(), detail);
                return Err(Status::invalid(&review.gvk().group_kind(), "", &[error]));
            }
            namespace.clone_into(&mut action.namespace);
        }
        Ok(action)
    }

    fn validate(&self) -> FieldErrors {
        let mut errors = FieldErrors::new();
        if self.verb.is_empty() {
            errors.push(FieldError::required("verb", ""));
        }
        if !self.is_path && self.resource.is_empty() {
            errors.push(FieldError::required("resource", ""));
        }
        if self.is_path && self.path.is_empty() {
            errors.push(FieldError::required("path", ""));
        }
        errors
    }

    /// What is asked about. `imagestreams/layers` is a resource and its subresource.
    pub(super) fn target(&self) -> Target<'_> {
        if self.is_path {
            return Target::Path(&self.path);
        }
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        Target::Resource {
            group: &self.group,
            version: &self.version,
            resource,
            subresource,
            namespace: &self.namespace,
            name: &self.resource_name,
        }
    }
}

/// Reads a part of a review.
///
/// # Errors
/// 400 when it does not have the shape.
pub(super) fn read<T: serde::de::DeserializeOwned>(value: Value, kind: &str) -> Result<T, Status> {
    serde_json::from_value(value).map_err(|error| Status::bad_request(format!("{kind}: {error}")))
}

/// The answer to a review, which is of another kind than the question.
pub(super) fn response(kind: &str, namespace: &str) -> Object {
    let mut response = Object::default();
    response.set_gvk(&Gvk::new(super::GROUP, super::VERSION, kind));
    if !namespace.is_empty() {
        response.set("namespace", namespace);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn review(mut fields: Value) -> Object {
        fields["kind"] = "SubjectAccessReview".into();
        Object::from_value(fields).unwrap()
    }

    #[test]
    fn actions_are_checked_and_placed() {
        let cx = Context::system().in_namespace("demo");
        let layers = json!({"verb": "get", "resourceAPIGroup": "image.openshift.io", "resource": "imagestreams/layers"});
        let with = |key: &str, value: Value| {
            let mut fields = layers.clone();
            fields[key] = value;
            fields
        };
        for (fields, local, want) in [
            (layers.clone(), true, Ok("demo")),
            (layers.clone(), false, Ok("")),
            (with("namespace", json!("demo")), true, Ok("demo")),
            (with("namespace", json!("other")), false, Ok("other")),
            (
                with("namespace", json!("other")),
                true,
                Err("namespace: Invalid value: \"other\": namespace must be: demo"),
            ),
            (with("verb", json!("")), true, Err("verb: Required value")),
            (with("resource", json!("")), true, Err("resource: Required value")),
            (
                json!({"verb": "get", "isNonResourceURL": true, "path": "/metrics"}),
                false,
                Ok(""),
            ),
            (
                json!({"verb": "get", "isNonResourceURL": true}),
                false,
                Err("path: Required value"),
            ),
        ] {
            match (Action::read(&review(fields.clone()), &cx, local), want) {
                (Ok(action), Ok(namespace)) => assert_eq!(action.namespace, namespace, "{fields}"),
                (Err(status), Err(text)) => {
                    assert!(status.message().contains(text), "{fields}: {}", status.message())
                }
                (got, want) => panic!("{fields}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn subresources_are_parted_off() {
        let cx = Context::system();
        let fields = json!({"verb": "get", "resource": "imagestreams/layers", "resourceName": "app"});
        let action = Action::read(&review(fields), &cx, false).unwrap();
        let Target::Resource {
            resource,
            subresource,
            name,
            ..
        } = action.target()
        else {
            panic!()
        };
        assert_eq!((resource, subresource, name), ("imagestreams", "layers", "app"));
    }
}
