//! Reviews: who is that, and may they?

use serde_json::{Value, json};

use crate::support::{Api, Who};

const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";

#[tokio::test]
async fn access_reviews_answer_for_anyone_who_is_asked_about() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let subject = format!("{AUTHORIZATION}/subjectaccessreviews");
    let layers = json!({"group": "image.openshift.io", "resource": "imagestreams/layers", "verb": "get", "namespace": "demo", "name": "app"});
    for (user, groups, want) in [
        (
            "system:serviceaccount:demo:default",
            json!(["system:serviceaccounts:demo"]),
            true,
        ),
        (
            "system:serviceaccount:other:default",
            json!(["system:serviceaccounts:other"]),
            false,
        ),
        ("system:anonymous", json!(["system:unauthenticated"]), false),
        ("root", json!(["system:masters"]), true),
    ] {
        let body = json!({"spec": {"user": user, "groups": groups, "resourceAttributes": layers}});
        let answer = api.call(Who::Admin, "POST", &subject, body).await.expect(201);
        assert_eq!(answer["status"]["allowed"], want, "{user}: {answer:#}");
    }
    let nobody = api
        .call(
            Who::Admin,
            "POST",
            &subject,
            json!({"spec": {"resourceAttributes": layers}}),
        )
        .await;
    assert_eq!(nobody.code, 422);
    assert!(
        nobody
            .message()
            .contains("at least one of user or group must be specified"),
        "{}",
        nobody.message()
    );
    assert_eq!(
        api.call(Who::User("ann"), "POST", &subject, json!({})).await.code,
        403
    );

    let local = format!("{AUTHORIZATION}/namespaces/demo/localsubjectaccessreviews");
    let body =
        json!({"metadata": {"namespace": "demo"}, "spec": {"user": "ann", "resourceAttributes": layers}});
    let answer = api.call(Who::Admin, "POST", &local, body).await.expect(201);
    assert_eq!(answer["status"], json!({"allowed": false}));
    let mut elsewhere = layers.clone();
    elsewhere["namespace"] = "default".into();
    let body = json!({"spec": {"user": "ann", "resourceAttributes": elsewhere}});
    assert_eq!(api.call(Who::Admin, "POST", &local, body).await.code, 400);

    let own = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let path = json!({"spec": {"nonResourceAttributes": {"path": "/version", "verb": "get"}}});
    let answer = api.call(Who::User("ann"), "POST", &own, path).await.expect(201);
    assert_eq!(answer["status"]["allowed"], true);
}

#[tokio::test]
async fn rules_reviews_list_what_the_caller_may() {
    let api = Api::start().await;
    let path = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let answer = api
        .call(
            Who::User("ann"),
            "POST",
            &path,
            json!({"spec": {"namespace": "openshift"}}),
        )
        .await
        .expect(201);
    let status = &answer["status"];
    assert_eq!(status["incomplete"], false);
    let resources = status["resourceRules"].as_array().unwrap();
    assert!(
        resources
            .iter()
            .any(|rule| rule["resources"] == json!(["imagestreams/layers"])),
        "{status:#}"
    );
    assert!(!status["nonResourceRules"].as_array().unwrap().is_empty());
    let answer = api
        .call(
            Who::Admin,
            "POST",
            &path,
            json!({"spec": {"namespace": "default"}}),
        )
        .await
        .expect(201);
    assert!(
        answer["status"]["resourceRules"]
            .as_array()
            .unwrap()
            .iter()
            .any(|rule| rule["verbs"] == json!(["*"]))
    );
    assert_eq!(
        api.call(Who::Admin, "POST", &path, json!({"spec": {}}))
            .await
            .code,
        400
    );
}

#[tokio::test]
async fn token_reviews_tell_whose_a_token_is() {
    let api = Api::start().await;
    let registry = api
        .tokens
        .issue(
            "openshift-image-registry",
            "registry",
            jiff::SignedDuration::from_hours(1),
        )
        .unwrap();
    let default = api
        .tokens
        .issue("default", "default", jiff::SignedDuration::from_hours(1))
        .unwrap();
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = |token: &str, audiences: Value| json!({"spec": {"token": token, "audiences": audiences}});
    let asker = Who::Token(&registry.token);
    let answer = api
        .call(asker, "POST", path, review(&default.token, Value::Null))
        .await
        .expect(201);
    assert_eq!(answer["status"]["authenticated"], true);
    assert_eq!(
        answer["status"]["user"]["username"],
        "system:serviceaccount:default:default"
    );
    let answer = api
        .call(
            asker,
            "POST",
            path,
            review(&default.token, json!(["somebody-else"])),
        )
        .await
        .expect(201);
    assert_ne!(answer["status"]["authenticated"], true, "{answer:#}");
    let answer = api
        .call(asker, "POST", path, review("garbage", Value::Null))
        .await
        .expect(201);
    assert_ne!(answer["status"]["authenticated"], true);
    assert_eq!(api.call(asker, "POST", path, json!({"spec": {}})).await.code, 400);
    assert_eq!(
        api.call(Who::Token(&default.token), "POST", path, review("x", Value::Null))
            .await
            .code,
        403
    );
}

#[tokio::test]
async fn the_caller_is_a_user_called_tilde() {
    let api = Api::start().await;
    let path = "/apis/user.openshift.io/v1/users/~";
    let answer = api
        .call(Who::Member("ann", &["b", "a"]), "GET", path, Value::Null)
        .await
        .expect(200);
    assert_eq!(answer["kind"], "User");
    assert_eq!(answer["metadata"]["name"], "ann");
    assert_eq!(answer["groups"], json!(["a", "b", "system:authenticated"]));
    let nobody = api.call(Who::Nobody, "GET", path, Value::Null).await;
    assert_eq!(nobody.code, 403);
    let user = json!({"metadata": {"name": "ann"}, "fullName": "Ann"});
    api.create("/apis/user.openshift.io/v1/users", user).await;
    let answer = api
        .call(Who::User("ann"), "GET", path, Value::Null)
        .await
        .expect(200);
    assert_eq!(answer["fullName"], "Ann");
}
