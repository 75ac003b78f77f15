//! Roles and bindings through the API: nobody gives what they do not have.

use serde_json::{Value, json};

use crate::support::{Api, Who};

const GROUP: &str = "/apis/rbac.authorization.k8s.io/v1";

fn binding(name: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": user}],
    })
}

#[tokio::test]
async fn an_administrator_of_a_project_gives_no_more_than_that() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let bindings = format!("{GROUP}/namespaces/demo/rolebindings");
    api.create(&bindings, binding("admins", "admin", "ann")).await;
    let ann = Who::User("ann");
    for (role, code) in [
        ("view", 201),
        ("system:image-puller", 201),
        ("edit", 201),
        ("cluster-admin", 403),
        ("none", 404),
    ] {
        let answer = api
            .call(ann, "POST", &bindings, binding(&format!("b-{role}"), role, "bob"))
            .await;
        assert_eq!(answer.code, code, "{role}: {:#}", answer.body);
        if code == 403 {
            let text = answer.message();
            assert!(
                text.contains("is attempting to grant RBAC permissions not currently held"),
                "{text}"
            );
        }
    }
    let bob = Who::User("bob");
    assert_eq!(
        api.call(bob, "GET", "/api/v1/namespaces/demo/configmaps", Value::Null)
            .await
            .code,
        200
    );
    assert_eq!(
        api.call(bob, "POST", &bindings, binding("mine", "view", "bob"))
            .await
            .code,
        403
    );

    let roles = format!("{GROUP}/namespaces/demo/roles");
    let role = |name: &str, resource: &str| json!({"metadata": {"name": name}, "rules": [{"verbs": ["create"], "apiGroups": [""], "resources": [resource]}]});
    assert_eq!(
        api.call(ann, "POST", &roles, role("fine", "configmaps"))
            .await
            .code,
        201
    );
    assert_eq!(
        api.call(ann, "POST", &roles, role("quotas", "resourcequotas"))
            .await
            .code,
        403
    );
    // What somebody else wrote may be labelled by those who could not have written it.
    api.create(&roles, role("quotas", "resourcequotas")).await;
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(
        api.call(ann, "PATCH", &format!("{roles}/quotas"), label)
            .await
            .code,
        200
    );
}

#[tokio::test]
async fn public_pull_is_a_binding() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let mut public = binding("public", "system:image-puller", "");
    public["subjects"] = json!([{"kind": "Group", "name": "system:unauthenticated"}]);
    let review = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let body = json!({"spec": {
        "user": "system:anonymous", "groups": ["system:unauthenticated"],
        "resourceAttributes": {"group": "image.openshift.io", "resource": "imagestreams", "subresource": "layers", "verb": "get", "namespace": "demo"},
    }});
    let before = api
        .call(Who::Admin, "POST", review, body.clone())
        .await
        .expect(201);
    assert_eq!(before["status"]["allowed"], false);
    api.create(&format!("{GROUP}/namespaces/demo/rolebindings"), public)
        .await;
    let after = api.call(Who::Admin, "POST", review, body).await.expect(201);
    assert_eq!(after["status"]["allowed"], true);
}

#[tokio::test]
async fn joined_roles_follow_their_parts() {
    let api = Api::start().await;
    let sum = json!({
        "metadata": {"name": "sum"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"join": "sum"}}]},
    });
    api.create(&format!("{GROUP}/clusterroles"), sum).await;
    let rule = json!({"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["wishes"]});
    let part = json!({"metadata": {"name": "part", "labels": {"join": "sum"}}, "rules": [rule]});
    api.create(&format!("{GROUP}/clusterroles"), part).await;
    let path = format!("{GROUP}/clusterroles/sum");
    api.until(&path, |answer| answer.body["rules"] == json!([rule]))
        .await;
    api.call(
        Who::Admin,
        "DELETE",
        &format!("{GROUP}/clusterroles/part"),
        Value::Null,
    )
    .await
    .expect(200);
    api.until(&path, |answer| answer.body["rules"] == json!([])).await;
    // Rules that somebody writes into a joined role do not last.
    api.call(Who::Admin, "PATCH", &path, json!({"rules": [rule]}))
        .await
        .expect(200);
    api.until(&path, |answer| answer.body["rules"] == json!([])).await;
}

#[tokio::test]
async fn the_role_of_a_binding_cannot_change() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let bindings = format!("{GROUP}/namespaces/demo/rolebindings");
    api.create(&bindings, binding("b", "view", "ann")).await;
    let changed = api
        .call(
            Who::Admin,
            "PATCH",
            &format!("{bindings}/b"),
            json!({"roleRef": {"name": "edit"}}),
        )
        .await;
    assert_eq!(changed.code, 422);
    assert!(
        changed.message().contains("cannot change roleRef"),
        "{}",
        changed.message()
    );
    let stored = api.get(&format!("{bindings}/b")).await.expect(200);
    assert_eq!(
        stored["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io",
        "defaulted"
    );
}
