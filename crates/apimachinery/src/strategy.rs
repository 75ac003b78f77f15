//! [`Strategy`]: the rules of one stored resource.
use async_trait::async_trait;

use crate::context::Context;
use crate::entry::Entry;
use crate::field::FieldErrors;
use crate::names;
use crate::object::Object;
use crate::options::DeleteOptions;
use crate::status::Status;

/// The rules of one stored resource. A write runs `defaults`, `prepare_for_…`, admission (updates), `validate`.
///
/// The machinery itself cares for name, namespace, uid, creation and deletion time, resource version, finalizers and
/// for the validation of metadata.
#[async_trait]
pub trait Strategy: Send + Sync + 'static {
    /// Sets what the client left out. Must be idempotent.
    fn defaults(&self, _object: &mut Object) {}

    /// Shapes an object that is about to be created: drops what clients may not set, sets the generation.
    async fn prepare_for_create(&self, _cx: &Context, _object: &mut Object) -> Result<(), Status> {
        Ok(())
    }

    /// Shapes an update: restores from `old` what clients may not set, raises the generation when the spec changed.
    async fn prepare_for_update(
        &self,
        _cx: &Context,
        _object: &mut Object,
        _old: &Object,
    ) -> Result<(), Status> {
        Ok(())
    }

    /// Field errors of a new object, or of an updated one (`old` is what is stored); a non-empty list is a 422.
    fn validate(&self, _object: &Object, _old: Option<&Object>) -> FieldErrors {
        Vec::new()
    }

    /// Checks that need the context or other resources, or refuse with another Status than 422.
    async fn check(&self, _cx: &Context, _object: &Object, _old: Option<&Object>) -> Result<(), Status> {
        Ok(())
    }

    /// Whether the name is one; a DNS subdomain by default.
    ///
    /// # Errors
    /// The detail of a `metadata.name: Invalid value`.
    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::dns_subdomain(name)
    }

    /// Whether [`Strategy::decorate`] does anything.
    fn decorates(&self) -> bool {
        false
    }

    /// Computes fields that are not stored, on everything that is read, listed or watched. Must depend on nothing but the
    /// object and the configuration, since the result is kept.
    fn decorate(&self, _object: &mut Object) {}

    /// Fields besides `metadata.name` and `metadata.namespace` that field selectors may name, with their values.
    fn selectable_fields(&self, _object: &Object) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Names of all fields that [`Strategy::selectable_fields`] may return.
    fn selectable_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a PUT of an object that does not exist creates it.
    fn allow_create_on_update(&self) -> bool {
        false
    }

    /// Whether an update without a resource version is accepted.
    fn allow_unconditional_update(&self) -> bool {
        true
    }

    /// Called before an object is deleted or marked for deletion; may refuse, or change the object that is marked.
    async fn before_delete(
        &self,
        _cx: &Context,
        _object: &Object,
        _options: &DeleteOptions,
    ) -> Result<(), Status> {
        Ok(())
    }

    /// Whether an object that nothing in `metadata.finalizers` holds must wait all the same, as a namespace does for
    /// `spec.finalizers`.
    fn holds_deletion(&self, _object: &Object) -> bool {
        false
    }

    /// Changes an object when its deletion begins without finishing, as a namespace's phase does.
    fn mark_deleting(&self, _object: &mut Object) {}

    /// Called after an object was created (not on a dry run). Failures are the implementer's to log.
    async fn after_create(&self, _cx: &Context, _entry: &Entry) {}

    /// Called after an object was updated (not on a dry run).
    async fn after_update(&self, _cx: &Context, _entry: &Entry, _old: &Object) {}

    /// Called after an object is gone (not on a dry run).
    async fn after_delete(&self, _cx: &Context, _entry: &Entry) {}
}
