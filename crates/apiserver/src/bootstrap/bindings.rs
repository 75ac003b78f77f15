//! The bindings and accounts that exist from the first start.

use serde_json::{Value, json};

/// Who a default binding grants its role to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject {
    User(&'static str),
    Group(&'static str),
    ServiceAccount(&'static str, &'static str),
}

impl Subject {
    /// The subject as it stands in a binding.
    pub(super) fn to_json(self) -> Value {
        match self {
            Subject::User(name) => json!({"apiGroup": super::RBAC_GROUP, "kind": "User", "name": name}),
            Subject::Group(name) => json!({"apiGroup": super::RBAC_GROUP, "kind": "Group", "name": name}),
            Subject::ServiceAccount(namespace, name) => {
                json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
            }
        }
    }
}

/// A default cluster role binding.
#[derive(Debug)]
pub(super) struct BindingDefault {
    pub(super) name: &'static str,
    pub(super) role: &'static str,
    pub(super) subjects: &'static [Subject],
}

const fn bind(name: &'static str, role: &'static str, subjects: &'static [Subject]) -> BindingDefault {
    BindingDefault { name, role, subjects }
}

const AUTHENTICATED: Subject = Subject::Group("system:authenticated");
const UNAUTHENTICATED: Subject = Subject::Group("system:unauthenticated");

/// Namespace of the registry and its helpers.
pub const REGISTRY_NAMESPACE: &str = "openshift-image-registry";

/// Every default cluster role binding.
pub(super) const CLUSTER_ROLE_BINDINGS: &[BindingDefault] = &[
    bind(
        "cluster-admin",
        "cluster-admin",
        &[Subject::Group("system:masters")],
    ),
    bind(
        "cluster-admins",
        "cluster-admin",
        &[
            Subject::Group("system:cluster-admins"),
            Subject::User("system:admin"),
        ],
    ),
    bind(
        "cluster-readers",
        "cluster-reader",
        &[Subject::Group("system:cluster-readers")],
    ),
    bind("system:discovery", "system:discovery", &[AUTHENTICATED]),
    bind("system:basic-user", "system:basic-user", &[AUTHENTICATED]),
    bind(
        "system:public-info-viewer",
        "system:public-info-viewer",
        &[AUTHENTICATED, UNAUTHENTICATED],
    ),
    bind(
        "system:monitoring",
        "system:monitoring",
        &[Subject::Group("system:monitoring")],
    ),
    bind(
        "system:service-account-issuer-discovery",
        "system:service-account-issuer-discovery",
        &[Subject::Group("system:serviceaccounts")],
    ),
    bind("basic-users", "basic-user", &[AUTHENTICATED]),
    bind("cluster-status-binding", "cluster-status", &[AUTHENTICATED]),
    bind("self-access-reviewers", "self-access-reviewer", &[AUTHENTICATED]),
    bind(
        "self-provisioners",
        "self-provisioner",
        &[Subject::Group("system:authenticated:oauth")],
    ),
    bind(
        "system:oauth-token-deleters",
        "system:oauth-token-deleter",
        &[AUTHENTICATED],
    ),
    bind(
        "system:openshift:useroauthaccesstoken-manager",
        "system:openshift:useroauthaccesstoken-manager",
        &[Subject::Group("system:authenticated:oauth")],
    ),
    bind(
        "registry-registry-role",
        "system:registry",
        &[Subject::ServiceAccount(REGISTRY_NAMESPACE, "registry")],
    ),
    bind(
        "openshift-image-registry-pruner",
        "system:image-pruner",
        &[Subject::ServiceAccount(REGISTRY_NAMESPACE, "pruner")],
    ),
];

/// Namespaces that always exist.
pub(super) const NAMESPACES: &[&str] = &[
    "default",
    "kube-system",
    "kube-public",
    "openshift",
    "openshift-config",
    "openshift-infra",
    REGISTRY_NAMESPACE,
];

/// Namespaces that may not be deleted: the API server refuses, as they could not be missed for a moment.
pub(crate) const IMMORTAL_NAMESPACES: &[&str] = &["default", "kube-system", "kube-public"];

/// Service accounts of Berth's own parts, beside those that every namespace gets.
pub(super) const SERVICE_ACCOUNTS: &[(&str, &str)] =
    &[(REGISTRY_NAMESPACE, "registry"), (REGISTRY_NAMESPACE, "pruner")];
