//! An unmodified kubectl against the server, over TLS on the loopback interface.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod identities;
mod images;
mod objects;
mod support;
