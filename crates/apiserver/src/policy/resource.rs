//! Who can do that? `ResourceAccessReview`, and its namespaced form that `oc policy who-can` sends.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::Authorizer;
use berth_apimachinery::authz::rbac::Rbac;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use serde_json::json;

use super::action::{Action, response};
use super::subject::may_review;
use crate::rbac;

/// Answers with everybody who may.
pub(super) struct WhoCanReview {
    rbac: Arc<Rbac>,
    authorizer: Arc<dyn Authorizer>,
    local: bool,
}

impl WhoCanReview {
    /// `local`: only about the namespace of the request.
    pub(super) fn new(access: &rbac::Access, local: bool) -> WhoCanReview {
        WhoCanReview {
            rbac: Arc::clone(&access.rbac),
            authorizer: Arc::clone(&access.authorizer),
            local,
        }
    }
}

#[async_trait]
impl Rest for WhoCanReview {
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
        if !self.local {
            may_review(
                self.authorizer.as_ref(),
                &cx.user,
                "localresourceaccessreviews",
                &action,
            )
            .await?;
        }
        let found = self.rbac.who_can(&action.verb, action.target());
        let mut answer = response("ResourceAccessReviewResponse", &action.namespace);
        answer.set("users", json!(found.users));
        answer.set("groups", json!(found.groups));
        // The name of this field lacks a letter in the API, and clients read it so.
        answer.set("evalutionError", found.error);
        Ok(answer.into())
    }
}
