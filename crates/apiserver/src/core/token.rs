//! `serviceaccounts/NAME/token`: a token for an account, for a while (`kubectl create token`).

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::authn::{Bound, BoundKind, MAX_TOKEN_LIFETIME, MIN_TOKEN_LIFETIME};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::{Object, format_time};
use berth_apimachinery::resource::GroupResource;
use berth_apimachinery::rest::{Rest, Verbs};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;

use crate::tokens::Tokens;

/// `spec` of a TokenRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    audiences: Option<Vec<String>>,
    expiration_seconds: Option<i64>,
    bound_object_ref: Option<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reference {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
}

/// Everything that is wrong with a request.
fn validate(spec: &Spec) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(seconds) = spec.expiration_seconds {
        let field = "spec.expirationSeconds";
        if seconds < MIN_TOKEN_LIFETIME.as_secs() {
            errors.push(FieldError::invalid(
                field,
                seconds,
                "may not specify a duration less than 10 minutes",
            ));
        }
        if seconds > MAX_TOKEN_LIFETIME.as_secs() {
            errors.push(FieldError::invalid(
                field,
                seconds,
                "may not specify a duration larger than 2^32 seconds",
            ));
        }
    }
    errors
}

/// Serves token requests.
pub(super) struct TokenRequests {
    accounts: Storage,
    secrets: Storage,
    tokens: Arc<Tokens>,
}

impl TokenRequests {
    /// Tokens for `accounts`, which may be bound to `secrets`.
    pub(super) fn new(accounts: Storage, secrets: Storage, tokens: Arc<Tokens>) -> TokenRequests {
        TokenRequests {
            accounts,
            secrets,
            tokens,
        }
    }

    fn bound(&self, namespace: &str, reference: &Reference) -> Result<Bound, Status> {
        if (reference.api_version.as_str(), reference.kind.as_str()) != ("v1", "Secret") {
            let text = format!(
                "cannot bind token for serviceaccount to object of kind {:?}",
                reference.kind
            );
            return Err(Status::bad_request(text));
        }
        let secret = self.secrets.require(namespace, &reference.name)?;
        let uid = secret.object().uid();
        if !reference.uid.is_empty() && reference.uid != uid {
            let cause = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The object might have \
                 been deleted and then recreated",
                reference.uid
            );
            return Err(Status::conflict(
                &GroupResource::new("", "secrets"),
                &reference.name,
                cause,
            ));
        }
        Ok(Bound {
            kind: BoundKind::Secret,
            name: reference.name.clone(),
            uid: uid.to_owned(),
        })
    }
}

#[async_trait]
impl Rest for TokenRequests {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        cx: &Context,
        parent: Option<&str>,
        mut object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let namespace = cx.require_namespace()?;
        let name = parent.unwrap_or_default();
        let account = self.accounts.require(namespace, name)?;
        let spec: Spec = crate::authorization::read_spec(&object)?;
        let errors = validate(&spec);
        if !errors.is_empty() {
            return Err(Status::invalid(
                &object.gvk().group_kind(),
                object.name(),
                &errors,
            ));
        }
        let audiences = spec.audiences.unwrap_or_default();
        let lifetime = spec.expiration_seconds.map(SignedDuration::from_secs);
        let bound = spec
            .bound_object_ref
            .as_ref()
            .map(|reference| self.bound(namespace, reference))
            .transpose()?;
        let issued = self
            .tokens
            .issue(namespace, name, &audiences, lifetime, bound.as_ref())?;

        object.set_name(account.object().name());
        object.set_namespace(namespace);
        object.set_creation_timestamp(cx.now);
        let seconds = spec
            .expiration_seconds
            .unwrap_or_else(|| issued.expires.as_second().saturating_sub(cx.now.as_second()));
        let mut granted =
            json!({"audiences": issued.audiences, "expirationSeconds": seconds, "boundObjectRef": null});
        if let Some(bound) = &bound {
            let reference =
                json!({"apiVersion": "v1", "kind": "Secret", "name": bound.name, "uid": bound.uid});
            granted["boundObjectRef"] = reference;
        }
        object.set("spec", granted);
        // A dry run must not hand out what would work.
        let token = if cx.dry_run { String::new() } else { issued.token };
        object.set(
            "status",
            json!({"token": token, "expirationTimestamp": format_time(issued.expires)}),
        );
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_bounds() {
        for (seconds, fine) in [
            (None, true),
            (Some(599), false),
            (Some(600), true),
            (Some(1 << 32), true),
            (Some((1 << 32) + 1), false),
        ] {
            let spec = Spec {
                expiration_seconds: seconds,
                ..Spec::default()
            };
            assert_eq!(validate(&spec).is_empty(), fine, "{seconds:?}");
        }
    }
}
