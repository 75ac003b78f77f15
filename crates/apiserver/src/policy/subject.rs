//! May they? `SubjectAccessReview` and `LocalSubjectAccessReview` of this group, whose answers are objects of their own.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::{Attributes, Authorizer, Target};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use berth_oauth::scope::EXTRA as SCOPES;
use serde::Deserialize;

use super::action::{Action, read, response};
use super::{GROUP, VERSION, require};
use crate::authorization;

/// Who a review asks about, beside its action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Who {
    user: String,
    groups: Vec<String>,
    scopes: Option<Vec<String>>,
}

impl Who {
    /// Whether the review asks about the caller.
    fn is_caller(&self) -> bool {
        self.user.is_empty() && self.groups.is_empty()
    }

    /// The user to ask about. Scopes of the review replace those of the request; none that were named mean all rights.
    pub(super) fn user(self, caller: &UserInfo) -> UserInfo {
        let mut user = if self.is_caller() {
            caller.clone()
        } else {
            UserInfo {
                name: self.user,
                groups: self.groups,
                ..UserInfo::default()
            }
        };
        match self.scopes {
            None => {}
            Some(scopes) if scopes.is_empty() => {
                user.extra.remove(SCOPES);
            }
            Some(scopes) => {
                user.extra.insert(SCOPES.to_owned(), scopes);
            }
        }
        user
    }
}

/// Checks that a user may review what happens in the action's namespace, everywhere if it has none: a cluster-wide
/// review must not tell more than the namespaced one would. Roles grant `plural` in this group or in the legacy empty one.
///
/// # Errors
/// 403.
pub(super) async fn may_review(
    authorizer: &dyn Authorizer,
    user: &UserInfo,
    plural: &str,
    action: &Action,
) -> Result<(), Status> {
    let target = |group| Target::Resource {
        group,
        version: VERSION,
        resource: plural,
        subresource: "",
        namespace: &action.namespace,
        name: "",
    };
    if require(authorizer, user, "create", target("")).await.is_ok() {
        return Ok(());
    }
    require(authorizer, user, "create", target(GROUP)).await
}

/// Answers whether somebody may.
pub(super) struct AccessReview {
    authorizer: Arc<dyn Authorizer>,
    local: bool,
}

impl AccessReview {
    /// `local`: only about the namespace of the request.
    pub(super) fn new(authorizer: &Arc<dyn Authorizer>, local: bool) -> AccessReview {
        AccessReview {
            authorizer: Arc::clone(authorizer),
            local,
        }
    }

    async fn check_caller(&self, caller: &UserInfo, who: &Who, action: &Action) -> Result<(), Status> {
        if !who.is_caller() {
            return may_review(
                self.authorizer.as_ref(),
                caller,
                "localsubjectaccessreviews",
                action,
            )
            .await;
        }
        let target = Target::Resource {
            group: authorization::GROUP,
            version: "v1",
            resource: "selfsubjectaccessreviews",
            subresource: "",
            namespace: &action.namespace,
            name: "",
        };
        require(self.authorizer.as_ref(), caller, "create", target).await
    }
}

#[async_trait]
impl Rest for AccessReview {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        review: Object,
    ) -> Result<Arc<Entry>, Status> {
        let action = Action::read(&review, cx, self.local)?;
        let who: Who = read(review.to_value(), review.kind())?;
        if !self.local {
            self.check_caller(&cx.user, &who, &action).await?;
        }
        let user = who.user(&cx.user);
        let attributes = Attributes {
            user: &user,
            verb: &action.verb,
            target: action.target(),
        };
        let decision = self.authorizer.authorize(&attributes).await;
        let mut answer = response("SubjectAccessReviewResponse", &action.namespace);
        answer.set("allowed", decision.allowed);
        for (key, text) in [("reason", decision.reason), ("evaluationError", decision.error)] {
            if !text.is_empty() {
                answer.set(key, text);
            }
        }
        Ok(answer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_the_review_replace_those_of_the_caller() {
        let mut caller = UserInfo {
            name: "ann".to_owned(),
            ..UserInfo::default()
        };
        caller
            .extra
            .insert(SCOPES.to_owned(), vec!["user:info".to_owned()]);
        let who = |user: &str, scopes: Option<&[&str]>| Who {
            user: user.to_owned(),
            groups: Vec::new(),
            scopes: scopes.map(|scopes| scopes.iter().map(|&scope| scope.to_owned()).collect()),
        };
        for (who, name, scopes) in [
            (who("", None), "ann", Some(vec!["user:info".to_owned()])),
            (who("", Some(&[])), "ann", None),
            (
                who("", Some(&["user:full"])),
                "ann",
                Some(vec!["user:full".to_owned()]),
            ),
            (who("bob", None), "bob", None),
        ] {
            let text = format!("{who:?}");
            let user = who.user(&caller);
            assert_eq!(
                (user.name.as_str(), user.extra.get(SCOPES)),
                (name, scopes.as_ref()),
                "{text}"
            );
        }
    }
}
