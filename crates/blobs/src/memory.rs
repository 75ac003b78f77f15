//! Objects in memory, for tests.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::{
    Append, BlobPath, CHUNK_BYTES, Content, Driver, Entry, EntryKind, Error, Listing, Result,
    SMALL_MAX_BYTES, Source, Stat, Step,
};

/// Keeps objects in memory, all of them, for as long as it lives. Clones share them. For tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryDriver {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<BlobPath, Object>,
    /// Paths with a living writer.
    writing: HashSet<BlobPath>,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    modified: SystemTime,
}

impl Object {
    fn new(bytes: Bytes) -> Self {
        Object {
            bytes,
            modified: SystemTime::now(),
        }
    }

    fn stat(&self) -> Stat {
        Stat {
            size: self.bytes.len() as u64,
            modified: self.modified,
        }
    }
}

impl MemoryDriver {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change to the map is a single insertion or removal, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&mut self, step: Step) -> Result<()> {
        match step {
            // In memory, keeping an object with the same bytes and replacing it are the same.
            Step::Put { path, bytes } | Step::Stash { path, bytes } | Step::Ensure { path, bytes } => {
                self.objects.insert(path, Object::new(bytes));
            }
            Step::Publish { from, to } => {
                let upload = self.objects.remove(&from).ok_or(Error::NotFound { path: from })?;
                self.keep_or_insert(to, upload.bytes);
            }
            Step::Touch { path } => match self.objects.get_mut(&path) {
                Some(object) => object.modified = SystemTime::now(),
                None => return Err(Error::NotFound { path }),
            },
            Step::Discard { path } => {
                self.delete_tree(&path);
            }
        }
        Ok(())
    }

    fn keep_or_insert(&mut self, path: BlobPath, bytes: Bytes) {
        let object = self
            .objects
            .entry(path)
            .or_insert_with(|| Object::new(bytes.clone()));
        if object.bytes.len() == bytes.len() {
            object.modified = SystemTime::now();
        } else {
            *object = Object::new(bytes);
        }
    }

    fn delete_tree(&mut self, path: &BlobPath) -> bool {
        let before = self.objects.len();
        self.objects.retain(|at, _| !path.contains(at));
        self.objects.len() < before
    }
}

#[async_trait]
impl Driver for MemoryDriver {
    async fn stat(&self, path: &BlobPath) -> Result<Option<Stat>> {
        Ok(self.state().objects.get(path).map(Object::stat))
    }

    async fn read(&self, path: &BlobPath) -> Result<Option<Bytes>> {
        let bytes = self.state().objects.get(path).map(|object| object.bytes.clone());
        match bytes {
            Some(bytes) if bytes.len() as u64 > SMALL_MAX_BYTES => Err(Error::TooLarge {
                path: path.clone(),
                size: bytes.len() as u64,
            }),
            bytes => Ok(bytes),
        }
    }

    async fn open(&self, path: &BlobPath) -> Result<Option<Source>> {
        let object = self.state().objects.get(path).cloned();
        Ok(object.map(|object| Source::new(object.stat(), Arc::new(Held(object.bytes)))))
    }

    async fn list(&self, directory: &BlobPath, after: Option<&str>, limit: usize) -> Result<Listing> {
        let mut entries: BTreeMap<String, EntryKind> = BTreeMap::new();
        for path in self.state().objects.keys() {
            let Some(rest) = path
                .as_str()
                .strip_prefix(directory.as_str())
                .and_then(|r| r.strip_prefix('/'))
            else {
                continue;
            };
            let (name, kind) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (rest, EntryKind::Object),
            };
            if after.is_none_or(|after| name > after) {
                entries.insert(name.to_owned(), kind);
            }
        }
        let limit = limit.max(1);
        let more = entries.len() > limit;
        let entries = entries
            .into_iter()
            .take(limit)
            .map(|(name, kind)| Entry { name, kind })
            .collect();
        Ok(Listing { entries, more })
    }

    async fn append(&self, path: &BlobPath, offset: u64) -> Result<Box<dyn Append>> {
        let mut state = self.state();
        if state.writing.contains(path) {
            return Err(Error::Locked { path: path.clone() });
        }
        let held = state.objects.get(path).map(|object| object.bytes.len() as u64);
        match held {
            None if offset != 0 => return Err(Error::NotFound { path: path.clone() }),
            Some(held) if held != offset => {
                return Err(Error::Offset {
                    path: path.clone(),
                    held,
                    got: offset,
                });
            }
            None => {
                state.objects.insert(path.clone(), Object::new(Bytes::new()));
            }
            Some(_) => {}
        }
        state.writing.insert(path.clone());
        Ok(Box::new(Writer {
            driver: self.clone(),
            path: path.clone(),
            length: offset,
        }))
    }

    async fn commit(&self, steps: Vec<Step>) -> Result<()> {
        let mut state = self.state();
        steps.into_iter().try_for_each(|step| state.step(step))
    }

    async fn delete(&self, path: &BlobPath) -> Result<bool> {
        Ok(self.state().objects.remove(path).is_some())
    }

    async fn delete_tree(&self, path: &BlobPath) -> Result<bool> {
        Ok(self.state().delete_tree(path))
    }
}

struct Writer {
    driver: MemoryDriver,
    path: BlobPath,
    length: u64,
}

#[async_trait]
impl Append for Writer {
    fn length(&self) -> u64 {
        self.length
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let mut state = self.driver.state();
        let Some(object) = state.objects.get_mut(&self.path) else {
            return Err(Error::NotFound {
                path: self.path.clone(),
            });
        };
        let mut whole = BytesMut::from(std::mem::take(&mut object.bytes));
        whole.extend_from_slice(&bytes);
        *object = Object::new(whole.freeze());
        self.length += bytes.len() as u64;
        Ok(())
    }

    async fn close(self: Box<Self>, then: Vec<Step>) -> Result<u64> {
        self.driver.commit(then).await?;
        Ok(self.length)
    }

    async fn release(self: Box<Self>, then: Vec<Step>) -> Result<u64> {
        self.close(then).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.driver.state().writing.remove(&self.path);
    }
}

struct Held(Bytes);

impl Held {
    fn slice(&self, range: Range<u64>) -> Bytes {
        let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        self.0.slice(index(range.start)..index(range.end))
    }
}

#[async_trait]
impl Content for Held {
    async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.slice(range))
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let mut rest = self.slice(range);
        stream::iter(std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(CHUNK_BYTES))))
        }))
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    crate::suite!(super::MemoryDriver::new());
}
