//! The fuzz target of tokens over its seeds, so that an ordinary test run covers what it asserts.

use std::path::Path;

#[expect(unreachable_pub, reason = "public in the crate of the fuzz targets")]
#[path = "../../../fuzz/src/tokens.rs"]
mod tokens;

#[test]
fn no_seed_is_accepted() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/token");
    let mut seen = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        tokens::token(&std::fs::read(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen >= 6, "{seen} seeds");
    for place in 0..700_u16 {
        let [high, low] = place.to_be_bytes();
        for bit in 0..7 {
            tokens::token(&[high, low, 1 << bit]);
        }
    }
}
