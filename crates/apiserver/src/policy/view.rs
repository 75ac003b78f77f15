//! [`View`]: a resource of this group over the one of RBAC that holds its objects.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::{Authorizer, Target};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions};
use berth_apimachinery::resource::{Gvk, Resource};
use berth_apimachinery::rest::{Deleted, List, Rest, Transform, Updated, Verbs};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;

use super::{binding, require, role};

/// How objects of RBAC and of this group become each other, but for kind and version.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    from_rbac: fn(&mut Object),
    to_rbac: fn(&mut Object) -> Result<(), Status>,
}

impl Shape {
    /// Roles.
    pub(super) const ROLE: Shape = Shape {
        from_rbac: role::from_rbac,
        to_rbac: role::to_rbac,
    };
    /// Bindings.
    pub(super) const BINDING: Shape = Shape {
        from_rbac: binding::from_rbac,
        to_rbac: binding::to_rbac,
    };
}

/// Serves a resource of this group. Whoever uses it needs the right here and the right on what is behind it, where
/// also escalation is checked.
pub(super) struct View {
    shown: Gvk,
    stored: Resource,
    rest: StoredRest,
    authorizer: Arc<dyn Authorizer>,
    shape: Shape,
}

impl View {
    /// `resource` over `storage`.
    pub(super) fn new(
        resource: &Resource,
        storage: Storage,
        authorizer: Arc<dyn Authorizer>,
        shape: Shape,
    ) -> View {
        View {
            shown: resource.gvk().clone(),
            stored: storage.resource().clone(),
            rest: StoredRest::new(storage),
            authorizer,
            shape,
        }
    }

    /// The request as it would be to the resource behind.
    async fn behind(&self, cx: &Context, verb: &'static str, name: &str) -> Result<Context, Status> {
        let target = Target::Resource {
            group: self.stored.group(),
            version: self.stored.version(),
            resource: self.stored.plural(),
            subresource: "",
            namespace: cx.namespace.as_deref().unwrap_or_default(),
            name,
        };
        require(self.authorizer.as_ref(), &cx.user, verb, target).await?;
        Ok(Context {
            resource: Some(self.stored.clone()),
            verb,
            ..cx.clone()
        })
    }

    fn show(&self, stored: &Object) -> Object {
        let mut shown = stored.clone();
        shown.set_gvk(&self.shown);
        (self.shape.from_rbac)(&mut shown);
        shown
    }

    fn store(&self, mut shown: Object) -> Result<Object, Status> {
        (self.shape.to_rbac)(&mut shown)?;
        shown.set_gvk(self.stored.gvk());
        Ok(shown)
    }
}

#[async_trait]
impl Rest for View {
    fn verbs(&self) -> Verbs {
        Verbs {
            watch: false,
            delete_collection: false,
            ..Verbs::ALL
        }
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        let behind = self.behind(cx, "get", name).await?;
        let entry = self.rest.get(&behind, name).await?;
        Ok(self.show(entry.object()).into())
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        let behind = self.behind(cx, "list", "").await?;
        let list = self.rest.list(&behind, options).await?;
        let items = list
            .items
            .iter()
            .map(|entry| self.show(entry.object()).into())
            .collect();
        Ok(List { items, ..list })
    }

    async fn create(&self, cx: &Context, parent: Option<&str>, object: Object) -> Result<Arc<Entry>, Status> {
        let behind = self.behind(cx, "create", "").await?;
        let mut object = self.store(object)?;
        if let Some(admission) = &behind.admission {
            admission.create(&behind, &mut object).await?;
        }
        let created = self.rest.create(&behind, parent, object).await?;
        Ok(self.show(created.object()).into())
    }

    async fn update(&self, cx: &Context, name: &str, transform: Transform<'_>) -> Result<Updated, Status> {
        let behind = self.behind(cx, "update", name).await?;
        let through = |current: Option<&Object>| {
            let current = current.map(|current| self.show(current));
            self.store(transform(current.as_ref())?)
        };
        let updated = self.rest.update(&behind, name, &through).await?;
        Ok(Updated {
            object: self.show(updated.object.object()).into(),
            created: updated.created,
        })
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        let behind = self.behind(cx, "delete", name).await?;
        if let Some(admission) = &behind.admission {
            admission.delete(&behind, name).await?;
        }
        Ok(match self.rest.delete(&behind, name, options).await? {
            Deleted::Pending(entry) => Deleted::Pending(self.show(entry.object()).into()),
            Deleted::Gone(_) | Deleted::Done => Deleted::Done,
        })
    }
}
