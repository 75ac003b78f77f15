//! The registry as its clients see it, over memory.

mod gate;
mod integration;
mod log;
mod push;
mod routes;
mod support;
mod table;
mod tape;
