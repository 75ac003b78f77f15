//! Bytes in storage.
//!
//! [`Driver`] is the port: objects under paths, read whole or in ranges, appended to while they are uploaded, and changed
//! by [`Step`]s that are durable when [`Driver::commit`] returns. It knows neither HTTP nor what the objects mean. The
//! layout of a registry is built on it by the distribution protocol.
//!
//! * [`MemoryDriver`]: for tests

mod driver;
mod error;
mod memory;
mod path;
mod source;

pub use self::{
    driver::{Append, Driver, DriverExt, Entry, EntryKind, Listing, Method, SMALL_MAX_BYTES, Stat, Step},
    error::{Error, Result},
    memory::MemoryDriver,
    path::{BlobPath, PathError},
    source::{CHUNK_BYTES, Content, Source},
};
