//! `authentication.k8s.io/v1`: whose token is that, and who am I?

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::authn::{TokenAuthenticator, review};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use serde::Deserialize;
use serde_json::json;

use crate::kinds::Kinds;

/// The API group.
pub(crate) const GROUP: &str = "authentication.k8s.io";

/// Registers the kinds of this group.
pub(crate) fn register(kinds: &mut Kinds<'_>, tokens: Arc<dyn TokenAuthenticator>) {
    let cluster = |kind: &str, plural: &str| Resource::cluster(GROUP, "v1", kind, plural);
    kinds.serve(
        cluster("TokenReview", "tokenreviews"),
        Arc::new(TokenReviews { tokens }),
    );
    kinds.serve(
        cluster("SelfSubjectReview", "selfsubjectreviews"),
        Arc::new(SelfSubjectReviews),
    );
}

/// Tells whose a token is.
struct TokenReviews {
    tokens: Arc<dyn TokenAuthenticator>,
}

/// `spec` of a TokenReview.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    token: String,
    audiences: Option<Vec<String>>,
}

#[async_trait]
impl Rest for TokenReviews {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        _cx: &Context,
        _parent: Option<&str>,
        mut object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let spec: Spec = crate::authorization::read_spec(&object)?;
        if spec.token.is_empty() {
            return Err(Status::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        let audiences = spec.audiences.unwrap_or_default();
        object.set(
            "status",
            review(self.tokens.as_ref(), &spec.token, &audiences).await,
        );
        Ok(object.into())
    }
}

/// Tells the caller who they are.
struct SelfSubjectReviews;

#[async_trait]
impl Rest for SelfSubjectReviews {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        mut object: Object,
    ) -> Result<Arc<Entry>, Status> {
        object.set_creation_timestamp(cx.now);
        object.set("status", json!({ "userInfo": cx.user.as_ref() }));
        Ok(object.into())
    }
}
