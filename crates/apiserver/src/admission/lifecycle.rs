//! New objects need a namespace that exists and is not being deleted (Kubernetes' `NamespaceLifecycle`). Pure.

use berth_apimachinery::object::Object;
use berth_apimachinery::resource::GroupResource;
use berth_apimachinery::status::Status;

/// Whether an object of `resource` may be created in `namespace`; `known` is the namespace, if it exists.
///
/// # Errors
/// 404 for a namespace that does not exist, 403 for one that is being deleted.
pub(super) fn check(
    resource: &GroupResource,
    namespace: &str,
    name: &str,
    known: Option<&Object>,
) -> Result<(), Status> {
    // A question about a namespace is not content of it.
    if resource.group == "authorization.k8s.io" {
        return Ok(());
    }
    let Some(known) = known else {
        return Err(Status::not_found(
            &GroupResource::new("", "namespaces"),
            namespace,
        ));
    };
    if !known.is_deleting() {
        return Ok(());
    }
    let cause =
        format!("unable to create new content in namespace {namespace} because it is being terminated");
    Err(Status::forbidden(resource, name, cause).with_cause(
        "NamespaceTerminating",
        &format!("namespace {namespace} is being terminated"),
        "metadata.namespace",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_living_namespaces_take_objects() {
        let namespace = |metadata| Object::from_value(json!({ "metadata": metadata })).unwrap();
        let active = namespace(json!({"name": "demo"}));
        let terminating = namespace(json!({"name": "demo", "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let maps = GroupResource::new("", "configmaps");
        let reviews = GroupResource::new("authorization.k8s.io", "localsubjectaccessreviews");
        for (resource, known, want) in [
            (&maps, Some(&active), None),
            (&maps, None, Some((404, "namespaces \"demo\" not found"))),
            (
                &maps,
                Some(&terminating),
                Some((
                    403,
                    "configmaps \"a\" is forbidden: unable to create new content in namespace demo because it is being \
                     terminated",
                )),
            ),
            (&reviews, None, None),
        ] {
            let got = check(resource, "demo", "a", known).err();
            let got = got.as_ref().map(|status| (status.code(), status.message()));
            assert_eq!(got, want, "{resource}");
        }
    }
}
