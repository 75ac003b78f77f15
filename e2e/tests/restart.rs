//! The life of `berth up`: first start, lock, drain, restart.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use berth_testkit::{Berth, berth::binary, image::Image, installed, process::run};

#[test]
fn the_contract_of_berth_up() {
    let mut berth = Berth::start();
    for file in ["admin.kubeconfig", "ca.crt", "berth.db", "endpoints.json"] {
        let path = berth.data().join(file);
        assert!(path.is_file(), "{}", path.display());
    }
    assert!(berth.certificates().join("ca.crt").is_file());
    assert!(berth.volume().is_dir());
    assert_eq!(
        fs::metadata(berth.data()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        berth
            .output()
            .trim_end()
            .lines()
            .filter(|line| *line == "berth is ready")
            .count(),
        1
    );

    // A second process on the same directory says who holds it.
    let mut second = Command::new(binary());
    second.args([
        "up",
        "--api-listen",
        "127.0.0.1:0",
        "--registry-listen",
        "127.0.0.1:0",
        "--data-dir",
    ]);
    let refused = run(second.arg(berth.data())).refused();
    let holder = berth.process().id().to_string();
    assert!(refused.contains(&holder), "{refused}");
    assert_eq!(refused.trim_end().lines().count(), 1, "{refused}");

    let ready = berth.kubectl().run(&["get", "--raw", "/readyz"]).ok();
    assert_eq!(ready, "ok");
    assert!(
        berth
            .kubectl()
            .run(&["version", "-o", "json"])
            .ok()
            .contains("serverVersion")
    );
    let answer = berth
        .curl(None, "/v2/", &["-o", "/dev/null", "-w", "%{http_code}"])
        .ok();
    assert_eq!(answer, "401");
    berth.stop();
}

#[test]
fn a_restart_finds_everything() {
    if !installed("skopeo") {
        return;
    }
    let mut berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    let image = Image::new(1, 2, 10_000);
    let layout = berth.scratch().join("layout");
    image.write_layout(&layout, "v1").unwrap();
    let _ = berth
        .skopeo()
        .push(
            &token,
            &format!("oci:{}:v1", layout.display()),
            "demo/app:v1",
            &[],
        )
        .ok();
    let before = berth
        .kubectl()
        .run(&[
            "get",
            "is",
            "app",
            "-n",
            "demo",
            "-o",
            "jsonpath={.metadata.uid} {.metadata.resourceVersion}",
        ])
        .ok();
    let authority = fs::read(berth.data().join("ca.crt")).unwrap();
    berth.stop();
    berth.start_again();
    assert_eq!(fs::read(berth.data().join("ca.crt")).unwrap(), authority);
    let after = berth
        .kubectl()
        .run(&[
            "get",
            "is",
            "app",
            "-n",
            "demo",
            "-o",
            "jsonpath={.metadata.uid} {.metadata.resourceVersion}",
        ])
        .ok();
    assert_eq!(before, after);
    // Tokens outlive a restart, since the key that signed them is kept.
    let target = berth.scratch().join("pulled");
    let _ = berth
        .skopeo()
        .pull(
            Some(&token),
            "demo/app:v1",
            &format!("dir:{}", target.display()),
            &[],
        )
        .ok();
    assert_eq!(
        fs::read(target.join("manifest.json")).unwrap(),
        image.manifest.bytes
    );
}

#[test]
fn mistakes_on_the_command_line_are_one_line() {
    let said = run(Command::new(binary()).args(["up", "--api-listen", "nonsense"]));
    assert!(!said.success);
    assert!(said.stderr.contains("--api-listen"), "{}", said.stderr);
    let scratch = tempfile::tempdir().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let mut command = Command::new(binary());
    command.args([
        "up",
        "--api-listen",
        &address,
        "--registry-listen",
        "127.0.0.1:0",
        "--data-dir",
    ]);
    let refused = run(command.arg(scratch.path().join("data"))).refused();
    assert!(
        refused.contains(&address) && refused.contains("--api-listen"),
        "{refused}"
    );
}
