//! The question turned round: [`WhoCan`], everybody who may do something.
use std::collections::BTreeSet;

use super::{Rbac, list_errors, rule::Asked};
use crate::{
    access::{Attributes, Target},
    authz::MASTERS,
    identity::UserInfo,
};

/// Everybody who may do something, by name. Members of the groups are not listed one by one: a group has no end that
/// this server knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhoCan {
    /// User names, those of service accounts among them.
    pub users: BTreeSet<String>,
    /// Groups; [`MASTERS`] is always one of them.
    pub groups: BTreeSet<String>,
    /// Why the answer may lack somebody: bindings that name a role which does not exist. Empty if it is complete.
    pub error: String,
}

impl Rbac {
    /// Everybody whose bound roles allow `verb` on `target`; for a target in a namespace, those bound cluster-wide and
    /// those bound there.
    #[must_use]
    pub fn who_can(&self, verb: &str, target: Target<'_>) -> WhoCan {
        let namespace = match target {
            Target::Resource { namespace, .. } => namespace,
            Target::Path(_) => "",
        };
        let nobody = UserInfo::default();
        let asked = Asked::new(&Attributes {
            user: &nobody,
            verb,
            target,
        });
        let mut found = WhoCan::default();
        found.groups.insert(MASTERS.to_owned());
        let missing = self.view.visit_all(namespace, |rules, subjects| {
            if rules.iter().any(|rule| rule.allows(&asked)) {
                subjects.add_to(&mut found.users, &mut found.groups);
            }
        });
        if !missing.is_empty() {
            found.error = list_errors(&missing);
        }
        found
    }
}
