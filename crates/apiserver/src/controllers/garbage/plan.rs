//! What becomes of an object whose owners come and go. Pure.

use berth_apimachinery::object::OwnerReference;

/// How it stands with an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It exists, or nobody here can tell.
    Present,
    /// It is gone, or another object has its name.
    Gone,
    /// It is being deleted and waits for its dependents.
    Waiting,
}

/// What is to be done with a dependent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing.
    Leave,
    /// Nobody owns it any more.
    Delete,
    /// Others own it still: forget the owners with these UIDs.
    Forget(Vec<String>),
}

/// What is to be done with an object that has these owners.
pub(super) fn plan(owners: &[(OwnerReference, Owner)]) -> Plan {
    let lost: Vec<String> = owners
        .iter()
        .filter(|(_, state)| *state != Owner::Present)
        .map(|(reference, _)| reference.uid.clone())
        .collect();
    if lost.is_empty() {
        Plan::Leave
    } else if lost.len() == owners.len() {
        Plan::Delete
    } else {
        Plan::Forget(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_living_owner_is_enough() {
        for (states, want) in [
            (vec![], Plan::Leave),
            (vec![Owner::Present], Plan::Leave),
            (vec![Owner::Gone], Plan::Delete),
            (vec![Owner::Waiting], Plan::Delete),
            (vec![Owner::Waiting, Owner::Gone], Plan::Delete),
            (
                vec![Owner::Gone, Owner::Present],
                Plan::Forget(vec!["0".to_owned()]),
            ),
            (
                vec![Owner::Present, Owner::Waiting],
                Plan::Forget(vec!["1".to_owned()]),
            ),
        ] {
            let owners: Vec<_> = states
                .iter()
                .enumerate()
                .map(|(index, state)| {
                    let reference = OwnerReference {
                        api_version: "v1".to_owned(),
                        kind: "ConfigMap".to_owned(),
                        name: "owner".to_owned(),
                        uid: index.to_string(),
                        controller: None,
                        block_owner_deletion: None,
                    };
                    (reference, *state)
                })
                .collect();
            assert_eq!(plan(&owners), want, "{states:?}");
        }
    }
}
