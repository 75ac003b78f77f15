//! One session, and the table of those this process knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use berth_oci::{Algorithm, Hasher, RepositoryName};
use jiff::Timestamp;
use tokio::sync::MutexGuard;

use super::{Error, SessionId};

/// An upload session.
#[derive(Debug)]
pub(crate) struct Session {
    name: RepositoryName,
    id: SessionId,
    /// RFC 3339, in whole seconds as docker-registry writes it.
    started_at: String,
    /// What the bytes are hashed with while they arrive. The digest that closes the session may be of another algorithm;
    /// then they are read again.
    algorithm: Algorithm,
    /// Whether storage had something of the session, as far as anybody knows. When it is gone, the session has ended; before
    /// that, its id is all there is.
    begun: AtomicBool,
    progress: tokio::sync::Mutex<Progress>,
    used: Mutex<Instant>,
}

/// What this process knows of the bytes in storage. Whoever holds it is the only writer here; the driver sees to it that
/// there is no other one elsewhere.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Hashed up to the end of the data, as far as this process knows. Absent while bytes are on their way, so that a
    /// request that dies leaves nothing wrong behind.
    pub(super) hasher: Option<Hasher>,
    /// Bytes covered by a hash state in storage.
    pub(super) checkpoint: u64,
    /// Whether storage says when the session began.
    pub(super) noted: bool,
}

impl Progress {
    /// Forgets what storage has to be asked for again.
    pub(super) fn forget(&mut self) {
        self.hasher = None;
        self.checkpoint = 0;
    }
}

impl Session {
    /// A session that has nothing yet.
    pub(super) fn new(name: RepositoryName, id: SessionId, began: Timestamp, algorithm: Algorithm) -> Self {
        let started_at = began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let progress = Progress {
            hasher: Some(Hasher::new(algorithm)),
            ..Progress::default()
        };
        Self::with(name, id, started_at, algorithm, progress)
    }

    /// A session found in storage.
    pub(super) fn resumed(name: RepositoryName, id: SessionId, started_at: String) -> Self {
        let progress = Progress {
            noted: true,
            ..Progress::default()
        };
        Self::with(name, id, started_at, Algorithm::Sha256, progress)
    }

    fn with(
        name: RepositoryName,
        id: SessionId,
        started_at: String,
        algorithm: Algorithm,
        progress: Progress,
    ) -> Self {
        let begun = AtomicBool::new(progress.noted);
        let progress = tokio::sync::Mutex::new(progress);
        Self {
            name,
            id,
            started_at,
            algorithm,
            begun,
            progress,
            used: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn name(&self) -> &RepositoryName {
        &self.name
    }

    pub(crate) fn id(&self) -> &SessionId {
        &self.id
    }

    pub(crate) fn started_at(&self) -> &str {
        &self.started_at
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// The right to write.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, Progress>, Error> {
        self.progress.try_lock().map_err(|_| Error::Busy {
            session: self.id.clone(),
        })
    }
}

/// The sessions this process knows, bounded. A session that is being written is never dropped from it: two requests must
/// find the same lock.
#[derive(Debug)]
pub(super) struct Table {
    sessions: Mutex<HashMap<SessionId, Arc<Session>>>,
    limit: usize,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            sessions: Mutex::new(HashMap::new()),
            limit,
        }
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<Arc<Session>> {
        let session = self.sessions().get(id).cloned()?;
        *session.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Some(session)
    }

    /// Adds a session, unless another request was faster; the one that is in the table now.
    pub(super) fn insert(&self, session: &Arc<Session>) -> Arc<Session> {
        let mut sessions = self.sessions();
        if sessions.len() >= self.limit {
            evict(&mut sessions, self.limit / 8 + 1);
        }
        Arc::clone(
            sessions
                .entry(session.id.clone())
                .or_insert_with(|| Arc::clone(session)),
        )
    }

    pub(super) fn remove(&self, id: &SessionId) {
        self.sessions().remove(id);
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        // Nothing panics while the lock is held, and the map would be whole if it did.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the `count` sessions that nobody uses and nobody used for longest.
fn evict(sessions: &mut HashMap<SessionId, Arc<Session>>, count: usize) {
    let mut idle: Vec<(Instant, SessionId)> = sessions
        .iter()
        .filter(|(_, session)| Arc::strong_count(session) == 1)
        .map(|(id, session)| {
            (
                *session.used.lock().unwrap_or_else(PoisonError::into_inner),
                id.clone(),
            )
        })
        .collect();
    idle.sort_unstable_by_key(|(used, _)| *used);
    for (_, id) in idle.into_iter().take(count) {
        sessions.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signer;
    use super::*;

    fn session() -> Session {
        let name: RepositoryName = "a".parse().unwrap();
        let now = Timestamp::now();
        let id = SessionId::issue(&Signer::new(b"secret"), &name, now);
        Session::new(name, id, now, Algorithm::Sha256)
    }

    #[test]
    fn the_table_keeps_what_is_in_use() {
        let table = Table::new(8);
        let used: Vec<_> = (0..4).map(|_| Arc::new(session())).collect();
        for session in &used {
            table.insert(session);
        }
        for _ in 0..100 {
            table.insert(&Arc::new(session()));
        }
        assert!(table.sessions().len() <= 8);
        for session in &used {
            assert!(table.get(session.id()).is_some());
        }
    }

    #[test]
    fn the_first_of_two_equal_sessions_wins() {
        let table = Table::new(8);
        let first = Arc::new(session());
        table.insert(&first);
        let second = Arc::new(Session::resumed(
            "a".parse().unwrap(),
            first.id().clone(),
            String::new(),
        ));
        assert!(Arc::ptr_eq(&table.insert(&second), &first));
    }

    #[test]
    fn there_is_one_writer() {
        let session = session();
        let first = session.lock().unwrap();
        assert!(matches!(session.lock(), Err(Error::Busy { .. })));
        drop(first);
        assert!(session.lock().is_ok());
    }

    #[test]
    fn the_start_is_written_in_whole_seconds() {
        let session = session();
        assert_eq!(session.started_at().len(), "2026-11-20T13:00:00Z".len());
        assert!(session.started_at().parse::<jiff::Timestamp>().is_ok());
    }
}
