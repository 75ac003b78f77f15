//! The views on tags: `imagestreamtags` and `imagetags`.

use serde_json::{Value, json};

use crate::{
    content::{id, image, mapping, path},
    support::{Answer, Api, Who},
};

async fn start() -> Api {
    let api = Api::start().await;
    for namespace in ["ns", "other"] {
        api.namespace(namespace).await;
    }
    api
}

/// Creates a stream with these pushed tags.
async fn stream(api: &Api, namespace: &str, name: &str, tags: &[&str]) {
    api.create(
        &path(namespace, "imagestreams"),
        json!({"metadata": {"name": name, "labels": {"of": name}}}),
    )
    .await;
    for tag in tags {
        api.create(
            &path(namespace, "imagestreammappings"),
            mapping(name, tag, &image(tag, 1)),
        )
        .await;
    }
}

async fn put(api: &Api, namespace: &str, resource: &str, body: Value) -> Answer {
    let name = body["metadata"]["name"]
        .as_str()
        .expect("the object has a name")
        .to_owned();
    api.call(
        Who::Admin,
        "PUT",
        &path(namespace, &format!("{resource}/{name}")),
        body,
    )
    .await
}

#[tokio::test]
async fn lists_are_whole_paged_and_selectable() {
    let api = start().await;
    stream(&api, "ns", "a", &["3", "1", "2"]).await;
    stream(&api, "ns", "b", &["1"]).await;
    stream(&api, "other", "a", &["1"]).await;
    for resource in ["imagestreamtags", "imagetags"] {
        let all = api.get(&path("ns", resource)).await;
        assert_eq!(all.names(), ["a:1", "a:2", "a:3", "b:1"], "{resource}");
        assert!(
            all.body["metadata"]["resourceVersion"]
                .as_str()
                .is_some_and(|version| !version.is_empty())
        );
        let everywhere = api.get(&format!("/apis/image.openshift.io/v1/{resource}")).await;
        assert_eq!(everywhere.names().len(), 5, "{resource}");

        let mut names = Vec::new();
        let mut token = String::new();
        loop {
            let page = api
                .get(&format!("{}?limit=3&continue={token}", path("ns", resource)))
                .await;
            names.extend(page.names().iter().map(|&name| name.to_owned()));
            match page.body["metadata"]["continue"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(names, ["a:1", "a:2", "a:3", "b:1"], "{resource}");

        for (query, want) in [
            ("fieldSelector=metadata.name%3Da:2", vec!["a:2"]),
            ("fieldSelector=metadata.name%3Da", vec![]),
            (
                "fieldSelector=metadata.name!%3Da:2,metadata.namespace%3Dns",
                vec!["a:1", "a:3", "b:1"],
            ),
            ("labelSelector=of%3Db", vec!["b:1"]),
        ] {
            assert_eq!(
                api.get(&format!("{}?{query}", path("ns", resource)))
                    .await
                    .names(),
                want,
                "{resource} {query}"
            );
        }
        for query in ["fieldSelector=spec.x%3Dy", "limit=1&continue=nonsense"] {
            assert_eq!(
                api.get(&format!("{}?{query}", path("ns", resource))).await.code,
                400,
                "{resource} {query}"
            );
        }
    }
}

#[tokio::test]
async fn a_put_creates_the_tag_and_its_stream() {
    let api = start().await;
    let from = json!({"kind": "DockerImage", "name": "quay.io/a/b:c"});
    let tag = json!({"metadata": {"name": "new:t", "annotations": {"a": "b"}}, "tag": {"from": from}});
    let created = put(&api, "ns", "imagestreamtags", tag.clone()).await.expect(201);
    assert_eq!(
        created["tag"]["annotations"],
        json!({"a": "b"}),
        "the object's annotations are the tag's"
    );
    assert_eq!(put(&api, "ns", "imagestreamtags", tag.clone()).await.code, 200);

    let version =
        api.get(&path("ns", "imagestreams/new")).await.expect(200)["metadata"]["resourceVersion"].clone();
    let mut versioned = tag.clone();
    versioned["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(
        put(&api, "ns", "imagestreamtags", versioned.clone()).await.code,
        409
    );
    versioned["metadata"]["resourceVersion"] = version;
    assert_eq!(
        put(&api, "ns", "imagestreamtags", versioned.clone()).await.code,
        200
    );
    versioned["metadata"]["name"] = "none:t".into();
    assert_eq!(
        put(&api, "ns", "imagestreamtags", versioned).await.code,
        404,
        "a version of nothing"
    );

    for (name, code) in [("new:a b", 422), ("Bad:t", 422)] {
        let mut bad = tag.clone();
        bad["metadata"]["name"] = name.into();
        let answer = api
            .call(Who::Admin, "POST", &path("ns", "imagestreamtags"), bad)
            .await;
        assert_eq!(answer.code, code, "{name}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn a_patch_changes_or_creates() {
    let api = start().await;
    let from = json!({"kind": "DockerImage", "name": "quay.io/a/b:c"});
    let tag = path("ns", "imagestreamtags/new:t");
    api.call(Who::Admin, "PATCH", &tag, json!({"tag": {"from": from}}))
        .await
        .expect(201);
    api.call(
        Who::Admin,
        "PATCH",
        &tag,
        json!({"metadata": {"annotations": {"a": "1"}}}),
    )
    .await
    .expect(200);
    let changed = api
        .call(
            Who::Admin,
            "PATCH",
            &tag,
            json!({"metadata": {"annotations": {"b": "2"}}}),
        )
        .await
        .expect(200);
    assert_eq!(changed["tag"]["annotations"], json!({"a": "1", "b": "2"}));
    let labelled = api
        .call(
            Who::Admin,
            "PATCH",
            &tag,
            json!({"metadata": {"labels": {"x": "y"}}}),
        )
        .await;
    assert_eq!(labelled.code, 422);
    assert!(
        labelled
            .message()
            .contains("may not update fields other than metadata.annotations"),
        "{}",
        labelled.message()
    );
    let dry = api
        .call(
            Who::Admin,
            "PATCH",
            &format!("{tag}?dryRun=All"),
            json!({"metadata": {"annotations": {"a": null}}}),
        )
        .await;
    assert_eq!(dry.expect(200)["metadata"]["annotations"], json!({"b": "2"}));
    let stream = api.get(&path("ns", "imagestreams/new")).await.expect(200);
    assert_eq!(
        stream["spec"]["tags"][0]["annotations"],
        json!({"a": "1", "b": "2"})
    );
}

#[tokio::test]
async fn a_pushed_tag_can_get_a_source_but_not_lose_what_it_has_not() {
    let api = start().await;
    stream(&api, "ns", "app", &["v1"]).await;
    let tag = path("ns", "imagestreamtags/app:v1");
    let answer = api
        .call(
            Who::Admin,
            "PATCH",
            &tag,
            json!({"metadata": {"annotations": {"a": "b"}}}),
        )
        .await;
    assert_eq!(answer.code, 400, "{:#}", answer.body);
    assert!(
        answer.message().contains("is not a spec tag"),
        "{}",
        answer.message()
    );
    let from = json!({"kind": "DockerImage", "name": "quay.io/a/b:c"});
    let body = json!({"metadata": {"name": "app:v1"}, "tag": {"from": from}});
    api.create(&path("ns", "imagestreamtags"), body.clone()).await;
    let again = api
        .call(Who::Admin, "POST", &path("ns", "imagestreamtags"), body)
        .await;
    assert_eq!(
        (again.code, again.message()),
        (409, "imagestreamtag.image.openshift.io \"app:v1\" already exists")
    );
}

#[tokio::test]
async fn deleting_takes_both_sides_and_honours_preconditions() {
    let api = start().await;
    stream(&api, "ns", "app", &["v1", "v2"]).await;
    let tag = path("ns", "imagestreamtags/app:v1");
    let uid = api.get(&tag).await.expect(200)["metadata"]["uid"].clone();
    for (preconditions, code) in [
        (json!({"uid": "other"}), 409),
        (json!({"resourceVersion": "1"}), 409),
        (json!({"uid": uid}), 200),
        (json!({}), 404),
    ] {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
        let answer = api.call(Who::Admin, "DELETE", &tag, options).await;
        assert_eq!(answer.code, code, "{preconditions}: {:#}", answer.body);
    }
    let dry = format!("{}?dryRun=All", path("ns", "imagetags/app:v2"));
    api.call(Who::Admin, "DELETE", &dry, Value::Null)
        .await
        .expect(200);
    api.call(Who::Admin, "DELETE", &path("ns", "imagetags/app:v2"), Value::Null)
        .await
        .expect(200);
    assert_eq!(
        api.get(&path("ns", "imagetags")).await.names(),
        Vec::<&str>::new()
    );
    let image = api
        .get(&format!(
            "/apis/image.openshift.io/v1/images/{}",
            id(&image("v1", 1))
        ))
        .await;
    assert_eq!(image.code, 200, "images stay");
}

#[tokio::test]
async fn image_tags_let_only_the_spec_change() {
    let api = start().await;
    stream(&api, "ns", "app", &["v1"]).await;
    let from = json!({"kind": "DockerImage", "name": "quay.io/a/b:c"});
    let tag = path("ns", "imagetags/app:v1");
    let shown = api.get(&tag).await.expect(200);
    assert_eq!(
        (&shown["spec"], shown["status"]["items"].as_array().map(Vec::len)),
        (&Value::Null, Some(1))
    );

    let mut sent = shown.clone();
    sent["spec"] = json!({"name": "v1", "from": from});
    put(&api, "ns", "imagetags", sent.clone()).await.expect(201);
    type Change = fn(&mut Value);
    let cases: [(&str, Change, u16, &str); 4] = [
        (
            "stale",
            |_| {},
            409,
            "another caller has updated the resource version",
        ),
        (
            "other name",
            |tag| tag["spec"]["name"] = "v2".into(),
            422,
            "must match image tag name",
        ),
        (
            "status",
            |tag| tag["status"]["items"] = json!([]),
            422,
            "status: Invalid value",
        ),
        (
            "labels",
            |tag| tag["metadata"]["labels"] = json!({"a": "b"}),
            422,
            "metadata: Invalid value",
        ),
    ];
    for (name, change, code, text) in cases {
        let mut bad = sent.clone();
        change(&mut bad);
        if name != "stale" {
            bad["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        }
        bad["metadata"].as_object_mut().unwrap().remove("generation");
        let answer = put(&api, "ns", "imagetags", bad).await;
        assert_eq!(answer.code, code, "{name}: {:#}", answer.body);
        assert!(answer.message().contains(text), "{name}: {}", answer.message());
    }
    // Without a spec the tag is no longer wanted, but keeps its history.
    let unwanted = json!({"metadata": {"name": "app:v1"}, "spec": null});
    put(&api, "ns", "imagetags", unwanted).await.expect(200);
    let shown = api.get(&tag).await.expect(200);
    assert_eq!(
        (&shown["spec"], shown["status"]["items"].as_array().map(Vec::len)),
        (&Value::Null, Some(1))
    );

    let without = json!({"metadata": {"name": "app:v9"}});
    let answer = api
        .call(Who::Admin, "POST", &path("ns", "imagetags"), without)
        .await;
    assert!(
        answer
            .message()
            .contains("spec: Required value: spec is a required field during creation"),
        "{}",
        answer.message()
    );
}
