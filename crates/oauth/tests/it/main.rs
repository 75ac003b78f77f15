#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
//! The authorization server as clients and browsers meet it, request by request, without a socket.
mod codes;
mod kubeadmin;
mod passwords;
mod people;
mod tokens;
mod world;
