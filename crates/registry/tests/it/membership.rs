//! What belongs to a repository: never by knowing a digest, and not by what a stream of the same name once held.

use std::time::Duration;

use berth_oci::Digest;
use http::StatusCode;

use crate::support::{
    As, image,
    push::{ALICE, head, prepare, refusal, world},
};

/// Longer than anything is remembered.
const LATER: Duration = Duration::from_secs(21);

#[tokio::test]
async fn knowing_a_digest_opens_nothing() {
    let (api, registry) = world();
    api.builder("c", "carol", "mine");
    api.state().namespaces.insert("mine".to_owned());
    let manifest = prepare(&registry, ALICE, "demo/app", "one").await;
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", "v1", &manifest)
            .await
            .status,
        StatusCode::CREATED
    );
    let other = prepare(&registry, As::Basic("c"), "mine/app", "two").await;
    assert_eq!(
        registry
            .push_manifest(As::Basic("c"), "mine/app", "v1", &other)
            .await
            .status,
        StatusCode::CREATED
    );
    let layer = Digest::sha256(b"layer one");
    for path in [
        format!("/v2/mine/app/blobs/{layer}"),
        format!("/v2/mine/app/manifests/{}", manifest.digest()),
    ] {
        assert_eq!(head(&registry, As::Basic("c"), &path).await, 404, "{path}");
    }
    // A manifest over a layer that is elsewhere is refused, and leaves nothing behind.
    let config = image::config("two");
    let stolen = image::manifest(&config, b"layer one");
    let answer = registry
        .push_manifest(As::Basic("c"), "mine/app", "stolen", &stolen)
        .await;
    assert_eq!(refusal(&answer), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    assert_eq!(
        head(
            &registry,
            As::Basic("c"),
            &format!("/v2/mine/app/manifests/{}", stolen.digest())
        )
        .await,
        404
    );
    // What the API says is in the stream is in the repository, link or not.
    api.state()
        .streams
        .get_mut("mine/app")
        .expect("a stream")
        .insert("copy".to_owned(), vec![manifest.digest().to_string()]);
    api.state()
        .layers
        .insert("mine/app".to_owned(), vec![layer.to_string()]);
    assert_eq!(
        head(&registry, As::Basic("c"), "/v2/mine/app/manifests/copy").await,
        200
    );
    assert_eq!(
        head(&registry, As::Basic("c"), &format!("/v2/mine/app/blobs/{layer}")).await,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn links_of_a_deleted_stream_open_nothing() {
    let (api, registry) = world();
    let bob = As::Basic("b");
    let one = prepare(&registry, ALICE, "demo/app", "one").await;
    let blob = |name: &str| {
        format!(
            "/v2/demo/app/blobs/{}",
            Digest::sha256(format!("layer {name}").as_bytes())
        )
    };
    let manifest = |manifest: &image::Manifest| format!("/v2/demo/app/manifests/{}", manifest.digest());
    // While it is pushed, only who pushes sees it.
    assert_eq!(head(&registry, ALICE, &blob("one")).await, 200);
    assert_eq!(head(&registry, bob, &blob("one")).await, 404);
    let pushed = registry.push_manifest(ALICE, "demo/app", "v1", &one).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    assert_eq!(head(&registry, bob, &blob("one")).await, 200);

    // Without its stream nobody sees it, not even who may push there.
    api.state().streams.clear();
    tokio::time::advance(LATER).await;
    for who in [bob, ALICE] {
        assert_eq!(head(&registry, who, &blob("one")).await, 404);
        assert_eq!(head(&registry, who, &manifest(&one)).await, 404);
    }
    // A new stream of the same name begins with nothing.
    let two = prepare(&registry, ALICE, "demo/app", "two").await;
    assert_eq!(head(&registry, ALICE, &blob("one")).await, 404);
    assert_eq!(head(&registry, ALICE, &blob("two")).await, 200);
    let stolen = image::manifest(&image::config("two"), b"layer one");
    let answer = registry.push_manifest(ALICE, "demo/app", "stolen", &stolen).await;
    assert_eq!(refusal(&answer), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    let pushed = registry.push_manifest(ALICE, "demo/app", "v1", &two).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    for (path, want) in [
        (blob("one"), 404),
        (manifest(&one), 404),
        (blob("two"), 200),
        (manifest(&two), 200),
    ] {
        assert_eq!(head(&registry, bob, &path).await, want, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn links_of_another_stream_of_the_same_name_open_nothing() {
    let (api, registry) = world();
    let one = prepare(&registry, ALICE, "demo/app", "one").await;
    let untagged = registry
        .push_manifest(ALICE, "demo/app", &one.digest().to_string(), &one)
        .await;
    assert_eq!(untagged.status, StatusCode::CREATED);
    let path = format!("/v2/demo/app/manifests/{}", one.digest());
    assert_eq!(head(&registry, As::Basic("b"), &path).await, 200);
    // Deleted and made again through the API: nothing was pushed to this one.
    *api.state().made.get_mut("demo/app").expect("a stream") += 1;
    tokio::time::advance(LATER).await;
    assert_eq!(head(&registry, As::Basic("b"), &path).await, 404);
    // What the API knows of it is there all the same.
    let layer = Digest::sha256(b"layer one");
    api.state()
        .layers
        .insert("demo/app".to_owned(), vec![layer.to_string()]);
    assert_eq!(
        head(&registry, As::Basic("b"), &format!("/v2/demo/app/blobs/{layer}")).await,
        200
    );
    // A push by digest alone, of an index without blobs, begins anew as well.
    let index = image::Manifest {
        bytes: br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(),
        media_type: berth_oci::media_type::OCI_INDEX,
    };
    let pushed = registry
        .push_manifest(ALICE, "demo/app", &index.digest().to_string(), &index)
        .await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert_eq!(head(&registry, As::Basic("b"), &path).await, 404);
    let path = format!("/v2/demo/app/manifests/{}", index.digest());
    assert_eq!(head(&registry, As::Basic("b"), &path).await, 200);
}

/// A push that ends before its manifest leaves links behind. They are of the stream that was there.
#[tokio::test(start_paused = true)]
async fn links_without_a_manifest_open_nothing_to_a_later_stream() {
    let (api, registry) = world();
    api.state()
        .streams
        .insert("demo/app".to_owned(), Default::default());
    api.state().made.insert("demo/app".to_owned(), 1);
    prepare(&registry, ALICE, "demo/app", "one").await;
    let path = format!("/v2/demo/app/blobs/{}", Digest::sha256(b"layer one"));
    assert_eq!(head(&registry, ALICE, &path).await, 200);
    *api.state().made.get_mut("demo/app").expect("a stream") += 1;
    tokio::time::advance(LATER).await;
    assert_eq!(head(&registry, ALICE, &path).await, 404);
    assert_eq!(head(&registry, As::Basic("b"), &path).await, 404);
}
