//! `user.openshift.io/v1`: users, groups, identities, and who the caller is.

mod group;
mod identity;
mod whoami;

use std::sync::Arc;

use crate::kinds::Kinds;

/// The API group.
pub(crate) const GROUP: &str = "user.openshift.io";

/// Registers the kinds of this group.
pub(crate) fn register(kinds: &mut Kinds<'_>) {
    kinds.stored(group::resource(), Arc::new(group::GroupStrategy));
    kinds.stored(identity::resource(), Arc::new(identity::IdentityStrategy));
    let users = kinds.storage(whoami::resource(), Arc::new(whoami::UserStrategy));
    kinds.serve(users.resource().clone(), Arc::new(whoami::Users::new(users)));
}
