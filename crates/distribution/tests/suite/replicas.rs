//! Processes that share nothing but the storage, and one that starts again.

use berth_distribution::Config;
use tempfile::TempDir;

use crate::harness::{Registry, noise, open_ended, sha256, sha512};

/// Two registries on one storage, with secrets of their own.
async fn pair(directory: &TempDir) -> [Registry; 2] {
    let one = Registry::directory(Config::default(), directory).await;
    let two = Registry::directory(Config::default(), directory).await;
    [one, two]
}

/// Two registries on one storage that share a secret, as replicas do.
async fn sharing(directory: &TempDir) -> [Registry; 2] {
    let config = Config {
        secret: b"shared".to_vec(),
        ..Config::default()
    };
    let one = Registry::directory(config.clone(), directory).await;
    let two = Registry::directory(config, directory).await;
    [one, two]
}

fn closing(location: &str, digest: &str) -> String {
    format!("{location}&digest={digest}")
}

#[tokio::test]
async fn any_replica_goes_on_with_an_upload() {
    let directory = TempDir::new().unwrap();
    let replicas = pair(&directory).await;
    // Long enough for a hash state in storage, and for bytes after it.
    let content = noise(17 * 1024 * 1024 + 123, 1);
    for digest in [sha256(&content), sha512(&content)] {
        let mut location = replicas[0].start("a").await;
        let (mut start, mut turn) = (0, 1);
        for end in [
            1000,
            16 * 1024 * 1024 + 2000,
            16 * 1024 * 1024 + 9000,
            content.len(),
        ] {
            let range = format!("{start}-{}", end - 1);
            let replica = &replicas[turn % 2];
            let chunk = content.slice(start..end);
            let reply = replica
                .send("PATCH", &location, &[("content-range", &range)], chunk)
                .await;
            assert_eq!(
                (reply.status, reply.header("range")),
                (202, format!("0-{}", end - 1).as_str())
            );
            location = reply.header("location").to_owned();
            for other in &replicas {
                assert_eq!(
                    other.get(&location).await.header("range"),
                    format!("0-{}", end - 1)
                );
            }
            (start, turn) = (end, turn + 1);
        }
        let reply = replicas[1]
            .send("PUT", &closing(&location, &digest), &[], "")
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let reply = replicas[0]
            .send("PUT", &closing(&location, &digest), &[], "")
            .await;
        assert_eq!(reply.status, 201, "repeated elsewhere: {reply:?}");
        assert!(replicas[0].get(&format!("/v2/a/blobs/{digest}")).await.body == content);
    }
}

#[tokio::test]
async fn a_restart_keeps_sessions() {
    let directory = TempDir::new().unwrap();
    let content = noise(300_000, 2);
    let digest = sha256(&content);
    let location = {
        let registry = Registry::directory(Config::default(), &directory).await;
        let location = registry.start("a").await;
        registry
            .send("PATCH", &location, &[], content.slice(..100_000))
            .await
            .header("location")
            .to_owned()
    };
    let registry = Registry::directory(Config::default(), &directory).await;
    assert_eq!(registry.get(&location).await.header("range"), "0-99999");
    let reply = registry
        .send("PUT", &closing(&location, &digest), &[], content.slice(100_000..))
        .await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(registry.get(&format!("/v2/a/blobs/{digest}")).await.body == content);
}

#[tokio::test]
async fn a_torn_or_lying_hash_state_is_not_used() {
    let directory = TempDir::new().unwrap();
    let content = noise(17 * 1024 * 1024, 3);
    let digest = sha256(&content);
    for damage in [&b"torn"[..], &[0; 108]] {
        let first = Registry::directory(Config::default(), &directory).await;
        let location = first.start("a").await;
        let reply = first.send("PATCH", &location, &[], content.clone()).await;
        let session = reply.header("docker-upload-uuid");
        let states = directory.path().join(format!(
            "docker/registry/v2/repositories/a/_uploads/{session}/hashstates/sha256"
        ));
        let names: Vec<_> = std::fs::read_dir(&states)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(names.len(), 1);
        assert_eq!(
            names[0].file_name().unwrap().to_str().unwrap(),
            content.len().to_string()
        );
        std::fs::write(&names[0], damage).unwrap();
        let second = Registry::directory(Config::default(), &directory).await;
        let reply = second
            .send("PUT", &closing(reply.header("location"), &digest), &[], "")
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
}

#[tokio::test]
async fn two_replicas_do_not_write_to_one_session_at_once() {
    let directory = TempDir::new().unwrap();
    let [one, two] = pair(&directory).await;
    let content = noise(100_000, 4);
    let location = one.start("a").await;
    let first = loop {
        let (body, end) = open_ended(content.clone());
        let mut first = std::pin::pin!(one.send_body("PATCH", &location, &[], body));
        let second = async {
            loop {
                let reply = two.send("PATCH", &location, &[], "").await;
                match reply.status {
                    409 => break,
                    202 | 416 => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                    _ => panic!("{reply:?}"),
                }
            }
        };
        // The second may just be at work when the first begins; then it is the first that is refused, and begins again.
        tokio::select! {
            refused = &mut first => assert_eq!(refused.status, 409, "{refused:?}"),
            () = second => {
                drop(end);
                break first.await;
            }
        }
    };
    assert_eq!(
        (first.status, first.header("range")),
        (202, "0-99999"),
        "{first:?}"
    );
    let digest = sha256(&content);
    let reply = two
        .send("PUT", &closing(first.header("location"), &digest), &[], "")
        .await;
    assert_eq!(reply.status, 201, "{reply:?}");
}

#[tokio::test]
async fn what_one_replica_deletes_is_gone_in_the_other_when_it_counts() {
    let directory = TempDir::new().unwrap();
    let [one, two] = pair(&directory).await;
    let manifest = one.push_image("a", "v1", "one").await;
    let digest = sha256(&manifest);
    let (path, layer) = (
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{}", sha256(b"layer of one")),
    );
    assert_eq!(two.get(&path).await.status, 200);
    assert_eq!(two.get(&layer).await.status, 200);
    assert_eq!(one.delete(&path).await.status, 202);
    assert_eq!(one.delete(&layer).await.status, 202);
    assert_eq!(two.head(&path).await.status, 404, "a client might skip its push");
    assert_eq!(two.head(&layer).await.status, 404, "a client might skip its push");
    two.put_manifest("a", "v1", &manifest)
        .await
        .expect(400, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_session_without_a_byte_is_known_everywhere() {
    let directory = TempDir::new().unwrap();
    let uploads = directory
        .path()
        .join("docker/registry/v2/repositories/a/_uploads");
    let left = || std::fs::read_dir(&uploads).map_or(0, Iterator::count);
    let [one, two] = sharing(&directory).await;
    let content = noise(1000, 5);
    let digest = sha256(&content);
    for strip in [false, true] {
        let start = async || {
            let location = one.start("a").await;
            if strip {
                location.split("_state").next().unwrap().to_owned()
            } else {
                location
            }
        };
        let location = start().await;
        assert_eq!(left(), 0, "nothing is written before the first byte");
        assert_eq!(two.get(&location).await.header("range"), "0-0");
        let reply = two.send("PATCH", &location, &[], content.clone()).await;
        assert_eq!((reply.status, reply.header("range")), (202, "0-999"));
        let path = closing(reply.header("location"), &digest);
        assert_eq!(one.send("PUT", &path, &[], "").await.status, 201);
        for replica in [&one, &two] {
            assert_eq!(replica.send("PUT", &path, &[], "").await.status, 201, "repeated");
        }

        let path = closing(&start().await, &digest);
        assert_eq!(
            two.send("PUT", &path, &[], content.clone()).await.status,
            201,
            "closed at once"
        );
        assert_eq!(
            one.send("PUT", &path, &[], content.clone()).await.status,
            201,
            "repeated"
        );
        assert_eq!(
            one.send("PUT", &path, &[], "").await.status,
            201,
            "repeated without the content"
        );

        let location = start().await;
        assert_eq!(one.delete(&location).await.status, 204);
        one.get(&location).await.expect(404, "BLOB_UPLOAD_UNKNOWN");
        let elsewhere = location
            .replace("/v2/a/", "/v2/b/")
            .split('?')
            .next()
            .unwrap()
            .to_owned();
        two.get(&elsewhere).await.expect(404, "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(left(), 0, "nothing is left");
    }
}

#[tokio::test]
async fn a_restart_keeps_sessions_that_have_not_begun() {
    let directory = TempDir::new().unwrap();
    for (secret, seed) in [(b"kept".to_vec(), 6), (Vec::new(), 7)] {
        let config = Config {
            secret,
            ..Config::default()
        };
        let location = Registry::directory(config.clone(), &directory)
            .await
            .start("a")
            .await;
        let registry = Registry::directory(config, &directory).await;
        let content = noise(100_000, seed);
        let reply = registry
            .send(
                "PUT",
                &closing(&location, &sha256(&content)),
                &[],
                content.clone(),
            )
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
}
