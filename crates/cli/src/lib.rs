//! The commands that people type, under the names and with the flags that they know from `oc`.
//!
//! They speak to a Kubernetes API and to nothing else, and share the kubeconfig of `kubectl`. The crate reads no environment
//! and opens no terminal by itself: `bin/berth` hands both in, as [`Environment`] and [`Output`].
//!
//! The flow of every command: [`connection`] resolves flags and kubeconfig into a session, the command asks the API,
//! [`kubeconfig`] records what changed, [`Output`] says it.
mod api;
mod command;
pub mod completion;
pub mod connection;
mod discovery;
pub mod environment;
pub mod error;
pub mod kubeconfig;
pub mod login;
pub mod logout;
mod names;
pub mod new_project;
pub mod output;
pub mod policy;
pub mod project;
pub mod projects;
pub mod registry;
mod secret;
pub mod whoami;

pub use self::{command::Command, environment::Environment, error::Error, output::Output};
