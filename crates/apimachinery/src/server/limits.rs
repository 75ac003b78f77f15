//! What a server takes at most.
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::status::{Reason, Status};

/// Longest path and query together, in bytes.
pub const URI_LIMIT: usize = 16 << 10;

/// How long an ordinary request may take; watches only until they begin.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests that read, at once.
pub const READS_IN_FLIGHT: usize = 800;

/// Requests that write, at once.
pub const WRITES_IN_FLIGHT: usize = 400;

/// Watches, at once.
pub const WATCHES: usize = 10_000;

/// Bodies up to this many bytes are not counted: so many requests of that size fit besides.
pub const SMALL_BODY: usize = 64 << 10;

/// Bytes that all larger bodies together may take.
pub const BODIES_IN_MEMORY: usize = 48 << 20;

/// Seconds after which a refused client may try again.
const RETRY_AFTER: u32 = 1;

pub(crate) struct Limits {
    reads: Semaphore,
    writes: Semaphore,
    bodies: Semaphore,
    pub(super) watches: std::sync::Arc<Semaphore>,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            reads: Semaphore::new(READS_IN_FLIGHT),
            writes: Semaphore::new(WRITES_IN_FLIGHT),
            bodies: Semaphore::new(BODIES_IN_MEMORY),
            watches: std::sync::Arc::new(Semaphore::new(WATCHES)),
        }
    }

    pub(super) fn enter(&self, writes: bool) -> Result<SemaphorePermit<'_>, Status> {
        let semaphore = if writes { &self.writes } else { &self.reads };
        semaphore.try_acquire().map_err(|_| busy())
    }
}

impl Limits {
    /// Room for so many more bytes of bodies.
    pub(super) fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Status> {
        let bytes = u32::try_from(bytes).map_err(|_| busy())?;
        self.bodies.try_acquire_many(bytes).map_err(|_| busy())
    }
}

pub(super) fn busy() -> Status {
    Status::too_many_requests("Too many requests, please try again later.", RETRY_AFTER)
}

pub(super) fn uri_too_long() -> Status {
    Status::new(
        414,
        Reason::BadRequest,
        format!("the path and query of a request have at most {URI_LIMIT} bytes"),
    )
}
