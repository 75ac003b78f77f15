//! The whole protocol over a real socket, spoken by a client that shares no code with the registry, on every driver.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blobs;
mod conformance;
mod harness;
mod limits;
mod manifests;
mod peers;
mod ports;
mod referrers;
mod replicas;
mod tags;
mod uploads;
