//! `ProjectRequest`: a new project whose administrator is whoever asked.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions};
use berth_apimachinery::resource::{GroupKind, Gvk, Resource};
use berth_apimachinery::rest::{List, Rest, Verbs};
use berth_apimachinery::status::{Reason, Status};
use serde_json::json;
use tracing::warn;

use super::view::{self, retell};
use super::{DESCRIPTION, DISPLAY_NAME, Parts, REQUESTER};
use crate::rbac;

/// Names.
pub(super) fn resource() -> Resource {
    Resource::cluster(super::GROUP, "v1", "ProjectRequest", "projectrequests")
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
        self.parts.role_bindings.create(binding).await.map(drop)
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

    /// Whether the caller may request projects at all: a success, or a refusal by authorization before this is called.
    /// Clients read it as a Status, not as a list.
    async fn list(&self, _cx: &Context, _options: &ListOptions) -> Result<List, Status> {
        Err(Status::new(200, Reason::Unknown, ""))
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
        let created = created.map_err(|status| retell(status, &name))?;
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
