//! History of the store: kept for a while so that watches can resume, then forgotten.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use berth_store::{Revision, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long a watch can resume from a revision.
const KEEP: Duration = Duration::from_secs(10 * 60);
/// Revisions that are kept at most, however young.
const KEEP_REVISIONS: u64 = 100_000;
/// How often the store is compacted.
const INTERVAL: Duration = Duration::from_secs(60);

/// Which revision was current when.
#[derive(Debug, Default)]
struct Marks(VecDeque<(Instant, u64)>);

impl Marks {
    /// Notes the current revision and tells before which one history may be forgotten.
    fn note(&mut self, now: Instant, current: u64) -> u64 {
        let mut before = current.saturating_sub(KEEP_REVISIONS);
        while let Some((at, revision)) = self.0.front().copied() {
            if now.duration_since(at) < KEEP {
                break;
            }
            before = before.max(revision);
            self.0.pop_front();
        }
        self.0.push_back((now, current));
        before
    }
}

/// Compacts the store, until `stop`.
pub(super) async fn run(store: Arc<dyn Store>, stop: CancellationToken) {
    let mut marks = Marks::default();
    let mut done = 0;
    while stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        let before = match store.revision().await {
            Ok(current) => marks.note(Instant::now(), current.get()),
            Err(error) => {
                warn!(%error, "the store does not tell its revision");
                continue;
            }
        };
        if before <= done {
            continue;
        }
        match store.compact(Revision::new(before)).await {
            Ok(()) => done = before,
            Err(error) => warn!(%error, "history could not be compacted, trying again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_is_old_or_too_much() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let mut marks = Marks::default();
        for (minute, current, want) in [
            (0, 50, 0),
            (5, 70, 0),
            (9, 80, 0),
            (10, 90, 50),
            (15, 95, 70),
            (16, 500_000, 400_000),
        ] {
            assert_eq!(marks.note(at(minute), current), want, "minute {minute}");
        }
    }
}
