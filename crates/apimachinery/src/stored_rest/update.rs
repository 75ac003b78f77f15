//! Updates of stored objects: PUT and every PATCH.
use berth_store::{Expect, Revision};

use super::StoredRest;
use crate::context::Context;
use crate::entry::Entry;
use crate::metadata;
use crate::object::Object;
use crate::rest::{Transform, Updated};
use crate::status::{Cause, Details, Reason, Status};
use crate::storage::{ATTEMPTS, Refused};

impl StoredRest {
    pub(super) async fn update_object(
        &self,
        cx: &Context,
        name: &str,
        transform: Transform<'_>,
    ) -> Result<Updated, Status> {
        let namespace = self.namespace(cx)?;
        let _turn = self.storage.turn(namespace, name).await;
        for _ in 0..ATTEMPTS {
            let Some(entry) = self.storage.get(namespace, name) else {
                return self.create_on_update(cx, name, transform).await;
            };
            let old = entry.stored();
            let mut object = transform(Some(&old))?;
            self.prepare(cx, &mut object, &old).await?;
            if let Some(updated) = self.finish(cx, namespace, object, &old, &entry).await? {
                return Ok(updated);
            }
            self.storage.catch_up().await?;
        }
        Err(Status::stale(&self.storage.resource().group_resource(), name))
    }

    async fn create_on_update(
        &self,
        cx: &Context,
        name: &str,
        transform: Transform<'_>,
    ) -> Result<Updated, Status> {
        if !self.strategy.allow_create_on_update() {
            return Err(self.storage.not_found(name));
        }
        let mut object = transform(None)?;
        if !object.resource_version().is_empty() {
            return Err(self.storage.not_found(name));
        }
        object.set_name(name);
        let object = self.create_object(cx, object).await?;
        Ok(Updated {
            object,
            created: true,
        })
    }

    /// Turns what the client wants into what may be stored.
    async fn prepare(&self, cx: &Context, object: &mut Object, old: &Object) -> Result<(), Status> {
        let resource = self.storage.resource();
        let names = resource.group_resource();
        if object.resource_version().is_empty() {
            if !self.strategy.allow_unconditional_update() {
                return Err(self.version_missing(old.name()));
            }
        } else if object.resource_version() != old.resource_version() {
            return Err(Status::stale(&names, old.name()));
        }
        if !object.uid().is_empty() && object.uid() != old.uid() {
            let message = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {}",
                object.uid(),
                old.uid()
            );
            return Err(Status::conflict(&names, old.name(), message));
        }
        object.set_gvk(resource.gvk());
        metadata::restore(object, old);
        self.strategy.defaults(object);
        self.strategy.prepare_for_update(cx, object, old).await?;
        cx.admit_update(object, old).await?;
        let mut errors = metadata::validate(object, resource, self.strategy.as_ref());
        errors.extend(metadata::validate_update(object, old));
        errors.extend(self.strategy.validate(object, Some(old)));
        if !errors.is_empty() {
            return Err(self.invalid(old.name(), &errors));
        }
        self.strategy.check(cx, object, Some(old)).await
    }

    /// Kubernetes words this error with the resource in place of the kind and with a hexadecimal zero.
    fn version_missing(&self, name: &str) -> Status {
        const BODY: &str = "Invalid value: 0x0: must be specified for an update";
        let names = self.storage.resource().group_resource();
        let mut details = Details::of(&names.group, &names.resource, name);
        details.causes.push(Cause {
            reason: "FieldValueInvalid".into(),
            message: BODY.into(),
            field: "metadata.resourceVersion".into(),
        });
        let message = format!(
            "{names} {} is invalid: metadata.resourceVersion: {BODY}",
            crate::field::quote(name)
        );
        Status::new(422, Reason::Invalid, message).with_details(details)
    }

    /// Writes an update, or removes an object that only waited for this; none if another write came first.
    async fn finish(
        &self,
        cx: &Context,
        namespace: &str,
        mut object: Object,
        old: &Object,
        entry: &std::sync::Arc<Entry>,
    ) -> Result<Option<Updated>, Status> {
        object.set_resource_version(old.resource_version());
        let ends =
            object.is_deleting() && object.finalizers().is_empty() && !self.strategy.holds_deletion(&object);
        if object == *old && !ends {
            return Ok(Some(Updated {
                object: std::sync::Arc::clone(entry),
                created: false,
            }));
        }
        if cx.dry_run {
            self.strategy.decorate(&mut object);
            return Ok(Some(Updated {
                object: object.into(),
                created: false,
            }));
        }
        if ends {
            return match self.storage.remove(namespace, entry, old.name()).await {
                Ok(gone) => {
                    self.strategy.after_delete(cx, &gone).await;
                    Ok(Some(Updated {
                        object: object.into(),
                        created: false,
                    }))
                }
                Err(Refused::Raced) => Ok(None),
                Err(Refused::Failed(status)) => Err(status),
            };
        }
        match self
            .storage
            .put(object, Expect::At(Revision::new(entry.revision())))
            .await
        {
            Ok(entry) => {
                self.strategy.after_update(cx, &entry, old).await;
                Ok(Some(Updated {
                    object: entry,
                    created: false,
                }))
            }
            Err((Refused::Raced, _)) => Ok(None),
            Err((Refused::Failed(status), _)) => Err(status),
        }
    }
}
