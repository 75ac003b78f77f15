//! `apiextensions.k8s.io/v1`: custom resource definitions, of which there are none.
//!
//! kubectl looks here before it says that a kind does not exist, and before it validates a kind that can only be
//! created. Answering that there are none lets it go on.

use std::sync::Arc;

use berth_apimachinery::resource::Resource;
use berth_apimachinery::rest::Verbs;
use berth_apimachinery::stored_rest::StoredRest;
use berth_apimachinery::strategy::Strategy;

use crate::kinds::Kinds;

/// The rules of a kind of which nothing is ever written.
pub(crate) struct Nothing;

impl Strategy for Nothing {}

/// Registers the kind, for reading only.
pub(crate) fn register(kinds: &mut Kinds<'_>) {
    let resource = Resource::cluster(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    )
    .with_short_names(&["crd", "crds"])
    .with_table(crate::columns::created_at());
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
