//! Every form of upload.

use bytes::Bytes;

use crate::harness::{Registry, Reply, noise, on_every_driver, open_ended, sha256, sha512};

fn closing(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

/// The location without what a client may strip from it.
fn stripped(location: &str) -> String {
    location.split('?').next().unwrap().to_owned()
}

/// Checks that the answer to a closing request names the blob, and that the blob is there.
async fn expect_created(registry: &Registry, reply: &Reply, digest: &str, content: &Bytes) {
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.header("docker-content-digest"), digest);
    let pulled = registry.get(reply.header("location")).await;
    assert_eq!(pulled.status, 200, "{pulled:?}");
    assert_eq!(pulled.header("docker-content-digest"), digest);
    assert!(pulled.body == *content);
    assert_eq!(pulled.header("content-length"), content.len().to_string());
}

/// Sizes around everything that is decided by size.
const SIZES: [usize; 6] = [0, 1, 512, 65_536, 131_073, 1_500_000];

#[tokio::test]
async fn post_then_put() {
    on_every_driver(async |registry: Registry| {
        for (seed, size) in (1..).zip(SIZES) {
            let content = noise(size, seed);
            for digest in [sha256(&content), sha512(&content)] {
                let location = registry.start("a").await;
                let reply = registry
                    .send("PUT", &closing(&location, &digest), &[], content.clone())
                    .await;
                expect_created(&registry, &reply, &digest, &content).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_single_post() {
    on_every_driver(async |registry: Registry| {
        for (seed, size) in (20..).zip(SIZES) {
            let content = noise(size, seed);
            for digest in [sha256(&content), sha512(&content)] {
                let path = format!("/v2/a/blobs/uploads/?digest={digest}");
                let reply = registry.send("POST", &path, &[], content.clone()).await;
                expect_created(&registry, &reply, &digest, &content).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream() {
    on_every_driver(async |registry: Registry| {
        for (seed, size) in (40..).zip(SIZES) {
            let content = noise(size, seed);
            for (digest, piece) in [(sha256(&content), 1000), (sha512(&content), 300_000)] {
                let pieces: Vec<Bytes> = content.chunks(piece).map(Bytes::copy_from_slice).collect();
                let location = registry.start("a").await;
                let reply = registry.stream("PATCH", &location, &[], pieces).await;
                assert_eq!(reply.status, 202, "{reply:?}");
                assert_eq!(reply.header("range"), format!("0-{}", size.saturating_sub(1)));
                let reply = registry
                    .send("PUT", &closing(reply.header("location"), &digest), &[], "")
                    .await;
                expect_created(&registry, &reply, &digest, &content).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn chunks_in_order() {
    on_every_driver(async |registry: Registry| {
        for (last_in_put, digest) in [
            (false, sha256 as fn(&[u8]) -> String),
            (true, sha256),
            (false, sha512),
            (true, sha512),
        ] {
            let content = noise(3067, 60 + u32::from(last_in_put));
            let digest = digest(&content);
            let mut location = registry.start("a").await;
            for start in (0..content.len()).step_by(1024) {
                let end = (start + 1024).min(content.len());
                let range = format!("{start}-{}", end - 1);
                let headers = [
                    ("content-range", range.as_str()),
                    ("content-type", "application/octet-stream"),
                ];
                let chunk = content.slice(start..end);
                if last_in_put && end == content.len() {
                    let reply = registry
                        .send("PUT", &closing(&location, &digest), &headers, chunk)
                        .await;
                    expect_created(&registry, &reply, &digest, &content).await;
                } else {
                    let reply = registry.send("PATCH", &location, &headers, chunk).await;
                    assert_eq!(
                        (reply.status, reply.header("range")),
                        (202, format!("0-{}", end - 1).as_str())
                    );
                    location = reply.header("location").to_owned();
                }
            }
            if !last_in_put {
                let reply = registry.send("PUT", &closing(&location, &digest), &[], "").await;
                expect_created(&registry, &reply, &digest, &content).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn chunks_out_of_order_are_refused_and_recovered_from() {
    on_every_driver(async |registry: Registry| {
        let content = noise(3000, 70);
        let digest = sha256(&content);
        let first = registry.start("a").await;
        let reply = registry
            .send(
                "PATCH",
                &first,
                &[("content-range", "1000-1999")],
                content.slice(1000..2000),
            )
            .await;
        reply.expect(416, "RANGE_INVALID");
        assert_eq!(reply.header("range"), "0-0");
        assert!(!reply.header("docker-upload-uuid").is_empty());
        let reply = registry.get(reply.header("location")).await;
        assert_eq!((reply.status, reply.header("range")), (204, "0-0"));

        let location = reply.header("location").to_owned();
        let reply = registry
            .send(
                "PATCH",
                &location,
                &[("content-range", "0-999")],
                content.slice(..1000),
            )
            .await;
        assert_eq!(reply.status, 202);
        let current = reply.header("location").to_owned();
        for (path, range, part) in [
            (&current, Some("2000-2999"), content.slice(2000..)),
            (&current, Some("0-999"), content.slice(..1000)),
            (&current, Some("999-1998"), content.slice(999..1999)),
            (&current, Some("nonsense"), content.slice(1000..2000)),
            // The same request once more, because its answer was lost: the state is from before it.
            (&location, None, content.slice(..1000)),
        ] {
            let headers: Vec<_> = range.map(|range| ("content-range", range)).into_iter().collect();
            for (method, path) in [("PATCH", path.clone()), ("PUT", closing(path, &digest))] {
                let reply = registry.send(method, &path, &headers, part.clone()).await;
                reply.expect(416, "RANGE_INVALID");
                assert_eq!(reply.header("range"), "0-999", "{method} {range:?}");
                assert_eq!(registry.get(&stripped(&path)).await.header("range"), "0-999");
            }
        }
        let headers = [("content-range", "1000-2998")];
        registry
            .send("PATCH", &current, &headers, content.slice(1000..))
            .await
            .expect(400, "SIZE_INVALID");
        let reply = registry
            .send(
                "PUT",
                &closing(&current, &digest),
                &[("content-range", "1000-2999")],
                content.slice(1000..),
            )
            .await;
        expect_created(&registry, &reply, &digest, &content).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_may_strip_the_state() {
    on_every_driver(async |registry: Registry| {
        let content = noise(2000, 80);
        let digest = sha256(&content);
        let path = stripped(&registry.start("a").await);
        assert_eq!(
            registry
                .send("PATCH", &path, &[], content.slice(..700))
                .await
                .status,
            202
        );
        assert_eq!(registry.get(&path).await.header("range"), "0-699");
        assert_eq!(
            registry
                .send("PATCH", &path, &[], content.slice(700..1400))
                .await
                .status,
            202
        );
        let reply = registry
            .send("PUT", &closing(&path, &digest), &[], content.slice(1400..))
            .await;
        expect_created(&registry, &reply, &digest, &content).await;
        let garbled = format!(
            "{}?_state=garbage",
            registry.start("a").await.split('?').next().unwrap()
        );
        assert_eq!(
            registry.get(&garbled).await.status,
            204,
            "a state of another replica is no state"
        );
    })
    .await;
}

#[tokio::test]
async fn a_closing_put_may_be_repeated() {
    on_every_driver(async |registry: Registry| {
        let content = noise(100, 90);
        let digest = sha256(&content);
        let location = registry.start("a").await;
        for _ in 0..3 {
            let reply = registry
                .send("PUT", &closing(&location, &digest), &[], content.clone())
                .await;
            expect_created(&registry, &reply, &digest, &content).await;
        }
        let other = sha256(b"other");
        registry
            .send("PUT", &closing(&location, &other), &[], "other")
            .await
            .expect(404, "BLOB_UPLOAD_UNKNOWN");
        registry.get(&location).await.expect(404, "BLOB_UPLOAD_UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn content_with_another_digest_is_never_visible() {
    on_every_driver(async |registry: Registry| {
        for size in [100, 200_000] {
            let content = noise(size, 100);
            for digest in [sha256(b"x"), sha512(b"x")] {
                let path = format!("/v2/a/blobs/uploads/?digest={digest}");
                registry
                    .send("POST", &path, &[], content.clone())
                    .await
                    .expect(400, "DIGEST_INVALID");

                let location = registry.start("a").await;
                let reply = registry
                    .send("PUT", &closing(&location, &digest), &[], content.clone())
                    .await;
                reply.expect(400, "DIGEST_INVALID");
                registry.get(&location).await.expect(404, "BLOB_UPLOAD_UNKNOWN");

                let location = registry.start("a").await;
                let reply = registry.send("PATCH", &location, &[], content.clone()).await;
                let reply = registry
                    .send("PUT", &closing(reply.header("location"), &digest), &[], "")
                    .await;
                reply.expect(400, "DIGEST_INVALID");
                assert!(reply.message().contains(&digest), "{reply:?}");

                assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).await.status, 404);
                assert_eq!(
                    registry
                        .get(&format!("/v2/a/blobs/{}", sha256(&content)))
                        .await
                        .status,
                    404
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_is_cancelled() {
    on_every_driver(async |registry: Registry| {
        let location = registry.start("a").await;
        registry.send("PATCH", &location, &[], "some").await;
        assert_eq!(registry.delete(&location).await.status, 204);
        for (method, path) in [
            ("GET", location.clone()),
            ("PATCH", location.clone()),
            ("DELETE", location.clone()),
            ("PUT", closing(&location, &sha256(b"some"))),
        ] {
            registry
                .send(method, &path, &[], "")
                .await
                .expect(404, "BLOB_UPLOAD_UNKNOWN");
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_belongs_to_its_repository() {
    on_every_driver(async |registry: Registry| {
        let location = registry.start("a").await;
        let elsewhere = location.replace("/v2/a/", "/v2/b/");
        registry.get(&elsewhere).await.expect(404, "BLOB_UPLOAD_INVALID");
        registry
            .get(&stripped(&elsewhere))
            .await
            .expect(404, "BLOB_UPLOAD_UNKNOWN");
        for id in ["00000000-0000-4000-8000-000000000000", "..", "a%2F..%2Fb", "x.y"] {
            let path = format!("/v2/a/blobs/uploads/{id}");
            assert!(matches!(registry.get(&path).await.status, 404 | 400), "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn digests_that_are_none() {
    on_every_driver(async |registry: Registry| {
        let location = registry.start("a").await;
        for digest in ["sha256:abc", "", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            registry
                .send("PUT", &closing(&location, digest), &[], "x")
                .await
                .expect(400, "DIGEST_INVALID");
        }
        registry
            .send("PUT", &location, &[], "x")
            .await
            .expect(400, "DIGEST_INVALID");
        registry
            .send("POST", "/v2/a/blobs/uploads/?digest=sha256:abc", &[], "")
            .await
            .expect(400, "DIGEST_INVALID");
        let reply = registry
            .send("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", &[], "")
            .await;
        reply.expect(400, "DIGEST_INVALID");
        assert_eq!(
            registry.get(&location).await.status,
            204,
            "the session is still there"
        );
    })
    .await;
}

#[tokio::test]
async fn the_algorithm_may_be_announced() {
    on_every_driver(async |registry: Registry| {
        let content = noise(300_000, 110);
        let digest = sha512(&content);
        let reply = registry
            .send("POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512", &[], "")
            .await;
        assert_eq!(reply.status, 202);
        let reply = registry
            .send("PATCH", reply.header("location"), &[], content.clone())
            .await;
        let reply = registry
            .send("PUT", &closing(reply.header("location"), &digest), &[], "")
            .await;
        expect_created(&registry, &reply, &digest, &content).await;
    })
    .await;
}

#[tokio::test]
async fn mounts() {
    on_every_driver(async |registry: Registry| {
        let content = noise(1000, 120);
        for digest in [sha256(&content), sha512(&content)] {
            let mount = |from: &str| format!("/v2/to/blobs/uploads/?mount={digest}{from}");
            let reply = registry.send("POST", &mount("&from=from"), &[], "").await;
            assert_eq!(reply.status, 202, "nobody has it");
            assert!(!reply.header("docker-upload-uuid").is_empty());

            let path = format!("/v2/from/blobs/uploads/?digest={digest}");
            assert_eq!(
                registry.send("POST", &path, &[], content.clone()).await.status,
                201
            );
            for from in ["&from=nowhere", "&from=NOT%20A%20NAME"] {
                assert_eq!(
                    registry.send("POST", &mount(from), &[], "").await.status,
                    202,
                    "{from}"
                );
            }
            assert_eq!(registry.get(&format!("/v2/to/blobs/{digest}")).await.status, 404);

            let reply = registry.send("POST", &mount("&from=from"), &[], "").await;
            expect_created(&registry, &reply, &digest, &content).await;
            assert!(reply.header("location").contains("/v2/to/"));

            let reply = registry
                .send(
                    "POST",
                    &format!("/v2/third/blobs/uploads/?mount={digest}"),
                    &[],
                    "",
                )
                .await;
            expect_created(&registry, &reply, &digest, &content).await;

            for name in ["from", "to", "third"] {
                assert_eq!(
                    registry
                        .delete(&format!("/v2/{name}/blobs/{digest}"))
                        .await
                        .status,
                    202
                );
            }
            let reply = registry
                .send(
                    "POST",
                    &format!("/v2/fourth/blobs/uploads/?mount={digest}"),
                    &[],
                    "",
                )
                .await;
            assert_eq!(reply.status, 202, "nobody has it any more");
        }
        let reply = registry
            .send("POST", "/v2/to/blobs/uploads/?mount=nonsense&from=from", &[], "")
            .await;
        assert_eq!(reply.status, 202);
    })
    .await;
}

#[tokio::test]
async fn two_writers_of_one_session() {
    on_every_driver(async |registry: Registry| {
        let content = noise(1000, 130);
        let location = registry.start("a").await;
        let (body, end) = open_ended(content.clone());
        let first = registry.send_body("PATCH", &location, &[], body);
        let second = async {
            // The first request holds the session from its first byte on; until then both may try.
            loop {
                let reply = registry.send("PATCH", &stripped(&location), &[], "").await;
                if reply.status == 409 {
                    reply.expect(409, "BLOB_UPLOAD_INVALID");
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            registry
                .delete(&location)
                .await
                .expect(409, "BLOB_UPLOAD_INVALID");
            drop(end);
        };
        let (first, ()) = futures_util::future::join(first, second).await;
        assert_eq!((first.status, first.header("range")), (202, "0-999"));
        let digest = sha256(&content);
        let reply = registry
            .send("PUT", &closing(first.header("location"), &digest), &[], "")
            .await;
        expect_created(&registry, &reply, &digest, &content).await;
    })
    .await;
}
