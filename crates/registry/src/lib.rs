//! OpenShift's integrated registry: the OCI distribution protocol whose repositories are image streams and whose users
//! and permissions are the cluster's own.
//!
//! A request goes: [`Registry`] gives it an id and a place in line, the gate ([`access`](self)) turns its token into a user
//! and asks the cluster what that user may do, and `berth-distribution` does what was asked, with image streams behind its
//! `Repositories` port. The cluster is reached through `berth-client` only: this crate does not know which API server
//! answers, nor which storage holds the blobs.
//!
//! ```text
//! service ─► limiter ─► distribution ─► access ─► identity, decision   (who, and may they; remembered for seconds)
//!    │                        └───────► repositories ─► stream, mapping, catalog, quota  (image streams)
//!    └─► token, signature, admin, metrics, health                      (routes beside the protocol)
//! exchange: one request from arrival to last byte; refuse: every no, in one place
//! ```
mod access;
mod admin;
mod catalog;
mod config;
mod credentials;
mod decision;
mod exchange;
mod folded;
mod fresh;
mod health;
mod identity;
mod incarnation;
pub mod limiter;
mod mapping;
mod metrics;
mod origin;
mod quota;
mod refuse;
mod removal;
mod repositories;
mod service;
mod signature;
mod stream;
mod token;

pub use self::{
    config::{Config, Secret},
    exchange::ResponseBody,
    service::Registry,
};
