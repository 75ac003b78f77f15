//! Bytes in storage.
//!
//! [`Driver`] is the port: objects under paths, read whole or in ranges, appended to while they are uploaded, and changed
//! by [`Step`]s that are durable when [`Driver::commit`] returns. It knows neither HTTP nor what the objects mean. The
//! layout of a registry is built on it by the distribution protocol.
//!
//! * [`FilesystemDriver`]: a directory, laid out so that other registries can read it
//! * [`MemoryDriver`]: for tests
//! * [`suite!`]: every promise of the port as a test, to be run against each adapter

mod driver;
mod error;
mod fs;
mod memory;
mod path;
mod source;
#[doc(hidden)]
pub mod suite;

pub use self::{
    driver::{Append, Driver, DriverExt, Entry, EntryKind, Listing, Method, SMALL_MAX_BYTES, Stat, Step},
    error::{Error, Result},
    fs::{Config as FilesystemConfig, FilesystemDriver},
    memory::MemoryDriver,
    path::{BlobPath, PathError},
    source::{CHUNK_BYTES, Content, Source},
};
