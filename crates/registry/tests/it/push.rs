//! Image streams as repositories: what a push leaves in the cluster, what is refused and why.

use berth_oci::Digest;
use http::{Method, StatusCode};

use crate::support::{
    As, config, image,
    push::{ALICE, head, prepare, refusal, world},
    with,
};

#[tokio::test]
async fn a_push_makes_the_stream_the_image_and_the_tag() {
    let (api, registry) = world();
    let manifest = prepare(&registry, ALICE, "demo/app", "one").await;
    let digest = manifest.digest().to_string();
    api.take_calls();
    let answer = registry.push_manifest(ALICE, "demo/app", "v1", &manifest).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.header("docker-content-digest"), Some(&*digest));
    // The mapping is posted with the registry's identity; the stream that it misses is made with the pusher's.
    let writes: Vec<String> = api
        .take_calls()
        .into_iter()
        .filter(|call| call.contains(" POST /apis/image"))
        .collect();
    let path = "/apis/image.openshift.io/v1/namespaces/demo";
    let want = [
        format!("registry POST {path}/imagestreammappings"),
        format!("alice POST {path}/imagestreams"),
        format!("registry POST {path}/imagestreammappings"),
    ];
    assert_eq!(writes, want);
    let stored = api.state().images[&digest].clone();
    assert_eq!(
        stored["dockerImageReference"],
        format!("registry.svc:5000/demo/app@{digest}")
    );
    assert_eq!(
        stored["dockerImageManifest"],
        String::from_utf8_lossy(&manifest.bytes).as_ref()
    );
    assert_eq!(
        stored["dockerImageConfig"],
        String::from_utf8_lossy(&image::config("one")).as_ref()
    );
    assert_eq!(stored["dockerImageManifestMediaType"], manifest.media_type);
    assert_eq!(
        stored["dockerImageLayers"][0]["name"],
        Digest::sha256(b"layer one").to_string()
    );
    let annotations = &stored["metadata"]["annotations"];
    assert_eq!(annotations["openshift.io/image.managed"], "true");
    assert_eq!(annotations["image.openshift.io/manifestBlobStored"], "true");
    assert_eq!(annotations["image.openshift.io/dockerLayersOrder"], "ascending");
    // The next push of the same stream is one call.
    let second = prepare(&registry, ALICE, "demo/app", "two").await;
    api.take_calls();
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", "v2", &second)
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(
        api.take_calls()
            .iter()
            .filter(|call| call.contains(" POST /apis/image"))
            .count(),
        1
    );
    // Tags are sorted and paged.
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", "a", &second)
            .await
            .status,
        StatusCode::CREATED
    );
    let tags = registry.get(As::Basic("b"), "/v2/demo/app/tags/list?n=2").await;
    assert_eq!(tags.json()["tags"], serde_json::json!(["a", "v1"]));
    assert!(tags.header("link").expect("more").contains("last=v1"), "{tags:?}");
    let rest = registry
        .get(As::Basic("b"), "/v2/demo/app/tags/list?n=2&last=v1")
        .await;
    assert_eq!(
        (rest.json()["tags"].clone(), rest.header("link")),
        (serde_json::json!(["v2"]), None)
    );
}

#[tokio::test]
async fn a_tag_read_sees_what_the_api_has_now() {
    let (api, registry) = world();
    let (one, two) = (
        prepare(&registry, ALICE, "demo/app", "one").await,
        prepare(&registry, ALICE, "demo/app", "two").await,
    );
    for manifest in [&one, &two] {
        assert_eq!(
            registry
                .push_manifest(ALICE, "demo/app", "v1", manifest)
                .await
                .status,
            StatusCode::CREATED
        );
    }
    let accept = [("accept", "application/vnd.oci.image.manifest.v1+json")];
    let read = async || {
        registry
            .send(
                As::Basic("b"),
                Method::GET,
                "/v2/demo/app/manifests/v1",
                &accept,
                b"",
            )
            .await
    };
    assert_eq!(read().await.body, two.bytes);
    // Somebody moves the tag back through the API.
    api.state()
        .streams
        .get_mut("demo/app")
        .expect("a stream")
        .get_mut("v1")
        .expect("a tag")
        .insert(0, one.digest().to_string());
    assert_eq!(read().await.body, one.bytes);
    // And deletes it.
    api.state().streams.get_mut("demo/app").expect("a stream").clear();
    assert_eq!(refusal(&read().await), (404, "MANIFEST_UNKNOWN".to_owned()));
    api.state().streams.clear();
    assert_eq!(refusal(&read().await), (404, "NAME_UNKNOWN".to_owned()));
    assert_eq!(
        refusal(&registry.get(As::Basic("b"), "/v2/demo/app/tags/list").await),
        (404, "NAME_UNKNOWN".to_owned())
    );
}

#[tokio::test]
async fn a_push_by_digest_can_be_pulled_at_once() {
    let (api, registry) = world();
    let manifest = prepare(&registry, ALICE, "demo/app", "one").await;
    let digest = manifest.digest();
    let answer = registry
        .push_manifest(ALICE, "demo/app", &digest.to_string(), &manifest)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert!(
        api.state().streams["demo/app"].is_empty(),
        "a stream without tags"
    );
    assert!(api.state().images.contains_key(&digest.to_string()), "an image");
    assert_eq!(
        head(
            &registry,
            As::Basic("b"),
            &format!("/v2/demo/app/manifests/{digest}")
        )
        .await,
        200
    );
    // An index over it, tagged, and the same again: the Image that exists is no conflict.
    let index = image::index(&manifest);
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", "list", &index)
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(
        api.state().images[&index.digest().to_string()]["metadata"]["annotations"]["image.openshift.io/dockerLayersOrder"],
        ""
    );
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", &digest.to_string(), &manifest)
            .await
            .status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_refused_push_says_why_and_leaves_nothing() {
    let (api, registry) = world();
    api.user("n", "newbie")
        .grant("newbie get imagestreams/layers demo/*")
        .grant("newbie update imagestreams/layers demo/*");
    api.builder("r", "root", "gone");
    let quota =
        "imagestreammappings \"app\" is forbidden: exceeded quota: small, requested: openshift.io/images=1";
    for (who, repository, failure, want, words) in [
        (
            As::Basic("r"),
            "gone/app",
            None,
            (403, "DENIED"),
            "the project \"gone\" does not exist",
        ),
        (
            As::Basic("n"),
            "demo/new",
            None,
            (403, "DENIED"),
            "User \"newbie\" cannot create resource",
        ),
        (
            ALICE,
            "demo/app",
            Some((403, "Forbidden", quota)),
            (403, "DENIED"),
            "exceeded quota: small",
        ),
        (
            ALICE,
            "demo/app",
            Some((422, "Invalid", "image.metadata.name: wrong")),
            (400, "MANIFEST_INVALID"),
            "metadata.name: wrong",
        ),
        (
            ALICE,
            "demo/app",
            Some((503, "ServiceUnavailable", "away")),
            (503, "UNAVAILABLE"),
            "away",
        ),
        (
            ALICE,
            "demo/app",
            Some((403, "Forbidden", "User \"registry\" cannot create resource")),
            (500, "UNKNOWN"),
            "system:registry",
        ),
    ] {
        let manifest = prepare(&registry, who, repository, words).await;
        if let Some((code, reason, message)) = failure {
            api.state()
                .failures
                .push(("imagestreammappings", code, reason, message));
        }
        let answer = registry.push_manifest(who, repository, "v1", &manifest).await;
        let (status, code) = refusal(&answer);
        assert_eq!(
            (status, &*code),
            want,
            "{repository} {words}: {}",
            answer.message()
        );
        assert!(answer.message().contains(words), "{}", answer.message());
        let path = format!("/v2/{repository}/manifests/{}", manifest.digest());
        assert_eq!(head(&registry, who, &path).await, 404, "{repository} {words}");
    }
    // A stream that changes under the push is no failure.
    for _ in 0..3 {
        api.state()
            .failures
            .push(("imagestreammappings", 409, "Conflict", "changed"));
    }
    let manifest = prepare(&registry, ALICE, "demo/app", "again").await;
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", "v1", &manifest)
            .await
            .status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_blob_beyond_the_limit_of_the_project_is_refused() {
    let (api, _) = world();
    let registry = with(
        &api,
        berth_registry::Config {
            quota: true,
            ..config()
        },
    );
    assert_eq!(
        registry.push_blob(ALICE, "demo/app", b"0123456789").await.status,
        StatusCode::CREATED
    );
    let answer = registry.push_blob(ALICE, "demo/app", b"0123456789+").await;
    assert_eq!(refusal(&answer), (403, "DENIED".to_owned()));
    assert!(
        answer.message().contains("allows 10 bytes"),
        "{}",
        answer.message()
    );
}
