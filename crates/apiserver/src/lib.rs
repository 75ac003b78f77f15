//! The resources and their rules: the image API, and the kinds of Kubernetes and OpenShift that Berth needs on one machine.
//!
//! `berth_apimachinery` knows how to serve a resource; this crate knows which there are. Each group is a module that
//! registers its kinds ([`kinds`]): names and columns, a strategy or a `Rest`, a schema from `schemas/`. [`build`] puts them
//! together with authentication, authorization ([`rbac`]) and admission, writes what must exist from the first start
//! ([`bootstrap`]), and returns the server and the loops that keep its objects as they should be ([`controllers`]).

mod admission;
mod assemble;
mod authentication;
mod authorization;
mod bootstrap;
mod columns;
mod config;
mod controllers;
mod core;
mod defaults;
mod events;
mod extensions;
mod image;
mod kinds;
mod oauth;
mod policy;
mod project;
mod quantity;
mod rbac;
mod serve;
mod strategies;
mod tokens;
mod user;

#[cfg(test)]
mod tests;

pub use self::bootstrap::REGISTRY_NAMESPACE;
pub use self::config::{Config, Error};
pub use self::controllers::{Controllers, Error as ControllersError};
pub use self::serve::build;
pub use self::tokens::TokenSource;
