//! The store over its database.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use berth_store::feed::{BATCH_EVENTS, Feed, Next, Subscription};
use berth_store::{
    Change, Error, Event, Expect, Key, PAGE_ITEMS, Page, Result, Revision, Store, VALUE_LIMIT, Versioned,
};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{OpenError, translate};
use crate::log::{self, Bounds};
use crate::readers::Readers;
use crate::schema::Location;
use crate::writer::{Commit, Counters, QUEUE, Request, Stats, Writer};

/// A store in an SQLite database. Dropping it finishes the commits that wait, closes the database and ends watches.
#[derive(Debug)]
pub struct SqliteStore {
    /// None only while the store is dropped.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    feed: Arc<Feed>,
    counters: Arc<Counters>,
    /// Keeps other processes away; released last.
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the database at `path`, which is created if it does not exist; its directory has to exist. Blocks while
    /// the database is checked.
    ///
    /// # Errors
    /// [`OpenError`] says whether the database is in use, damaged, newer than this code or not ours at all.
    pub fn open(path: impl Into<PathBuf>) -> std::result::Result<Self, OpenError> {
        Self::open_at(&Location::File(path.into()))
    }

    /// A new database in memory, for tests: it is forgotten with the store.
    ///
    /// # Panics
    /// If SQLite cannot have memory for an empty database.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::open_at(&Location::memory()).expect("an empty database fits into memory")
    }

    fn open_at(location: &Location) -> std::result::Result<Self, OpenError> {
        let (connection, lock, Bounds { current, .. }) = location.writer()?;
        let (requests, receiver) = mpsc::channel(QUEUE);
        let feed = Arc::new(Feed::new(current));
        let counters = Arc::new(Counters::default());
        let path = || location.path().to_owned();
        let writer = Writer::new(connection, receiver, Arc::clone(&feed), Arc::clone(&counters)).map_err(
            |source| OpenError::Damaged {
                path: path(),
                reason: source.to_string(),
            },
        )?;
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { path: path(), source })?;
        Ok(Self {
            requests: Some(requests),
            writer: Some(writer),
            readers: Arc::new(Readers::new(location.clone())),
            feed,
            counters,
            _lock: lock,
        })
    }

    /// What the writer has done since the store was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// How many watch streams are alive.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.feed.watchers()
    }

    async fn request<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(Error::Closed)?;
        requests.send(request(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Reads at a revision if that can be asked for.
    async fn read_at<T: Send + 'static>(
        &self,
        at: Option<Revision>,
        job: impl FnOnce(&Connection, Revision) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.readers
            .read(move |connection| {
                let at = readable(connection, at)?;
                job(connection, at).map_err(translate)
            })
            .await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // It has at most a queue of commits to finish. Without waiting for it, the database could not be opened
            // again right away.
            if writer.join().is_err() {
                tracing::error!("the metadata store's writer has panicked");
            }
        }
        self.feed.close();
        self.readers.close();
    }
}

/// The revision to read at, if it can be read.
fn readable(connection: &Connection, at: Option<Revision>) -> Result<Revision> {
    let Bounds { oldest, current } = log::bounds(connection).map_err(translate)?;
    match at.unwrap_or(current) {
        asked if asked > current => Err(Error::Future { asked, current }),
        asked if asked < oldest => Err(Error::Compacted { asked, oldest }),
        asked => Ok(asked),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &Key, at: Option<Revision>) -> Result<Option<Versioned>> {
        let key = key.clone();
        self.read_at(at, move |connection, at| {
            Ok(log::latest(connection, &key, at)?.and_then(|entry| entry.versioned(&key)))
        })
        .await
    }

    async fn list(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page> {
        let (prefix, after, limit) = (prefix.clone(), after.cloned(), limit.clamp(1, PAGE_ITEMS));
        self.read_at(at, move |connection, at| {
            log::list(connection, &prefix, after.as_ref(), limit, at)
        })
        .await
    }

    async fn commit(&self, change: Change, expect: Expect) -> Result<Revision> {
        if let Change::Put { value, .. } = &change
            && value.len() > VALUE_LIMIT
        {
            return Err(Error::TooLarge {
                size: value.len(),
                limit: VALUE_LIMIT,
            });
        }
        self.request(|reply| {
            Request::Commit(Commit {
                change,
                expect,
                reply,
            })
        })
        .await
    }

    async fn watch(&self, prefix: &Key, from: Revision) -> Result<BoxStream<'static, Result<Event>>> {
        // Asked of the database and not of the feed: a reader may know a revision that is about to be published.
        let from = self.read_at(Some(from), |_, from| Ok(from)).await?;
        let subscription = self.feed.subscribe(prefix.clone(), from);
        let watching = (subscription, Arc::clone(&self.readers), prefix.clone());
        let batches = stream::try_unfold(watching, |(mut subscription, readers, prefix)| async move {
            let batch = next_batch(&mut subscription, &readers, &prefix).await?;
            Ok::<_, Error>(Some((batch, (subscription, readers, prefix))))
        });
        Ok(batches
            .map_ok(|batch| stream::iter(batch.into_iter().map(Ok)))
            .try_flatten()
            .boxed())
    }

    async fn revision(&self) -> Result<Revision> {
        Ok(self.feed.last())
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        self.request(|reply| Request::Compact { before, reply }).await
    }
}

async fn next_batch(
    subscription: &mut Subscription,
    readers: &Arc<Readers>,
    prefix: &Key,
) -> Result<Vec<Event>> {
    loop {
        match subscription.next().await {
            Next::Events(events) => return Ok(events),
            Next::Behind(from) => {
                let prefix = prefix.clone();
                let read = readers.read(move |connection| {
                    let Bounds { oldest, current } = log::bounds(connection).map_err(translate)?;
                    if from < oldest {
                        return Err(Error::Compacted { asked: from, oldest });
                    }
                    log::events(connection, &prefix, from, BATCH_EVENTS, current).map_err(translate)
                });
                let (events, through) = read.await?;
                subscription.skip_to(through);
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            Next::Closed => return Err(Error::Closed),
        }
    }
}
