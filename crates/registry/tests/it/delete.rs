//! What a deletion takes away, and what stays out of a stream's tags.

use berth_oci::Digest;
use http::{Method, StatusCode};

use crate::support::{
    As,
    push::{ALICE, head, prepare, refusal, world},
};

#[tokio::test]
async fn deleting_a_tag_deletes_it() {
    let (api, registry) = world();
    let manifest = prepare(&registry, ALICE, "demo/app", "one").await;
    for tag in ["v1", "v2", "v3"] {
        assert_eq!(
            registry
                .push_manifest(ALICE, "demo/app", tag, &manifest)
                .await
                .status,
            StatusCode::CREATED
        );
    }
    api.grant("bob delete imagestreamtags demo/app:v1");
    let delete = async |who, tag: &str| {
        registry
            .send(
                who,
                Method::DELETE,
                &format!("/v2/demo/app/manifests/{tag}"),
                &[],
                b"",
            )
            .await
    };
    // Who pushes may not delete; who may delete the ImageStreamTag may, and so may pruners.
    for (who, tag, want) in [
        (ALICE, "v1", 403),
        (As::Basic("b"), "v2", 403),
        (As::Basic("b"), "v1", 202),
        (As::Basic("admin"), "v2", 202),
        (As::Basic("admin"), "v2", 404),
        (As::Basic("admin"), "none", 404),
    ] {
        assert_eq!(delete(who, tag).await.status.as_u16(), want, "{who:?} {tag}");
    }
    let tags = registry.get(As::Basic("b"), "/v2/demo/app/tags/list").await;
    assert_eq!(tags.json()["tags"], serde_json::json!(["v3"]));
    assert_eq!(
        head(&registry, As::Basic("b"), "/v2/demo/app/manifests/v1").await,
        404
    );
    // Once no tag has it, the manifest is still there until it is deleted itself.
    let digest = manifest.digest().to_string();
    assert_eq!(delete(As::Basic("admin"), "v3").await.status.as_u16(), 202);
    assert_eq!(
        head(
            &registry,
            As::Basic("b"),
            &format!("/v2/demo/app/manifests/{digest}")
        )
        .await,
        200
    );
    for want in [202, 404] {
        assert_eq!(delete(As::Basic("admin"), &digest).await.status.as_u16(), want);
        assert_eq!(
            head(
                &registry,
                As::Basic("b"),
                &format!("/v2/demo/app/manifests/{digest}")
            )
            .await,
            404
        );
    }
}

#[tokio::test]
async fn deleting_a_manifest_takes_it_out_of_the_stream() {
    let (api, registry) = world();
    let old = prepare(&registry, ALICE, "demo/app", "old").await;
    let new = prepare(&registry, ALICE, "demo/app", "new").await;
    for (tag, manifest) in [
        ("moved", &new),
        ("moved", &old),
        ("kept", &old),
        ("kept", &new),
        ("new", &new),
    ] {
        let pushed = registry.push_manifest(ALICE, "demo/app", tag, manifest).await;
        assert_eq!(pushed.status, StatusCode::CREATED);
    }
    let (old, new) = (old.digest().to_string(), new.digest().to_string());
    let path = |digest: &str| format!("/v2/demo/app/manifests/{digest}");
    let delete = async |who, digest: &str| registry.send(who, Method::DELETE, &path(digest), &[], b"").await;
    let admin = As::Basic("admin");

    // The right to delete images is asked first; taking this one out of the stream is a right of its own.
    assert_eq!(delete(ALICE, &old).await.status, StatusCode::FORBIDDEN);
    let refused = delete(admin, &old).await;
    assert_eq!(refusal(&refused), (403, "DENIED".to_owned()));
    assert!(
        refused.message().contains("imagestreams/status"),
        "{}",
        refused.message()
    );
    assert_eq!(api.state().streams["demo/app"].len(), 3);
    api.grant("root update imagestreams/status demo/app");

    // A child of an index that the stream still has stays.
    api.state().children.insert(new.clone(), vec![old.clone()]);
    let refused = delete(admin, &old).await;
    assert_eq!(refusal(&refused), (405, "UNSUPPORTED".to_owned()));
    assert!(refused.message().contains("index"), "{}", refused.message());
    api.state().children.clear();

    for want in [202, 404] {
        assert_eq!(delete(admin, &old).await.status.as_u16(), want);
        assert_eq!(head(&registry, ALICE, &path(&old)).await, 404);
        assert_eq!(registry.get(ALICE, &path(&old)).await.status.as_u16(), 404);
    }
    // The tag that meant it is gone and not back at the image before; the others lost it from their history.
    let expected = [("kept", vec![new.clone()]), ("new", vec![new.clone()])];
    let expected = expected.map(|(tag, images)| (tag.to_owned(), images)).into();
    assert_eq!(api.state().streams["demo/app"], expected);
    assert_eq!(head(&registry, ALICE, &path(&new)).await, 200);
}

#[tokio::test]
async fn tags_of_older_signature_clients_stay_out_of_the_stream() {
    let (api, registry) = world();
    let subject = prepare(&registry, ALICE, "demo/app", "one").await;
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", "v1", &subject)
            .await
            .status,
        StatusCode::CREATED
    );
    let signature = prepare(&registry, ALICE, "demo/app", "signature").await;
    let tag = format!("{}.sig", subject.digest().to_string().replace(':', "-"));
    assert_eq!(
        registry
            .push_manifest(ALICE, "demo/app", &tag, &signature)
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(api.state().streams["demo/app"].keys().collect::<Vec<_>>(), ["v1"]);
    assert!(api.state().images.contains_key(&signature.digest().to_string()));
    assert_eq!(
        head(
            &registry,
            As::Basic("b"),
            &format!("/v2/demo/app/manifests/{tag}")
        )
        .await,
        200
    );
    let tags = registry.get(As::Basic("b"), "/v2/demo/app/tags/list").await;
    assert_eq!(tags.json()["tags"], serde_json::json!(["v1"]));
    let path = format!("/v2/demo/app/manifests/{tag}");
    assert_eq!(
        registry
            .send(As::Basic("admin"), Method::DELETE, &path, &[], b"")
            .await
            .status,
        StatusCode::ACCEPTED
    );
    assert_eq!(head(&registry, As::Basic("b"), &path).await, 404);
}

#[tokio::test]
async fn the_bytes_of_a_blob_go_for_all() {
    let (_, registry) = world();
    assert_eq!(
        registry.push_blob(ALICE, "demo/app", b"bytes").await.status,
        StatusCode::CREATED
    );
    let digest = Digest::sha256(b"bytes");
    let blob = format!("/v2/demo/app/blobs/{digest}");
    assert_eq!(head(&registry, ALICE, &blob).await, 200);
    let delete = async |who, digest: &str| {
        registry
            .send(who, Method::DELETE, &format!("/admin/blobs/{digest}"), &[], b"")
            .await
    };
    assert_eq!(
        delete(ALICE, &digest.to_string()).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        delete(As::Nobody, &digest.to_string()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        refusal(&delete(As::Basic("admin"), "sha256:zz").await),
        (400, "DIGEST_INVALID".to_owned())
    );
    for _ in 0..2 {
        assert_eq!(
            delete(As::Basic("admin"), &digest.to_string()).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(head(&registry, ALICE, &blob).await, 404);
    }
    let put = registry
        .send(
            As::Basic("admin"),
            Method::PUT,
            &format!("/admin/blobs/{digest}"),
            &[],
            b"",
        )
        .await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
}
