//! Which groups a user is in, found without looking through all groups.
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use berth_apimachinery::cache::Change;
use berth_apimachinery::object::Object;
use berth_apimachinery::storage::Storage;
use serde_json::Value;

/// Groups by user, kept current by the storage of the groups. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Membership(Arc<RwLock<HashMap<String, BTreeSet<String>>>>);

impl Membership {
    /// Follows the groups.
    pub(crate) fn of(groups: &Storage) -> Membership {
        let membership = Membership::default();
        let follower = membership.clone();
        groups.observe(Arc::new(move |change: &Change| follower.apply(change)));
        membership
    }

    /// Names of the groups that list `user`, sorted.
    pub(crate) fn groups(&self, user: &str) -> Vec<String> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.get(user)
            .map(|groups| groups.iter().cloned().collect())
            .unwrap_or_default()
    }

    fn apply(&self, change: &Change) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = &change.old {
            let group = old.object();
            for user in users(group) {
                if let Some(groups) = held.get_mut(user) {
                    groups.remove(group.name());
                    if groups.is_empty() {
                        held.remove(user);
                    }
                }
            }
        }
        if let Some(entry) = &change.entry {
            let group = entry.object();
            for user in users(group) {
                held.entry(user.to_owned())
                    .or_default()
                    .insert(group.name().to_owned());
            }
        }
    }
}

/// The users that a group lists.
pub(crate) fn users(group: &Object) -> impl Iterator<Item = &str> {
    let users = group.get("users").and_then(Value::as_array).into_iter().flatten();
    users.filter_map(Value::as_str)
}
