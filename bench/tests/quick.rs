//! The benchmark works: a few operations of everything against both servers. Nothing is asserted about time.

use std::path::Path;
use std::process::Command;

use berth_testkit::installed;
use berth_testkit::process::run;

fn quick(arguments: &[&str], markdown: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth-bench"));
    let said = run(command
        .arg("--quick")
        .args(arguments)
        .arg("--markdown")
        .arg(markdown));
    assert!(
        said.stderr.contains("blob HEAD"),
        "rows are shown as they are measured: {}",
        said.stderr
    );
    let table = said.ok();
    let markdown = std::fs::read_to_string(markdown).expect("the Markdown is written");
    for text in [&table, &markdown] {
        for part in [
            "manifest GET by tag",
            "push, 120 KB",
            "pull, large",
            "HTTP",
            "TLS",
            "peak of the run",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
    table
}

#[test]
fn every_workload_runs_against_the_peer_and_berth() {
    if !installed("docker-registry") || !installed("kubectl") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let table = quick(&[], &scratch.path().join("bench.md"));
    assert!(
        table.contains("(aim 0.100)"),
        "the servers are compared:\n{table}"
    );
}
