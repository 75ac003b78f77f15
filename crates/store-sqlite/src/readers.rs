//! Connections for reading.

use std::sync::{Mutex, PoisonError};

use berth_store::{Error, Result};
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::translate;
use crate::schema::Location;

use std::sync::Arc;

/// Connections at most. Reading is rare once the resources above have filled their caches.
const READERS: usize = 4;

/// A few connections that are opened when they are needed and kept.
#[derive(Debug)]
pub(crate) struct Readers {
    location: Location,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(location: Location) -> Self {
        Self {
            location,
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::default(),
        }
    }

    /// Runs `job` with a connection that shows one state of the database throughout.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        let readers = Arc::clone(self);
        let task = spawn_blocking(move || {
            // Held to the end of the job, also when the caller goes away before.
            let _permit = permit;
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => readers.location.reader().map_err(translate)?,
            };
            let transaction = connection.unchecked_transaction().map_err(translate)?;
            let result = job(&transaction);
            // An error leaves the connection in doubt: another one is opened next time.
            transaction.commit().map_err(translate)?;
            if !readers.permits.is_closed() {
                readers
                    .idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
            }
            result
        });
        match task.await {
            Ok(result) => result,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(Error::Closed),
        }
    }

    /// Refuses further reads and closes the connections.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
