//! Creation of stored objects.
use std::sync::Arc;

use berth_store::Expect;

use super::StoredRest;
use crate::context::Context;
use crate::entry::Entry;
use crate::metadata;
use crate::object::Object;
use crate::status::{Reason, Status};
use crate::storage::Refused;

/// How many generated names are tried.
const NAME_ATTEMPTS: usize = 8;

impl StoredRest {
    pub(super) async fn create_object(&self, cx: &Context, mut object: Object) -> Result<Arc<Entry>, Status> {
        if !object.resource_version().is_empty() {
            // Kubernetes answers so, with 500 and no reason.
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::new(500, Reason::Unknown, message));
        }
        let resource = self.storage.resource();
        let namespace = self.namespace(cx)?;
        object.set_namespace(namespace);
        object.set_gvk(resource.gvk());
        let prefix = if object.name().is_empty() {
            object.generate_name().to_owned()
        } else {
            String::new()
        };
        if prefix.is_empty() {
            return self.create_named(cx, namespace, object).await;
        }
        for _ in 1..NAME_ATTEMPTS {
            object.set_name(&metadata::generate_name(&prefix));
            match self.create_named(cx, namespace, object.clone()).await {
                Err(status) if status.is_already_exists() => {}
                answer => return answer,
            }
        }
        Err(Status::generate_name_conflict(
            &resource.group_resource(),
            object.name(),
        ))
    }

    async fn create_named(
        &self,
        cx: &Context,
        namespace: &str,
        mut object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let resource = self.storage.resource();
        metadata::begin(&mut object, cx.now);
        self.strategy.defaults(&mut object);
        self.strategy.prepare_for_create(cx, &mut object).await?;
        let mut errors = metadata::validate(&object, resource, self.strategy.as_ref());
        errors.extend(self.strategy.validate(&object, None));
        if !errors.is_empty() {
            return Err(self.invalid(object.name(), &errors));
        }
        self.strategy.check(cx, &object, None).await?;
        let exists = |name: &str| Status::already_exists(&resource.group_resource(), name);
        if cx.dry_run {
            if self.storage.get(namespace, object.name()).is_some() {
                return Err(exists(object.name()));
            }
            self.strategy.decorate(&mut object);
            return Ok(object.into());
        }
        match self.storage.put(object, Expect::Absent).await {
            Ok(entry) => {
                self.strategy.after_create(cx, &entry).await;
                Ok(entry)
            }
            Err((Refused::Raced, object)) => Err(exists(object.name())),
            Err((Refused::Failed(status), _)) => Err(status),
        }
    }
}
