//! Mappings: what a push leaves behind.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    content::{IMG, digest, id, image, index, mapping, path},
    support::{Api, Who},
};

async fn start() -> Api {
    let api = Api::start().await;
    api.namespace("ns").await;
    api.create(&path("ns", "imagestreams"), json!({"metadata": {"name": "app"}}))
        .await;
    api
}

async fn history(api: &Api, tag: &str) -> Vec<Value> {
    let stream = api.get(&path("ns", "imagestreams/app")).await.expect(200);
    let tags = stream["status"]["tags"].as_array().cloned().unwrap_or_default();
    let list = tags.into_iter().find(|list| list["tag"] == tag);
    list.and_then(|list| list["items"].as_array().cloned())
        .unwrap_or_default()
}

#[tokio::test]
async fn concurrent_pushes_all_arrive() {
    let api = start().await;
    let pushes = (0..48).map(|n| {
        let tag = format!("t{}", n % 6);
        let (api, mappings) = (&api, path("ns", "imagestreammappings"));
        async move {
            api.call(
                Who::Admin,
                "POST",
                &mappings,
                mapping("app", &tag, &image(&n.to_string(), 1)),
            )
            .await
        }
    });
    for answer in join_all(pushes).await {
        answer.expect(201);
    }
    let mut images = Vec::new();
    for tag in 0..6 {
        images.extend(
            history(&api, &format!("t{tag}"))
                .await
                .iter()
                .map(|item| item["image"].to_string()),
        );
    }
    images.sort();
    images.dedup();
    assert_eq!(images.len(), 48, "no push is lost");
}

#[tokio::test]
async fn an_image_that_exists_points_to_the_stream_it_is_pushed_to() {
    let api = start().await;
    let image = image("a", 1);
    let mappings = path("ns", "imagestreammappings");
    api.create(&mappings, mapping("app", "first", &image)).await;
    assert_eq!(
        history(&api, "first").await[0]["dockerImageReference"],
        image["dockerImageReference"]
    );
    api.create(&mappings, mapping("app", "again", &image)).await;
    let want = format!("registry.test:5000/ns/app@{}", id(&image));
    assert_eq!(history(&api, "again").await[0]["dockerImageReference"], want);
    let mut unplaced = image.clone();
    unplaced.as_object_mut().unwrap().remove("dockerImageReference");
    api.create(&mappings, mapping("app", "unplaced", &unplaced)).await;
    assert_eq!(history(&api, "unplaced").await[0]["dockerImageReference"], want);
}

#[tokio::test]
async fn followers_move_with_a_push() {
    let api = start().await;
    let mappings = path("ns", "imagestreammappings");
    api.create(&mappings, mapping("app", "v1", &image("a", 1))).await;
    let from = json!({"kind": "ImageStreamTag", "name": "v1"});
    api.create(
        &path("ns", "imagestreamtags"),
        json!({"metadata": {"name": "app:stable"}, "tag": {"from": from}}),
    )
    .await;
    api.create(&mappings, mapping("app", "v1", &image("b", 1))).await;
    let items = history(&api, "stable").await;
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["image"], id(&image("b", 1)));
}

#[tokio::test]
async fn an_index_opens_its_entries() {
    let api = start().await;
    let (amd, arm) = (image("amd", 100), image("arm", 30));
    let index = index(&[&amd, &arm]);
    for entry in [&amd, &arm] {
        api.create(&format!("{IMG}/images"), entry.clone()).await;
    }
    api.create(&path("ns", "imagestreammappings"), mapping("app", "v1", &index))
        .await;
    let stored = api.get(&format!("{IMG}/images/{}", id(&index))).await.expect(200);
    assert_eq!(
        stored["dockerImageMetadata"]["Size"], 132,
        "layers and the configuration that both share"
    );
    assert_eq!(
        stored["dockerImageManifests"].as_array().map(Vec::len),
        Some(2),
        "entries need no platform"
    );
    assert_eq!(stored["dockerImageManifest"], Value::Null);
    let layers = api.get(&path("ns", "imagestreams/app/layers")).await.expect(200);
    assert_eq!(layers["images"].as_object().map(serde_json::Map::len), Some(3));
    for (wanted, code) in [
        (id(&arm), 200),
        (id(&arm)[..20].to_owned(), 200),
        ("sha256:".to_owned(), 409),
        ("none".to_owned(), 404),
    ] {
        let answer = api
            .get(&path("ns", &format!("imagestreamimages/app@{wanted}")))
            .await;
        assert_eq!(answer.code, code, "{wanted}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn what_is_refused() {
    let api = start().await;
    let mappings = path("ns", "imagestreammappings");
    let good = image("a", 1);
    type Change = fn(&mut Value);
    let cases: [(&str, Change, u16, &str); 6] = [
        ("no tag", |m| m["tag"] = "".into(), 422, "tag: Required value"),
        (
            "no tag for a registry",
            |m| m["tag"] = "a b".into(),
            422,
            "tag: Invalid value",
        ),
        (
            "no image",
            |m| m["image"] = json!({}),
            422,
            "image.metadata.name: Required value",
        ),
        (
            "no place",
            |m| m["image"]["dockerImageReference"] = "A//B".into(),
            422,
            "image.dockerImageReference: Invalid value",
        ),
        (
            "no stream",
            |m| m["metadata"]["name"] = "none".into(),
            404,
            "imagestreammappings.image.openshift.io \"none\" not found",
        ),
        ("wrong type", |m| m["tag"] = 5.into(), 400, ""),
    ];
    for (name, change, code, text) in cases {
        let mut mapping = mapping("app", "v1", &good);
        change(&mut mapping);
        let answer = api.call(Who::Admin, "POST", &mappings, mapping).await;
        assert_eq!(answer.code, code, "{name}: {:#}", answer.body);
        assert!(answer.message().contains(text), "{name}: {}", answer.message());
    }
    assert_eq!(
        api.get(&format!("{IMG}/images/{}", id(&good))).await.code,
        404,
        "a refused mapping creates no Image"
    );
    let missing = api
        .call(
            Who::Admin,
            "POST",
            &path("none", "imagestreammappings"),
            mapping("app", "v1", &good),
        )
        .await;
    assert_eq!(
        (missing.code, &missing.body["details"]["kind"]),
        (404, &json!("namespaces"))
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let api = start().await;
    let image = image("a", 1);
    let dry = format!("{}?dryRun=All", path("ns", "imagestreammappings"));
    api.call(Who::Admin, "POST", &dry, mapping("app", "v1", &image))
        .await
        .expect(201);
    assert_eq!(history(&api, "v1").await, Vec::<Value>::new());
    assert_eq!(api.get(&format!("{IMG}/images/{}", id(&image))).await.code, 404);
}

#[tokio::test]
async fn the_largest_manifest_fits() {
    let api = start().await;
    let mut padded = image("padded", 1);
    // Quotation marks are what escaping doubles.
    let annotations = json!({"a": "\"".repeat(1_900_000)});
    let mut manifest: Value = serde_json::from_str(padded["dockerImageManifest"].as_str().unwrap()).unwrap();
    manifest["annotations"] = annotations;
    let manifest = manifest.to_string();
    assert!(manifest.len() > 3_800_000 && manifest.len() < 4 << 20);
    padded["metadata"]["name"] = digest(&manifest).into();
    padded["dockerImageManifest"] = manifest.into();
    api.create(&path("ns", "imagestreammappings"), mapping("app", "v1", &padded))
        .await;
    let stored = api
        .get(&format!("{IMG}/images/{}", id(&padded)))
        .await
        .expect(200);
    assert_eq!(stored["dockerImageLayers"].as_array().map(Vec::len), Some(1));
    assert!(
        stored.to_string().len() < 4096,
        "what the registry has is not stored again"
    );
}
