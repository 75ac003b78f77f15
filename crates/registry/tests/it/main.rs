//! The registry as its clients see it, over memory.

mod delete;
mod gate;
mod integration;
mod log;
mod membership;
mod push;
mod routes;
mod support;
mod table;
mod tape;
