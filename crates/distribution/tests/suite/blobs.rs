//! Reading and deleting blobs.

use berth_distribution::Config;

use crate::harness::{Registry, noise, on_every_driver, on_every_driver_with, sha256, sha512};

#[tokio::test]
async fn a_blob_is_read_as_it_was_pushed() {
    on_every_driver(async |registry: Registry| {
        for (size, seed) in [
            (0, 1),
            (1, 2),
            (4096, 3),
            (65_536, 4),
            (65_537, 5),
            (1_000_000, 6),
        ] {
            let content = noise(size, seed);
            let digest = registry.push_blob("a/b", content.clone()).await;
            let path = format!("/v2/a/b/blobs/{digest}");
            for method in ["GET", "HEAD"] {
                let reply = registry.send(method, &path, &[], "").await;
                assert_eq!(reply.status, 200, "{method} {size}");
                assert_eq!(
                    reply.header("content-length"),
                    size.to_string(),
                    "{method} {size}"
                );
                assert_eq!(reply.header("docker-content-digest"), digest);
                assert_eq!(reply.header("etag"), format!("\"{digest}\""));
                assert_eq!(reply.header("accept-ranges"), "bytes");
                assert_eq!(reply.header("cache-control"), "max-age=31536000");
                assert_eq!(reply.header("content-type"), "application/octet-stream");
                assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
                assert!(
                    if method == "GET" {
                        reply.body == content
                    } else {
                        reply.body.is_empty()
                    },
                    "{method} {size}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn ranges() {
    on_every_driver(async |registry: Registry| {
        for size in [2048_usize, 300_000] {
            let content = noise(size, 7);
            let digest = registry.push_blob("r", content.clone()).await;
            let path = format!("/v2/r/blobs/{digest}");
            let past = format!("bytes={size}-");
            for (range, want) in [
                ("bytes=500-1499", Some(500..1500)),
                ("bytes=500-", Some(500..size)),
                ("bytes=-500", Some(size - 500..size)),
                ("bytes=2000-5000000", Some(2000..size)),
                ("bytes=0-0", Some(0..1)),
                ("bytes=5000000-10000000", None),
                (past.as_str(), None),
            ] {
                let reply = registry.send("GET", &path, &[("range", range)], "").await;
                if let Some(want) = want {
                    assert_eq!(reply.status, 206, "{range}: {:?}", reply.headers);
                    let shown = format!("bytes {}-{}/{size}", want.start, want.end - 1);
                    assert_eq!(reply.header("content-range"), shown, "{range}");
                    assert_eq!(reply.header("content-length"), want.len().to_string(), "{range}");
                    assert!(reply.body == content[want], "{range}");
                } else {
                    reply.expect(416, "RANGE_INVALID");
                    assert_eq!(reply.header("content-range"), format!("bytes */{size}"));
                }
            }
            for range in ["bytes=x", "lines=1-2"] {
                let reply = registry.send("GET", &path, &[("range", range)], "").await;
                assert!(reply.status == 200 && reply.body == content, "{range}");
            }
            let head = registry.send("HEAD", &path, &[("range", "bytes=0-1")], "").await;
            assert_eq!(
                (head.status, head.header("content-length")),
                (200, size.to_string().as_str())
            );
        }
    })
    .await;
}

#[tokio::test]
async fn conditions() {
    on_every_driver(async |registry: Registry| {
        let digest = registry.push_blob("c", "content").await;
        let path = format!("/v2/c/blobs/{digest}");
        let tag = format!("\"{digest}\"");
        for method in ["GET", "HEAD"] {
            let reply = registry.send(method, &path, &[("if-none-match", &tag)], "").await;
            assert_eq!((reply.status, reply.body.len()), (304, 0), "{method}");
            assert_eq!(reply.header("etag"), tag);
            let reply = registry
                .send(method, &path, &[("if-none-match", "\"other\"")], "")
                .await;
            assert_eq!(reply.status, 200, "{method}");
        }
        let reply = registry
            .send("GET", &path, &[("range", "bytes=1-3"), ("if-range", &tag)], "")
            .await;
        assert_eq!((reply.status, &reply.body[..]), (206, &b"ont"[..]));
        let reply = registry
            .send(
                "GET",
                &path,
                &[("range", "bytes=1-3"), ("if-range", "\"old\"")],
                "",
            )
            .await;
        assert_eq!((reply.status, &reply.body[..]), (200, &b"content"[..]));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there() {
    on_every_driver(async |registry: Registry| {
        let pushed = registry.push_blob("here", "content").await;
        for path in [
            format!("/v2/here/blobs/{}", sha256(b"other")),
            format!("/v2/elsewhere/blobs/{pushed}"),
            format!("/v2/here/blobs/{}", sha512(b"content")),
        ] {
            registry.get(&path).await.expect(404, "BLOB_UNKNOWN");
            assert_eq!(registry.head(&path).await.status, 404);
            registry.delete(&path).await.expect(404, "BLOB_UNKNOWN");
        }
        for digest in ["sha256:zz", "nonsense", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            registry
                .get(&format!("/v2/here/blobs/{digest}"))
                .await
                .expect(400, "DIGEST_INVALID");
        }
        registry
            .get("/v2/Here/blobs/sha256:zz")
            .await
            .expect(400, "NAME_INVALID");
        registry.get("/v2/nowhere").await.expect(404, "UNSUPPORTED");
    })
    .await;
}

#[tokio::test]
async fn deleting_is_immediate_and_only_for_one_repository() {
    on_every_driver(async |registry: Registry| {
        let digest = registry.push_blob("one", "shared").await;
        registry.push_blob("two", "shared").await;
        let (one, two) = (
            format!("/v2/one/blobs/{digest}"),
            format!("/v2/two/blobs/{digest}"),
        );
        assert_eq!(registry.get(&one).await.status, 200);
        assert_eq!(registry.delete(&one).await.status, 202);
        assert_eq!(registry.get(&one).await.status, 404);
        assert_eq!(registry.head(&one).await.status, 404);
        registry.delete(&one).await.expect(404, "BLOB_UNKNOWN");
        assert_eq!(registry.get(&two).await.body, "shared");
        registry.push_blob("one", "shared").await;
        assert_eq!(registry.get(&one).await.body, "shared");
    })
    .await;
}

#[tokio::test]
async fn methods_and_the_base() {
    on_every_driver(async |registry: Registry| {
        let reply = registry.get("/v2/").await;
        assert_eq!((reply.status, &reply.body[..]), (200, &b"{}"[..]));
        assert_eq!(registry.head("/v2/").await.header("content-length"), "2");
        let reply = registry.get("/v2").await;
        assert_eq!((reply.status, reply.header("location")), (301, "/v2/"));
        for (method, path, allow) in [
            ("POST", "/v2/", "GET, HEAD"),
            ("PUT", "/v2/a/tags/list", "GET, HEAD"),
            ("PATCH", "/v2/a/manifests/v1", "GET, HEAD, PUT, DELETE"),
            ("PUT", "/v2/a/blobs/x", "GET, HEAD, DELETE"),
            ("GET", "/v2/a/blobs/uploads/", "POST"),
            (
                "OPTIONS",
                "/v2/a/blobs/uploads/x",
                "GET, HEAD, PATCH, PUT, DELETE",
            ),
        ] {
            let reply = registry.send(method, path, &[], "").await;
            reply.expect(405, "UNSUPPORTED");
            assert_eq!(reply.header("allow"), allow, "{method} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_an_operator_switches_off() {
    let config = Config {
        delete: false,
        ..Config::default()
    };
    on_every_driver_with(config, async |registry: Registry| {
        let digest = registry.push_blob("a", "content").await;
        registry
            .delete(&format!("/v2/a/blobs/{digest}"))
            .await
            .expect(405, "UNSUPPORTED");
        registry
            .delete("/v2/a/manifests/v1")
            .await
            .expect(405, "UNSUPPORTED");
        let location = registry.start("a").await;
        assert_eq!(
            registry.delete(&location).await.status,
            204,
            "cancelling is no deletion"
        );
    })
    .await;
    let config = Config {
        read_only: true,
        ..Config::default()
    };
    on_every_driver_with(config, async |registry: Registry| {
        registry
            .send("POST", "/v2/a/blobs/uploads/", &[], "")
            .await
            .expect(405, "UNSUPPORTED");
        registry
            .put_manifest("a", "v1", &"{}".into())
            .await
            .expect(405, "UNSUPPORTED");
        registry
            .delete("/v2/a/manifests/v1")
            .await
            .expect(405, "UNSUPPORTED");
        assert_eq!(registry.get("/v2/").await.status, 200);
    })
    .await;
}
