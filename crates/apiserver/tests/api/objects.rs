//! The plain kinds, and how they are shown.

use serde_json::{Value, json};

use crate::support::{Api, Who};

#[tokio::test]
async fn columns_are_those_that_kubectl_users_know() {
    let api = Api::start().await;
    api.namespace("demo").await;
    api.create(
        "/api/v1/namespaces/demo/secrets",
        json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}}),
    )
    .await;
    api.create(
        "/api/v1/namespaces/demo/configmaps",
        json!({"metadata": {"name": "c"}, "data": {"a": "b", "c": "d"}}),
    )
    .await;
    api.create(
        "/api/v1/namespaces/demo/limitranges",
        json!({"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container"}]}}),
    )
    .await;
    let event = json!({
        "metadata": {"name": "e"}, "involvedObject": {"kind": "ConfigMap", "namespace": "demo", "name": "c"},
        "reason": "Seen", "message": "somebody looked", "type": "Normal", "source": {"component": "test"},
    });
    api.create("/api/v1/namespaces/demo/events", event).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    for (path, columns, row) in [
        (
            "/api/v1/namespaces/demo".to_owned(),
            vec!["Name", "Status", "Age"],
            json!(["demo", "Active"]),
        ),
        (
            "/api/v1/namespaces/demo/secrets/s".to_owned(),
            vec!["Name", "Type", "Data", "Age"],
            json!(["s", "Opaque", 1]),
        ),
        (
            "/api/v1/namespaces/demo/configmaps/c".to_owned(),
            vec!["Name", "Data", "Age"],
            json!(["c", 2]),
        ),
        (
            "/api/v1/namespaces/demo/serviceaccounts/builder".to_owned(),
            vec!["Name", "Secrets", "Age"],
            json!(["builder", 0]),
        ),
        (
            "/api/v1/namespaces/demo/limitranges/l".to_owned(),
            vec!["Name", "Created At"],
            json!(["l"]),
        ),
        (
            "/api/v1/namespaces/demo/events/e".to_owned(),
            vec![
                "Last Seen",
                "Type",
                "Reason",
                "Object",
                "Subobject",
                "Source",
                "Message",
                "First Seen",
                "Count",
                "Name",
            ],
            json!([
                "<unknown>",
                "Normal",
                "Seen",
                "configmap/c",
                "",
                "test",
                "somebody looked",
                "<unknown>",
                1,
                "e"
            ]),
        ),
        (
            format!("{rbac}/clusterroles/view"),
            vec!["Name", "Created At"],
            json!(["view"]),
        ),
        (
            format!("{rbac}/namespaces/demo/rolebindings/system:image-builders"),
            vec!["Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"],
            json!(["system:image-builders", "ClusterRole/system:image-builder"]),
        ),
        (
            "/apis/project.openshift.io/v1/projects/demo".to_owned(),
            vec!["Name", "Display Name", "Status"],
            json!(["demo", "", "Active"]),
        ),
    ] {
        let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
        let table = api
            .send(Who::Admin, "GET", &path, &accept, Value::Null)
            .await
            .expect(200);
        let got: Vec<_> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(got, columns, "{path}");
        let cells = table["rows"][0]["cells"].as_array().unwrap();
        let row = row.as_array().unwrap();
        assert_eq!(&cells[..row.len()], row.as_slice(), "{path}");
    }
}

#[tokio::test]
async fn short_names_and_verbs_are_discovered() {
    let api = Api::start().await;
    let list = api.get("/api/v1").await.expect(200);
    let resources = list["resources"].as_array().unwrap();
    let find = |name: &str| {
        resources
            .iter()
            .find(|resource| resource["name"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    for (name, short) in [
        ("namespaces", json!(["ns"])),
        ("configmaps", json!(["cm"])),
        ("serviceaccounts", json!(["sa"])),
        ("events", json!(["ev"])),
        ("limitranges", json!(["limits"])),
        ("resourcequotas", json!(["quota"])),
    ] {
        assert_eq!(find(name)["shortNames"], short, "{name}");
    }
    assert_eq!(find("serviceaccounts/token")["kind"], "TokenRequest");
    assert_eq!(find("serviceaccounts/token")["group"], "authentication.k8s.io");
    assert_eq!(find("namespaces/finalize")["verbs"], json!(["update"]));
    let groups = api.get("/apis").await.expect(200);
    let groups: Vec<&str> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|group| group["name"].as_str())
        .collect();
    for group in [
        "authentication.k8s.io",
        "authorization.k8s.io",
        "project.openshift.io",
        "rbac.authorization.k8s.io",
        "user.openshift.io",
    ] {
        assert!(groups.contains(&group), "{group}: {groups:?}");
    }
}

#[tokio::test]
async fn secrets_keep_their_word() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let secrets = "/api/v1/namespaces/demo/secrets";
    let created = api
        .create(secrets, json!({"metadata": {"name": "s"}, "stringData": {"a": "x"}, "data": {"b": "eQ=="}, "immutable": true}))
        .await;
    assert_eq!(created["data"], json!({"a": "eA==", "b": "eQ=="}));
    assert!(created.get("stringData").is_none());
    let path = format!("{secrets}/s");
    let changed = api
        .call(Who::Admin, "PATCH", &path, json!({"stringData": {"a": "y"}}))
        .await;
    assert_eq!(changed.code, 422);
    assert_eq!(
        changed.message(),
        "Secret \"s\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
    );
    let labelled = api
        .call(
            Who::Admin,
            "PATCH",
            &path,
            json!({"metadata": {"labels": {"a": "b"}}}),
        )
        .await;
    assert_eq!(labelled.code, 200);
    let typed = api
        .call(
            Who::Admin,
            "POST",
            secrets,
            json!({"metadata": {"name": "t"}, "type": "kubernetes.io/tls"}),
        )
        .await;
    assert_eq!(typed.code, 422);
    let listed = api.get(&format!("{secrets}?fieldSelector=type%3DOpaque")).await;
    assert_eq!(listed.names(), ["s"]);
}

#[tokio::test]
async fn events_are_selected_by_their_object() {
    let api = Api::start().await;
    api.namespace("demo").await;
    for name in ["a", "b"] {
        let event = json!({
            "metadata": {"name": format!("on-{name}")}, "reason": "Seen",
            "involvedObject": {"kind": "ConfigMap", "namespace": "demo", "name": name, "uid": name},
        });
        api.create("/api/v1/namespaces/demo/events", event).await;
    }
    let selector = "involvedObject.name%3Db%2CinvolvedObject.namespace%3Ddemo%2CinvolvedObject.uid%3Db";
    let listed = api
        .get(&format!(
            "/api/v1/namespaces/demo/events?fieldSelector={selector}"
        ))
        .await;
    assert_eq!(listed.names(), ["on-b"]);
}

#[tokio::test]
async fn issuer_documents_are_for_service_accounts() {
    let api = Api::start().await;
    let token = api
        .tokens
        .issue("default", "default", jiff::SignedDuration::from_hours(1))
        .unwrap()
        .token;
    let path = "/.well-known/openid-configuration";
    let document = api
        .call(Who::Token(&token), "GET", path, Value::Null)
        .await
        .expect(200);
    assert_eq!(document["issuer"], "https://api.test");
    let keys = api
        .call(Who::Token(&token), "GET", "/openid/v1/jwks", Value::Null)
        .await
        .expect(200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert_eq!(api.call(Who::Nobody, "GET", path, Value::Null).await.code, 403);
}
