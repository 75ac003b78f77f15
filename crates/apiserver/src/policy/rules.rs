//! Everything that somebody may do in a namespace: `SubjectRulesReview` and `SelfSubjectRulesReview` of this group.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::authz::rbac::{Rbac, Rule, compact};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use berth_oauth::scope;
use serde_json::{Value, json};

use super::action::read;
use super::role::rule_from_rbac;
use super::subject::Who;
use crate::rbac;

/// Whose rules are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Those of the caller.
    Caller,
    /// Those of the user or the groups in the spec.
    Named,
}

/// Answers with rules.
pub(super) struct RulesReview {
    rbac: Arc<Rbac>,
    subject: Subject,
}

impl RulesReview {
    /// Reads the rules of `rbac`.
    pub(super) fn new(rbac: Arc<Rbac>, subject: Subject) -> RulesReview {
        RulesReview { rbac, subject }
    }

    /// The rules of a user, and why some may be missing.
    fn rules_of(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, String) {
        let scopes = user.extra.get(scope::EXTRA).filter(|scopes| !scopes.is_empty());
        if let Some(scopes) = scopes
            && !scopes.iter().any(|scope| scope == scope::FULL)
        {
            let error = format!("what the scopes {scopes:?} leave of the user's rights is not listed");
            return (Vec::new(), error);
        }
        let found = self.rbac.rules_for(user, namespace);
        let mut rules = found.rules;
        rules.extend(rbac::masters(user));
        (rules, found.missing.join(", "))
    }
}

#[async_trait]
impl Rest for RulesReview {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        mut review: Object,
    ) -> Result<Arc<Entry>, Status> {
        let namespace = cx.require_namespace()?;
        let user = match self.subject {
            Subject::Caller => cx.user.as_ref().clone(),
            Subject::Named => {
                let spec = review.get("spec").cloned().unwrap_or_else(|| json!({}));
                let who: Who = read(spec, review.kind())?;
                who.user(&UserInfo::default())
            }
        };
        let (rules, error) = self.rules_of(&user, namespace);
        let rules: Vec<Value> = compact(&rules).iter().map(rule_from_rbac).collect();
        let mut status = json!({ "rules": rules });
        if !error.is_empty() {
            status["evaluationError"] = error.into();
        }
        review.remove("metadata");
        review.set("status", status);
        Ok(review.into())
    }
}
