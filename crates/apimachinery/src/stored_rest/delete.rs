//! Deletion of stored objects: at once, or when the last finalizer is gone.
use std::sync::Arc;

use berth_store::{Expect, Revision};

use super::StoredRest;
use crate::context::Context;
use crate::entry::Entry;
use crate::object::Object;
use crate::options::{DeleteOptions, FOREGROUND, ListOptions, ORPHAN, Propagation};
use crate::rest::{Deleted, List};
use crate::status::Status;
use crate::storage::{ATTEMPTS, Refused};

/// Objects deleted between two looks at the list in a deletion of a collection.
const COLLECTION_PAGE: usize = 500;

impl StoredRest {
    pub(super) async fn delete_object(
        &self,
        cx: &Context,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let namespace = self.namespace(cx)?;
        for _ in 0..ATTEMPTS {
            let entry = self.storage.require(namespace, name)?;
            self.storage.check(&options.preconditions, &entry)?;
            if let Some(deleted) = self.delete_entry(cx, namespace, name, &entry, options).await? {
                return Ok(deleted);
            }
            self.storage.catch_up().await?;
        }
        Err(Status::stale(&self.storage.resource().group_resource(), name))
    }

    /// Deletes the object that an entry shows; none if another write came first.
    async fn delete_entry(
        &self,
        cx: &Context,
        namespace: &str,
        name: &str,
        entry: &Arc<Entry>,
        options: &DeleteOptions,
    ) -> Result<Option<Deleted>, Status> {
        let mut stored = entry.stored();
        self.strategy.before_delete(cx, &stored, options).await?;
        if !stored.is_deleting() {
            hold_for_dependents(&mut stored, options);
        }
        if stored.finalizers().is_empty() && !self.strategy.holds_deletion(&stored) {
            if cx.dry_run {
                return Ok(Some(Deleted::Gone(Arc::clone(entry))));
            }
            return match self.storage.remove(namespace, entry, name).await {
                Ok(gone) => {
                    self.strategy.after_delete(cx, &gone).await;
                    Ok(Some(Deleted::Gone(gone)))
                }
                Err(Refused::Raced) => Ok(None),
                Err(Refused::Failed(status)) => Err(status),
            };
        }
        if stored.is_deleting() {
            return Ok(Some(Deleted::Pending(Arc::clone(entry))));
        }
        let mut object = stored.clone();
        object.set_deletion_timestamp(cx.now);
        object
            .metadata_mut()
            .insert("deletionGracePeriodSeconds".into(), 0.into());
        if object.generation() > 0 {
            object.set_generation(object.generation() + 1);
        }
        self.strategy.mark_deleting(&mut object);
        if cx.dry_run {
            self.strategy.decorate(&mut object);
            return Ok(Some(Deleted::Pending(object.into())));
        }
        match self
            .storage
            .put(object, Expect::At(Revision::new(entry.revision())))
            .await
        {
            Ok(entry) => {
                self.strategy.after_update(cx, &entry, &stored).await;
                Ok(Some(Deleted::Pending(entry)))
            }
            Err((Refused::Raced, _)) => Ok(None),
            Err((Refused::Failed(status), _)) => Err(status),
        }
    }

    pub(super) async fn delete_objects(
        &self,
        cx: &Context,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<List, Status> {
        let paged = list.limit > 0;
        let mut list = list.clone();
        if !paged {
            list.limit = COLLECTION_PAGE;
        }
        let mut deleted = List::default();
        loop {
            let page = self.storage.list_page(cx.namespace.as_deref(), &list).await?;
            for entry in page.items {
                let object = entry.object();
                let cx = Context {
                    namespace: Some(object.namespace().to_owned()),
                    ..cx.clone()
                };
                match self.delete_object(&cx, object.name(), options).await {
                    Ok(answer) => deleted.items.extend(answer.entry().cloned()),
                    Err(status) if status.is_not_found() => {}
                    Err(status) => return Err(status),
                }
            }
            deleted.resource_version = page.resource_version;
            if paged || page.continue_token.is_empty() {
                deleted.continue_token = page.continue_token;
                return Ok(deleted);
            }
            list.continue_token = page.continue_token;
            list.resource_version = None;
            list.version_match = None;
        }
    }
}

/// Lets the object wait for its dependents, if the client wants that: the garbage collector takes the finalizer away.
fn hold_for_dependents(object: &mut Object, options: &DeleteOptions) {
    let finalizer = match options.propagation {
        Some(Propagation::Foreground) => FOREGROUND,
        Some(Propagation::Orphan) => ORPHAN,
        Some(Propagation::Background) | None => return,
    };
    let mut finalizers = object.finalizers();
    if !finalizers.iter().any(|held| held == finalizer) {
        finalizers.push(finalizer.to_owned());
        object.set_finalizers(&finalizers);
    }
}
