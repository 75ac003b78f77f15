//! `RoleBindingRestriction`, of which there are none: whoever may bind a role may bind it to anybody.

use std::sync::Arc;

use berth_apimachinery::resource::Resource;
use berth_apimachinery::rest::Verbs;
use berth_apimachinery::stored_rest::StoredRest;

use super::{GROUP, VERSION};
use crate::extensions::Nothing;
use crate::kinds::Kinds;

/// Registers the kind, for reading only.
pub(super) fn register(kinds: &mut Kinds<'_>) {
    let resource = Resource::namespaced(
        GROUP,
        VERSION,
        "RoleBindingRestriction",
        "rolebindingrestrictions",
    );
    let storage = kinds.storage(resource, Arc::new(Nothing));
    let verbs = Verbs {
        get: true,
        list: true,
        watch: true,
        ..Verbs::NONE
    };
    let rest = StoredRest::new(storage.clone()).with_verbs(verbs);
    kinds.serve(storage.resource().clone(), Arc::new(rest));
}
