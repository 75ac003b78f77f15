#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
//! The server as its clients see it, in process and over a store in memory.

mod access;
mod garbage;
mod namespaces;
mod objects;
mod policy;
mod projects;
mod quota;
mod reviews;
mod routes;
mod support;
mod tokens;
