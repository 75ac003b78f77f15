//! The whole distribution protocol, with Berth's authentication and authorization in front of it.

use berth_testkit::{
    Berth,
    conformance::{Target, walk},
    installed,
};

#[test]
fn the_registry_passes_the_walk_through_the_protocol() {
    if !installed("kubectl") {
        return;
    }
    let berth = Berth::start_with(&["--registry-listen-plain", "127.0.0.1:0"]);
    berth.create_project("conformance");
    let token = berth.token("conformance", "tester");
    let admin = [
        "create",
        "clusterrolebinding",
        "tester",
        "--clusterrole=cluster-admin",
    ];
    let subject = ["--serviceaccount=conformance:tester"];
    let _ = berth.kubectl().run(&[&admin[..], &subject].concat()).ok();
    let target = Target {
        address: berth
            .registry_plain
            .clone()
            .expect("a listener without TLS was asked for"),
        credentials: Some(("tester".to_owned(), token)),
        first: "conformance/first".to_owned(),
        second: "conformance/second".to_owned(),
    };
    let report = walk(target);
    let failed = report.failed.join("\n");
    assert!(
        report.failed.is_empty(),
        "{} passed, {} failed:\n{failed}",
        report.passed,
        report.failed.len()
    );
    assert!(report.passed > 800, "{}", report.passed);
}
