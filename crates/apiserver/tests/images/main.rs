//! The image API as its clients see it, in process and over a store in memory.

mod content;
mod limits;
mod possession;
mod pushes;
mod streams;
#[path = "../api/support.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the tests of the other kinds, which use more of it"
)]
mod support;
mod tags;
mod tape;
