//! Authorizers: [`Masters`], [`rbac::Rbac`] and [`Union`], and how a refusal is worded.
pub mod rbac;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    access::{Attributes, Authorizer, Decision, Target},
    resource::GroupResource,
    status::Status,
};

/// The group that may do everything, whatever RBAC says.
pub const MASTERS: &str = "system:masters";

/// Allows everything to members of [`MASTERS`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.in_group(MASTERS) {
            Decision::allow("")
        } else {
            Decision::no_opinion("")
        }
    }
}

/// Asks authorizers in order until one allows or denies for good.
#[derive(Clone)]
pub struct Union(Arc<[Arc<dyn Authorizer>]>);

impl Union {
    /// Authorizers in the order they are asked.
    #[must_use]
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Self {
        Self(authorizers.into())
    }
}

#[async_trait]
impl Authorizer for Union {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let mut undecided = Decision::no_opinion("");
        for authorizer in self.0.iter() {
            let decision = authorizer.authorize(attributes).await;
            if decision.allowed || decision.denied {
                return decision;
            }
            join(&mut undecided.reason, &decision.reason);
            join(&mut undecided.error, &decision.error);
        }
        undecided
    }
}

fn join(all: &mut String, one: &str) {
    if !one.is_empty() {
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(one);
    }
}

/// The 403 for a request that was not allowed, in the words of Kubernetes.
#[must_use]
pub fn forbidden(attributes: &Attributes<'_>, decision: &Decision) -> Status {
    let user = &attributes.user.name;
    let verb = attributes.verb;
    let (resource, name, message) = match attributes.target {
        Target::Path(path) => (
            GroupResource::default(),
            "",
            format!("User {user:?} cannot {verb} path {path:?}"),
        ),
        Target::Resource {
            group,
            resource,
            subresource,
            namespace,
            name,
            ..
        } => {
            let slash = if subresource.is_empty() { "" } else { "/" };
            let scope = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            let message = format!(
                "User {user:?} cannot {verb} resource \"{resource}{slash}{subresource}\" in API group {group:?} {scope}"
            );
            (GroupResource::new(group, resource), name, message)
        }
    };
    // Browsers that ignore the content type must not find markup in what a client chose.
    let mut message = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    if !decision.reason.is_empty() {
        message.push_str(": ");
        message.push_str(&decision.reason);
    }
    Status::forbidden(&resource, name, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::UserInfo;

    fn resource<'a>(
        resource: &'a str,
        subresource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> Target<'a> {
        Target::Resource {
            group: "image.openshift.io",
            version: "v1",
            resource,
            subresource,
            namespace,
            name,
        }
    }

    #[test]
    fn refusals_have_the_words_of_kubernetes() {
        let user = UserInfo {
            name: "x".into(),
            ..UserInfo::default()
        };
        for (verb, target, reason, want) in [
            (
                "list",
                resource("imagestreams", "", "demo", ""),
                "",
                r#"imagestreams.image.openshift.io is forbidden: User "x" cannot list resource "imagestreams" in API group "image.openshift.io" in the namespace "demo""#,
            ),
            (
                "get",
                resource("imagestreams", "layers", "demo", "app"),
                "",
                r#"imagestreams.image.openshift.io "app" is forbidden: User "x" cannot get resource "imagestreams/layers" in API group "image.openshift.io" in the namespace "demo""#,
            ),
            (
                "delete",
                resource("images", "", "", "<b>"),
                "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found",
                r#"images.image.openshift.io "<b>" is forbidden: User "x" cannot delete resource "images" in API group "image.openshift.io" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#,
            ),
            (
                "get",
                Target::Path("/a<b"),
                "",
                r#"forbidden: User "x" cannot get path "/a&lt;b""#,
            ),
        ] {
            let attributes = Attributes {
                user: &user,
                verb,
                target,
            };
            let status = forbidden(&attributes, &Decision::no_opinion(reason));
            assert_eq!(status.message(), want);
            assert_eq!(status.code(), 403);
        }
    }

    #[tokio::test]
    async fn masters_may_everything_and_others_nothing() {
        let union = Union::new(vec![Arc::new(Masters)]);
        for (group, want) in [(MASTERS, true), ("system:authenticated", false)] {
            let user = UserInfo {
                name: "x".into(),
                groups: vec![group.into()],
                ..UserInfo::default()
            };
            let attributes = Attributes {
                user: &user,
                verb: "delete",
                target: Target::Path("/"),
            };
            assert_eq!(union.authorize(&attributes).await.allowed, want, "{group}");
        }
    }
}
