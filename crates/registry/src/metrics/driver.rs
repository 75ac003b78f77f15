//! Storage with a clock: every call of the blob driver is timed and its failures are counted.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use berth_blobs::{Append, BlobPath, Driver, Error, Listing, Method, Result, Source, Stat, Step};
use bytes::Bytes;
use tokio::time::Instant;

use super::Metrics;

/// A driver whose calls are measured.
pub(crate) struct Measured {
    driver: Arc<dyn Driver>,
    metrics: Metrics,
}

impl Measured {
    pub(crate) fn new(driver: Arc<dyn Driver>, metrics: Metrics) -> Self {
        Self { driver, metrics }
    }
}

async fn measure<T>(
    metrics: &Metrics,
    operation: &'static str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let started = Instant::now();
    let result = call.await;
    metrics.storage(operation, started.elapsed(), result.as_ref().err().map(code));
    result
}

/// The codes of facts/registry.md section 9.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Offset { .. } => "INVALID_OFFSET",
        Error::NotFound { .. } => "PATH_NOT_FOUND",
        Error::TooLarge { .. } => "FILE_TOO_LARGE",
        Error::Full { .. } => "DEVICE_OUT_OF_SPACE",
        Error::ReadOnly { .. } => "READ_ONLY_FILESYSTEM",
        Error::Locked { .. } => "LOCKED",
        Error::Denied { .. } => "PERMISSION_DENIED",
        Error::Exhausted { .. } => "EXHAUSTED",
        Error::Io { .. } | Error::Root { .. } | Error::Stopping => "UNKNOWN",
    }
}

/// The name of what a commit mostly does.
fn commit_name(steps: &[Step]) -> &'static str {
    match steps.first() {
        Some(Step::Publish { .. }) => "StorageDriver.Move",
        Some(Step::Touch { .. }) => "StorageDriver.Touch",
        Some(Step::Discard { .. }) => "StorageDriver.Delete",
        Some(Step::Put { .. } | Step::Ensure { .. } | Step::Stash { .. }) | None => {
            "StorageDriver.PutContent"
        }
    }
}

#[async_trait]
impl Driver for Measured {
    async fn stat(&self, path: &BlobPath) -> Result<Option<Stat>> {
        measure(&self.metrics, "StorageDriver.Stat", self.driver.stat(path)).await
    }

    async fn read(&self, path: &BlobPath) -> Result<Option<Bytes>> {
        measure(&self.metrics, "StorageDriver.GetContent", self.driver.read(path)).await
    }

    async fn open(&self, path: &BlobPath) -> Result<Option<Source>> {
        measure(&self.metrics, "StorageDriver.Reader", self.driver.open(path)).await
    }

    async fn list(&self, directory: &BlobPath, after: Option<&str>, limit: usize) -> Result<Listing> {
        measure(
            &self.metrics,
            "StorageDriver.List",
            self.driver.list(directory, after, limit),
        )
        .await
    }

    async fn append(&self, path: &BlobPath, offset: u64) -> Result<Box<dyn Append>> {
        let append = measure(
            &self.metrics,
            "StorageDriver.Writer",
            self.driver.append(path, offset),
        )
        .await?;
        Ok(Box::new(MeasuredAppend {
            append,
            metrics: self.metrics.clone(),
        }))
    }

    async fn commit(&self, steps: Vec<Step>) -> Result<()> {
        let operation = commit_name(&steps);
        measure(&self.metrics, operation, self.driver.commit(steps)).await
    }

    async fn delete(&self, path: &BlobPath) -> Result<bool> {
        measure(&self.metrics, "StorageDriver.Delete", self.driver.delete(path)).await
    }

    async fn delete_tree(&self, path: &BlobPath) -> Result<bool> {
        measure(
            &self.metrics,
            "StorageDriver.Delete",
            self.driver.delete_tree(path),
        )
        .await
    }

    async fn signed_url(
        &self,
        path: &BlobPath,
        method: Method,
        lifetime: Duration,
    ) -> Result<Option<String>> {
        measure(
            &self.metrics,
            "StorageDriver.URLFor",
            self.driver.signed_url(path, method, lifetime),
        )
        .await
    }
}

struct MeasuredAppend {
    append: Box<dyn Append>,
    metrics: Metrics,
}

#[async_trait]
impl Append for MeasuredAppend {
    fn length(&self) -> u64 {
        self.append.length()
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        measure(&self.metrics, "FileWriter.Write", self.append.write(bytes)).await
    }

    async fn release(self: Box<Self>, then: Vec<Step>) -> Result<u64> {
        measure(&self.metrics, "FileWriter.Close", self.append.release(then)).await
    }

    async fn close(self: Box<Self>, then: Vec<Step>) -> Result<u64> {
        measure(&self.metrics, "FileWriter.Commit", self.append.close(then)).await
    }
}
