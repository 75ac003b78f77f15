//! `Role` and `ClusterRole`.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::authz::rbac::{Escalation, Rule};
use berth_apimachinery::context::Context;
use berth_apimachinery::field::FieldErrors;
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::status::Status;
use berth_apimachinery::strategy::Strategy;
use serde_json::Value;

use super::validation::{GROUP, validate_aggregation, validate_rules};

/// Names and columns.
pub(super) fn resource(namespaced: bool) -> Resource {
    let resource = if namespaced {
        Resource::namespaced(GROUP, "v1", "Role", "roles")
    } else {
        Resource::cluster(GROUP, "v1", "ClusterRole", "clusterroles")
    };
    resource.with_table(crate::columns::created_at())
}

/// The rules of roles.
pub(super) struct RoleStrategy {
    escalation: Arc<Escalation>,
    namespaced: bool,
}

impl RoleStrategy {
    pub(super) fn new(escalation: Arc<Escalation>, namespaced: bool) -> RoleStrategy {
        RoleStrategy {
            escalation,
            namespaced,
        }
    }
}

/// Whether a role is made up from others.
fn is_aggregated(role: &Object) -> bool {
    role.get("aggregationRule").is_some_and(|rule| !rule.is_null())
}

#[async_trait]
impl Strategy for RoleStrategy {
    fn defaults(&self, object: &mut Object) {
        if object.get("rules").is_none() {
            object.set("rules", Value::Null);
        }
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)
    }

    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        let mut errors = validate_rules(object, self.namespaced);
        if !self.namespaced {
            errors.extend(validate_aggregation(object));
        }
        errors
    }

    async fn check(&self, cx: &Context, object: &Object, old: Option<&Object>) -> Result<(), Status> {
        let aggregated = is_aggregated(object);
        let rules = Rule::list(object.get("rules"));
        if let Some(old) = old
            && Rule::list(old.get("rules")) == rules
            && old.get("aggregationRule") == object.get("aggregationRule")
        {
            return Ok(());
        }
        self.escalation
            .check_role(&cx.user, object.namespace(), object.name(), &rules, aggregated)
            .await
    }
}
