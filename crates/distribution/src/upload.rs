//! Upload sessions: bytes arriving for a blob that has no digest yet.
//!
//! All state lives under `_uploads/<id>` in storage, so any replica may go on with a session, as may docker-registry.
//! Memory only spares this process from hashing again what it hashed a moment ago.

mod finish;
mod id;
mod receive;
mod session;
mod slots;
mod token;

use std::sync::Arc;
use std::time::Duration;

use berth_blobs::{self as blobs, Step};
use berth_oci::digest::DigestError;
use berth_oci::{Algorithm, RepositoryName};
use jiff::Timestamp;
use quick_cache::sync::Cache;

pub use self::id::SessionId;
use self::session::Table;
use self::slots::{Slot, Slots};
pub(crate) use self::{
    receive::Claim,
    session::Session,
    token::{Signer, State},
};
use crate::mismatch::Mismatch;
use crate::store::Store;
use crate::{Config, Refusal, Repositories, incoming, layout, limits};

/// Why an upload cannot go on as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no upload session {session}; start a new one")]
    SessionUnknown { session: String },
    #[error("the state in the URL belongs to another upload session")]
    SessionForeign,
    #[error(
        "another request is writing to upload session {session}; wait for its end and ask for the status"
    )]
    Busy { session: SessionId },
    #[error("the chunk starts at byte {got}, but the session holds {held} bytes; continue from there")]
    OutOfOrder { got: u64, held: u64 },
    #[error("\"{text}\" is not a range of the form <start>-<end>; the session holds {held} bytes")]
    RangeMalformed { text: String, held: u64 },
    #[error("Content-Range declares {declared} bytes, but {got} were sent")]
    LengthMismatch { declared: u64, got: u64 },
    #[error("the request names no digest; add ?digest=<digest> to close the upload")]
    DigestMissing,
    #[error("\"{text}\" is not a digest: {source}")]
    DigestMalformed { text: String, source: DigestError },
    #[error("\"{text}\" is not a digest algorithm of this registry; use sha256 or sha512")]
    AlgorithmUnknown { text: String },
    #[error("{0}; upload it again")]
    DigestMismatch(Box<Mismatch>),
    #[error("too many uploads are in progress; try again")]
    TooMany,
    #[error("{0}; the session is kept, continue it")]
    Incoming(#[from] incoming::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] blobs::Error),
}

impl Error {
    /// What the session holds, for the errors a client recovers from by continuing there.
    pub(crate) fn held(&self) -> Option<u64> {
        match self {
            Self::OutOfOrder { held, .. } | Self::RangeMalformed { held, .. } => Some(*held),
            Self::SessionUnknown { .. }
            | Self::SessionForeign
            | Self::Busy { .. }
            | Self::LengthMismatch { .. }
            | Self::DigestMissing
            | Self::DigestMalformed { .. }
            | Self::AlgorithmUnknown { .. }
            | Self::DigestMismatch(_)
            | Self::TooMany
            | Self::Incoming(_)
            | Self::Refused(_)
            | Self::Store(_) => None,
        }
    }
}

/// The upload sessions of all repositories.
pub(crate) struct Uploads {
    store: Arc<Store>,
    repositories: Arc<dyn Repositories>,
    signer: Arc<Signer>,
    /// Whether other replicas may have the same secret.
    secret_is_shared: bool,
    live: Table,
    /// Sessions that were closed or cancelled here. Another replica may take one for a session that has not begun, which
    /// harms nobody.
    ended: Cache<SessionId, ()>,
    age: Duration,
    slots: Slots,
    window: Duration,
}

impl Uploads {
    /// Sessions whose ids are signed by `signer`; `secret_is_shared` when it is not of this process only.
    pub(crate) fn new(
        store: Arc<Store>,
        repositories: Arc<dyn Repositories>,
        signer: Arc<Signer>,
        secret_is_shared: bool,
        config: &Config,
    ) -> Self {
        Self {
            store,
            repositories,
            signer,
            secret_is_shared,
            ended: Cache::new(limits::ENDED_SESSIONS),
            age: config.upload_age,
            live: Table::new(limits::LIVE_SESSIONS),
            slots: Slots::new(config.concurrent_uploads, config.upload_queue),
            window: config.idle_limit,
        }
    }

    /// Starts a session.
    pub(crate) async fn start(
        &self,
        name: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<Arc<Session>, Error> {
        let session = self.issue(name, algorithm);
        if !self.secret_is_shared {
            // Nobody else could tell that the session exists.
            self.store.driver().commit(vec![note(&session)]).await?;
            session.lock()?.noted = true;
            session.begin();
        }
        self.live.insert(&session);
        Ok(session)
    }

    /// A session that begins now and has nothing in storage yet.
    fn issue(&self, name: &RepositoryName, algorithm: Algorithm) -> Arc<Session> {
        let now = Timestamp::now();
        let id = SessionId::issue(&self.signer, name, now);
        Arc::new(Session::new(name.clone(), id, now, algorithm))
    }

    /// The session with this id: from memory, from storage, or because the id itself says that it was issued.
    pub(crate) async fn find(&self, name: &RepositoryName, id: &str) -> Result<Arc<Session>, Error> {
        let unknown = || Error::SessionUnknown {
            session: id.chars().take(64).collect(),
        };
        let id: SessionId = id.parse().map_err(|_| unknown())?;
        if let Some(session) = self.live.get(&id) {
            return if session.name() == name {
                Ok(session)
            } else {
                Err(unknown())
            };
        }
        let session = if let Some(started) = self
            .store
            .driver()
            .read(&layout::upload_started(name, &id))
            .await?
        {
            let started = String::from_utf8_lossy(&started).trim().to_owned();
            Session::resumed(name.clone(), id, started)
        } else {
            let began = self.issued(name, &id).ok_or_else(unknown)?;
            Session::new(name.clone(), id, began, Algorithm::Sha256)
        };
        Ok(self.live.insert(&Arc::new(session)))
    }

    /// When a session began that was issued by a replica with the same secret, is not too old, and did not end here.
    fn issued(&self, name: &RepositoryName, id: &SessionId) -> Option<Timestamp> {
        let began = id.issued(&self.signer, name)?;
        let young = Timestamp::now().duration_since(began).unsigned_abs() < self.age;
        (young && self.ended.get(id).is_none()).then_some(began)
    }

    /// The length of a session, in bytes, as storage has it: another replica may have written meanwhile.
    pub(crate) async fn held(&self, session: &Session) -> Result<u64, Error> {
        let (name, id) = (session.name(), session.id());
        let driver = self.store.driver();
        if let Some(stat) = driver.stat(&layout::upload_data(name, id)).await? {
            return Ok(stat.size);
        }
        let waits = !session.has_begun() && self.issued(name, id).is_some();
        if waits || driver.stat(&layout::upload_started(name, id)).await?.is_some() {
            return Ok(0);
        }
        self.live.remove(id);
        Err(Error::SessionUnknown {
            session: id.to_string(),
        })
    }

    /// Cancels a session and removes its bytes.
    pub(crate) async fn cancel(&self, session: &Session) -> Result<(), Error> {
        let mut progress = session.lock()?;
        self.held(session).await?;
        progress.forget();
        self.discard(session).await
    }

    /// Removes what a session has in storage and in memory.
    async fn discard(&self, session: &Session) -> Result<(), Error> {
        self.end(session);
        self.store
            .driver()
            .delete_tree(&layout::upload(session.name(), session.id()))
            .await?;
        Ok(())
    }

    /// Forgets a session, and that its id was issued.
    fn end(&self, session: &Session) {
        self.ended.insert(session.id().clone(), ());
        self.live.remove(session.id());
    }

    /// Cleans up after a request that failed, and passes its error on. A session that filled the storage is removed: nobody
    /// could go on with it before there is room again, and it is its bytes that take the room.
    async fn failed(&self, session: &Session, error: Error) -> Error {
        if matches!(error, Error::Store(blobs::Error::Full { .. }))
            && let Err(error) = self.discard(session).await
        {
            tracing::warn!(session = %session.id(), %error, "a session that filled the storage was not removed");
        }
        error
    }

    /// A turn to receive a request body.
    async fn slot(&self, name: &RepositoryName) -> Result<Slot<'_>, Error> {
        self.slots.take(name).await.ok_or(Error::TooMany)
    }
}

/// Writes down in storage when a session began. Losing it in a power failure only makes a client start again.
fn note(session: &Session) -> Step {
    let path = layout::upload_started(session.name(), session.id());
    Step::Stash {
        path,
        bytes: session.started_at().to_owned().into(),
    }
}
