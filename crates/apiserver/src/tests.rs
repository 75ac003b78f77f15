//! Tests of the parts together, over a store in memory.

mod defaults;
mod roles;
mod support;
