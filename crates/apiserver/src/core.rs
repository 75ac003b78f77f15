//! The core group's `v1`: what projects are made of.

mod config_map;
mod data;
pub(crate) mod event;
mod limit_range;
pub(crate) mod namespace;
pub(crate) mod resource_quota;
pub(crate) mod secret;
pub(crate) mod service_account;
mod token;

use std::sync::Arc;

use berth_apimachinery::resource::{Gvk, Subresource};
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;

use crate::defaults::NamespaceDefaults;
use crate::kinds::Kinds;
use crate::tokens::Tokens;

/// The storages of this group, and how namespaces are served.
#[derive(Clone)]
pub(crate) struct Storages {
    pub(crate) namespaces: Storage,
    /// The namespace endpoint, with all rules.
    pub(crate) namespace_rest: Arc<dyn Rest>,
    pub(crate) service_accounts: Storage,
    pub(crate) secrets: Storage,
    pub(crate) events: Storage,
    pub(crate) quotas: Storage,
}

/// The accounts and secrets, which tokens are checked against.
pub(crate) struct Identities {
    pub(crate) service_accounts: Storage,
    pub(crate) secrets: Storage,
}

/// Stores what tokens are checked against; before everything else, since the rest is served with tokens.
pub(crate) fn identities(kinds: &mut Kinds<'_>) -> Identities {
    let service_accounts = kinds.storage(
        service_account::resource(),
        Arc::new(service_account::ServiceAccountStrategy),
    );
    let secrets = kinds.stored(secret::resource(), Arc::new(secret::SecretStrategy));
    Identities {
        service_accounts,
        secrets,
    }
}

/// Registers the kinds of this group.
pub(crate) fn register(
    kinds: &mut Kinds<'_>,
    identities: Identities,
    tokens: &Arc<Tokens>,
    role_bindings: &Storage,
) -> Storages {
    let Identities {
        service_accounts,
        secrets,
    } = identities;
    let accounts_rest = StoredRest::new(service_accounts.clone());
    let token = Subresource::new(
        "token",
        Gvk::new("authentication.k8s.io", "v1", "TokenRequest"),
        Arc::new(token::TokenRequests::new(
            service_accounts.clone(),
            secrets.clone(),
            Arc::clone(tokens),
        )),
    );
    kinds.endpoint(
        service_accounts.resource().clone(),
        Arc::new(accounts_rest),
        vec![token],
    );

    let defaults = Arc::new(NamespaceDefaults::new(
        service_accounts.clone(),
        role_bindings.clone(),
    ));
    let (namespaces, namespace_rest) = register_namespaces(kinds, defaults);
    kinds.stored(config_map::resource(), Arc::new(config_map::ConfigMapStrategy));
    let events = kinds.stored(event::resource(), Arc::new(event::EventStrategy));
    crate::events::register(kinds, Arc::new(StoredRest::new(events.clone())));
    kinds.stored(limit_range::resource(), Arc::new(limit_range::LimitRangeStrategy));
    let quotas = register_quotas(kinds);
    Storages {
        namespaces,
        namespace_rest,
        service_accounts,
        secrets,
        events,
        quotas,
    }
}

fn register_namespaces(kinds: &mut Kinds<'_>, defaults: Arc<NamespaceDefaults>) -> (Storage, Arc<dyn Rest>) {
    let strategy = Arc::new(namespace::NamespaceStrategy {
        default_objects: defaults,
    });
    let namespaces = kinds.storage(namespace::resource(), strategy);
    let rest: Arc<dyn Rest> = Arc::new(StoredRest::new(namespaces.clone()).with_verbs(Verbs {
        delete_collection: false,
        ..Verbs::ALL
    }));
    let kind = namespaces.resource().gvk().clone();
    let status = StoredRest::subresource(namespaces.clone(), Arc::new(namespace::NamespaceStatusStrategy));
    let finalize =
        StoredRest::subresource(namespaces.clone(), Arc::new(namespace::NamespaceFinalizeStrategy))
            .with_verbs(Verbs {
                update: true,
                ..Verbs::NONE
            });
    let subresources = vec![
        Subresource::new("finalize", kind.clone(), Arc::new(finalize)),
        Subresource::new("status", kind, Arc::new(status)),
    ];
    kinds.endpoint(namespaces.resource().clone(), Arc::clone(&rest), subresources);
    (namespaces, rest)
}

fn register_quotas(kinds: &mut Kinds<'_>) -> Storage {
    let quotas = kinds.storage(
        resource_quota::resource(),
        Arc::new(resource_quota::QuotaStrategy),
    );
    let status = StoredRest::subresource(quotas.clone(), Arc::new(resource_quota::QuotaStatusStrategy));
    let status = Subresource::new("status", quotas.resource().gvk().clone(), Arc::new(status));
    let rest = Arc::new(StoredRest::new(quotas.clone()));
    kinds.endpoint(quotas.resource().clone(), rest, vec![status]);
    quotas
}
