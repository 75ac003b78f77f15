//! Requests at once: so many run, so many wait, for so long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use berth_distribution::Refusal;
use berth_oci::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When a client that was turned away should come back, in seconds.
const RETRY_AFTER: u32 = 1;

/// How many requests run and wait (`openshift.requests.*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Requests that run at once; 0 is no limit.
    pub max_running: usize,
    /// Requests that wait for a place at once.
    pub max_in_queue: usize,
    /// How long one waits; zero is for as long as its client does.
    pub max_wait_in_queue: Duration,
}

/// Lets so many requests run at once.
pub(crate) struct Limiter {
    places: Option<Arc<Semaphore>>,
    waiting: AtomicUsize,
    config: Config,
}

/// A place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    pub(crate) fn new(config: Config) -> Self {
        let running = config.max_running.min(Semaphore::MAX_PERMITS);
        let places = (running > 0).then(|| Arc::new(Semaphore::new(running)));
        Self {
            places,
            waiting: AtomicUsize::new(0),
            config,
        }
    }

    /// A place, at once or after waiting for one.
    ///
    /// # Errors
    /// `TOOMANYREQUESTS` when too many wait already, or none came free in time.
    pub(crate) async fn enter(&self) -> Result<Place, Refusal> {
        let Some(places) = &self.places else {
            return Ok(Place { _permit: None });
        };
        if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            return Ok(Place {
                _permit: Some(permit),
            });
        }
        let _waiting = Waiting::begin(&self.waiting, self.config.max_in_queue)
            .ok_or_else(|| too_many("too many requests are waiting already"))?;
        let place = Arc::clone(places).acquire_owned();
        let permit = if self.config.max_wait_in_queue.is_zero() {
            place.await
        } else {
            let wait = tokio::time::timeout(self.config.max_wait_in_queue, place).await;
            wait.map_err(|_elapsed| too_many("no place came free in time"))?
        };
        // The semaphore lives as long as this and is never closed.
        Ok(Place { _permit: permit.ok() })
    }
}

/// One more request that waits, while it does; also when its client gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        count
            .try_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()
            .map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn too_many(why: &'static str) -> Refusal {
    Refusal::of(
        ErrorCode::TooManyRequests,
        format!("the registry is busy: {why}; try again"),
    )
    .retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(max_running: usize, max_in_queue: usize, wait: u64) -> Limiter {
        Limiter::new(Config {
            max_running,
            max_in_queue,
            max_wait_in_queue: Duration::from_secs(wait),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn some_run_some_wait_the_rest_goes() {
        let limiter = limiter(1, 1, 5);
        let first = limiter.enter().await.expect("a place");
        let mut second = Box::pin(limiter.enter());
        assert!(futures_util::poll!(&mut second).is_pending());
        let third = limiter.enter().await.expect_err("the queue is full");
        assert_eq!(third.code, ErrorCode::TooManyRequests);
        assert!(
            third
                .headers
                .iter()
                .any(|(name, value)| name == "retry-after" && value == "1")
        );
        drop(first);
        let second = second.await.expect("the place of the first");
        // A client that gives up leaves the queue.
        let mut fourth = Box::pin(limiter.enter());
        assert!(futures_util::poll!(&mut fourth).is_pending());
        drop(fourth);
        let mut fifth = Box::pin(limiter.enter());
        assert!(futures_util::poll!(&mut fifth).is_pending());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(
            fifth.await.expect_err("too late").code,
            ErrorCode::TooManyRequests
        );
        drop(second);
        limiter.enter().await.expect("a place");
    }

    #[tokio::test]
    async fn no_limit_is_no_limit() {
        let limiter = limiter(0, 0, 0);
        let mut places = Vec::new();
        for _ in 0..1000 {
            places.push(limiter.enter().await.expect("a place"));
        }
    }
}
