//! One storage, two registries: Debian's docker-registry serves what Berth stored, and Berth what docker-registry stored.

use std::{fs, process::Command};

use berth_testkit::{
    Berth,
    image::{Image, Index},
    installed,
    process::run,
    registry_peer::RegistryPeer,
};

#[test]
fn docker_registry_serves_what_berth_stored() {
    if !installed("skopeo") || !installed("docker-registry") {
        return;
    }
    let mut berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    let (image, index) = (Image::new(1, 2, 5000), Index::new(2, &["amd64", "arm64"]));
    let (one, two) = (berth.scratch().join("one"), berth.scratch().join("two"));
    image.write_layout(&one, "v1").unwrap();
    index.write_layout(&two, "multi").unwrap();
    let _ = berth
        .skopeo()
        .push(&token, &format!("oci:{}:v1", one.display()), "demo/app:v1", &[])
        .ok();
    let _ = berth
        .skopeo()
        .push(
            &token,
            &format!("oci:{}:multi", two.display()),
            "demo/app:multi",
            &["--all"],
        )
        .ok();
    berth.stop();

    let peer = RegistryPeer::start(berth.scratch(), &berth.volume()).unwrap();
    for (reference, want) in [("demo/app:v1", &image.manifest), ("demo/app:multi", &index.index)] {
        let target = berth
            .scratch()
            .join(format!("peer-{}", reference.replace(['/', ':'], "-")));
        let mut command = Command::new("skopeo");
        command.args([
            "copy",
            "-q",
            "--all",
            "--src-tls-verify=false",
            &format!("docker://{}/{reference}", peer.address),
        ]);
        let _ = run(command.arg(format!("dir:{}", target.display()))).ok();
        assert_eq!(
            fs::read(target.join("manifest.json")).unwrap(),
            want.bytes,
            "{reference}"
        );
    }
    let tags =
        run(Command::new("curl").args(["-sf", &format!("http://{}/v2/demo/app/tags/list", peer.address)]))
            .ok();
    assert!(tags.contains("multi") && tags.contains("v1"), "{tags}");
}

#[test]
fn berth_serves_what_docker_registry_stored() {
    if !installed("skopeo") || !installed("docker-registry") {
        return;
    }
    let mut berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    // The stream says that the repository exists; the links in storage say what is in it.
    let _ = berth
        .kubectl()
        .with_file(
            "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {name: moved, namespace: demo}\n",
            &["create", "-f", "{}"],
        )
        .ok();
    berth.stop();
    let image = Image::new(3, 2, 5000);
    let layout = berth.scratch().join("layout");
    image.write_layout(&layout, "v1").unwrap();
    {
        let peer = RegistryPeer::start(berth.scratch(), &berth.volume()).unwrap();
        let mut command = Command::new("skopeo");
        command.args([
            "copy",
            "-q",
            "--dest-tls-verify=false",
            &format!("oci:{}:v1", layout.display()),
        ]);
        let _ = run(command.arg(format!("docker://{}/demo/moved:v1", peer.address))).ok();
    }
    berth.start_again();
    let target = berth.scratch().join("pulled");
    let name = format!("demo/moved@{}", image.manifest.digest);
    let _ = berth
        .skopeo()
        .pull(Some(&token), &name, &format!("dir:{}", target.display()), &[])
        .ok();
    assert_eq!(
        fs::read(target.join("manifest.json")).unwrap(),
        image.manifest.bytes
    );
    // And a push through Berth on top of it is served again: the layers are already there.
    let _ = berth
        .skopeo()
        .push(
            &token,
            &format!("oci:{}:v1", layout.display()),
            "demo/moved:v1",
            &[],
        )
        .ok();
    let _ = berth
        .skopeo()
        .pull(
            Some(&token),
            "demo/moved:v1",
            &format!("dir:{}", target.display()),
            &[],
        )
        .ok();
}
