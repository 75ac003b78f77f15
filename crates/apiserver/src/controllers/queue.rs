//! [`Queue`]: what a controller should look at, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// Delay after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Longest delay after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Keys with the time at which they are due. A key is in the queue at most once, at its earliest time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    due: BTreeMap<String, Instant>,
    order: BTreeSet<(Instant, String)>,
    failures: BTreeMap<String, u32>,
}

impl Queue {
    /// Look at `key` now.
    pub(super) fn add(&mut self, key: impl Into<String>) {
        self.add_after(key, Duration::ZERO);
    }

    /// Look at `key` in a while, unless it is due earlier anyhow.
    pub(super) fn add_after(&mut self, key: impl Into<String>, delay: Duration) {
        let (key, at) = (key.into(), Instant::now() + delay);
        match self.due.get(&key) {
            Some(due) if *due <= at => return,
            Some(due) => {
                self.order.remove(&(*due, key.clone()));
            }
            None => {}
        }
        self.order.insert((at, key.clone()));
        self.due.insert(key, at);
    }

    /// Looking at `key` failed: again later, and later each time.
    pub(super) fn failed(&mut self, key: &str) {
        let count = self.failures.entry(key.to_owned()).or_default();
        let delay = FIRST_RETRY
            .saturating_mul(2_u32.saturating_pow(*count))
            .min(LAST_RETRY);
        *count += 1;
        self.add_after(key, delay);
    }

    /// Looking at `key` succeeded.
    pub(super) fn succeeded(&mut self, key: &str) {
        self.failures.remove(key);
    }

    /// Waits for the next key that is due and takes it; forever, while there is none. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> String {
        let Some((at, _)) = self.order.first() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(*at).await;
        match self.order.pop_first() {
            Some((_, key)) => {
                self.due.remove(&key);
                key
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_come_when_they_are_due() {
        let start = Instant::now();
        let mut queue = Queue::default();
        queue.add_after("later", Duration::from_secs(5));
        queue.add_after("later", Duration::from_secs(9));
        queue.add("now");
        queue.failed("bad");
        for (want, seconds) in [("now", 0.0), ("bad", 0.2), ("later", 5.0)] {
            assert_eq!(queue.next().await, want);
            let passed = start.elapsed().as_secs_f64();
            assert!((passed - seconds).abs() < 0.01, "{want}: {passed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time() {
        let mut queue = Queue::default();
        for want in [200, 400, 800, 1600] {
            let before = Instant::now();
            queue.failed("bad");
            queue.next().await;
            let passed = before.elapsed().as_millis();
            assert!(passed.abs_diff(want) <= 2, "{passed} {want}");
        }
        queue.succeeded("bad");
        let before = Instant::now();
        queue.failed("bad");
        queue.next().await;
        assert!(before.elapsed() < Duration::from_millis(250));
    }
}
