//! Quotas: refused beyond, given back after.

use serde_json::{Value, json};

use crate::support::{Api, Who};

#[tokio::test]
async fn objects_are_counted_and_refused() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let maps = "/api/v1/namespaces/demo/configmaps";
    let map = |name: &str| json!({"metadata": {"name": name}});
    api.create(maps, map("before")).await;
    let quota =
        json!({"metadata": {"name": "small"}, "spec": {"hard": {"configmaps": 2, "count/secrets": "1"}}});
    api.create("/api/v1/namespaces/demo/resourcequotas", quota).await;
    let path = "/api/v1/namespaces/demo/resourcequotas/small";
    let used = |configmaps: &'static str, secrets: &'static str| {
        move |answer: &crate::support::Answer| {
            answer.body["status"]["used"] == json!({"configmaps": configmaps, "count/secrets": secrets})
        }
    };
    let seen = api.until(path, used("1", "0")).await;
    assert_eq!(
        seen.body["status"]["hard"],
        json!({"configmaps": "2", "count/secrets": "1"})
    );

    api.create(maps, map("second")).await;
    let third = api.call(Who::Admin, "POST", maps, map("third")).await;
    assert_eq!(third.code, 403);
    assert_eq!(
        third.message(),
        "configmaps \"third\" is forbidden: exceeded quota: small, requested: configmaps=1, used: configmaps=2, limited: \
         configmaps=2"
    );
    let dry = api
        .call(
            Who::Admin,
            "POST",
            "/api/v1/namespaces/demo/secrets?dryRun=All",
            map("s"),
        )
        .await;
    assert_eq!(dry.code, 201, "a dry run takes no place");
    api.create("/api/v1/namespaces/demo/secrets", map("s")).await;
    api.until(path, used("2", "1")).await;

    api.call(Who::Admin, "DELETE", &format!("{maps}/before"), Value::Null)
        .await
        .expect(200);
    api.until(path, used("1", "1")).await;
    api.create(maps, map("third")).await;
    // One that fails after it was charged gives its place back.
    api.call(Who::Admin, "DELETE", &format!("{maps}/third"), Value::Null)
        .await
        .expect(200);
    api.until(path, used("1", "1")).await;
    let twice = api.call(Who::Admin, "POST", maps, map("second")).await;
    assert_eq!(twice.code, 409, "{:#}", twice.body);
    api.until(path, used("1", "1")).await;
}

#[tokio::test]
async fn the_last_place_is_given_once() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": {"configmaps": "5"}}});
    api.create("/api/v1/namespaces/demo/resourcequotas", quota).await;
    let creations = (0..20).map(|index| {
        let map = json!({"metadata": {"name": format!("m{index}")}});
        api.call(Who::Admin, "POST", "/api/v1/namespaces/demo/configmaps", map)
    });
    let answers = futures_util::future::join_all(creations).await;
    let created = answers.iter().filter(|answer| answer.code == 201).count();
    assert_eq!(created, 5, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.code, 201 | 403)));
}
