//! Real clients, and docker-registry on the same storage.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use berth_distribution::Config;
use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, bytes, descriptor, noise, sha256, sha512,
};

/// docker-registry on a directory, until it is dropped.
struct DockerRegistry {
    process: Child,
    client: Registry,
}

impl DockerRegistry {
    /// Starts it, unless it is not installed.
    async fn start(directory: &TempDir, scratch: &TempDir) -> Option<Self> {
        if !berth_testkit::installed("docker-registry") {
            return None;
        }
        let port = berth_testkit::free_port();
        let config = json!({
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": directory.path()}, "delete": {"enabled": true}},
            "http": {"addr": format!("127.0.0.1:{port}"), "secret": "shared"},
            "log": {"level": "error"},
        });
        let path = scratch.path().join("config.yml");
        std::fs::write(&path, config.to_string()).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut client = Registry::memory().await;
        client.address.set_port(port);
        let registry = Self { process, client };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(registry.client.address)
                .await
                .is_ok()
            {
                return Some(registry);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("docker-registry does not listen");
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn closing(location: &str, digest: &str) -> String {
    format!("{location}&digest={digest}")
}

/// An image of some size, as its blobs and its manifest.
fn image(seed: u32) -> (Vec<Bytes>, Bytes) {
    let config = Bytes::from(format!(
        "{{\"os\":\"linux\",\"architecture\":\"amd64\",\"seed\":{seed}}}"
    ));
    let layer = noise(200_000, seed);
    let manifest = bytes(&json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, &config), "layers": [descriptor(OCI_LAYER, &layer)],
    }));
    (vec![config, layer], manifest)
}

/// Pushes in the way that both registries understand.
async fn push(registry: &Registry, name: &str, tag: &str, (blobs, manifest): &(Vec<Bytes>, Bytes)) {
    for blob in blobs {
        let location = registry.start(name).await;
        let reply = registry.send("PATCH", &location, &[], blob.clone()).await;
        let path = closing(reply.header("location"), &sha256(blob));
        let reply = registry.send("PUT", &path, &[], "").await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    registry.push_manifest(name, tag, manifest).await;
}

async fn expect_pull(registry: &Registry, name: &str, tag: &str, (blobs, manifest): &(Vec<Bytes>, Bytes)) {
    for reference in [tag, &sha256(manifest)] {
        let path = format!("/v2/{name}/manifests/{reference}");
        let reply = registry.send("GET", &path, &[("accept", OCI_MANIFEST)], "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.body, *manifest);
    }
    for blob in blobs {
        let reply = registry.get(&format!("/v2/{name}/blobs/{}", sha256(blob))).await;
        assert!(reply.status == 200 && reply.body == *blob, "{:?}", reply.headers);
    }
    let tags = registry.get(&format!("/v2/{name}/tags/list")).await.json();
    assert!(tags["tags"].as_array().unwrap().contains(&tag.into()), "{tags}");
}

#[tokio::test]
async fn either_registry_serves_what_the_other_stored() {
    let (directory, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let Some(docker) = DockerRegistry::start(&directory, &scratch).await else {
        return;
    };
    let berth = Registry::directory(Config::default(), &directory).await;
    let (ours, theirs) = (image(1), image(2));
    push(&berth, "from/berth", "v1", &ours).await;
    push(&docker.client, "from/docker", "v1", &theirs).await;
    for registry in [&berth, &docker.client] {
        expect_pull(registry, "from/berth", "v1", &ours).await;
        expect_pull(registry, "from/docker", "v1", &theirs).await;
        let listed = registry.get("/v2/_catalog").await.json();
        assert_eq!(listed["repositories"], json!(["from/berth", "from/docker"]));
    }
    // Each pushes over the other's tag, and finds the other's blobs already there.
    push(&docker.client, "from/berth", "v1", &theirs).await;
    push(&berth, "from/docker", "v1", &ours).await;
    for registry in [&berth, &docker.client] {
        expect_pull(registry, "from/berth", "v1", &theirs).await;
        expect_pull(registry, "from/docker", "v1", &ours).await;
    }
    // Deletions of either are seen by the other.
    let path = format!("/v2/from/berth/manifests/{}", sha256(&theirs.1));
    assert_eq!(docker.client.delete(&path).await.status, 202);
    assert_eq!(berth.head(&path).await.status, 404);
    let path = format!("/v2/from/docker/manifests/{}", sha256(&ours.1));
    assert_eq!(berth.delete(&path).await.status, 202);
    assert_eq!(
        docker
            .client
            .send("GET", &path, &[("accept", OCI_MANIFEST)], "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn either_registry_goes_on_with_an_upload_of_the_other() {
    let (directory, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let Some(docker) = DockerRegistry::start(&directory, &scratch).await else {
        return;
    };
    let config = Config {
        secret: b"shared".to_vec(),
        ..Config::default()
    };
    let berth = Registry::directory(config, &directory).await;
    let content = noise(17 * 1024 * 1024 + 77, 3);
    let digest = sha256(&content);
    let half = 16 * 1024 * 1024 + 33;
    for (name, first, second) in [("a", &berth, &docker.client), ("b", &docker.client, &berth)] {
        let location = first.start(name).await;
        let reply = first.send("PATCH", &location, &[], content.slice(..half)).await;
        assert_eq!(reply.status, 202, "{name}: {reply:?}");
        let location = reply
            .header("location")
            .replace(&first.address.to_string(), &second.address.to_string());
        let reply = second.send("PATCH", &location, &[], content.slice(half..)).await;
        assert_eq!(reply.status, 202, "{name}: {reply:?}");
        let path = closing(reply.header("location"), &digest);
        let reply = second.send("PUT", &path, &[], "").await;
        assert_eq!(reply.status, 201, "{name}: {reply:?}");
        assert!(
            first.get(&format!("/v2/{name}/blobs/{digest}")).await.body == content,
            "{name}"
        );
    }
}

#[tokio::test]
async fn blobs_that_docker_registry_stored_under_another_digest() {
    let (directory, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let Some(docker) = DockerRegistry::start(&directory, &scratch).await else {
        return;
    };
    let berth = Registry::directory(Config::default(), &directory).await;
    let content = noise(1000, 4);
    let digest = sha512(&content);
    let location = docker.client.start("a").await;
    let reply = docker
        .client
        .send("PUT", &closing(&location, &digest), &[], content.clone())
        .await;
    assert_eq!(reply.status, 201, "{reply:?}");
    for digest in [digest, sha256(&content)] {
        let reply = berth.get(&format!("/v2/a/blobs/{digest}")).await;
        assert_eq!(
            (reply.status, reply.header("docker-content-digest")),
            (200, digest.as_str())
        );
        assert!(reply.body == content);
    }
}

/// Runs skopeo, which must succeed, and returns what it prints.
async fn skopeo(scratch: &Path, arguments: &[String]) -> String {
    let arguments = arguments.to_vec();
    let home = scratch.to_path_buf();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("skopeo");
        command
            .args(&arguments)
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .output()
    })
    .await
    .unwrap()
    .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Writes an image layout with an index `multi` of two images, whose first is `v1`.
fn layout(directory: &Path) {
    let write = |content: &Bytes| {
        let digest = sha256(content);
        std::fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        std::fs::write(directory.join("blobs").join(digest.replace(':', "/")), content).unwrap();
    };
    let mut children = Vec::new();
    for (seed, architecture) in [(10, "amd64"), (11, "arm64")] {
        let layer = noise(100_000, seed);
        let config = bytes(&json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}, "history": [{"created_by": "test"}],
        }));
        let manifest = bytes(&json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, &config), "layers": [descriptor(OCI_LAYER, &layer)],
        }));
        for content in [&layer, &config, &manifest] {
            write(content);
        }
        let mut child = descriptor(OCI_MANIFEST, &manifest);
        child["platform"] = json!({"architecture": architecture, "os": "linux"});
        children.push(child);
    }
    let index =
        bytes(&json!({"schemaVersion": 2, "mediaType": crate::harness::OCI_INDEX, "manifests": children}));
    write(&index);
    let named = |mut descriptor: serde_json::Value, name: &str| {
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        descriptor
    };
    let top = json!({"schemaVersion": 2, "manifests": [
        named(children[0].clone(), "v1"), named(descriptor(crate::harness::OCI_INDEX, &index), "multi"),
    ]});
    std::fs::write(directory.join("index.json"), top.to_string()).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[tokio::test]
async fn skopeo_copies_inspects_lists_and_deletes() {
    if !berth_testkit::installed("skopeo") {
        return;
    }
    let (directory, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let berth = Registry::directory(Config::default(), &directory).await;
    let source = scratch.path().join("img");
    layout(&source);
    let at = |name: &str| format!("docker://{}/{name}", berth.address);
    let oci = |folder: &str, name: &str| format!("oci:{}:{name}", scratch.path().join(folder).display());
    let run = async |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        skopeo(scratch.path(), &arguments).await
    };
    let push = ["copy", "-q", "--dest-tls-verify=false"];
    let pull = ["copy", "-q", "--src-tls-verify=false"];
    run(&[&push[..], &[&oci("img", "v1"), &at("t/a:v1")]].concat()).await;
    run(&[&push[..], &["--all", &oci("img", "multi"), &at("t/a:multi")]].concat()).await;
    run(&[&push[..], &["-f", "v2s2", &oci("img", "v1"), &at("t/a:s2")]].concat()).await;
    run(&[&pull[..], &["--all", &at("t/a:multi"), &oci("out", "multi")]].concat()).await;
    run(&[&pull[..], &[&at("t/a:s2"), &oci("out", "s2")]].concat()).await;
    let copied = std::fs::read_dir(scratch.path().join("out/blobs/sha256"))
        .unwrap()
        .count();
    assert!(copied >= 7, "{copied}");
    let both = [
        "copy",
        "-q",
        "--all",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
    ];
    run(&[&both[..], &[&at("t/a:multi"), &at("t/b:multi")]].concat()).await;
    let raw = run(&["inspect", "--raw", "--tls-verify=false", &at("t/b:multi")]).await;
    assert!(raw.contains("arm64"), "{raw}");
    let tags = run(&["list-tags", "--tls-verify=false", &at("t/a")]).await;
    let tags: serde_json::Value = serde_json::from_str(&tags).unwrap();
    assert_eq!(tags["Tags"], json!(["multi", "s2", "v1"]));
    run(&["delete", "--tls-verify=false", &at("t/a:s2")]).await;
    let tags = run(&["list-tags", "--tls-verify=false", &at("t/a")]).await;
    assert!(!tags.contains("s2"), "{tags}");
}
