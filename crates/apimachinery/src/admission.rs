//! [`Admission`]: hooks that may change or refuse a write before a resource sees it.
use async_trait::async_trait;

use crate::context::Context;
use crate::object::Object;
use crate::status::Status;

/// Hooks on writes. The context tells resource, subresource, namespace and user.
///
/// The server calls `create` and `delete` before the resource is called; a stored resource calls `update` itself, in its
/// compare-and-swap loop, since only there the new and the old object are known.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Before an object is created, also by a virtual resource or a subresource.
    ///
    /// # Errors
    /// Whatever the client shall see, usually [`Status::forbidden`].
    async fn create(&self, _cx: &Context, _object: &mut Object) -> Result<(), Status> {
        Ok(())
    }

    /// Before an object is updated.
    ///
    /// # Errors
    /// As for `create`.
    async fn update(&self, _cx: &Context, _object: &mut Object, _old: &Object) -> Result<(), Status> {
        Ok(())
    }

    /// Before an object is deleted; the name is empty for a collection.
    ///
    /// # Errors
    /// As for `create`.
    async fn delete(&self, _cx: &Context, _name: &str) -> Result<(), Status> {
        Ok(())
    }
}
