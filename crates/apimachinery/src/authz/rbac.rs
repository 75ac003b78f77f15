//! Role based access control over a [`View`] of the four RBAC kinds that is kept in memory.
//!
//! Whoever stores the roles and bindings tells the view about each change before the change is acknowledged, so a
//! decision never misses a write that its writer was told about.
//!
//! Source: Kubernetes documentation, "Using RBAC Authorization".
mod aggregate;
mod compact;
mod escalation;
mod reverse;
mod rule;
mod view;

use async_trait::async_trait;

pub use self::{
    aggregate::aggregate,
    compact::compact,
    escalation::{Escalation, uncovered},
    reverse::WhoCan,
    rule::Rule,
    view::{Kind, Resolved, RoleRef, View},
};
use crate::{
    access::{Attributes, Authorizer, Decision, Target},
    identity::UserInfo,
};

/// API group of the RBAC kinds.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// Decides by the roles that are bound to a user and their groups.
#[derive(Clone, Debug)]
pub struct Rbac {
    view: View,
}

impl Rbac {
    /// Decides by `view`.
    #[must_use]
    pub fn new(view: View) -> Self {
        Self { view }
    }

    /// The decision, without waiting for anything.
    #[must_use]
    pub fn decide(&self, attributes: &Attributes<'_>) -> Decision {
        let namespace = match attributes.target {
            Target::Resource { namespace, .. } => namespace,
            Target::Path(_) => "",
        };
        let asked = rule::Asked::new(attributes);
        let mut allowed = None;
        let missing = self.view.visit(attributes.user, namespace, |rules, describe| {
            let granted = rules.iter().any(|rule| rule.allows(&asked));
            if granted {
                allowed = Some(format!("RBAC: allowed by {}", describe()));
            }
            !granted
        });
        match allowed {
            Some(reason) => Decision::allow(reason),
            None if missing.is_empty() => Decision::no_opinion(""),
            None => Decision::no_opinion(format!("RBAC: {}", list_errors(&missing))),
        }
    }

    /// Everything that the bound roles allow `user` in `namespace` (and cluster-wide), for a SelfSubjectRulesReview.
    #[must_use]
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> Resolved {
        self.view.rules_for(user, namespace)
    }
}

/// One error as it is, several in brackets.
fn list_errors(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

#[async_trait]
impl Authorizer for Rbac {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        self.decide(attributes)
    }
}

#[cfg(test)]
mod tests;
