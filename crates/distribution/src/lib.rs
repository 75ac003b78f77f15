//! The OCI distribution protocol over the blob driver port. It knows no Kubernetes: who may do what and what a
//! repository is beyond bytes in storage comes through two ports, [`Access`] and [`Repositories`].
//!
//! A request goes: [`route`] reads its path, [`Access`] authorizes what the route [`Needs`], one function of the domain
//! does it, and `wire` turns what went wrong into a [`Refusal`].
//!
//! * [`Distribution`]: requests and responses; [`Purge`]: removes abandoned uploads
//! * `blob`, `upload`, `manifest`, `referrers`, `listing`: the domain
//! * `store`, `layout`: content in storage
//! * [`plain`]: adapters that make this crate by itself a complete OCI registry

pub mod access;
pub mod body;
pub mod config;
#[doc(hidden)]
pub mod fuzz;
pub mod limits;
pub mod operation;
pub mod plain;
pub mod purge;
pub mod refusal;
pub mod repositories;
pub mod request_id;
pub mod route;

mod blob;
mod conditional;
mod incoming;
mod layout;
mod listing;
mod manifest;
mod mismatch;
mod query;
mod referrers;
mod service;
mod store;
mod upload;
mod url;
mod wire;

pub use self::{
    access::{Access, Caller, Needs},
    body::{Body, FileRegion},
    config::{Config, Scheme, Sparse, Urls},
    layout::fan_out,
    operation::Operation,
    purge::{Purge, Purged},
    refusal::{Refusal, Refused},
    repositories::{Membership, Names, Pushed, Repositories},
    request_id::RequestId,
    route::Route,
    service::Distribution,
    upload::SessionId,
};
