//! The one thread that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use berth_store::feed::Feed;
use berth_store::{Change, Changed, Error, Event, Expect, Result, Revision, Versioned};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::error::translate;
use crate::log;

/// Commits that wait for the writer, at most; further callers wait for a place.
pub(crate) const QUEUE: usize = 256;

/// Commits in a transaction, at most.
const BATCH_COMMITS: usize = 256;

/// Bytes of values in a transaction, about at most.
const BATCH_BYTES: usize = 16 << 20;

/// Entries that a step of compaction looks at. Commits that wait are served between steps.
const SWEEP_ENTRIES: usize = 128;

/// Pages written to the write-ahead log after which it is moved into the database.
const CHECKPOINT_PAGES: usize = 1000;

/// Pages of a write-ahead log that make the writer wait for readers, so that it can begin the log anew.
const LOG_PAGES: i32 = 16_000;

/// A page of the database, in bytes: SQLite's default.
const PAGE: usize = 4096;

/// Pages that a commit writes beside its value: of the table, of the index, and now and then of their inner nodes.
const COMMIT_PAGES: usize = 3;

/// What the writer is asked for.
pub(crate) enum Request {
    Commit(Commit),
    Compact {
        before: Revision,
        reply: oneshot::Sender<Result<()>>,
    },
}

/// A commit that waits for its answer.
pub(crate) struct Commit {
    pub(crate) change: Change,
    pub(crate) expect: Expect,
    pub(crate) reply: oneshot::Sender<Result<Revision>>,
}

impl Commit {
    fn bytes(&self) -> usize {
        match &self.change {
            Change::Put { value, .. } => value.len(),
            Change::Delete { .. } => 0,
        }
    }
}

/// What the writer has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits that took a revision.
    pub commits: u64,
    /// Transactions that these commits shared; each cost one fsync.
    pub transactions: u64,
    /// How often the write-ahead log was moved into the database.
    pub checkpoints: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    transactions: AtomicU64,
    checkpoints: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            commits: self.commits.load(Ordering::Relaxed),
            transactions: self.transactions.load(Ordering::Relaxed),
            checkpoints: self.checkpoints.load(Ordering::Relaxed),
        }
    }
}

pub(crate) struct Writer {
    connection: Connection,
    requests: mpsc::Receiver<Request>,
    feed: Arc<Feed>,
    counters: Arc<Counters>,
    revision: Revision,
    /// Who waits for the sweep that is going on; none is going on if nobody does and `sweeping` is false.
    compacting: Vec<oneshot::Sender<Result<()>>>,
    sweeping: bool,
    /// Pages written since the write-ahead log was last moved, about.
    pages: usize,
    /// The failure after which nothing may be written any more.
    broken: Option<Error>,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        requests: mpsc::Receiver<Request>,
        feed: Arc<Feed>,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        // A process that was killed may have left a compaction half-way.
        let sweeping = log::is_unswept(&connection).map_err(translate)?;
        let revision = feed.last();
        let (compacting, pages, broken) = (Vec::new(), 0, None);
        Ok(Self {
            connection,
            requests,
            feed,
            counters,
            revision,
            compacting,
            sweeping,
            pages,
            broken,
        })
    }

    /// Serves requests until nobody can make any more. Sleeps while there is nothing to do.
    pub(crate) fn run(mut self) {
        loop {
            if self.sweeping {
                match self.requests.try_recv() {
                    Ok(request) => self.serve(request),
                    Err(mpsc::error::TryRecvError::Empty) => {}
                    Err(mpsc::error::TryRecvError::Disconnected) => break,
                }
                self.sweep();
            } else {
                let Some(request) = self.requests.blocking_recv() else {
                    break;
                };
                self.serve(request);
            }
            self.checkpoint();
        }
    }

    /// Serves a request, and if it is a commit then those that wait behind it with it.
    fn serve(&mut self, request: Request) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(request);
        while let Some(request) = next.take() {
            match request {
                Request::Commit(commit) => {
                    bytes += commit.bytes();
                    batch.push(commit);
                    if batch.len() < BATCH_COMMITS && bytes < BATCH_BYTES {
                        next = self.requests.try_recv().ok();
                    }
                }
                Request::Compact { before, reply } => {
                    self.commit(std::mem::take(&mut batch));
                    self.compact(before, reply);
                }
            }
        }
        self.commit(batch);
    }

    fn commit(&mut self, batch: Vec<Commit>) {
        if batch.is_empty() {
            return;
        }
        let (changes, replies): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|commit| ((commit.change, commit.expect), commit.reply))
            .unzip();
        match self.write(changes) {
            Ok((answers, events)) => {
                self.revision = events.last().map_or(self.revision, |event| event.revision);
                // Before the answers, so that whoever is answered finds the store at the revision.
                self.feed.publish(events);
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // A caller that went away does not need the answer.
                    _ = reply.send(answer);
                }
            }
            // Also for those that lost a race: what they lost against was not committed.
            Err(error) => {
                self.note(&error);
                for reply in replies {
                    _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Appends the changes that are as expected, in one transaction.
    fn write(&mut self, changes: Vec<(Change, Expect)>) -> Result<(Vec<Result<Revision>>, Vec<Event>)> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(translate)?;
        let mut answers = Vec::with_capacity(changes.len());
        let mut events = Vec::with_capacity(changes.len());
        let (mut revision, mut pages) = (self.revision, 0);
        for (change, expect) in changes {
            let answer = apply(&transaction, change, expect, revision).map_err(translate)?;
            answers.push(answer.map(|event| {
                revision = event.revision;
                pages += COMMIT_PAGES;
                if let Changed::Put(versioned) = &event.change {
                    pages += versioned.value.len() / PAGE;
                }
                events.push(event);
                revision
            }));
        }
        if events.is_empty() {
            return Ok((answers, events));
        }
        transaction.commit().map_err(translate)?;
        self.pages += pages;
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        self.counters
            .commits
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        Ok((answers, events))
    }

    fn compact(&mut self, before: Revision, reply: oneshot::Sender<Result<()>>) {
        if before > self.revision {
            _ = reply.send(Err(Error::Future {
                asked: before,
                current: self.revision,
            }));
            return;
        }
        let marked = match &self.broken {
            Some(broken) => Err(broken.clone()),
            None => log::set_oldest(&self.connection, before).map_err(translate),
        };
        match marked {
            Ok(()) => {
                self.sweeping = true;
                self.compacting.push(reply);
            }
            Err(error) => {
                self.note(&error);
                _ = reply.send(Err(error));
            }
        }
    }

    /// A step of the compaction that is going on.
    fn sweep(&mut self) {
        let done = self.sweep_step().map_err(translate);
        self.pages += SWEEP_ENTRIES;
        if matches!(done, Ok(false)) {
            return;
        }
        // After an error the rest is swept with the next compaction: its range begins where this one ended.
        self.sweeping = false;
        if let Err(error) = &done {
            self.note(error);
        }
        for reply in self.compacting.drain(..) {
            _ = reply.send(done.clone().map(|_| ()));
        }
    }

    fn sweep_step(&mut self) -> rusqlite::Result<bool> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = log::sweep(&transaction, SWEEP_ENTRIES)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Moves the write-ahead log into the database when it has grown, so that it can begin anew.
    fn checkpoint(&mut self) {
        if self.pages < CHECKPOINT_PAGES || self.broken.is_some() {
            return;
        }
        self.pages = 0;
        let run = |mode| self.connection.wal_checkpoint_v2(Some(rusqlite::MAIN_DB), mode);
        let result = match run(CheckpointMode::PASSIVE) {
            // A reader kept a part of the log in use, and not for the first time: wait for it.
            Ok((held, moved)) if held > LOG_PAGES && moved < held => run(CheckpointMode::RESTART),
            other => other,
        };
        self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            // Nothing is lost: the log holds what could not be moved, and the next attempt begins there.
            let error = translate(error);
            tracing::warn!(error = %chain(&error), "the metadata store's log could not be moved into the database");
            self.note(&error);
        }
    }

    /// Remembers an error after which the database cannot be trusted with writes.
    fn note(&mut self, error: &Error) {
        if matches!(error, Error::Broken { .. }) && self.broken.is_none() {
            tracing::error!(error = %chain(error), "the metadata store takes no more writes, restart the process");
            self.broken = Some(error.clone());
        }
    }
}

/// Appends one change if it is as expected.
fn apply(
    connection: &Connection,
    change: Change,
    expect: Expect,
    last: Revision,
) -> rusqlite::Result<Result<Event>> {
    let key = change.key().clone();
    let previous = log::latest(connection, &key, last)?.and_then(|entry| entry.versioned(&key));
    let current = previous.as_ref().map(|versioned| versioned.modified);
    let pointless = matches!(change, Change::Delete { .. }) && current.is_none();
    if pointless || !expect.allows(current) {
        return Ok(Err(Error::Conflict { key, current }));
    }
    let revision = last.next();
    let created = previous.as_ref().map_or(revision, |versioned| versioned.created);
    let change = match change {
        Change::Put { key, value } => {
            log::append(connection, revision, &key, created, Some(&value))?;
            Changed::Put(Versioned {
                key,
                value,
                created,
                modified: revision,
            })
        }
        Change::Delete { key } => {
            log::append(connection, revision, &key, created, None)?;
            Changed::Delete
        }
    };
    Ok(Ok(Event {
        revision,
        key,
        change,
        previous,
    }))
}

/// An error with its causes in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
