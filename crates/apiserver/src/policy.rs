//! `authorization.openshift.io/v1`: OpenShift's older words for rights, which its clients still use.
//!
//! Roles and bindings of this group are those of `rbac.authorization.k8s.io` in other clothes ([`view`]); nothing is stored
//! here. Its reviews ask about rights ([`subject`]), about whoever has them ([`resource`]: `oc policy who-can`), and about
//! everything that somebody may do ([`rules`]).

mod action;
mod binding;
mod resource;
mod restriction;
mod role;
mod rules;
mod subject;
mod view;

use std::sync::Arc;

use berth_apimachinery::access::{Attributes, Authorizer, Target};
use berth_apimachinery::authz;
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::status::Status;

use crate::kinds::Kinds;
use crate::rbac;

/// The API group.
pub(crate) const GROUP: &str = "authorization.openshift.io";
const VERSION: &str = "v1";

/// Registers the kinds of this group.
pub(crate) fn register(kinds: &mut Kinds<'_>, access: &rbac::Access, storages: &rbac::Storages) {
    let cluster = |kind: &str, plural: &str| Resource::cluster(GROUP, VERSION, kind, plural);
    let namespaced = |kind: &str, plural: &str| Resource::namespaced(GROUP, VERSION, kind, plural);
    let who = |local| Arc::new(resource::WhoCanReview::new(access, local));
    kinds.serve(
        cluster("ResourceAccessReview", "resourceaccessreviews"),
        who(false),
    );
    kinds.serve(
        namespaced("LocalResourceAccessReview", "localresourceaccessreviews"),
        who(true),
    );
    let may = |local| Arc::new(subject::AccessReview::new(&access.authorizer, local));
    kinds.serve(cluster("SubjectAccessReview", "subjectaccessreviews"), may(false));
    kinds.serve(
        namespaced("LocalSubjectAccessReview", "localsubjectaccessreviews"),
        may(true),
    );
    let all = |subject| Arc::new(rules::RulesReview::new(Arc::clone(&access.rbac), subject));
    kinds.serve(
        namespaced("SubjectRulesReview", "subjectrulesreviews"),
        all(rules::Subject::Named),
    );
    kinds.serve(
        namespaced("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        all(rules::Subject::Caller),
    );

    let authorizer = &access.authorizer;
    for (resource, storage, shape) in [
        (role::resource(true), &storages.roles, view::Shape::ROLE),
        (role::resource(false), &storages.cluster_roles, view::Shape::ROLE),
        (
            binding::resource(true),
            &storages.role_bindings,
            view::Shape::BINDING,
        ),
        (
            binding::resource(false),
            &storages.cluster_role_bindings,
            view::Shape::BINDING,
        ),
    ] {
        let view = view::View::new(&resource, storage.clone(), Arc::clone(authorizer), shape);
        kinds.serve(resource, Arc::new(view));
    }
    restriction::register(kinds);
}

/// Checks that a user may do something that another group decides about.
///
/// # Errors
/// 403 in the words of Kubernetes.
async fn require(
    authorizer: &dyn Authorizer,
    user: &UserInfo,
    verb: &str,
    target: Target<'_>,
) -> Result<(), Status> {
    let attributes = Attributes { user, verb, target };
    let decision = authorizer.authorize(&attributes).await;
    if decision.allowed {
        Ok(())
    } else {
        Err(authz::forbidden(&attributes, &decision))
    }
}
