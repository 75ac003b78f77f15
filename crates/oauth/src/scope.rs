//! Scopes: what a token may be used for, of all that its user may do.
//!
//! [`Scoped`] stands before the authorizer that knows the user's rights. A token's scopes travel with the user as the
//! extra [`EXTRA`], so that they also hold in access reviews that are made with the token.
use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::{Attributes, Authorizer, Decision, Target};

/// Key of the user's extra that lists the scopes of the token.
pub const EXTRA: &str = "scopes.authorization.openshift.io";
/// Everything that the user may do.
pub const FULL: &str = "user:full";
/// To see who the user is.
const INFO: &str = "user:info";
/// To ask what the user may do.
const CHECK_ACCESS: &str = "user:check-access";

/// Every scope there is, sorted.
pub const KNOWN: [&str; 3] = [CHECK_ACCESS, FULL, INFO];

/// Whether there is such a scope.
#[must_use]
pub fn is_known(scope: &str) -> bool {
    KNOWN.contains(&scope)
}

/// Refuses what a token's scopes do not cover, before the user's rights are looked at.
pub struct Scoped(Arc<dyn Authorizer>);

impl Scoped {
    /// Before `authorizer`.
    #[must_use]
    pub fn new(authorizer: Arc<dyn Authorizer>) -> Scoped {
        Scoped(authorizer)
    }
}

#[async_trait]
impl Authorizer for Scoped {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let scopes = attributes
            .user
            .extra
            .get(EXTRA)
            .filter(|scopes| !scopes.is_empty());
        if let Some(scopes) = scopes
            && !scopes.iter().any(|scope| covers(scope, attributes))
        {
            let reason = format!("scopes {scopes:?} prevent this action");
            return Decision {
                denied: true,
                ..Decision::no_opinion(reason)
            };
        }
        self.0.authorize(attributes).await
    }
}

fn covers(scope: &str, attributes: &Attributes<'_>) -> bool {
    let (group, resource, name) = match attributes.target {
        // Discovery and the like: a client must be able to find its way.
        Target::Path(_) => return is_known(scope) && attributes.verb == "get",
        Target::Resource {
            group,
            resource,
            subresource: "",
            name,
            ..
        } => (group, resource, name),
        Target::Resource { .. } => return scope == FULL,
    };
    match (scope, attributes.verb, group, resource) {
        (FULL, ..) | (INFO, "create", "authentication.k8s.io", "selfsubjectreviews") => true,
        (INFO, "get", "user.openshift.io", "users") => name == "~",
        (CHECK_ACCESS, "create", "authorization.k8s.io", resource) => {
            matches!(resource, "selfsubjectaccessreviews" | "selfsubjectrulesreviews")
        }
        (CHECK_ACCESS, "create", "authorization.openshift.io", resource) => {
            resource == "selfsubjectrulesreviews"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use berth_apimachinery::identity::UserInfo;

    use super::*;

    struct Everything;

    #[async_trait]
    impl Authorizer for Everything {
        async fn authorize(&self, _: &Attributes<'_>) -> Decision {
            Decision::allow("test")
        }
    }

    #[tokio::test]
    async fn a_narrow_token_is_no_wide_one() {
        let target = |group, resource, name| Target::Resource {
            group,
            version: "v1",
            resource,
            subresource: "",
            namespace: "",
            name,
        };
        let secrets = target("", "secrets", "s");
        let me = target("user.openshift.io", "users", "~");
        let other = target("user.openshift.io", "users", "ann");
        let review = target("authorization.k8s.io", "selfsubjectaccessreviews", "");
        for (scopes, verb, target, want) in [
            (vec![], "get", secrets, true),
            (vec![FULL], "get", secrets, true),
            (vec![INFO, FULL], "get", secrets, true),
            (vec![INFO], "get", secrets, false),
            (vec![INFO], "get", me, true),
            (vec![INFO], "get", other, false),
            (vec![INFO], "delete", me, false),
            (vec![INFO], "create", review, false),
            (vec![CHECK_ACCESS], "create", review, true),
            (vec![CHECK_ACCESS], "get", me, false),
            (vec!["user:unknown"], "get", me, false),
            (vec!["user:unknown"], "get", Target::Path("/apis"), false),
            (vec![INFO], "get", Target::Path("/apis"), true),
            (vec![INFO], "post", Target::Path("/apis"), false),
        ] {
            let mut user = UserInfo {
                name: "ann".into(),
                ..UserInfo::default()
            };
            let held: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            user.extra.insert(EXTRA.to_owned(), held);
            let attributes = Attributes {
                user: &user,
                verb,
                target,
            };
            let decision = Scoped::new(Arc::new(Everything)).authorize(&attributes).await;
            assert_eq!(decision.allowed, want, "{scopes:?} {verb} {target:?}");
            assert_eq!(decision.denied, !want, "{scopes:?} {verb} {target:?}");
        }
    }
}
