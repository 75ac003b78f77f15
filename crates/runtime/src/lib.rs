//! What lies under every role: who owns a task, how the process drains, how it listens, and how it tells what it does.
//!
//! Flow: `bin/berth` starts components through [`Tasks`]; a component that listens hands its listener and its service to
//! [`serve::serve`], with [`tls::Certificates`] when it speaks TLS; [`telemetry`] decides where events go. Nothing here
//! knows what is served.
pub mod serve;
pub mod signal;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use self::tasks::{Failure, Stop, Tasks};
