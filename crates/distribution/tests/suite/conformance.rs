//! The walk through the whole protocol.

use berth_distribution::Config;
use berth_testkit::conformance::{Target, walk};
use tempfile::TempDir;

use crate::harness::Registry;

async fn expect_conformance(registry: &Registry) {
    let target = Target {
        address: registry.address.to_string(),
        credentials: None,
        first: "conformance/first".to_owned(),
        second: "conformance/second".to_owned(),
    };
    let report = tokio::task::spawn_blocking(|| walk(target)).await.unwrap();
    assert!(
        report.failed.is_empty(),
        "{} passed, {} failed:\n{}",
        report.passed,
        report.failed.len(),
        report.failed.join("\n")
    );
    assert!(report.passed > 800, "{}", report.passed);
}

#[tokio::test]
async fn a_registry_in_memory() {
    expect_conformance(&Registry::memory().await).await;
}

#[tokio::test]
async fn a_registry_on_a_directory() {
    let directory = TempDir::new().unwrap();
    let config = Config {
        secret: b"kept".to_vec(),
        ..Config::default()
    };
    expect_conformance(&Registry::directory(config, &directory).await).await;
}
