//! Nobody gets at content by merely knowing its digest.

use serde_json::{Value, json};

use crate::{
    content::{binding, bindings, digest, id, image, mapping, path},
    support::{Api, Who},
};

/// Ann may edit `mine`; there is an image in `secret` that is not hers.
async fn two_projects() -> (Api, Value) {
    let api = Api::start().await;
    for namespace in ["mine", "secret"] {
        api.namespace(namespace).await;
        api.create(
            &path(namespace, "imagestreams"),
            json!({"metadata": {"name": "app"}}),
        )
        .await;
    }
    api.create(&bindings("mine"), binding("edit", "ann")).await;
    let image = image("secret", 10);
    api.create(
        &path("secret", "imagestreammappings"),
        mapping("app", "v1", &image),
    )
    .await;
    (api, image)
}

const ANN: Who<'_> = Who::User("ann");

async fn held(api: &Api) -> Value {
    api.get(&path("mine", "imagestreams/app/layers"))
        .await
        .expect(200)["images"]
        .clone()
}

#[tokio::test]
async fn a_mapping_does_not_bring_in_what_somebody_else_pushed() {
    let (api, foreign) = two_projects().await;
    let mappings = path("mine", "imagestreammappings");
    let refused = api
        .call(ANN, "POST", &mappings, mapping("app", "v1", &foreign))
        .await;
    assert_eq!(refused.code, 403, "{:#}", refused.body);
    assert!(
        refused.message().contains("is not in this stream"),
        "{}",
        refused.message()
    );

    // Nor does a manifest of her own that names the same layers.
    let mut own = image("secret", 11);
    assert_ne!(id(&own), id(&foreign));
    assert_eq!(
        api.call(ANN, "POST", &mappings, mapping("app", "v1", &own))
            .await
            .code,
        403
    );
    assert_eq!(
        api.get(&format!("/apis/image.openshift.io/v1/images/{}", id(&own)))
            .await
            .code,
        404,
        "nothing is left behind"
    );

    // Nor a false name, for those who may post any mapping.
    own["metadata"]["name"] = digest("anything").into();
    let planted = api
        .call(Who::Admin, "POST", &mappings, mapping("app", "v1", &own))
        .await;
    assert_eq!(planted.code, 422, "{:#}", planted.body);
    let planted = api
        .call(Who::Admin, "POST", "/apis/image.openshift.io/v1/images", own)
        .await;
    assert_eq!(planted.code, 422, "{:#}", planted.body);
    assert_eq!(held(&api).await, json!({}));
}

#[tokio::test]
async fn a_stream_s_own_images_may_be_mapped_again() {
    let (api, _) = two_projects().await;
    let mappings = path("mine", "imagestreammappings");
    let own = image("mine", 10);
    api.create(&mappings, mapping("app", "v1", &own)).await;
    api.call(ANN, "POST", &mappings, mapping("app", "v2", &own))
        .await
        .expect(201);
    let tag = api.get(&path("mine", "imagestreamtags/app:v2")).await.expect(200);
    assert_eq!(tag["image"]["metadata"]["name"], own["metadata"]["name"]);
}

#[tokio::test]
async fn a_status_write_does_not_bring_it_in_either() {
    let (api, foreign) = two_projects().await;
    let rules = json!([{"apiGroups": ["image.openshift.io"], "resources": ["imagestreams/status"], "verbs": ["update", "patch"]}]);
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    api.create(roles, json!({"metadata": {"name": "status"}, "rules": rules}))
        .await;
    api.create(&bindings("mine"), binding("status", "ann")).await;
    let status = path("mine", "imagestreams/app/status");
    let item = |image: &str| json!({"status": {"tags": [{"tag": "v1", "items": [{"dockerImageReference": "a/b", "image": image}]}]}});
    let refused = api.call(ANN, "PATCH", &status, item(&id(&foreign))).await;
    assert_eq!(refused.code, 403, "{:#}", refused.body);
    assert_eq!(held(&api).await, json!({}));
    // What names no image gives access to nothing, and whoever may create Images may do as they like.
    api.call(ANN, "PATCH", &status, item("")).await.expect(200);
    api.call(Who::Admin, "PATCH", &status, item(&id(&foreign)))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_foreign_tag_needs_the_right_to_pull_it() {
    let (api, foreign) = two_projects().await;
    let tags = path("mine", "imagestreamtags");
    let from = json!({"kind": "ImageStreamTag", "namespace": "secret", "name": "app:v1"});
    let tag = json!({"metadata": {"name": "app:copy"}, "tag": {"from": from}});
    let refused = api.call(ANN, "POST", &tags, tag.clone()).await;
    assert_eq!(refused.code, 422, "{:#}", refused.body);
    assert!(
        refused
            .message()
            .contains("spec.tags[copy].from: Forbidden: secret/app"),
        "{}",
        refused.message()
    );
    // A stream that does not exist is refused in the same words.
    let mut missing = tag.clone();
    missing["tag"]["from"]["name"] = "none:v1".into();
    let unseen = api.call(ANN, "POST", &tags, missing).await;
    assert!(
        unseen
            .message()
            .contains("spec.tags[copy].from: Forbidden: secret/none"),
        "{}",
        unseen.message()
    );
    assert_eq!(held(&api).await, json!({}));

    api.create(&bindings("secret"), binding("system:image-puller", "ann"))
        .await;
    let created = api.call(ANN, "POST", &tags, tag).await.expect(201);
    assert_eq!(created["image"]["metadata"]["name"], foreign["metadata"]["name"]);
    assert!(held(&api).await.get(id(&foreign)).is_some());
}
