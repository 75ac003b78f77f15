//! What exists after the first start, and after the next ones.

use std::sync::Arc;

use berth_apimachinery::options::Preconditions;
use berth_store::{MemoryStore, Store};
use serde_json::json;

use super::support::{config, fresh};
use crate::assemble::assemble;

#[tokio::test]
async fn a_second_start_writes_nothing() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    drop(assemble(&config(Arc::clone(&store))).await.unwrap());
    let before = store.revision().await.unwrap();
    drop(assemble(&config(Arc::clone(&store))).await.unwrap());
    assert_eq!(store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn a_start_repairs_what_is_missing_and_keeps_what_was_added() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let own = json!({"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["wishes"]});
    {
        let server = assemble(&config(Arc::clone(&store))).await.unwrap();
        let roles = server.controllers.cluster_roles();
        let update = |role: &berth_apimachinery::object::Object| {
            let mut role = role.clone();
            role.set("rules", json!([own]));
            Ok(Some(role))
        };
        roles.update("", "system:image-puller", update).await.unwrap();
        roles
            .delete("", "registry-viewer", &Preconditions::default())
            .await
            .unwrap();
        let mut hands_off = roles.get("", "system:image-pusher").unwrap().object().clone();
        hands_off.set_annotation("rbac.authorization.kubernetes.io/autoupdate", "false");
        hands_off.set("rules", json!([]));
        roles
            .update("", "system:image-pusher", |_| Ok(Some(hands_off.clone())))
            .await
            .unwrap();
    }
    let server = assemble(&config(store)).await.unwrap();
    let roles = server.controllers.cluster_roles();
    let puller = roles.get("", "system:image-puller").unwrap();
    let rules = puller.object().get("rules").unwrap().as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]), (2, &own));
    assert!(roles.get("", "registry-viewer").is_some());
    let pusher = roles.get("", "system:image-pusher").unwrap();
    assert_eq!(pusher.object().get("rules"), Some(&json!([])));
}

#[tokio::test]
async fn every_namespace_has_its_accounts_and_bindings() {
    let server = fresh().await;
    let (accounts, bindings) = (
        server.controllers.service_accounts(),
        server.controllers.role_bindings(),
    );
    for namespace in ["default", "kube-system", "openshift", "openshift-image-registry"] {
        for account in ["default", "builder", "deployer"] {
            assert!(
                accounts.get(namespace, account).is_some(),
                "{namespace}/{account}"
            );
        }
        for binding in [
            "system:image-pullers",
            "system:image-builders",
            "system:deployers",
        ] {
            assert!(
                bindings.get(namespace, binding).is_some(),
                "{namespace}/{binding}"
            );
        }
    }
    assert!(accounts.get("openshift-image-registry", "registry").is_some());
}
