//! `authorization.k8s.io/v1`: may this user do that? Questions are created and answered at once; nothing is stored.

mod attributes;
mod reviews;
mod rules;

use std::sync::Arc;

use berth_apimachinery::access::Authorizer;
use berth_apimachinery::resource::Resource;

pub(crate) use self::reviews::read_spec;
use self::reviews::{Review, Subject};
use crate::kinds::Kinds;

/// The API group.
pub(crate) const GROUP: &str = "authorization.k8s.io";

/// Registers the kinds of this group.
pub(crate) fn register(
    kinds: &mut Kinds<'_>,
    authorizer: &Arc<dyn Authorizer>,
    rbac: &Arc<crate::rbac::Authorizer>,
) {
    let cluster = |kind: &str, plural: &str| Resource::cluster(GROUP, "v1", kind, plural);
    for (resource, subject) in [
        (
            cluster("SubjectAccessReview", "subjectaccessreviews"),
            Subject::Named,
        ),
        (
            cluster("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
            Subject::Caller,
        ),
        (
            Resource::namespaced(
                GROUP,
                "v1",
                "LocalSubjectAccessReview",
                "localsubjectaccessreviews",
            ),
            Subject::NamedInNamespace,
        ),
    ] {
        kinds.serve(resource, Arc::new(Review::new(Arc::clone(authorizer), subject)));
    }
    kinds.serve(
        cluster("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        Arc::new(rules::RulesReview::new(Arc::clone(rbac))),
    );
}
