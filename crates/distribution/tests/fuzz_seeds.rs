//! Runs what the fuzz targets assert over their seeds, without a fuzzer.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test names the seed it fails on"
)]

use std::path::Path;

#[path = "../../../fuzz/src/distribution.rs"]
#[expect(unreachable_pub, reason = "public in the crate of the fuzz targets")]
mod distribution;
#[path = "../../../fuzz/src/oci.rs"]
#[expect(unreachable_pub, reason = "public in the crate of the fuzz targets")]
mod oci;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&std::fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds >= 10, "{}: {seeds} seeds", directory.display());
}

#[test]
fn digest_reference() {
    replay("digest_reference", oci::digest_reference);
}

#[test]
fn manifest() {
    replay("manifest", oci::manifest);
}

#[test]
fn range() {
    replay("range", oci::range);
}

#[test]
fn content_range() {
    replay("content_range", oci::content_range);
}

#[test]
fn challenge() {
    replay("challenge", oci::challenge);
}

#[test]
fn route() {
    replay("route", distribution::route);
}

#[test]
fn upload_state() {
    replay("upload_state", distribution::upload_state);
}
