//! Removing upload sessions that nobody will finish.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_blobs::{self as blobs, Driver};
use berth_oci::RepositoryName;
use tokio_util::sync::CancellationToken;

use crate::plain::Walk;
use crate::upload::SessionId;
use crate::{Config, layout, limits};

/// Purges abandoned upload sessions, again and again.
pub struct Purge {
    driver: Arc<dyn Driver>,
    age: Duration,
    interval: Duration,
    enabled: bool,
}

/// What one pass found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Sessions that were looked at.
    pub seen: u64,
    /// Sessions that were removed.
    pub removed: u64,
}

impl Purge {
    pub(crate) fn new(driver: Arc<dyn Driver>, config: &Config) -> Self {
        Self {
            driver,
            age: config.upload_age,
            interval: config.purge_interval,
            enabled: config.purge,
        }
    }

    /// Purges until `stop`. A pass that fails is logged, and the next one tries again.
    pub async fn run(self, stop: CancellationToken) {
        let interval = self.interval.max(Duration::from_secs(1));
        // Replicas that start together should not walk together for ever, and none should walk while it starts.
        let mut wait = interval / 10;
        while self.enabled && stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            wait = interval;
            match stop.run_until_cancelled(self.pass(SystemTime::now())).await {
                Some(Ok(purged)) => tracing::info!(
                    seen = purged.seen,
                    removed = purged.removed,
                    "purged upload sessions"
                ),
                Some(Err(error)) => tracing::error!(%error, "purging upload sessions failed"),
                None => return,
            }
        }
    }

    /// One pass over all repositories. A session goes when it began, and saw its last byte, longer ago than the age.
    ///
    /// # Errors
    /// When storage fails; what was removed until then stays removed.
    pub async fn pass(&self, now: SystemTime) -> blobs::Result<Purged> {
        let mut purged = Purged::default();
        let mut walk = Walk::new(Arc::clone(&self.driver));
        while let Some(name) = walk.next().await? {
            self.repository(&name, now, &mut purged).await?;
        }
        Ok(purged)
    }

    async fn repository(
        &self,
        name: &RepositoryName,
        now: SystemTime,
        purged: &mut Purged,
    ) -> blobs::Result<()> {
        let directory = layout::part(name, layout::UPLOADS);
        let mut after: Option<String> = None;
        loop {
            let listing = self
                .driver
                .list(&directory, after.as_deref(), limits::CATALOG_LIMIT)
                .await?;
            for entry in &listing.entries {
                let Ok(session) = entry.name.parse::<SessionId>() else {
                    continue;
                };
                purged.seen += 1;
                let used = self.used(name, &session).await?;
                let old = |used| now.duration_since(used).is_ok_and(|age| age > self.age);
                // A session without any file was left behind by something that is gone.
                if used.is_none_or(old) {
                    self.driver.delete_tree(&layout::upload(name, &session)).await?;
                    purged.removed += 1;
                    tracing::debug!(repository = %name, %session, "purged an upload session");
                }
            }
            match listing.entries.into_iter().next_back() {
                Some(last) if listing.more => after = Some(last.name),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// When a session was last used.
    async fn used(&self, name: &RepositoryName, session: &SessionId) -> blobs::Result<Option<SystemTime>> {
        let data = self
            .driver
            .stat(&layout::upload_data(name, session))
            .await?
            .map(|stat| stat.modified);
        let path = layout::upload_started(name, session);
        let started = match self.driver.read(&path).await? {
            Some(text) => {
                let text = String::from_utf8_lossy(&text);
                match text.trim().parse::<jiff::Timestamp>() {
                    Ok(started) => Some(SystemTime::from(started)),
                    // An unreadable note says at least when it was written.
                    Err(_) => self.driver.stat(&path).await?.map(|stat| stat.modified),
                }
            }
            None => None,
        };
        Ok(data.max(started))
    }
}
