//! `ProjectRequest`: a new project whose administrator is whoever asked.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::{Attributes, Target};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions};
use berth_apimachinery::resource::{GroupKind, GroupResource, Gvk, Resource};
use berth_apimachinery::rest::{List, Rest, Verbs};
use berth_apimachinery::status::{Reason, Status};
use serde_json::json;
use tracing::warn;

use super::view;
use super::{DESCRIPTION, DISPLAY_NAME, Parts, REQUESTER};
use crate::rbac;

/// Names.
pub(super) fn resource() -> Resource {
    Resource::cluster(super::GROUP, "v1", "ProjectRequest", "projectrequests")
}

/// What is answered to those who may not request projects, in OpenShift's words.
const MAY_NOT: &str = "You may not request a new project via this API.";

/// Names that only the cluster's own projects have, and what they begin with.
const RESERVED_NAMES: [&str; 3] = ["openshift", "kubernetes", "kube"];
const RESERVED_PREFIXES: [&str; 3] = ["openshift-", "kubernetes-", "kube-"];

/// The resource as OpenShift's messages about requests name it.
fn project() -> GroupResource {
    GroupResource::new(super::GROUP, "project")
}

/// Refuses a name that is reserved.
fn check_reserved(name: &str) -> Result<(), Status> {
    let cause = if RESERVED_NAMES.contains(&name) {
        format!("cannot request a project with the name {name:?}")
    } else if let Some(prefix) = RESERVED_PREFIXES.iter().find(|prefix| name.starts_with(**prefix)) {
        format!("cannot request a project starting with {prefix:?}")
    } else {
        return Ok(());
    };
    Err(Status::forbidden(&project(), name, cause))
}

/// Name of the binding that makes the requester the project's administrator.
const ADMIN_BINDING: &str = "admin";

/// Serves project requests.
pub(super) struct ProjectRequests {
    parts: Arc<Parts>,
}

impl ProjectRequests {
    pub(super) fn new(parts: Arc<Parts>) -> ProjectRequests {
        ProjectRequests { parts }
    }

    async fn make_admin(&self, project: &str, user: &str) -> Result<(), Status> {
        let mut binding = Object::new(&Gvk::new(rbac::GROUP, "v1", "RoleBinding"), ADMIN_BINDING);
        binding.set_namespace(project);
        binding.set(
            "roleRef",
            json!({"apiGroup": rbac::GROUP, "kind": "ClusterRole", "name": "admin"}),
        );
        binding.set("subjects", json!([subject(user)]));
        self.parts.rights.role_bindings.create(binding).await.map(drop)
    }
}

/// The user as a subject; a service account under its own kind.
fn subject(user: &str) -> serde_json::Value {
    match user
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, name)) => json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}),
        None => json!({"apiGroup": rbac::GROUP, "kind": "User", "name": user}),
    }
}

#[async_trait]
impl Rest for ProjectRequests {
    fn verbs(&self) -> Verbs {
        Verbs {
            list: true,
            ..Verbs::CREATE
        }
    }

    /// Whether the caller may request projects at all. Everybody may ask; clients read the answer as a Status, not as a
    /// list.
    async fn list(&self, cx: &Context, _options: &ListOptions) -> Result<List, Status> {
        let attributes = Attributes {
            user: &cx.user,
            verb: "create",
            target: Target::Resource {
                group: super::GROUP,
                version: "v1",
                resource: "projectrequests",
                subresource: "",
                namespace: "",
                name: "",
            },
        };
        if self.parts.authorizer.authorize(&attributes).await.allowed {
            return Err(Status::new(200, Reason::Unknown, ""));
        }
        Err(Status::new(403, Reason::Forbidden, MAY_NOT))
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        request: Object,
    ) -> Result<Arc<Entry>, Status> {
        let name = request.name().to_owned();
        let errors = view::validate_name(&name);
        if !errors.is_empty() {
            let kind = GroupKind {
                group: super::GROUP.to_owned(),
                kind: "ProjectRequest".to_owned(),
            };
            return Err(Status::invalid(&kind, &name, &errors));
        }
        check_reserved(&name)?;
        if self.parts.namespaces.get("", &name).is_some() {
            return Err(Status::already_exists(&project(), &name));
        }
        let mut namespace = Object::new(&Gvk::new("", "v1", "Namespace"), &name);
        for (from, carry) in [(request.annotations(), true), (request.labels(), false)] {
            for (key, value) in from.into_iter().flatten() {
                let value = value.as_str().unwrap_or_default();
                if carry {
                    namespace.set_annotation(key, value)
                } else {
                    namespace.set_label(key, value)
                }
            }
        }
        namespace.set_annotation(DISPLAY_NAME, request.str_at(&["displayName"]));
        namespace.set_annotation(DESCRIPTION, request.str_at(&["description"]));
        namespace.set_annotation(REQUESTER, &cx.user.name);
        let created = self.parts.namespace_rest.create(cx, None, namespace).await;
        let created = created.map_err(|status| match status.reason() {
            Reason::AlreadyExists => Status::already_exists(&project(), &name),
            _ => status,
        })?;
        if !cx.dry_run
            && let Err(status) = self.make_admin(&name, &cx.user.name).await
        {
            // A project that nobody may enter helps nobody, and its name would be taken.
            let undo = self
                .parts
                .namespace_rest
                .delete(&Context::system(), &name, &DeleteOptions::default())
                .await;
            if let Err(undo) = undo {
                warn!(project = %name, error = %undo, "a project without an administrator could not be removed");
            }
            return Err(status);
        }
        Ok(view::project(created.object()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clusters_own_names_are_refused() {
        for (name, want) in [
            ("demo", None),
            ("kubes", None),
            (
                "kube",
                Some(
                    "project.project.openshift.io \"kube\" is forbidden: cannot request a project with the name \"kube\"",
                ),
            ),
            (
                "openshift-x",
                Some(
                    "project.project.openshift.io \"openshift-x\" is forbidden: cannot request a project starting with \"openshift-\"",
                ),
            ),
        ] {
            let got = check_reserved(name).err();
            assert_eq!(got.as_ref().map(Status::message), want, "{name}");
        }
    }

    #[test]
    fn service_accounts_are_bound_as_such() {
        assert_eq!(
            subject("ann"),
            json!({"apiGroup": rbac::GROUP, "kind": "User", "name": "ann"})
        );
        assert_eq!(
            subject("system:serviceaccount:demo:builder"),
            json!({"kind": "ServiceAccount", "namespace": "demo", "name": "builder"})
        );
    }
}
