//! `rbac.authorization.k8s.io/v1`: roles and who has them.

mod binding;
mod role;
mod validation;

use std::sync::Arc;

use berth_apimachinery::authz::rbac::{Escalation, Kind, Rbac, Rule, View};
use berth_apimachinery::authz::{Masters, Union};
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::storage::Storage;
use serde_json::Value;

pub(crate) use self::validation::GROUP;
use crate::kinds::Kinds;

/// Decides by roles and bindings.
pub(crate) type Authorizer = Rbac;

/// The authorizer and what it decides by.
#[derive(Clone)]
pub(crate) struct Access {
    view: View,
    /// Decides by roles alone.
    pub(crate) rbac: Arc<Rbac>,
    /// Decides every request: `system:masters` may do everything, others what their roles say.
    pub(crate) authorizer: Arc<dyn berth_apimachinery::access::Authorizer>,
}

impl Access {
    /// An authorizer that knows no roles yet.
    pub(crate) fn new() -> Access {
        let view = View::new();
        let rbac = Arc::new(Rbac::new(view.clone()));
        let roles = Arc::new(Union::new(vec![Arc::new(Masters), Arc::clone(&rbac) as _]));
        // First what the token is for, then what its user may do.
        let authorizer = Arc::new(berth_oauth::scope::Scoped::new(roles));
        Access {
            view,
            rbac,
            authorizer,
        }
    }
}

/// The storages of this group.
#[derive(Clone)]
pub(crate) struct Storages {
    /// Roles of all namespaces.
    pub(crate) roles: Storage,
    /// Cluster roles.
    pub(crate) cluster_roles: Storage,
    /// Role bindings of all namespaces.
    pub(crate) role_bindings: Storage,
    /// Cluster role bindings.
    pub(crate) cluster_role_bindings: Storage,
}

/// Registers the kinds of this group, and lets `access` follow them.
pub(crate) fn register(kinds: &mut Kinds<'_>, access: &Access) -> Storages {
    let escalation = Arc::new(Escalation::new(
        Arc::clone(&access.authorizer),
        access.view.clone(),
    ));
    let role = |namespaced| Arc::new(role::RoleStrategy::new(Arc::clone(&escalation), namespaced));
    let binding = |namespaced| Arc::new(binding::BindingStrategy::new(Arc::clone(&escalation), namespaced));
    let storages = Storages {
        roles: kinds.stored(role::resource(true), role(true)),
        cluster_roles: kinds.stored(role::resource(false), role(false)),
        role_bindings: kinds.stored(binding::resource(true), binding(true)),
        cluster_role_bindings: kinds.stored(binding::resource(false), binding(false)),
    };
    for (storage, kind) in [
        (&storages.roles, Kind::Role),
        (&storages.cluster_roles, Kind::ClusterRole),
        (&storages.role_bindings, Kind::RoleBinding),
        (&storages.cluster_role_bindings, Kind::ClusterRoleBinding),
    ] {
        let view = access.view.clone();
        storage.observe(Arc::new(move |change| match &change.entry {
            Some(entry) => view.put(kind, entry.object()),
            None => view.remove(kind, change.namespace(), change.name()),
        }));
    }
    storages
}

/// The rules that a user has in a namespace, as they stand in roles.
pub(crate) fn rules_for(rbac: &Rbac, user: &UserInfo, namespace: &str) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    for rule in masters(user)
        .into_iter()
        .chain(rbac.rules_for(user, namespace).rules)
    {
        let rule = serde_json::to_value(rule).unwrap_or_default();
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

/// What a user may do by being in `system:masters`, which no role says.
pub(crate) fn masters(user: &UserInfo) -> Vec<Rule> {
    if !user.in_group(berth_apimachinery::authz::MASTERS) {
        return Vec::new();
    }
    let all = || vec!["*".to_owned()];
    let resources = Rule {
        verbs: all(),
        api_groups: all(),
        resources: all(),
        ..Rule::default()
    };
    let paths = Rule {
        verbs: all(),
        non_resource_urls: all(),
        ..Rule::default()
    };
    vec![resources, paths]
}

/// Everything that is wrong with a role or binding, as sentences.
#[cfg(test)]
pub(crate) fn problems(object: &berth_apimachinery::object::Object) -> Vec<String> {
    let mut errors = validation::validate_rules(object, object.kind() == "Role");
    if object.kind().ends_with("Binding") {
        errors.extend(validation::validate_binding(
            object,
            None,
            &["ClusterRole", "Role"],
        ));
    }
    errors.iter().map(ToString::to_string).collect()
}
