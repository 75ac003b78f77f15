//! The loops that keep stored objects as they should be. Each one decides by a pure function and writes what it decided
//! idempotently, so that stopping between two writes, or running twice, does no harm.

mod accounts;
mod aggregation;
mod compaction;
mod events;
mod garbage;
mod namespaces;
mod queue;
mod quotas;
mod token_secrets;

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_apimachinery::database::Feed;
use berth_apimachinery::resource::{Endpoint, GroupResource};
use berth_apimachinery::storage::Storage;
use berth_store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admission::Quota;
use crate::tokens::{TokenSource, Tokens};
use crate::{core, rbac};

pub(crate) use self::aggregation::pass as aggregate_now;

/// A loop ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Memory no longer follows the store, so that nothing could be written any more.
    #[error("following the metadata store")]
    Feed(#[source] berth_store::Error),
    /// A loop panicked.
    #[error("a controller of the API server died")]
    Died(#[source] tokio::task::JoinError),
    /// A loop ended by itself, which none should.
    #[error("a controller of the API server stopped by itself")]
    Ended,
}

/// What the loops work on.
pub(crate) struct Parts {
    pub(crate) core: core::Storages,
    pub(crate) rbac: rbac::Storages,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) storages: BTreeMap<GroupResource, Storage>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) oauth: Option<berth_oauth::OAuth>,
}

/// The running feed of the server's memory, and the loops, which begin with [`Controllers::run`].
///
/// Dropping it ends the feed, after which the server can read but not write.
pub struct Controllers {
    feed: JoinSet<Result<(), berth_store::Error>>,
    feed_stop: CancellationToken,
    parts: Parts,
}

/// Starts the feed, whose present state is loaded.
pub(crate) struct RunningFeed {
    tasks: JoinSet<Result<(), berth_store::Error>>,
    stop: CancellationToken,
}

impl RunningFeed {
    /// Starts to follow the store.
    pub(crate) fn start(feed: Feed) -> RunningFeed {
        let mut tasks = JoinSet::new();
        let stop = CancellationToken::new();
        tasks.spawn(feed.run(stop.clone()));
        RunningFeed { tasks, stop }
    }

    /// Takes the feed along with what else is to run.
    pub(crate) fn with(self, parts: Parts) -> Controllers {
        Controllers {
            feed: self.tasks,
            feed_stop: self.stop,
            parts,
        }
    }
}

impl Controllers {
    /// Where parts of this process get their tokens.
    #[must_use]
    pub fn tokens(&self) -> TokenSource {
        TokenSource::new(Arc::clone(&self.parts.tokens))
    }

    /// Runs every loop until `stop`, and stops following the store last, so that what was begun can be finished.
    ///
    /// # Errors
    /// [`Error`] when a loop ends before that; the server must then stop.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let mut loops = JoinSet::new();
        let Parts {
            core,
            rbac,
            endpoints,
            storages,
            quota,
            tokens,
            store,
            oauth,
        } = self.parts;
        let child = CancellationToken::new();
        let until = || child.clone();
        let content = namespaces::Content::of(&endpoints);
        loops.spawn(garbage::run(garbage::Kinds::of(&endpoints, &storages), until()));
        loops.spawn(namespaces::run(core.namespaces.clone(), content, until()));
        loops.spawn(accounts::run(core.clone(), rbac.role_bindings.clone(), until()));
        loops.spawn(aggregation::run(rbac.cluster_roles, until()));
        loops.spawn(quotas::run(core.quotas.clone(), quota, until()));
        loops.spawn(token_secrets::run(
            core.secrets.clone(),
            core.service_accounts.clone(),
            tokens,
            until(),
        ));
        loops.spawn(events::run(core.events, until()));
        loops.spawn(compaction::run(store, until()));
        if let Some(oauth) = oauth {
            loops.spawn(oauth.run(until()));
        }

        let outcome = tokio::select! {
            () = stop => Ok(()),
            Some(ended) = loops.join_next() => Err(match ended {
                Ok(()) => Error::Ended,
                Err(error) => Error::Died(error),
            }),
            Some(ended) = self.feed.join_next() => Err(match ended {
                Ok(Ok(())) => Error::Ended,
                Ok(Err(error)) => Error::Feed(error),
                Err(error) => Error::Died(error),
            }),
        };
        child.cancel();
        while loops.join_next().await.is_some() {}
        self.feed_stop.cancel();
        while self.feed.join_next().await.is_some() {}
        outcome
    }
}

#[cfg(test)]
impl Controllers {
    /// What the loops work on, to look at and to meddle with.
    pub(crate) fn cluster_roles(&self) -> &berth_apimachinery::storage::Storage {
        &self.parts.rbac.cluster_roles
    }

    pub(crate) fn role_bindings(&self) -> &berth_apimachinery::storage::Storage {
        &self.parts.rbac.role_bindings
    }

    pub(crate) fn service_accounts(&self) -> &berth_apimachinery::storage::Storage {
        &self.parts.core.service_accounts
    }
}
