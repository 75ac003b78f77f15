//! `project.openshift.io/v1`: namespaces as their members see them.

mod request;
mod view;
mod visibility;

use std::sync::Arc;

use berth_apimachinery::access::Authorizer;
use berth_apimachinery::rest::Rest;
use berth_apimachinery::storage::Storage;

use crate::kinds::Kinds;
use crate::rbac;

/// The API group.
pub(crate) const GROUP: &str = "project.openshift.io";
/// A name for people.
pub(crate) const DISPLAY_NAME: &str = "openshift.io/display-name";
/// What a project is for.
pub(crate) const DESCRIPTION: &str = "openshift.io/description";
/// Who asked for a project.
pub(crate) const REQUESTER: &str = "openshift.io/requester";

/// What the kinds of this group are made of.
pub(crate) struct Parts {
    /// Stored namespaces.
    pub(crate) namespaces: Storage,
    /// The namespace endpoint, through which projects are created and deleted.
    pub(crate) namespace_rest: Arc<dyn Rest>,
    /// Stored roles and bindings.
    pub(crate) rights: rbac::Storages,
    /// Who may see what.
    pub(crate) authorizer: Arc<dyn Authorizer>,
}

/// Registers the kinds of this group.
pub(crate) fn register(kinds: &mut Kinds<'_>, parts: Parts) {
    let parts = Arc::new(parts);
    kinds.serve(
        view::resource(),
        Arc::new(view::Projects::new(Arc::clone(&parts))),
    );
    kinds.serve(
        request::resource(),
        Arc::new(request::ProjectRequests::new(parts)),
    );
}
