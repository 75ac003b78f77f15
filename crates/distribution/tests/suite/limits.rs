//! What bounds a client.

use std::time::{Duration, SystemTime};

use berth_distribution::{Config, Purged};
use tempfile::TempDir;

use crate::harness::{Registry, noise, on_every_driver_with, open_ended, sha256};

#[tokio::test]
async fn a_silent_client_is_told_and_may_go_on() {
    let config = Config {
        idle_limit: Duration::from_millis(100),
        ..Config::default()
    };
    on_every_driver_with(config, async |registry: Registry| {
        let content = noise(3000, 1);
        let location = registry.start("a").await;
        let (body, _end) = open_ended(content.slice(..1000));
        registry
            .send_body("PATCH", &location, &[], body)
            .await
            .expect(408, "BLOB_UPLOAD_INVALID");
        let reply = registry.get(&location).await;
        assert_eq!(reply.header("range"), "0-999");
        let digest = sha256(&content);
        let path = format!("{}&digest={digest}", reply.header("location"));
        assert_eq!(
            registry
                .send("PUT", &path, &[], content.slice(1000..))
                .await
                .status,
            201
        );

        let (body, _end) = open_ended("{".into());
        registry
            .send_body("PUT", "/v2/a/manifests/v1", &[], body)
            .await
            .expect(408, "MANIFEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn uploads_at_once_are_bounded() {
    let config = Config {
        concurrent_uploads: 1,
        upload_queue: Duration::from_millis(50),
        ..Config::default()
    };
    on_every_driver_with(config, async |registry: Registry| {
        let (one, two) = (registry.start("a").await, registry.start("a").await);
        let (body, end) = open_ended("first".into());
        let first = registry.send_body("PATCH", &one, &[], body);
        let second = async {
            loop {
                let reply = registry.send("PATCH", &two, &[], "").await;
                if reply.status == 429 {
                    reply.expect(429, "TOOMANYREQUESTS");
                    assert_eq!(reply.header("retry-after"), "1");
                    break;
                }
            }
            assert_eq!(registry.get("/v2/").await.status, 200, "reading goes on");
            drop(end);
        };
        let (first, ()) = futures_util::future::join(first, second).await;
        assert_eq!(first.status, 202);
        assert_eq!(registry.send("PATCH", &two, &[], "").await.status, 202);
    })
    .await;
}

#[tokio::test]
async fn the_smallest_chunk_is_announced() {
    let config = Config {
        chunk_min: 4096,
        ..Config::default()
    };
    on_every_driver_with(config, async |registry: Registry| {
        let reply = registry.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
        assert_eq!(reply.header("oci-chunk-min-length"), "4096");
    })
    .await;
}

#[tokio::test]
async fn abandoned_sessions_are_purged() {
    let directory = TempDir::new().unwrap();
    let registry = Registry::directory(Config::default(), &directory).await;
    let old = registry.start("deep/name").await;
    registry.send("PATCH", &old, &[], "bytes").await;
    let purge = registry.distribution.purge();
    let now = SystemTime::now();
    assert_eq!(purge.pass(now).await.unwrap(), Purged { seen: 1, removed: 0 });
    let week = Duration::from_secs(169 * 3600);
    assert_eq!(
        purge.pass(now + week).await.unwrap(),
        Purged { seen: 1, removed: 1 }
    );
    registry.get(&old).await.expect(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(
        purge.pass(now + week).await.unwrap(),
        Purged { seen: 0, removed: 0 }
    );
}

#[tokio::test(start_paused = true)]
async fn purging_goes_on_until_it_is_stopped() {
    let registry = Registry::memory().await;
    registry.start("a").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = registry.distribution.purge().run(stop.clone());
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(48 * 3600)).await;
        stop.cancel();
    };
    futures_util::future::join(running, stopping).await;
}
