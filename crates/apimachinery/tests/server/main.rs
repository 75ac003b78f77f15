//! A server with a toy resource, asked in process and by a real `kubectl`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod discovery;
mod kubectl;
mod lists;
mod support;
mod watches;
mod writes;
