//! `Project`: a namespace in other clothes. Lists and watches show what the caller may get.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions, WatchOptions};
use berth_apimachinery::resource::{GroupKind, GroupResource, Resource};
use berth_apimachinery::rest::{Deleted, List, Rest, Transform, Updated, Verbs, WatchStream};
use berth_apimachinery::status::Status;
use berth_apimachinery::table::{Column, Table};

use super::visibility::{self, may_get};
use super::{DISPLAY_NAME, Parts};

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Display Name", "A name of the project for people."),
        Column::new("Status", "Active or Terminating."),
    ];
    let resource = Resource::cluster(super::GROUP, "v1", "Project", "projects").as_namespace();
    resource.with_table(Table::new(columns, |project, _now| {
        vec![
            project.name().into(),
            project.annotation(DISPLAY_NAME).unwrap_or_default().into(),
            project.str_at(&["status", "phase"]).into(),
        ]
    }))
}

/// The resource as messages name it.
pub(super) fn group_resource() -> GroupResource {
    GroupResource::new(super::GROUP, "projects")
}

/// A namespace as a project.
pub(super) fn project(namespace: &Object) -> Object {
    let mut project = namespace.clone();
    project.set("kind", "Project");
    project.set("apiVersion", "project.openshift.io/v1");
    project
}

/// A project as a namespace.
pub(super) fn namespace(mut project: Object) -> Object {
    project.set("kind", "Namespace");
    project.set("apiVersion", "v1");
    project
}

/// What is wrong with the name of a new project; stricter than a namespace's.
pub(super) fn validate_name(name: &str) -> FieldErrors {
    /// Shortest name of a project, in characters.
    const MIN_NAME: usize = 2;
    match names::dns_label(name) {
        Err(problem) => vec![FieldError::invalid("metadata.name", name, problem)],
        Ok(()) if name.len() < MIN_NAME => {
            let detail = format!("must be at least {MIN_NAME} characters");
            vec![FieldError::invalid("metadata.name", name, detail)]
        }
        Ok(()) => FieldErrors::new(),
    }
}

/// A failure about a namespace, told as one about a project.
fn retell(status: Status, name: &str) -> Status {
    match status.code() {
        404 => Status::not_found(&group_resource(), name),
        409 if status.reason() == berth_apimachinery::status::Reason::AlreadyExists => {
            Status::already_exists(&group_resource(), name)
        }
        _ => status,
    }
}

/// Serves projects.
pub(super) struct Projects {
    parts: Arc<Parts>,
}

impl Projects {
    pub(super) fn new(parts: Arc<Parts>) -> Projects {
        Projects { parts }
    }
}

#[async_trait]
impl Rest for Projects {
    fn verbs(&self) -> Verbs {
        Verbs {
            delete_collection: false,
            ..Verbs::ALL
        }
    }

    async fn get(&self, _cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        let entry = self.parts.namespaces.get("", name);
        let entry = entry.ok_or_else(|| Status::not_found(&group_resource(), name))?;
        Ok(project(entry.object()).into())
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        // One page holds all: what a caller may see is not known to the store, so no page could be cut there.
        let all = ListOptions {
            limit: 0,
            continue_token: String::new(),
            ..options.clone()
        };
        let list = self.parts.namespace_rest.list(cx, &all).await?;
        let mut items = Vec::new();
        for entry in &list.items {
            if may_get(self.parts.authorizer.as_ref(), &cx.user, entry.object().name()).await {
                items.push(project(entry.object()).into());
            }
        }
        Ok(List {
            items,
            resource_version: list.resource_version,
            ..List::default()
        })
    }

    async fn watch(&self, cx: &Context, options: &WatchOptions) -> Result<WatchStream, Status> {
        visibility::watch(Arc::clone(&self.parts), cx, options).await
    }

    async fn create(&self, cx: &Context, parent: Option<&str>, object: Object) -> Result<Arc<Entry>, Status> {
        let errors = validate_name(object.name());
        let name = object.name().to_owned();
        if !errors.is_empty() {
            let kind = GroupKind {
                group: super::GROUP.to_owned(),
                kind: "Project".to_owned(),
            };
            return Err(Status::invalid(&kind, &name, &errors));
        }
        let created = self
            .parts
            .namespace_rest
            .create(cx, parent, namespace(object))
            .await;
        let created = created.map_err(|status| retell(status, &name))?;
        Ok(project(created.object()).into())
    }

    async fn update(&self, cx: &Context, name: &str, transform: Transform<'_>) -> Result<Updated, Status> {
        let through = |current: Option<&Object>| {
            let wanted = transform(current.map(project).as_ref())?;
            Ok(namespace(wanted))
        };
        let updated = self.parts.namespace_rest.update(cx, name, &through).await;
        let updated = updated.map_err(|status| retell(status, name))?;
        Ok(Updated {
            object: project(updated.object.object()).into(),
            created: updated.created,
        })
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        let deleted = self.parts.namespace_rest.delete(cx, name, options).await;
        let deleted = deleted.map_err(|status| retell(status, name))?;
        // OpenShift answers with a Status, also while the content is still being removed.
        Ok(deleted.entry().map_or(Deleted::Done, |entry| {
            Deleted::Gone(project(entry.object()).into())
        }))
    }
}
