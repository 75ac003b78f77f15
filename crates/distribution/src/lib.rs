//! The OCI distribution protocol over the blob driver port. It knows no Kubernetes: who may do what and what a
//! repository is beyond bytes in storage comes through two ports, [`Access`] and [`Repositories`].
//!
//! A request goes: [`route`] reads its path, [`Access`] authorizes what the route [`Needs`], one function of the domain
//! does it, and `wire` turns what went wrong into a [`Refusal`].

pub mod access;
pub mod body;
pub mod config;
pub mod limits;
pub mod refusal;
pub mod repositories;
pub mod request_id;
pub mod route;

pub use self::{
    access::{Access, Caller, Needs},
    body::{Body, FileRegion},
    config::{Config, Scheme, Sparse, Urls},
    refusal::Refusal,
    repositories::{Membership, Names, Pushed, Repositories},
    request_id::RequestId,
    route::Route,
};
