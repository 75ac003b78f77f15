//! The registry as its clients see it, over memory.

mod gate;
mod push;
mod support;
