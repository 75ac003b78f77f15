//! [`Index`]: who depends on whom. Only objects that name an owner are in it.

use std::collections::{BTreeMap, BTreeSet};

/// An object: which stored resource it is of, and its key there (`namespace/name`, or `name`).
pub(super) type Id = (usize, String);

/// Who depends on whom.
#[derive(Debug, Default)]
pub(super) struct Index {
    dependents: BTreeMap<String, BTreeSet<Id>>,
    owners: BTreeMap<Id, Vec<String>>,
}

impl Index {
    /// Notes the owners of an object, by UID; none at all removes it.
    pub(super) fn set(&mut self, id: &Id, owners: Vec<String>) {
        for old in self.owners.remove(id).unwrap_or_default() {
            if let Some(set) = self.dependents.get_mut(&old) {
                set.remove(id);
                if set.is_empty() {
                    self.dependents.remove(&old);
                }
            }
        }
        if owners.is_empty() {
            return;
        }
        for owner in &owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(id.clone());
        }
        self.owners.insert(id.clone(), owners);
    }

    /// The UIDs of an object's owners.
    pub(super) fn owners(&self, id: &Id) -> &[String] {
        self.owners.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The objects that name an owner of this UID.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Id> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Whether nobody depends on anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_changes_of_owners() {
        let mut index = Index::default();
        let (a, b) = ((0, "n/a".to_owned()), (1, "b".to_owned()));
        index.set(&a, vec!["1".to_owned(), "2".to_owned()]);
        index.set(&b, vec!["1".to_owned()]);
        assert_eq!(index.dependents("1"), [a.clone(), b.clone()]);
        index.set(&a, vec!["2".to_owned()]);
        assert_eq!(index.dependents("1"), std::slice::from_ref(&b));
        assert_eq!(index.owners(&a), ["2"]);
        index.set(&b, Vec::new());
        assert_eq!(index.dependents("1"), []);
        assert!(!index.is_empty());
        index.set(&a, Vec::new());
        assert!(index.is_empty());
    }
}
