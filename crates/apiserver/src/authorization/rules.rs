//! `SelfSubjectRulesReview`: what the caller may do in a namespace (`kubectl auth can-i --list`).

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use serde_json::{Value, json};

/// Answers rules reviews.
pub(super) struct RulesReview {
    rbac: Arc<crate::rbac::Authorizer>,
}

impl RulesReview {
    /// Reads the rules of `rbac`.
    pub(super) fn new(rbac: Arc<crate::rbac::Authorizer>) -> RulesReview {
        RulesReview { rbac }
    }
}

/// Splits policy rules into those about resources and those about paths.
fn status(rules: &[Value]) -> Value {
    let (paths, resources): (Vec<&Value>, Vec<&Value>) = rules
        .iter()
        .partition(|rule| rule.get("nonResourceURLs").is_some());
    json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false })
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
        mut object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let namespace = object.str_at(&["spec", "namespace"]).to_owned();
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let rules = crate::rbac::rules_for(&self.rbac, &cx.user, &namespace);
        object.set("status", status(&rules));
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_resources_are_listed_apart() {
        let path = json!({"verbs": ["get"], "nonResourceURLs": ["/api"]});
        let resource = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        let got = status(&[path.clone(), resource.clone()]);
        assert_eq!(
            got,
            json!({"resourceRules": [resource], "nonResourceRules": [path], "incomplete": false})
        );
    }
}
