//! `imagestreams/secrets`: the pull credentials of a namespace, for whoever imports or pulls through on its behalf.

use std::sync::Arc;

use async_trait::async_trait;
use berth_api::{API_VERSION, annotation};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    object::Object,
    options::ListOptions,
    rest::{Rest, Verbs},
    selector::{FieldSelector, LabelSelector},
    status::Status,
    storage::Storage,
};
use serde_json::{Value, json};

/// Lists the Secrets of a namespace that hold Docker credentials and are not excluded. The stream need not exist.
pub(super) struct PullSecrets {
    secrets: Storage,
}

impl PullSecrets {
    /// Over all Secrets.
    pub(super) fn new(secrets: Storage) -> Self {
        Self { secrets }
    }
}

fn is_pull_secret(secret: &Object) -> bool {
    matches!(
        secret.str_at(&["type"]),
        "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson"
    ) && secret.annotation(annotation::EXCLUDE_SECRET) != Some("true")
}

#[async_trait]
impl Rest for PullSecrets {
    fn verbs(&self) -> Verbs {
        Verbs::GET
    }

    async fn get(&self, cx: &Context, _name: &str) -> Result<Arc<Entry>, Status> {
        let namespace = cx.require_namespace()?;
        let selector = |key| cx.query(key).unwrap_or_default();
        let options = ListOptions {
            labels: LabelSelector::parse(selector("labelSelector")).map_err(Status::bad_request)?,
            fields: FieldSelector::parse(selector("fieldSelector")).map_err(Status::bad_request)?,
            ..ListOptions::default()
        };
        let list = self.secrets.list_page(Some(namespace), &options).await?;
        let items = list
            .items
            .iter()
            .map(|entry| entry.object())
            .filter(|secret| is_pull_secret(secret));
        let items: Vec<Value> = items
            .map(|secret| {
                let mut secret = secret.clone();
                secret.remove("kind");
                secret.remove("apiVersion");
                secret.into_value()
            })
            .collect();
        let value = json!({
            "kind": "SecretList",
            "apiVersion": API_VERSION,
            "metadata": {"resourceVersion": list.resource_version},
            "items": items,
        });
        let object = Object::from_value(value).ok_or_else(|| Status::internal("a list is an object"))?;
        Ok(object.into())
    }
}
