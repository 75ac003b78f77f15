//! LimitRanges and quotas of images.

use serde_json::{Value, json};

use crate::{
    content::{IMG, image, index, mapping, path},
    support::{Api, Who},
};

async fn start(limit_type: &str, max: Value) -> Api {
    let api = Api::start().await;
    api.namespace("ns").await;
    api.create(&path("ns", "imagestreams"), json!({"metadata": {"name": "app"}}))
        .await;
    let spec = json!({"limits": [{"type": limit_type, "max": max}]});
    api.create(
        "/api/v1/namespaces/ns/limitranges",
        json!({"metadata": {"name": "small"}, "spec": spec}),
    )
    .await;
    api
}

async fn push(api: &Api, tag: &str, image: &Value) -> (u16, String) {
    let answer = api
        .call(
            Who::Admin,
            "POST",
            &path("ns", "imagestreammappings"),
            mapping("app", tag, image),
        )
        .await;
    (answer.code, answer.message().to_owned())
}

#[tokio::test]
async fn images_have_a_largest_size() {
    let api = start("openshift.io/Image", json!({"storage": "1Ki"})).await;
    assert_eq!(
        push(&api, "v1", &image("just", 1022)).await.0,
        201,
        "equal is allowed"
    );
    let (code, text) = push(&api, "v1", &image("more", 1023)).await;
    assert_eq!(code, 403);
    assert!(
        text.contains(
            "requested usage of storage exceeds the maximum limit per openshift.io/Image (1025 > 1Ki)"
        ),
        "{text}"
    );

    let (small, large) = (image("small", 1000), image("large", 2000));
    for image in [&small, &large] {
        api.create(&format!("{IMG}/images"), image.clone()).await;
    }
    assert_eq!(
        push(&api, "v2", &index(&[&small, &small])).await.0,
        201,
        "an index is as large as its largest entry"
    );
    assert_eq!(push(&api, "v3", &index(&[&small, &large])).await.0, 403);
}

#[tokio::test]
async fn streams_have_a_largest_number_of_images() {
    let api = start("openshift.io/ImageStream", json!({"openshift.io/images": 1})).await;
    assert_eq!(push(&api, "v1", &image("a", 1)).await.0, 201);
    assert_eq!(
        push(&api, "v2", &image("a", 1)).await.0,
        201,
        "the same image counts once"
    );
    let (code, text) = push(&api, "v3", &image("b", 1)).await;
    assert_eq!(code, 422);
    let words = "requested usage of openshift.io/images exceeds the maximum limit per openshift.io/ImageStream (2 > 1)";
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn streams_have_a_largest_number_of_tags() {
    let api = start(
        "openshift.io/ImageStream",
        json!({"openshift.io/image-tags": "1"}),
    )
    .await;
    let tag = |name: &str, from: &str| json!({"metadata": {"name": format!("app:{name}")}, "tag": {"from": {"kind": "DockerImage", "name": from}}});
    let tags = path("ns", "imagestreamtags");
    api.create(&tags, tag("a", "quay.io/a/b:1")).await;
    api.create(&tags, tag("b", "quay.io/a/b:1")).await;
    let refused = api
        .call(Who::Admin, "POST", &tags, tag("c", "quay.io/a/b:2"))
        .await;
    assert_eq!(refused.code, 422);
    assert!(
        refused
            .message()
            .contains("exceeds the maximum limit per openshift.io/ImageStream (2 > 1)"),
        "{}",
        refused.message()
    );
    // What was there before the limit may stay and be changed.
    let none = json!({"spec": {"limits": [{"type": "openshift.io/ImageStream", "max": {"openshift.io/image-tags": 0}}]}});
    api.call(
        Who::Admin,
        "PATCH",
        "/api/v1/namespaces/ns/limitranges/small",
        none,
    )
    .await
    .expect(200);
    let annotated = json!({"metadata": {"annotations": {"a": "b"}}});
    api.call(
        Who::Admin,
        "PATCH",
        &path("ns", "imagestreamtags/app:a"),
        annotated,
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn a_stream_that_a_tag_brings_into_being_counts() {
    let api = Api::start().await;
    api.namespace("ns").await;
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": {"openshift.io/imagestreams": "1"}}});
    api.create("/api/v1/namespaces/ns/resourcequotas", quota).await;
    let quota = "/api/v1/namespaces/ns/resourcequotas/small";
    api.until(quota, |answer| {
        answer.body["status"]["used"]["openshift.io/imagestreams"] == "0"
    })
    .await;
    let from = json!({"kind": "DockerImage", "name": "quay.io/a/b:1"});
    let tag = |stream: &str| json!({"metadata": {"name": format!("{stream}:t")}, "tag": {"from": from}});
    let image_tag = |stream: &str| json!({"metadata": {"name": format!("{stream}:t")}, "spec": {"name": "t", "from": from}});
    api.create(&path("ns", "imagestreamtags"), tag("first")).await;
    for (resource, body) in [
        ("imagestreamtags", tag("second")),
        ("imagetags", image_tag("third")),
    ] {
        let refused = api.call(Who::Admin, "POST", &path("ns", resource), body).await;
        assert_eq!(refused.code, 403, "{resource}: {:#}", refused.body);
        assert!(
            refused.message().contains("exceeded quota: small"),
            "{}",
            refused.message()
        );
    }
}
