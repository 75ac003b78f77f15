//! `SubjectAccessReview` and its two relatives.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::{Attributes, Authorizer, Decision};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use serde_json::{Value, json};

use super::attributes::Spec;

/// Whose rights a review asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Those of the caller.
    Caller,
    /// Those of the user in the spec.
    Named,
    /// Those of the user in the spec, in the review's own namespace.
    NamedInNamespace,
}

/// Answers one kind of review.
pub(super) struct Review {
    authorizer: Arc<dyn Authorizer>,
    subject: Subject,
}

impl Review {
    /// Asks `authorizer` about `subject`.
    pub(super) fn new(authorizer: Arc<dyn Authorizer>, subject: Subject) -> Review {
        Review { authorizer, subject }
    }
}

/// The spec of an object that is answered at once; its default if it has none.
pub(crate) fn read_spec<T: serde::de::DeserializeOwned + Default>(review: &Object) -> Result<T, Status> {
    match review.get("spec") {
        None | Some(Value::Null) => Ok(T::default()),
        Some(spec) => serde_json::from_value(spec.clone())
            .map_err(|error| Status::bad_request(format!("spec of {}: {error}", review.kind()))),
    }
}

fn status(decision: &Decision) -> Value {
    let mut status = json!({ "allowed": decision.allowed });
    if decision.denied {
        status["denied"] = Value::Bool(true);
    }
    for (key, text) in [("reason", &decision.reason), ("evaluationError", &decision.error)] {
        if !text.is_empty() {
            status[key] = Value::String(text.clone());
        }
    }
    status
}

#[async_trait]
impl Rest for Review {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        mut object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let spec: Spec = read_spec(&object)?;
        let local = self.subject == Subject::NamedInNamespace;
        let errors = spec.validate(self.subject != Subject::Caller, local);
        if !errors.is_empty() {
            return Err(Status::invalid(&object.gvk().group_kind(), "", &errors));
        }
        if local && spec.namespace() != cx.require_namespace()? {
            let namespace = cx.require_namespace()?;
            let text = format!("spec.resourceAttributes.namespace must match namespace: {namespace}");
            return Err(Status::bad_request(text));
        }
        let named;
        let user = match self.subject {
            Subject::Caller => cx.user.as_ref(),
            Subject::Named | Subject::NamedInNamespace => {
                named = spec.user();
                &named
            }
        };
        let attributes = Attributes {
            user,
            verb: spec.verb(),
            target: spec.target(),
        };
        let decision = self.authorizer.authorize(&attributes).await;
        object.set("status", status(&decision));
        Ok(object.into())
    }
}
