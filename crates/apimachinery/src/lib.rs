//! A generic Kubernetes-style API server: discovery, verbs, watch, patch, tables, authentication, authorization.
//!
//! It knows no particular resource. Whoever builds a server describes each resource ([`resource::Resource`]), gives it
//! rules ([`strategy::Strategy`], served from a [`storage::Storage`]) or serves it whole ([`rest::Rest`]), and registers
//! the [`resource::Endpoint`] with a [`server::Builder`].
//!
//! A request flows: path ([`server`]) -> [`identity`] -> [`access`] -> [`admission`] -> verb -> [`rest::Rest`] ->
//! [`storage::Storage`] -> `berth_store`. Reads are answered from memory, which the store's watch keeps current;
//! a write returns when memory has caught up with it, so that everybody reads their writes.

pub mod access;
pub mod admission;
pub mod apply;
pub mod authn;
pub mod authz;
pub mod cache;
pub mod context;
pub mod database;
pub(crate) mod discovery;
pub mod entry;
pub mod field;
pub mod health;
pub mod identity;
pub mod metadata;
pub(crate) mod metrics;
pub mod names;
pub mod object;
pub mod openapi;
pub mod options;
pub mod patch;
pub mod protobuf;
pub mod resource;
pub mod rest;
pub mod schema;
pub mod schema_port;
pub mod selector;
pub mod server;
pub mod status;
pub mod storage;
pub mod stored_rest;
pub mod strategy;
pub mod table;
