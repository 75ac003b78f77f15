//! Nobody grants what they do not have: checks on writes of roles and bindings.
use std::{collections::BTreeMap, sync::Arc};

use super::{
    GROUP,
    rule::{Rule, quoted},
    view::{RoleRef, View},
};
use crate::{
    access::{Attributes, Authorizer, Target},
    authz::MASTERS,
    identity::UserInfo,
    resource::GroupResource,
    status::Status,
};

/// Combinations of verb, group, resource and name that one check looks at; a rule of more is not held unless another
/// rule covers it whole. Roles that people write have some hundreds.
pub(super) const COMBINATIONS_LIMIT: usize = 100_000;

/// Rules that a refusal names.
const SHOWN_LIMIT: usize = 100;
/// Bytes of one rule that a refusal shows.
const SHOWN_BYTES: usize = 1000;

/// What of `wanted` the rules `held` do not allow, one rule for each group, resource and name, sorted as they are shown.
#[must_use]
pub fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut left: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let mut budget = COMBINATIONS_LIMIT;
    for rule in wanted
        .iter()
        .filter(|rule| !held.iter().any(|held| held.covers(rule)))
    {
        let Some(rest) = budget.checked_sub(rule.combinations()) else {
            left.insert(
                Rule {
                    verbs: Vec::new(),
                    ..rule.clone()
                },
                rule.verbs.clone(),
            );
            continue;
        };
        budget = rest;
        for mut single in rule.split() {
            if !held.iter().any(|rule| rule.covers(&single)) {
                let verbs = std::mem::take(&mut single.verbs);
                let known = left.entry(single).or_default();
                known.extend(
                    verbs
                        .into_iter()
                        .filter(|verb| !known.contains(verb))
                        .collect::<Vec<_>>(),
                );
            }
        }
    }
    let rules = left.into_iter().map(|(rule, verbs)| Rule { verbs, ..rule });
    let mut rules: Vec<Rule> = rules.collect();
    rules.sort_by_cached_key(ToString::to_string);
    rules
}

/// Checks writes of roles and bindings against the rights of the writer.
#[derive(Clone)]
pub struct Escalation {
    authorizer: Arc<dyn Authorizer>,
    view: View,
}

impl Escalation {
    /// `authorizer` answers whether somebody may `escalate` or `bind` explicitly; `view` knows who holds what.
    #[must_use]
    pub fn new(authorizer: Arc<dyn Authorizer>, view: View) -> Self {
        Self { authorizer, view }
    }

    /// Checks that `user` may give a role `rules`. `namespace` is empty for a ClusterRole, `aggregates` says that
    /// the role has an `aggregationRule`, which only those may write who hold every right.
    ///
    /// Callers skip the check for an update that leaves rules and aggregation alone.
    ///
    /// # Errors
    /// 403 with the rules that `user` does not hold.
    pub async fn check_role(
        &self,
        user: &UserInfo,
        namespace: &str,
        name: &str,
        rules: &[Rule],
        aggregates: bool,
    ) -> Result<(), Status> {
        let plural = if namespace.is_empty() {
            "clusterroles"
        } else {
            "roles"
        };
        if user.in_group(MASTERS) || self.may(user, "escalate", plural, namespace, name).await {
            return Ok(());
        }
        let resource = GroupResource::new(GROUP, plural);
        if aggregates {
            let every = [rule(&["*"], &["*"], &["*"], &[]), rule(&["*"], &[], &[], &["*"])];
            let held = self.view.rules_for(user, namespace).rules;
            if !uncovered(&held, &every).is_empty() {
                let cause = "must have cluster-admin privileges to use an aggregationRule";
                return Err(Status::forbidden(&resource, name, cause));
            }
        }
        self.check(user, namespace, rules)
            .map_err(|cause| Status::forbidden(&resource, name, cause))
    }

    /// Checks that `user` may bind `role` in `namespace`; empty for a ClusterRoleBinding. `name` is the binding's.
    ///
    /// Callers skip the check for an update that leaves role and subjects alone.
    ///
    /// # Errors
    /// 404 when there is no such role, 403 with the rules that `user` does not hold.
    pub async fn check_binding(
        &self,
        user: &UserInfo,
        namespace: &str,
        name: &str,
        role: &RoleRef,
    ) -> Result<(), Status> {
        let plural = if role.cluster { "clusterroles" } else { "roles" };
        if user.in_group(MASTERS) || self.may(user, "bind", plural, namespace, &role.name).await {
            return Ok(());
        }
        let Some(rules) = self.view.role(namespace, role) else {
            return Err(Status::not_found(&GroupResource::new(GROUP, plural), &role.name));
        };
        let plural = if namespace.is_empty() {
            "clusterrolebindings"
        } else {
            "rolebindings"
        };
        self.check(user, namespace, &rules)
            .map_err(|cause| Status::forbidden(&GroupResource::new(GROUP, plural), name, cause))
    }

    async fn may(&self, user: &UserInfo, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let target = Target::Resource {
            group: GROUP,
            version: "v1",
            resource,
            subresource: "",
            namespace,
            name,
        };
        self.authorizer
            .authorize(&Attributes { user, verb, target })
            .await
            .allowed
    }

    fn check(&self, user: &UserInfo, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
        let held = self.view.rules_for(user, namespace);
        let left = uncovered(&held.rules, wanted);
        if left.is_empty() {
            return Ok(());
        }
        let shown = left.iter().take(SHOWN_LIMIT).map(|rule| cut(rule.to_string()));
        let mut rules: Vec<String> = shown.collect();
        if left.len() > SHOWN_LIMIT {
            rules.push(format!("and {} more", left.len() - SHOWN_LIMIT));
        }
        let groups = quoted(&user.groups);
        let mut message = format!(
            "user {:?} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            rules.join("\n")
        );
        if !held.missing.is_empty() {
            message.push_str("; resolution errors: ");
            message.push_str(&super::list_errors(&held.missing));
        }
        Err(message)
    }
}

fn cut(mut text: String) -> String {
    if text.len() > SHOWN_BYTES {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES));
        text.push('…');
    }
    text
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], urls: &[&str]) -> Rule {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Rule {
        verbs: owned(verbs),
        api_groups: owned(groups),
        resources: owned(resources),
        resource_names: Vec::new(),
        non_resource_urls: owned(urls),
    }
}
