//! Streams themselves, their subresources, and Images.

use serde_json::{Value, json};

use crate::{
    content::{IMG, binding, bindings, id, image, mapping, path},
    support::{Api, Who},
};

async fn start() -> Api {
    let api = Api::start().await;
    api.namespace("ns").await;
    api.create(&path("ns", "imagestreams"), json!({"metadata": {"name": "app"}}))
        .await;
    api
}

#[tokio::test]
async fn clients_write_the_spec_and_nothing_else() {
    let api = start().await;
    let app = path("ns", "imagestreams/app");
    let events = json!([{"tag": "t", "items": [{"dockerImageReference": "a/b", "image": "sha256:1"}]}]);
    let changed = json!({"metadata": {"generation": 99}, "status": {"tags": events, "dockerImageRepository": "evil/x"}});
    let answer = api
        .call(Who::Admin, "PATCH", &app, changed.clone())
        .await
        .expect(200);
    assert_eq!(
        answer["status"],
        json!({"dockerImageRepository": "registry.test:5000/ns/app"})
    );
    assert_eq!(answer["metadata"]["generation"], 1);
    let mut with_status = changed;
    with_status["metadata"] = json!({"name": "made"});
    let made = api.create(&path("ns", "imagestreams"), with_status).await;
    assert_eq!(
        made["status"],
        json!({"dockerImageRepository": "registry.test:5000/ns/made"})
    );

    let local = json!({"spec": {"lookupPolicy": {"local": true}}});
    assert_eq!(
        api.call(Who::Admin, "PATCH", &app, local.clone())
            .await
            .expect(200)["metadata"]["generation"],
        2
    );
    let mut status = local;
    status["spec"]["lookupPolicy"]["local"] = false.into();
    status["metadata"] = json!({"labels": {"a": "b"}, "annotations": {"c": "d"}});
    let answer = api
        .call(Who::Admin, "PATCH", &format!("{app}/status"), status)
        .await
        .expect(200);
    assert_eq!(
        answer["spec"]["lookupPolicy"]["local"], true,
        "a status write is one of the status"
    );
    assert_eq!(
        (&answer["metadata"]["labels"], &answer["metadata"]["annotations"]),
        (&Value::Null, &Value::Null)
    );

    let mut unversioned = api.get(&app).await.expect(200);
    unversioned["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let refused = api.call(Who::Admin, "PUT", &app, unversioned).await;
    assert_eq!(refused.code, 422);
    assert!(
        refused
            .message()
            .contains("metadata.resourceVersion: Invalid value: 0x0: must be specified for an update")
    );
}

#[tokio::test]
async fn a_kind_that_changes_is_a_change() {
    let api = start().await;
    let app = path("ns", "imagestreams/app");
    api.create(
        &path("ns", "imagestreammappings"),
        mapping("app", "v1", &image("a", 1)),
    )
    .await;
    let wanted =
        |kind: &str| json!({"spec": {"tags": [{"name": "t", "from": {"kind": kind, "name": "v1"}}]}});
    api.call(Who::Admin, "PATCH", &app, wanted("DockerImage"))
        .await
        .expect(200);
    let answer = api
        .call(Who::Admin, "PATCH", &app, wanted("ImageStreamTag"))
        .await
        .expect(200);
    assert_eq!(answer["spec"]["tags"][0]["generation"], 3);
    assert_eq!(
        answer["status"]["tags"][0]["items"][0]["image"],
        id(&image("a", 1))
    );
}

#[tokio::test]
async fn repositories_can_be_selected() {
    let api = start().await;
    for (query, count) in [
        ("status.dockerImageRepository%3Dregistry.test:5000/ns/app", 1),
        ("status.dockerImageRepository%3Dx", 0),
        ("spec.dockerImageRepository%3D", 1),
    ] {
        let list = api
            .get(&format!("{}?fieldSelector={query}", path("ns", "imagestreams")))
            .await;
        assert_eq!(list.names().len(), count, "{query}: {:#}", list.body);
    }
}

#[tokio::test]
async fn pull_secrets_are_for_those_who_may_have_them() {
    let api = start().await;
    let secrets = "/api/v1/namespaces/ns/secrets";
    let config = json!({".dockerconfigjson": "e30="});
    for (name, kind, data, annotations) in [
        ("plain", "Opaque", json!({}), json!({})),
        (
            "pull",
            "kubernetes.io/dockerconfigjson",
            config.clone(),
            json!({}),
        ),
        (
            "hidden",
            "kubernetes.io/dockerconfigjson",
            config,
            json!({"openshift.io/image.excludeSecret": "true"}),
        ),
    ] {
        let metadata = json!({"name": name, "annotations": annotations, "labels": {"l": name}});
        api.create(secrets, json!({"metadata": metadata, "type": kind, "data": data}))
            .await;
    }
    let shown = path("ns", "imagestreams/any/secrets");
    assert_eq!(api.get(&shown).await.names(), ["pull"]);
    assert_eq!(
        api.get(&format!("{shown}?labelSelector=l%3Dother")).await.names(),
        Vec::<&str>::new()
    );
    for (role, code) in [("view", 403), ("edit", 200)] {
        api.create(&bindings("ns"), binding(role, role)).await;
        assert_eq!(
            api.call(Who::User(role), "GET", &shown, Value::Null).await.code,
            code,
            "{role}"
        );
    }
}

#[tokio::test]
async fn layers_are_the_right_to_pull() {
    let api = start().await;
    let layers = path("ns", "imagestreams/app/layers");
    assert_eq!(
        api.call(Who::User("ann"), "GET", &layers, Value::Null).await.code,
        403
    );
    api.create(&bindings("ns"), binding("system:image-puller", "ann"))
        .await;
    assert_eq!(
        api.call(Who::User("ann"), "GET", &layers, Value::Null).await.code,
        200
    );
    assert_eq!(api.get(&path("ns", "imagestreams/none/layers")).await.code, 404);
    let pruned = image("a", 1);
    api.create(&path("ns", "imagestreammappings"), mapping("app", "v1", &pruned))
        .await;
    api.call(
        Who::Admin,
        "DELETE",
        &format!("{IMG}/images/{}", id(&pruned)),
        Value::Null,
    )
    .await
    .expect(200);
    let view = api.get(&layers).await.expect(200);
    assert_eq!(view["images"][id(&pruned)]["imageMissing"], true);
}

#[tokio::test]
async fn images_keep_their_content() {
    let api = start().await;
    let image = image("a", 1);
    let path = format!("{IMG}/images/{}", id(&image));
    let stored = api.create(&format!("{IMG}/images"), image.clone()).await;
    let change = json!({
        "dockerImageMetadata": {"Size": 1}, "dockerImageLayers": null, "dockerImageManifestMediaType": "x/y",
        "dockerImageManifest": "other", "metadata": {"annotations": {"a": "b"}},
    });
    let answer = api.call(Who::Admin, "PATCH", &path, change).await.expect(200);
    for field in [
        "dockerImageMetadata",
        "dockerImageLayers",
        "dockerImageManifestMediaType",
        "dockerImageManifest",
    ] {
        assert_eq!(answer[field], stored[field], "{field}");
    }
    assert_eq!(answer["metadata"]["annotations"]["a"], "b");
    let nowhere = api
        .call(Who::Admin, "PATCH", &path, json!({"dockerImageReference": ""}))
        .await;
    assert_eq!(nowhere.code, 422);
}

#[tokio::test]
async fn signatures_are_added_once() {
    let api = start().await;
    let image = image("a", 1);
    api.create(&format!("{IMG}/images"), image.clone()).await;
    let signatures = format!("{IMG}/imagesignatures");
    let signature =
        |name: &str, content: &str| json!({"metadata": {"name": name}, "type": "atomic", "content": content});
    let first = format!("{}@one", id(&image));
    let dry = format!("{signatures}?dryRun=All");
    api.call(Who::Admin, "POST", &dry, signature(&first, "c2ln"))
        .await
        .expect(201);
    for (name, content, code) in [
        (first.as_str(), "c2ln", 201),
        (first.as_str(), "b3RoZXI=", 409),
        (&format!("{}@two", id(&image)), "c2ln", 409),
        (&format!("{}@two", id(&image)), "b3RoZXI=", 201),
        ("sha256:none@x", "c2ln", 404),
        ("no-image", "c2ln", 422),
        ("a@b@c", "c2ln", 422),
    ] {
        let answer = api
            .call(Who::Admin, "POST", &signatures, signature(name, content))
            .await;
        assert_eq!(answer.code, code, "{name} {content}: {:#}", answer.body);
    }
    for code in [200, 404] {
        let answer = api
            .call(
                Who::Admin,
                "DELETE",
                &format!("{signatures}/{first}"),
                Value::Null,
            )
            .await;
        assert_eq!(answer.code, code, "{:#}", answer.body);
    }
    let stored = api.get(&format!("{IMG}/images/{}", id(&image))).await.expect(200);
    assert_eq!(stored["signatures"].as_array().map(Vec::len), Some(1));
}
