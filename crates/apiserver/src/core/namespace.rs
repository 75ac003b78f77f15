//! `v1 Namespace`: created active, deleted in two steps. Deletion only marks it as terminating; the controller in
//! [`crate::controllers`] empties it and takes the finalizer away.

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::DeleteOptions;
use berth_apimachinery::resource::{GroupResource, Resource};
use berth_apimachinery::status::Status;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};
use serde_json::{Value, json};

use crate::bootstrap::IMMORTAL_NAMESPACES;
use crate::strategies::keep;

/// The finalizer under which the server empties a namespace.
pub(crate) const FINALIZER: &str = "kubernetes";
/// Label with the namespace's own name, for selectors.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Status", "Active or Terminating."),
        Column::age(),
    ];
    Resource::cluster("", "v1", "Namespace", "namespaces")
        .with_short_names(&["ns"])
        .as_namespace()
        .returning_deleted()
        .with_table(Table::new(columns, |namespace, now| {
            vec![
                namespace.name().into(),
                phase(namespace).into(),
                table::age(namespace, now).into(),
            ]
        }))
}

/// Active or Terminating.
pub(crate) fn phase(namespace: &Object) -> &str {
    namespace.str_at(&["status", "phase"])
}

/// The finalizers of `spec`.
pub(crate) fn spec_finalizers(namespace: &Object) -> Vec<String> {
    let list = namespace.at(&["spec", "finalizers"]).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// The rules of namespaces.
pub(super) struct NamespaceStrategy {
    pub(super) default_objects: std::sync::Arc<crate::defaults::NamespaceDefaults>,
}

#[async_trait]
impl Strategy for NamespaceStrategy {
    fn defaults(&self, object: &mut Object) {
        let name = object.name().to_owned();
        if !name.is_empty() {
            object.set_label(NAME_LABEL, &name);
        }
    }

    async fn prepare_for_create(&self, _cx: &Context, object: &mut Object) -> Result<(), Status> {
        // The name may have been generated after defaults ran.
        self.defaults(object);
        let mut finalizers = spec_finalizers(object);
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
        object.set("spec", json!({ "finalizers": finalizers }));
        object.set("status", json!({"phase": "Active"}));
        Ok(())
    }

    async fn prepare_for_update(
        &self,
        _cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        keep(object, old, "spec");
        keep(object, old, "status");
        Ok(())
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::dns_label(name)
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        vec![("status.phase", phase(object).to_owned())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["status.phase"]
    }

    async fn before_delete(
        &self,
        _cx: &Context,
        object: &Object,
        _options: &DeleteOptions,
    ) -> Result<(), Status> {
        if IMMORTAL_NAMESPACES.contains(&object.name()) {
            let resource = GroupResource::new("", "namespaces");
            return Err(Status::forbidden(
                &resource,
                object.name(),
                "this namespace may not be deleted",
            ));
        }
        Ok(())
    }

    fn holds_deletion(&self, object: &Object) -> bool {
        !spec_finalizers(object).is_empty()
    }

    fn mark_deleting(&self, object: &mut Object) {
        set_phase(object, "Terminating");
    }

    async fn after_create(&self, _cx: &Context, entry: &berth_apimachinery::entry::Entry) {
        // Whoever was told that the namespace exists may push at once: its accounts and bindings are there already.
        self.default_objects.ensure_logged(entry.object()).await;
    }
}

fn set_phase(namespace: &mut Object, phase: &str) {
    let status = namespace
        .fields_mut()
        .entry("status")
        .or_insert_with(|| json!({}));
    if !status.is_object() {
        *status = json!({});
    }
    status["phase"] = Value::String(phase.to_owned());
}

/// The rules of `namespaces/status`.
#[derive(Debug)]
pub(super) struct NamespaceStatusStrategy;

#[async_trait]
impl Strategy for NamespaceStatusStrategy {
    async fn prepare_for_update(
        &self,
        _cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        keep(object, old, "spec");
        // Which phase it is in follows from the deletion time alone.
        set_phase(
            object,
            if old.is_deleting() {
                "Terminating"
            } else {
                "Active"
            },
        );
        Ok(())
    }
}

/// The rules of `namespaces/finalize`, the one way to change `spec.finalizers`.
#[derive(Debug)]
pub(super) struct NamespaceFinalizeStrategy;

#[async_trait]
impl Strategy for NamespaceFinalizeStrategy {
    async fn prepare_for_update(
        &self,
        _cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        keep(object, old, "status");
        Ok(())
    }

    fn holds_deletion(&self, object: &Object) -> bool {
        !spec_finalizers(object).is_empty()
    }
}
