//! The five-minute tour with unmodified clients: push, look, grant, pull.

use std::fs;

use berth_testkit::{
    Berth,
    image::{Image, Index},
    installed,
};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn skopeo_pushes_and_the_image_stream_appears() {
    if !installed("skopeo") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    let image = Image::new(1, 3, 20_000);
    let layout = berth.scratch().join("layout");
    image.write_layout(&layout, "v1").unwrap();
    let source = format!("oci:{}:v1", layout.display());
    let _ = berth.skopeo().push(&token, &source, "demo/app:v1", &[]).ok();

    let stream = json(
        &berth
            .kubectl()
            .run(&["get", "is", "app", "-n", "demo", "-o", "json"])
            .ok(),
    );
    let repository = format!("{}/demo/app", berth.registry);
    assert_eq!(stream["status"]["dockerImageRepository"], repository.as_str());
    assert_eq!(stream["status"]["tags"][0]["tag"], "v1");
    let item = &stream["status"]["tags"][0]["items"][0];
    assert_eq!(item["image"], image.manifest.digest.as_str());
    assert_eq!(
        item["dockerImageReference"],
        format!("{repository}@{}", image.manifest.digest).as_str()
    );

    // The second push of the tag grows its history, newest first.
    let second = Image::new(2, 1, 1000);
    second.write_layout(&layout, "v2").unwrap();
    let source = format!("oci:{}:v2", layout.display());
    let _ = berth.skopeo().push(&token, &source, "demo/app:v1", &[]).ok();
    let stream = json(
        &berth
            .kubectl()
            .run(&["get", "is/app", "-n", "demo", "-o", "json"])
            .ok(),
    );
    let items = stream["status"]["tags"][0]["items"].as_array().unwrap();
    let images: Vec<_> = items.iter().map(|item| item["image"].as_str().unwrap()).collect();
    assert_eq!(
        images,
        [second.manifest.digest.as_str(), image.manifest.digest.as_str()]
    );

    let table = berth.kubectl().run(&["get", "is", "-n", "demo"]).ok();
    assert!(table.starts_with("NAME"), "{table}");
    for word in ["IMAGE REPOSITORY", "TAGS", "UPDATED", "app", "v1"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
    let tag = json(
        &berth
            .kubectl()
            .run(&["get", "istag", "app:v1", "-n", "demo", "-o", "json"])
            .ok(),
    );
    assert_eq!(
        tag["image"]["dockerImageMetadata"]["Config"]["Labels"]["seed"],
        "2"
    );

    // What was pushed comes back bit for bit, by tag and by digest, also what the tag no longer names.
    for (name, want) in [
        ("demo/app:v1".to_owned(), &second),
        (format!("demo/app@{}", image.manifest.digest), &image),
    ] {
        let target = berth.scratch().join("pulled");
        let _ = berth
            .skopeo()
            .pull(Some(&token), &name, &format!("dir:{}", target.display()), &[])
            .ok();
        assert_eq!(
            fs::read(target.join("manifest.json")).unwrap(),
            want.manifest.bytes,
            "{name}"
        );
        for blob in want.blobs() {
            let file = target.join(blob.digest.trim_start_matches("sha256:"));
            assert_eq!(fs::read(file).unwrap(), blob.bytes, "{name}");
        }
        fs::remove_dir_all(target).unwrap();
    }
    let tags = json(
        &berth
            .skopeo()
            .run(&token, "list-tags", &[&berth.skopeo().reference("demo/app")])
            .ok(),
    );
    assert_eq!(tags["Tags"], serde_json::json!(["v1"]));
}

#[test]
fn an_index_is_pushed_whole_and_its_children_are_pulled() {
    if !installed("skopeo") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    let index = Index::new(3, &["amd64", "arm64"]);
    let layout = berth.scratch().join("layout");
    index.write_layout(&layout, "multi").unwrap();
    let source = format!("oci:{}:multi", layout.display());
    let _ = berth
        .skopeo()
        .push(&token, &source, "demo/multi:latest", &["--all"])
        .ok();
    let target = format!("oci:{}:multi", berth.scratch().join("copy").display());
    let _ = berth
        .skopeo()
        .pull(Some(&token), "demo/multi:latest", &target, &["--all"])
        .ok();
    let child = format!("demo/multi@{}", index.images[1].manifest.digest);
    let target = format!("dir:{}", berth.scratch().join("child").display());
    let _ = berth.skopeo().pull(Some(&token), &child, &target, &[]).ok();
    // Docker's own formats travel too.
    let image = format!(
        "docker://{}/demo/multi@{}",
        berth.registry, index.images[0].manifest.digest
    );
    let folder = format!("dir:{}", berth.scratch().join("v2s2").display());
    let _ = berth
        .skopeo()
        .pull(
            Some(&token),
            image.split_once("//").unwrap().1.split_once('/').unwrap().1,
            &folder,
            &[],
        )
        .ok();
    let _ = berth
        .skopeo()
        .push(&token, &folder, "demo/docker:v2", &["-f", "v2s2"])
        .ok();
    let stream = json(
        &berth
            .kubectl()
            .run(&["get", "istag", "docker:v2", "-n", "demo", "-o", "json"])
            .ok(),
    );
    assert_eq!(
        stream["image"]["dockerImageManifestMediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );
}

#[test]
fn a_role_binding_lets_somebody_else_pull() {
    if !installed("skopeo") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("demo");
    berth.create_project("other");
    let pusher = berth.token_with_role("demo", "pusher", "system:image-builder");
    let stranger = berth.token("other", "stranger");
    let layout = berth.scratch().join("layout");
    Image::new(4, 1, 1000).write_layout(&layout, "v1").unwrap();
    let source = format!("oci:{}:v1", layout.display());
    let _ = berth.skopeo().push(&pusher, &source, "demo/app:v1", &[]).ok();

    let target = format!("dir:{}", berth.scratch().join("stolen").display());
    let refused = berth
        .skopeo()
        .pull(Some(&stranger), "demo/app:v1", &target, &[])
        .refused();
    // A refused HEAD has no body, so some clients can only name its status.
    assert!(
        refused.contains("denied") || refused.contains("403 (Forbidden)"),
        "{refused}"
    );
    let refused = berth.skopeo().pull(None, "demo/app:v1", &target, &[]).refused();
    assert!(
        refused.contains("unauthorized") || refused.contains("authentication required"),
        "{refused}"
    );
    let refused = berth
        .skopeo()
        .push(&stranger, &source, "demo/app:v2", &[])
        .refused();
    // A refused HEAD has no body, so some clients can only name its status.
    assert!(
        refused.contains("denied") || refused.contains("403 (Forbidden)"),
        "{refused}"
    );

    let grant = [
        "create",
        "rolebinding",
        "pull",
        "--clusterrole=system:image-puller",
        "--serviceaccount=other:stranger",
        "-n",
        "demo",
    ];
    let _ = berth.kubectl().run(&grant).ok();
    // A change of rights reaches the registry within ten seconds.
    berth_testkit::eventually("the grant takes effect", || {
        berth
            .skopeo()
            .pull(Some(&stranger), "demo/app:v1", &target, &[])
            .success
            .then_some(())
    });
    let refused = berth
        .skopeo()
        .push(&stranger, &source, "demo/app:v2", &[])
        .refused();
    // A refused HEAD has no body, so some clients can only name its status.
    assert!(
        refused.contains("denied") || refused.contains("403 (Forbidden)"),
        "{refused}"
    );

    // Public: anonymous clients pull once everybody may.
    let public = [
        "create",
        "rolebinding",
        "public",
        "--clusterrole=system:image-puller",
        "--group=system:unauthenticated",
        "-n",
        "demo",
    ];
    let _ = berth.kubectl().run(&public).ok();
    berth_testkit::eventually("anonymous pull", || {
        let target = format!("dir:{}", berth.scratch().join("public").display());
        berth
            .skopeo()
            .pull(None, "demo/app:v1", &target, &[])
            .success
            .then_some(())
    });
}

#[test]
fn a_push_to_a_missing_project_says_so() {
    if !installed("skopeo") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("demo");
    let admin = berth.token("demo", "root");
    let _ = berth
        .kubectl()
        .run(&[
            "create",
            "clusterrolebinding",
            "root",
            "--clusterrole=cluster-admin",
            "--serviceaccount=demo:root",
        ])
        .ok();
    let layout = berth.scratch().join("layout");
    Image::new(5, 1, 1000).write_layout(&layout, "v1").unwrap();
    let source = format!("oci:{}:v1", layout.display());
    let refused = berth_testkit::eventually("the role binding is seen", || {
        let said = berth
            .skopeo()
            .push(&admin, &source, "missing/app:v1", &[])
            .refused();
        said.contains("missing").then_some(said)
    });
    assert!(refused.contains("denied"), "{refused}");
    let refused = berth
        .skopeo()
        .push(&admin, &source, "demo/deep/app:v1", &[])
        .refused();
    assert!(
        refused.contains("NAMESPACE/NAME") || refused.contains("project"),
        "{refused}"
    );
}

#[test]
fn podman_and_buildah_build_push_and_pull() {
    if !installed("podman") || !installed("buildah") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "builder-bot", "system:image-builder");
    let podman = berth.podman("pod");
    let context = podman.home().join("context");
    fs::create_dir_all(&context).unwrap();
    fs::write(context.join("hi.txt"), "hi\n").unwrap();
    fs::write(
        context.join("Containerfile"),
        "FROM scratch\nCOPY hi.txt /hi.txt\nLABEL a=b\n",
    )
    .unwrap();
    let context = context.display().to_string();
    let registry = berth.registry.clone();
    let image = format!("{registry}/demo/built:v1");

    let refused = podman
        .run(&[
            "login",
            "--cert-dir",
            "{certs}",
            "-u",
            "any",
            "-p",
            "wrong",
            &registry,
        ])
        .refused();
    assert!(
        refused.contains("unauthorized") || refused.contains("invalid"),
        "{refused}"
    );
    let _ = podman
        .run(&[
            "login",
            "--cert-dir",
            "{certs}",
            "-u",
            "any",
            "-p",
            &token,
            &registry,
        ])
        .ok();
    let _ = podman.run(&["build", "-q", "-t", &image, &context]).ok();
    let _ = podman.run(&["push", "-q", "--cert-dir", "{certs}", &image]).ok();
    let _ = podman.run(&["rmi", "-f", &image]).ok();
    let _ = podman.run(&["pull", "-q", "--cert-dir", "{certs}", &image]).ok();
    let labels = podman
        .run(&["image", "inspect", "--format", "{{.Labels.a}}", &image])
        .ok();
    assert_eq!(labels.trim(), "b");

    let other = format!("{registry}/demo/buildah:v1");
    let _ = podman
        .run_as(
            "buildah",
            &["bud", "-q", "--isolation", "chroot", "-t", &other, &context],
        )
        .ok();
    let _ = podman
        .run_as("buildah", &["push", "-q", "--cert-dir", "{certs}", &other])
        .ok();
    let _ = podman.run_as("buildah", &["rmi", "-f", &other]).ok();
    let _ = podman
        .run_as("buildah", &["pull", "-q", "--cert-dir", "{certs}", &other])
        .ok();
    let streams = berth
        .kubectl()
        .run(&["get", "is", "-n", "demo", "-o", "name"])
        .ok();
    assert_eq!(streams.lines().count(), 2, "{streams}");
    let _ = podman.run(&["logout", &registry]).ok();
}
