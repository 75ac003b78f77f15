//! A server with a toy resource, asked in process and by a real `kubectl`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod access;
mod discovery;
mod histories;
mod kubectl;
mod lists;
mod support;
mod watches;
mod writes;
