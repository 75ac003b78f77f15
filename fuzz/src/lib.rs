//! What the fuzz targets assert.
//!
//! The functions are also compiled into the tests of the crates they are about, which run them over `seeds/`, so that an
//! ordinary test run covers them without a fuzzer.

pub mod distribution;
pub mod oci;
pub mod tokens;
