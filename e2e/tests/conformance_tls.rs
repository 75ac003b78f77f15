//! The distribution protocol as an outside harness would try it: over TLS, with credentials, by a client in another language.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

use berth_testkit::{Berth, installed};

/// Fewer checks than this would mean that the script skipped some.
const CHECKS: u32 = 1800;

/// Starts the script; it reads the token from a file, so that no list of processes shows it.
fn client(berth: &Berth, token: &str, mode: &str, repositories: [&str; 2]) -> Child {
    let secret = berth.scratch().join(format!("token-{mode}"));
    std::fs::write(&secret, token).unwrap();
    Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance.py"))
        .arg(&berth.registry)
        .arg(berth.data().join("ca.crt"))
        .arg(mode)
        .args(repositories)
        .stdin(File::open(secret).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_outside_client_finds_the_protocol_complete() {
    if !installed("kubectl") || !installed("python3") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("conformance");
    // An administrator of the cluster, and one who has just the roles that exist for pushing and for deleting images.
    let administrator = berth.token("conformance", "administrator");
    let editor = berth.token_with_role("conformance", "editor", "registry-editor");
    for (account, role) in [
        ("administrator", "cluster-admin"),
        ("editor", "system:image-pruner"),
    ] {
        let (role, subject) = (
            format!("--clusterrole={role}"),
            format!("--serviceaccount=conformance:{account}"),
        );
        let _ = berth
            .kubectl()
            .run(&["create", "clusterrolebinding", account, &role, &subject])
            .ok();
    }
    let running = [
        ("basic", &editor, ["conformance/repo1", "conformance/crossmount"]),
        (
            "bearer",
            &administrator,
            ["conformance/repo2", "conformance/crossmount2"],
        ),
    ]
    .map(|(mode, token, repositories)| (mode, client(&berth, token, mode, repositories)));
    for (mode, child) in running {
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        let failed = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{mode}: {said}\n{failed}");
        let passed = said.lines().last().and_then(|line| line.split_once(" passed"));
        let passed: u32 = passed.unwrap().0.parse().unwrap();
        assert!(passed > CHECKS, "{mode}: {said}");
    }
}
