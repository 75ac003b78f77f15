//! `user.openshift.io/v1`: users, groups, identities, and who the caller is.

mod group;
mod identity;
mod mapping;
mod whoami;

use std::sync::Arc;

use berth_apimachinery::storage::Storage;

use crate::kinds::Kinds;

/// The API group.
pub(crate) const GROUP: &str = "user.openshift.io";

/// The storages of this group.
#[derive(Clone)]
pub(crate) struct Storages {
    pub(crate) users: Storage,
    pub(crate) identities: Storage,
    pub(crate) groups: Storage,
}

/// Registers the kinds of this group.
pub(crate) fn register(kinds: &mut Kinds<'_>) -> Storages {
    let groups = kinds.stored(group::resource(), Arc::new(group::GroupStrategy));
    let identities = kinds.stored(identity::resource(), Arc::new(identity::IdentityStrategy));
    let users = kinds.storage(whoami::resource(), Arc::new(whoami::UserStrategy));
    let rest = Arc::new(whoami::Users::new(users.clone()));
    kinds.serve(users.resource().clone(), rest);
    let mappings = mapping::Mappings::new(users.clone(), identities.clone());
    kinds.serve(mapping::resource(), Arc::new(mappings));
    Storages {
        users,
        identities,
        groups,
    }
}
