//! Pushing, pulling and deleting manifests.

use berth_distribution::{Config, Sparse};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::{
    DOCKER_MANIFEST, OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry, bytes, descriptor,
    on_every_driver, on_every_driver_with, sha256, sha512,
};

fn described(manifest: &Bytes) -> Value {
    let parsed: Value = serde_json::from_slice(manifest).unwrap();
    descriptor(parsed["mediaType"].as_str().unwrap_or(OCI_MANIFEST), manifest)
}

fn index(children: &[Value]) -> Bytes {
    bytes(&json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children }))
}

/// Checks that a manifest is served under a reference.
async fn expect_served(registry: &Registry, name: &str, reference: &str, manifest: &Bytes, digest: &str) {
    let path = format!("/v2/{name}/manifests/{reference}");
    let parsed: Value = serde_json::from_slice(manifest).unwrap();
    for method in ["GET", "HEAD"] {
        let reply = registry
            .send(
                method,
                &path,
                &[("accept", OCI_INDEX), ("accept", OCI_MANIFEST)],
                "",
            )
            .await;
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        assert_eq!(reply.header("docker-content-digest"), digest);
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
        assert_eq!(reply.header("content-length"), manifest.len().to_string());
        assert_eq!(
            reply.header("content-type"),
            parsed["mediaType"].as_str().unwrap_or(OCI_MANIFEST)
        );
        assert!(if method == "GET" {
            reply.body == *manifest
        } else {
            reply.body.is_empty()
        });
    }
}

#[tokio::test]
async fn by_tag_and_by_digest() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.image("a/b", "one").await;
        let digest = sha256(&manifest);
        let reply = registry.push_manifest("a/b", &digest, &manifest).await;
        assert_eq!(reply.header("docker-content-digest"), digest);
        assert_eq!(registry.get(reply.header("location")).await.body, manifest);
        expect_served(&registry, "a/b", &digest, &manifest, &digest).await;
        registry
            .get("/v2/a/b/manifests/v1")
            .await
            .expect(404, "MANIFEST_UNKNOWN");

        let reply = registry.push_manifest("a/b", "v1", &manifest).await;
        assert_eq!(registry.get(reply.header("location")).await.body, manifest);
        expect_served(&registry, "a/b", "v1", &manifest, &digest).await;

        let second = registry.push_image("a/b", "v1", "two").await;
        expect_served(&registry, "a/b", "v1", &second, &sha256(&second)).await;
        expect_served(&registry, "a/b", &digest, &manifest, &digest).await;

        registry
            .get(&format!("/v2/a/c/manifests/{digest}"))
            .await
            .expect(404, "MANIFEST_UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn other_algorithms_and_tag_parameters() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.image("a", "one").await;
        for (digest, prefix) in [(sha256(&manifest), "x"), (sha512(&manifest), "y")] {
            let path = format!("{digest}?tag={prefix}1&tag={prefix}2&tag={prefix}1");
            let reply = registry.push_manifest("a", &path, &manifest).await;
            let set: Vec<_> = reply
                .headers
                .get_all("oci-tag")
                .iter()
                .map(|v| v.to_str().unwrap())
                .collect();
            assert_eq!(set, [format!("{prefix}1"), format!("{prefix}2")]);
            assert_eq!(reply.header("docker-content-digest"), digest);
            assert_eq!(registry.get(reply.header("location")).await.body, manifest);
            for tag in ["1", "2"] {
                expect_served(&registry, "a", &format!("{prefix}{tag}"), &manifest, &digest).await;
            }
        }
        let reply = registry.push_manifest("a", "z1?tag=z2", &manifest).await;
        assert_eq!(reply.header("oci-tag"), "z2");
        expect_served(&registry, "a", "z1", &manifest, &sha256(&manifest)).await;
        expect_served(&registry, "a", "z2", &manifest, &sha256(&manifest)).await;
        registry
            .put_manifest("a", "z1?tag=-bad", &manifest)
            .await
            .expect(400, "TAG_INVALID");
        let many: String = (0..65).map(|n| format!("&tag=t{n}")).collect();
        registry
            .put_manifest("a", &format!("z1?{many}"), &manifest)
            .await
            .expect(400, "MANIFEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn what_is_refused() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.image("a", "one").await;
        let other = sha256(b"other");
        registry
            .put_manifest("a", &other, &manifest)
            .await
            .expect(400, "DIGEST_INVALID");
        registry
            .put_manifest("a", &sha512(b"other"), &manifest)
            .await
            .expect(400, "DIGEST_INVALID");
        registry
            .put_manifest("a", "sha256:baddigeststring", &manifest)
            .await
            .expect(400, "DIGEST_INVALID");
        registry
            .get("/v2/a/manifests/sha256:baddigeststring")
            .await
            .expect(400, "DIGEST_INVALID");
        registry
            .put_manifest("a", ".bad", &manifest)
            .await
            .expect(400, "TAG_INVALID");
        let changed = |field: &str, value: Value| {
            let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
            manifest[field] = value;
            bytes(&manifest)
        };
        for (body, code) in [
            (Bytes::from_static(b"garbage"), "MANIFEST_INVALID"),
            (Bytes::new(), "MANIFEST_INVALID"),
            (Bytes::from_static(b"{}"), "MANIFEST_INVALID"),
            (changed("mediaType", json!("a/b")), "MANIFEST_INVALID"),
            (changed("manifests", json!([])), "MANIFEST_INVALID"),
            (changed("schemaVersion", json!(1)), "MANIFEST_INVALID"),
            (
                changed("config", descriptor(OCI_CONFIG, b"missing")),
                "MANIFEST_BLOB_UNKNOWN",
            ),
            (
                changed("layers", json!([descriptor(OCI_LAYER, b"missing")])),
                "MANIFEST_BLOB_UNKNOWN",
            ),
            (
                changed(
                    "config",
                    json!({"mediaType": OCI_CONFIG, "digest": sha256(b"{\"seed\":\"one\"}"), "size": 1}),
                ),
                "MANIFEST_INVALID",
            ),
        ] {
            registry.put_manifest("a", "v1", &body).await.expect(400, code);
        }
        let reply = registry.put_manifest("elsewhere", "v1", &manifest).await;
        reply.expect(400, "MANIFEST_BLOB_UNKNOWN");
        let detail = &reply.json()["errors"][0]["detail"];
        assert_eq!(detail["count"], 2);
        assert_eq!(detail["missing"].as_array().unwrap().len(), 2);
        assert!(reply.message().contains("elsewhere"));
        let typed = [("content-type", OCI_INDEX)];
        registry
            .send("PUT", "/v2/a/manifests/v1", &typed, manifest.clone())
            .await
            .expect(400, "MANIFEST_INVALID");
        registry
            .get("/v2/a/manifests/v1")
            .await
            .expect(404, "MANIFEST_UNKNOWN");
        let mut spaced = manifest.to_vec();
        spaced.extend_from_slice(b"  ");
        registry
            .put_manifest("a", &sha256(&manifest), &spaced.into())
            .await
            .expect(400, "DIGEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn manifests_up_to_the_limit() {
    on_every_driver(async |registry: Registry| {
        let mut manifest: Value = serde_json::from_slice(&registry.image("a", "one").await).unwrap();
        for n in 0..390 {
            manifest["annotations"][format!("large-annotation-{n}")] = "A".repeat(10_000).into();
        }
        let large = bytes(&manifest);
        registry.push_manifest("a", "large", &large).await;
        expect_served(&registry, "a", "large", &large, &sha256(&large)).await;
        for n in 390..430 {
            manifest["annotations"][format!("large-annotation-{n}")] = "A".repeat(10_000).into();
        }
        let larger = bytes(&manifest);
        registry
            .put_manifest("a", "larger", &larger)
            .await
            .expect(413, "MANIFEST_INVALID");
        let pieces = larger.chunks(100_000).map(Bytes::copy_from_slice).collect();
        let typed = [("content-type", OCI_MANIFEST)];
        registry
            .stream("PUT", "/v2/a/manifests/larger", &typed, pieces)
            .await
            .expect(413, "MANIFEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn types_and_clients() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.push_image("a", "v1", "one").await;
        let path = "/v2/a/manifests/v1";
        for accept in ["*/*", "application/*", OCI_MANIFEST] {
            assert_eq!(
                registry.send("GET", path, &[("accept", accept)], "").await.status,
                200,
                "{accept}"
            );
        }
        assert_eq!(registry.get(path).await.status, 200, "no Accept");
        let reply = registry
            .send("GET", path, &[("accept", DOCKER_MANIFEST)], "")
            .await;
        reply.expect(404, "MANIFEST_UNKNOWN");
        assert_eq!(
            reply.message(),
            "OCI manifest found, but accept header does not support OCI manifests"
        );

        // OCI manifests may leave their type to the request.
        let mut untyped: Value = serde_json::from_slice(&manifest).unwrap();
        untyped.as_object_mut().unwrap().remove("mediaType");
        let untyped = bytes(&untyped);
        let typed = [("content-type", OCI_MANIFEST)];
        assert_eq!(
            registry
                .send("PUT", "/v2/a/manifests/v2", &typed, untyped.clone())
                .await
                .status,
            201
        );
        expect_served(&registry, "a", "v2", &untyped, &sha256(&untyped)).await;
        let index = bytes(&json!({ "schemaVersion": 2, "manifests": [] }));
        let typed = [("content-type", OCI_INDEX)];
        assert_eq!(
            registry
                .send("PUT", "/v2/a/manifests/v3", &typed, index)
                .await
                .status,
            201
        );
        assert_eq!(
            registry.get("/v2/a/manifests/v3").await.header("content-type"),
            OCI_INDEX
        );

        // Docker's are served to everybody.
        let mut docker: Value = serde_json::from_slice(&manifest).unwrap();
        docker["mediaType"] = DOCKER_MANIFEST.into();
        registry.push_manifest("a", "v4", &bytes(&docker)).await;
        let reply = registry
            .send("GET", "/v2/a/manifests/v4", &[("accept", OCI_MANIFEST)], "")
            .await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, DOCKER_MANIFEST)
        );
    })
    .await;
}

#[tokio::test]
async fn conditional_pulls() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.push_image("a", "v1", "one").await;
        let tag = format!("\"{}\"", sha256(&manifest));
        for path in [
            "/v2/a/manifests/v1".to_owned(),
            format!("/v2/a/manifests/{}", sha256(&manifest)),
        ] {
            for method in ["GET", "HEAD"] {
                let reply = registry.send(method, &path, &[("if-none-match", &tag)], "").await;
                assert_eq!((reply.status, reply.body.len()), (304, 0));
                assert_eq!(reply.header("docker-content-digest"), sha256(&manifest));
            }
        }
        let missing = format!("/v2/b/manifests/{}", sha256(&manifest));
        registry
            .send("GET", &missing, &[("if-none-match", &tag)], "")
            .await
            .expect(404, "MANIFEST_UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn artifacts_and_empty_content() {
    on_every_driver(async |registry: Registry| {
        registry.push_blob("a", "{}").await;
        registry.push_blob("a", "").await;
        let layer = descriptor("application/vnd.example", b"");
        for (tag, layers) in [
            ("none", json!([])),
            ("null", Value::Null),
            ("empty", json!([layer])),
            ("json", json!([descriptor(OCI_EMPTY, b"{}")])),
        ] {
            let artifact = bytes(&json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example",
                "config": descriptor(OCI_EMPTY, b"{}"), "layers": layers, "unknown": {"field": [1, 2]},
            }));
            registry.push_manifest("a", tag, &artifact).await;
            expect_served(&registry, "a", tag, &artifact, &sha256(&artifact)).await;
        }
        let empty = index(&[]);
        registry.push_manifest("a", "index", &empty).await;
        expect_served(&registry, "a", "index", &empty, &sha256(&empty)).await;
    })
    .await;
}

#[tokio::test]
async fn foreign_layers_need_not_be_pushed() {
    on_every_driver(async |registry: Registry| {
        let mut manifest: Value = serde_json::from_slice(&registry.image("a", "one").await).unwrap();
        let mut foreign = descriptor(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            b"foreign",
        );
        foreign["urls"] = json!(["https://example.com/layer"]);
        manifest["layers"].as_array_mut().unwrap().push(foreign);
        registry.push_manifest("a", "v1", &bytes(&manifest)).await;
    })
    .await;
}

#[tokio::test]
async fn indexes_nested_and_sparse() {
    on_every_driver(async |registry: Registry| {
        let image = registry.push_image("a", "image", "one").await;
        let mut child = index(&[described(&image)]);
        let inner = sha256(&child);
        registry.push_manifest("a", &inner, &child).await;
        for depth in 2..=8 {
            child = index(&[described(&child)]);
            let reply = registry.push_manifest("a", &sha256(&child), &child).await;
            assert_eq!(reply.status, 201, "{depth}");
        }
        let deep = index(&[described(&child)]);
        registry
            .put_manifest("a", "deep", &deep)
            .await
            .expect(400, "MANIFEST_INVALID");

        let sparse = index(&[described(&image), descriptor(OCI_MANIFEST, b"elsewhere")]);
        registry.push_manifest("a", "sparse", &sparse).await;
        expect_served(&registry, "a", "sparse", &sparse, &sha256(&sparse)).await;
        let mut lying = described(&image);
        lying["size"] = 1.into();
        registry
            .put_manifest("a", "lying", &index(&[lying]))
            .await
            .expect(400, "MANIFEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn what_may_be_missing() {
    for (sparse, children, some, all) in [
        (Sparse::Refused, 400, 400, 400),
        (Sparse::Indexes, 201, 400, 400),
        (Sparse::Layers, 201, 201, 400),
        (Sparse::Everything, 201, 201, 201),
    ] {
        on_every_driver_with(
            Config {
                sparse,
                ..Config::default()
            },
            async |registry: Registry| {
                let put = async |tag: &str, manifest: &Bytes| {
                    registry.put_manifest("a", tag, manifest).await.status
                };
                let listing = index(&[descriptor(OCI_MANIFEST, b"elsewhere")]);
                assert_eq!(put("index", &listing).await, children, "{sparse:?}");
                let image = registry.image("elsewhere", "one").await;
                assert_eq!(put("nothing", &image).await, all, "{sparse:?}");
                registry.push_blob("a", "{\"seed\":\"one\"}").await;
                assert_eq!(put("config", &image).await, all, "{sparse:?}");
                registry.push_blob("a", "layer of one").await;
                let mut image: Value = serde_json::from_slice(&image).unwrap();
                image["layers"]
                    .as_array_mut()
                    .unwrap()
                    .push(descriptor(OCI_LAYER, b"missing"));
                assert_eq!(put("layer", &bytes(&image)).await, some, "{sparse:?}");
                image["mediaType"] = DOCKER_MANIFEST.into();
                assert_eq!(put("docker", &bytes(&image)).await, all, "{sparse:?}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.push_image("a", "v1", "one").await;
        registry.push_manifest("a", "v2", &manifest).await;
        assert_eq!(registry.delete("/v2/a/manifests/v1").await.status, 202);
        registry
            .get("/v2/a/manifests/v1")
            .await
            .expect(404, "MANIFEST_UNKNOWN");
        assert_eq!(registry.head("/v2/a/manifests/v1").await.status, 404);
        registry
            .delete("/v2/a/manifests/v1")
            .await
            .expect(404, "MANIFEST_UNKNOWN");
        expect_served(&registry, "a", "v2", &manifest, &sha256(&manifest)).await;
        expect_served(&registry, "a", &sha256(&manifest), &manifest, &sha256(&manifest)).await;
        registry.push_manifest("a", "v1", &manifest).await;
        expect_served(&registry, "a", "v1", &manifest, &sha256(&manifest)).await;
    })
    .await;
}

#[tokio::test]
async fn deleting_a_manifest_deletes_its_tags() {
    on_every_driver(async |registry: Registry| {
        let one = registry.push_image("a", "v1", "one").await;
        registry.push_manifest("a", "v2", &one).await;
        let two = registry.push_image("a", "v3", "two").await;
        let path = format!("/v2/a/manifests/{}", sha256(&one));
        assert_eq!(registry.get(&path).await.status, 200);
        assert_eq!(registry.delete(&path).await.status, 202);
        for path in [path.as_str(), "/v2/a/manifests/v1", "/v2/a/manifests/v2"] {
            registry.get(path).await.expect(404, "MANIFEST_UNKNOWN");
            assert_eq!(registry.head(path).await.status, 404);
            registry.delete(path).await.expect(404, "MANIFEST_UNKNOWN");
        }
        assert_eq!(
            registry.get("/v2/a/tags/list").await.json()["tags"],
            json!(["v3"])
        );
        expect_served(&registry, "a", "v3", &two, &sha256(&two)).await;
        registry.push_manifest("a", "v1", &one).await;
        expect_served(&registry, "a", "v1", &one, &sha256(&one)).await;
    })
    .await;
}
