//! Namespaces: what they come with, and their end.

use serde_json::{Value, json};

use crate::support::{Api, Who};

#[tokio::test]
async fn a_namespace_has_its_defaults_when_its_creation_is_answered() {
    let api = Api::start().await;
    let created = api
        .create(
            "/api/v1/namespaces",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}),
        )
        .await;
    assert_eq!(
        created["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "demo"})
    );
    assert_eq!(created["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(created["status"], json!({"phase": "Active"}));
    let accounts = api.get("/api/v1/namespaces/demo/serviceaccounts").await;
    assert_eq!(accounts.names(), ["builder", "default", "deployer"]);
    let bindings = api
        .get("/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings")
        .await;
    assert_eq!(
        bindings.names(),
        [
            "system:deployers",
            "system:image-builders",
            "system:image-pullers"
        ]
    );
}

#[tokio::test]
async fn deleted_defaults_come_back_and_emptied_ones_stay_empty() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings";
    let puller = format!("{bindings}/system:image-pullers");
    let old = api.get(&puller).await.expect(200);
    api.call(Who::Admin, "DELETE", &puller, Value::Null)
        .await
        .expect(200);
    api.until(&puller, |answer| {
        answer.code == 200 && answer.body["metadata"]["uid"] != old["metadata"]["uid"]
    })
    .await;
    let account = "/api/v1/namespaces/demo/serviceaccounts/builder";
    api.call(Who::Admin, "DELETE", account, Value::Null)
        .await
        .expect(200);
    api.until(account, |answer| answer.code == 200).await;

    let builders = format!("{bindings}/system:image-builders");
    api.call(Who::Admin, "PATCH", &builders, json!({"subjects": null}))
        .await
        .expect(200);
    // Something that the controller does come back for, to know that it had its turn.
    api.call(Who::Admin, "DELETE", &puller, Value::Null)
        .await
        .expect(200);
    api.until(&puller, |answer| answer.code == 200).await;
    let emptied = api.get(&builders).await.expect(200);
    assert!(
        emptied
            .get("subjects")
            .is_none_or(|subjects| subjects == &json!([])),
        "{emptied:#}"
    );
}

#[tokio::test]
async fn deletion_takes_everything_along() {
    let api = Api::start().await;
    api.namespace("demo").await;
    api.namespace("other").await;
    for namespace in ["demo", "other"] {
        for index in 0..3 {
            let map = json!({"metadata": {"name": format!("m{index}")}, "data": {"a": "b"}});
            api.create(&format!("/api/v1/namespaces/{namespace}/configmaps"), map)
                .await;
        }
    }
    let deleted = api
        .call(Who::Admin, "DELETE", "/api/v1/namespaces/demo", Value::Null)
        .await
        .expect(200);
    assert_eq!(deleted["status"]["phase"], "Terminating");
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    api.until("/api/v1/namespaces/demo", |answer| answer.code == 404)
        .await;
    let left = api.get("/api/v1/configmaps").await;
    assert_eq!(left.names(), ["m0", "m1", "m2"]);
    for path in [
        "/api/v1/namespaces/demo/serviceaccounts",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings",
    ] {
        assert_eq!(api.get(path).await.names(), Vec::<&str>::new(), "{path}");
    }
    // The name is free again, and starts afresh.
    api.namespace("demo").await;
    assert_eq!(
        api.get("/api/v1/namespaces/demo/configmaps").await.names(),
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn a_finalizer_holds_the_namespace_and_is_named() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let map = json!({"metadata": {"name": "held", "finalizers": ["example.com/keep"]}});
    api.create("/api/v1/namespaces/demo/configmaps", map).await;
    api.call(Who::Admin, "DELETE", "/api/v1/namespaces/demo", Value::Null)
        .await
        .expect(200);
    let condition = |answer: &crate::support::Answer, kind: &str| -> Value {
        let list = answer.body["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        list.into_iter()
            .find(|condition| condition["type"] == kind)
            .unwrap_or_default()
    };
    let held = api
        .until("/api/v1/namespaces/demo", |answer| {
            condition(answer, "NamespaceFinalizersRemaining")["status"] == "True"
        })
        .await;
    assert_eq!(
        condition(&held, "NamespaceFinalizersRemaining")["message"],
        "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances"
    );
    assert_eq!(
        condition(&held, "NamespaceContentRemaining")["message"],
        "Some resources are remaining: configmaps. has 1 resource instances"
    );

    let refused = api
        .call(
            Who::Admin,
            "POST",
            "/api/v1/namespaces/demo/configmaps",
            json!({"metadata": {"name": "late"}}),
        )
        .await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message(),
        "configmaps \"late\" is forbidden: unable to create new content in namespace demo because it is being terminated"
    );
    assert_eq!(
        refused.body["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );

    let path = "/api/v1/namespaces/demo/configmaps/held";
    api.call(
        Who::Admin,
        "PATCH",
        path,
        json!({"metadata": {"finalizers": null}}),
    )
    .await
    .expect(200);
    api.until("/api/v1/namespaces/demo", |answer| answer.code == 404)
        .await;
}

#[tokio::test]
async fn what_a_namespace_refuses() {
    let api = Api::start().await;
    let missing = api
        .call(
            Who::Admin,
            "POST",
            "/api/v1/namespaces/none/configmaps",
            json!({"metadata": {"name": "a"}}),
        )
        .await;
    assert_eq!(
        (missing.code, missing.message()),
        (404, "namespaces \"none\" not found")
    );
    let immortal = api
        .call(Who::Admin, "DELETE", "/api/v1/namespaces/default", Value::Null)
        .await;
    assert_eq!(immortal.code, 403);
    assert_eq!(
        immortal.message(),
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
    let name = api
        .call(
            Who::Admin,
            "POST",
            "/api/v1/namespaces",
            json!({"metadata": {"name": "A_b"}}),
        )
        .await;
    assert_eq!(name.code, 422, "{:#}", name.body);
    let all = api
        .call(Who::Admin, "DELETE", "/api/v1/namespaces", Value::Null)
        .await;
    assert_eq!(all.code, 405);
}

#[tokio::test]
async fn finalizers_of_the_spec_change_through_finalize_only() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let mut namespace = api.get("/api/v1/namespaces/demo").await.expect(200);
    namespace["spec"]["finalizers"] = json!(["kubernetes", "example.com/more"]);
    let same = api
        .call(Who::Admin, "PUT", "/api/v1/namespaces/demo", namespace.clone())
        .await
        .expect(200);
    assert_eq!(same["spec"]["finalizers"], json!(["kubernetes"]));
    namespace["metadata"]["resourceVersion"] = same["metadata"]["resourceVersion"].clone();
    let more = api
        .call(Who::Admin, "PUT", "/api/v1/namespaces/demo/finalize", namespace)
        .await
        .expect(200);
    assert_eq!(
        more["spec"]["finalizers"],
        json!(["kubernetes", "example.com/more"])
    );

    api.call(Who::Admin, "DELETE", "/api/v1/namespaces/demo", Value::Null)
        .await
        .expect(200);
    let waiting = api
        .until("/api/v1/namespaces/demo", |answer| {
            answer.body["spec"]["finalizers"] == json!(["example.com/more"])
        })
        .await;
    let mut namespace = waiting.expect(200);
    namespace["spec"] = json!({});
    api.call(Who::Admin, "PUT", "/api/v1/namespaces/demo/finalize", namespace)
        .await
        .expect(200);
    api.until("/api/v1/namespaces/demo", |answer| answer.code == 404)
        .await;
}

#[tokio::test]
async fn a_name_that_is_taken_again_at_once_keeps_its_new_content() {
    let api = Api::start().await;
    for round in 0..15 {
        api.namespace("demo").await;
        let map = json!({"metadata": {"name": format!("m{round}")}});
        api.create("/api/v1/namespaces/demo/configmaps", map).await;
        tokio::time::sleep(std::time::Duration::from_millis(round)).await;
        let names = api.get("/api/v1/namespaces/demo/configmaps").await;
        assert_eq!(names.names(), [format!("m{round}")], "round {round}");
        assert_eq!(
            api.get("/api/v1/namespaces/demo/serviceaccounts")
                .await
                .names()
                .len(),
            3,
            "round {round}"
        );
        api.call(Who::Admin, "DELETE", "/api/v1/namespaces/demo", Value::Null)
            .await
            .expect(200);
        api.until("/api/v1/namespaces/demo", |answer| answer.code == 404)
            .await;
    }
}
