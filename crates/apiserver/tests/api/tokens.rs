//! Tokens: asked for, used, and revoked with what they depend on.

use serde_json::{Value, json};

use crate::support::{Api, Who};

const ME: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn request(api: &Api, account: &str, spec: Value) -> crate::support::Answer {
    let path = format!("/api/v1/namespaces/demo/serviceaccounts/{account}/token");
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    api.call(Who::Admin, "POST", &path, body).await
}

#[tokio::test]
async fn a_token_is_its_account() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let answer = request(&api, "builder", json!({"expirationSeconds": 600}))
        .await
        .expect(201);
    assert_eq!(answer["spec"]["audiences"], json!(["https://api.test"]));
    assert_eq!(answer["spec"]["expirationSeconds"], 600);
    assert!(answer["status"]["expirationTimestamp"].is_string());
    let token = answer["status"]["token"].as_str().unwrap();
    let me = api
        .call(Who::Token(token), "POST", ME, json!({}))
        .await
        .expect(201);
    let user = &me["status"]["userInfo"];
    assert_eq!(user["username"], "system:serviceaccount:demo:builder");
    let mut groups: Vec<&str> = user["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    groups.sort_unstable();
    assert_eq!(
        groups,
        [
            "system:authenticated",
            "system:serviceaccounts",
            "system:serviceaccounts:demo"
        ]
    );
    assert!(
        user["extra"]["authentication.kubernetes.io/credential-id"][0]
            .as_str()
            .unwrap()
            .starts_with("JTI=")
    );

    // Rights come with the namespace's bindings.
    let allowed = |resource: &'static str, namespace: &'static str| {
        json!({"spec": {"resourceAttributes": {
            "group": "image.openshift.io", "resource": resource, "subresource": "layers", "verb": "update",
            "namespace": namespace, "name": "app"
        }}})
    };
    let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (namespace, want) in [("demo", true), ("default", false)] {
        let answer = api
            .call(
                Who::Token(token),
                "POST",
                review,
                allowed("imagestreams", namespace),
            )
            .await
            .expect(201);
        assert_eq!(answer["status"]["allowed"], want, "{namespace}");
    }

    // Without its account, the token is nothing; a new account of the name is another one.
    let account = "/api/v1/namespaces/demo/serviceaccounts/builder";
    api.call(Who::Admin, "DELETE", account, Value::Null)
        .await
        .expect(200);
    assert_eq!(api.call(Who::Token(token), "POST", ME, json!({})).await.code, 401);
    api.until(account, |answer| answer.code == 200).await;
    assert_eq!(api.call(Who::Token(token), "POST", ME, json!({})).await.code, 401);
}

#[tokio::test]
async fn what_a_request_may_not_ask() {
    let api = Api::start().await;
    api.namespace("demo").await;
    for (account, spec, code, text) in [
        ("none", json!({}), 404, "serviceaccounts \"none\" not found"),
        (
            "builder",
            json!({"expirationSeconds": 599}),
            422,
            "may not specify a duration less than 10 minutes",
        ),
        (
            "builder",
            json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "none"}}),
            404,
            "secrets \"none\" not found",
        ),
        (
            "builder",
            json!({"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}}),
            400,
            "cannot bind token",
        ),
    ] {
        let answer = request(&api, account, spec.clone()).await;
        assert_eq!(answer.code, code, "{spec}: {:#}", answer.body);
        assert!(answer.message().contains(text), "{spec}: {}", answer.message());
    }
    let garbage = api.call(Who::Token("garbage"), "POST", ME, json!({})).await;
    assert_eq!(garbage.code, 401);
    let nobody = api.call(Who::Nobody, "POST", ME, json!({})).await;
    assert_eq!(nobody.code, 403);
}

#[tokio::test]
async fn a_bound_token_ends_with_its_secret() {
    let api = Api::start().await;
    api.namespace("demo").await;
    api.create(
        "/api/v1/namespaces/demo/secrets",
        json!({"metadata": {"name": "pull"}}),
    )
    .await;
    let spec = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "pull"}});
    let answer = request(&api, "default", spec).await.expect(201);
    let token = answer["status"]["token"].as_str().unwrap();
    assert_eq!(api.call(Who::Token(token), "POST", ME, json!({})).await.code, 201);
    api.call(
        Who::Admin,
        "DELETE",
        "/api/v1/namespaces/demo/secrets/pull",
        Value::Null,
    )
    .await
    .expect(200);
    assert_eq!(api.call(Who::Token(token), "POST", ME, json!({})).await.code, 401);
}

#[tokio::test]
async fn token_secrets_are_filled_and_go_with_their_account() {
    use base64::Engine as _;
    let api = Api::start().await;
    api.namespace("demo").await;
    let secret = |name: &str, account: &str| {
        json!({
            "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": account}},
            "type": "kubernetes.io/service-account-token",
        })
    };
    let secrets = "/api/v1/namespaces/demo/secrets";
    api.create(secrets, secret("long", "builder")).await;
    let path = format!("{secrets}/long");
    let filled = api
        .until(&path, |answer| answer.body["data"]["token"].is_string())
        .await
        .expect(200);
    let decode = |key: &str| {
        let text = filled["data"][key].as_str().unwrap();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
    };
    assert_eq!(decode("namespace"), "demo");
    assert!(decode("ca.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    let token = decode("token");
    let me = api
        .call(Who::Token(&token), "POST", ME, json!({}))
        .await
        .expect(201);
    assert_eq!(
        me["status"]["userInfo"]["username"],
        "system:serviceaccount:demo:builder"
    );

    api.create(secrets, secret("orphan", "none")).await;
    api.until(&format!("{secrets}/orphan"), |answer| answer.code == 404)
        .await;
    api.call(
        Who::Admin,
        "DELETE",
        "/api/v1/namespaces/demo/serviceaccounts/builder",
        Value::Null,
    )
    .await
    .expect(200);
    api.until(&path, |answer| answer.code == 404).await;
}

#[tokio::test]
async fn parts_of_the_process_get_tokens_directly() {
    let api = Api::start().await;
    let hour = jiff::SignedDuration::from_hours(1);
    let issued = api
        .tokens
        .issue("openshift-image-registry", "registry", hour)
        .unwrap();
    let me = api
        .call(Who::Token(&issued.token), "POST", ME, json!({}))
        .await
        .expect(201);
    assert_eq!(
        me["status"]["userInfo"]["username"],
        "system:serviceaccount:openshift-image-registry:registry"
    );
    assert_eq!(
        api.tokens
            .issue("openshift-image-registry", "none", hour)
            .unwrap_err()
            .code(),
        404
    );
}
