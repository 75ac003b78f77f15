//! Checks that every creation passes before a resource sees it.

mod lifecycle;
mod quota;

use async_trait::async_trait;
use berth_apimachinery::admission::Admission;
use berth_apimachinery::context::Context;
use berth_apimachinery::object::Object;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;

pub(crate) use self::quota::{PENDING, Quota};

/// All checks, in order: the namespace must take new objects, and its quotas must have room.
pub(crate) struct Checks {
    namespaces: Storage,
    quota: std::sync::Arc<Quota>,
}

impl Checks {
    /// Checks against these namespaces and quotas.
    pub(crate) fn new(namespaces: Storage, quota: std::sync::Arc<Quota>) -> Checks {
        Checks { namespaces, quota }
    }
}

#[async_trait]
impl Admission for Checks {
    async fn create(&self, cx: &Context, object: &mut Object) -> Result<(), Status> {
        let (Some(resource), Some(namespace)) = (&cx.resource, cx.namespace.as_deref()) else {
            return Ok(());
        };
        if !resource.is_namespaced() || namespace.is_empty() {
            return Ok(());
        }
        let known = self.namespaces.get("", namespace);
        lifecycle::check(
            &resource.group_resource(),
            namespace,
            object.name(),
            known.as_ref().map(|e| e.object()),
        )?;
        if !cx.subresource.is_empty() {
            return Ok(());
        }
        self.quota
            .admit(&resource.group_resource(), namespace, object.name(), cx.dry_run)
            .await
    }
}
