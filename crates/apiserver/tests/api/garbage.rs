//! Dependents: deleted with their owners, before them, or left behind.

use serde_json::{Value, json};

use crate::support::{Api, Who};

const MAPS: &str = "/api/v1/namespaces/demo/configmaps";

async fn map(api: &Api, name: &str, owners: &[&Value]) -> Value {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true,
            })
        })
        .collect();
    let references = if references.is_empty() {
        Value::Null
    } else {
        Value::Array(references)
    };
    api.create(
        MAPS,
        json!({"metadata": {"name": name, "ownerReferences": references}}),
    )
    .await
}

async fn start() -> Api {
    let api = Api::start().await;
    api.namespace("demo").await;
    api
}

async fn delete(api: &Api, name: &str, policy: &str) -> u16 {
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
    api.call(Who::Admin, "DELETE", &format!("{MAPS}/{name}"), body)
        .await
        .code
}

#[tokio::test]
async fn dependents_go_with_their_last_owner() {
    let api = start().await;
    let (one, two) = (map(&api, "one", &[]).await, map(&api, "two", &[]).await);
    let child = map(&api, "child", &[&one]).await;
    map(&api, "grandchild", &[&child]).await;
    map(&api, "shared", &[&one, &two]).await;
    assert_eq!(delete(&api, "one", "Background").await, 200);
    for gone in ["child", "grandchild"] {
        api.until(&format!("{MAPS}/{gone}"), |answer| answer.code == 404)
            .await;
    }
    let shared = format!("{MAPS}/shared");
    api.until(&shared, |answer| {
        answer.body["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|list| list.len() == 1)
    })
    .await;
    assert_eq!(delete(&api, "two", "Background").await, 200);
    api.until(&shared, |answer| answer.code == 404).await;
}

#[tokio::test]
async fn foreground_deletion_waits_for_dependents() {
    let api = start().await;
    let owner = map(&api, "owner", &[]).await;
    map(&api, "child", &[&owner]).await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    api.call(Who::Admin, "PATCH", &format!("{MAPS}/child"), hold)
        .await
        .expect(200);
    assert_eq!(delete(&api, "owner", "Foreground").await, 200);
    api.until(&format!("{MAPS}/child"), |answer| {
        answer.body["metadata"]["deletionTimestamp"].is_string()
    })
    .await;
    let waiting = api.get(&format!("{MAPS}/owner")).await.expect(200);
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let release = json!({"metadata": {"finalizers": null}});
    api.call(Who::Admin, "PATCH", &format!("{MAPS}/child"), release)
        .await
        .expect(200);
    api.until(&format!("{MAPS}/owner"), |answer| answer.code == 404)
        .await;
    assert_eq!(api.get(&format!("{MAPS}/child")).await.code, 404);
}

#[tokio::test]
async fn orphans_stay() {
    let api = start().await;
    let owner = map(&api, "owner", &[]).await;
    map(&api, "child", &[&owner]).await;
    assert_eq!(delete(&api, "owner", "Orphan").await, 200);
    api.until(&format!("{MAPS}/owner"), |answer| answer.code == 404)
        .await;
    let child = api.get(&format!("{MAPS}/child")).await.expect(200);
    assert!(child["metadata"].get("ownerReferences").is_none(), "{child:#}");
}

#[tokio::test]
async fn owners_that_nobody_knows_here_are_respected() {
    let api = start().await;
    let gone = json!({"metadata": {"name": "none", "uid": "0"}});
    map(&api, "lost", &[&gone]).await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "1"});
    api.create(
        MAPS,
        json!({"metadata": {"name": "kept", "ownerReferences": [deployment]}}),
    )
    .await;
    api.until(&format!("{MAPS}/lost"), |answer| answer.code == 404)
        .await;
    assert_eq!(api.get(&format!("{MAPS}/kept")).await.code, 200);
}
