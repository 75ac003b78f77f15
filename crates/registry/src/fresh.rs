//! A bounded cache whose values are never older than they say, and whose missing values are loaded once.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use quick_cache::{Equivalent, sync::Cache};
use tokio::time::Instant;

/// Values by key, each good for a time that its loader decides. Concurrent loads of one key are one load.
pub(crate) struct Fresh<K, V> {
    cache: Cache<K, Timed<V>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct Timed<V> {
    value: V,
    until: Instant,
}

impl<K, V> Fresh<K, V>
where
    K: Clone + Hash + Eq,
    V: Clone,
{
    /// A cache of at most `capacity` values; beyond it the least useful one goes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            cache: Cache::new(capacity),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The value, if there is one that is still good.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let timed = self.cache.get(key)?;
        if timed.until <= Instant::now() {
            return None;
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(timed.value)
    }

    /// The value, from the cache or from `load`, which also says for how long it is good, counted from before the load
    /// began. Whoever asks meanwhile waits for the same load; when that load is abandoned the next one takes over.
    pub(crate) async fn get_or_load<F>(&self, key: &K, load: F) -> V
    where
        F: Future<Output = (V, Duration)>,
    {
        if let Some(value) = self.get(key) {
            return value;
        }
        self.cache.remove_if(key, |timed| timed.until <= Instant::now());
        match self.cache.get_value_or_guard_async(key).await {
            // Somebody else's load that ended meanwhile: good enough even if its value is not to be kept at all.
            Ok(timed) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                timed.value
            }
            Err(guard) => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                let started = Instant::now();
                let (value, good_for) = load.await;
                let until = started + good_for;
                // An error means that the entry was evicted while it was loaded: nothing is lost.
                let _evicted = guard.insert(Timed {
                    value: value.clone(),
                    until,
                });
                value
            }
        }
    }

    /// Puts a value that is good for some time from now.
    pub(crate) fn insert(&self, key: K, value: V, good_for: Duration) {
        self.cache.insert(
            key,
            Timed {
                value,
                until: Instant::now() + good_for,
            },
        );
    }

    /// How often a value was there and how often it was not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.hits.load(Ordering::Relaxed),
            self.misses.load(Ordering::Relaxed),
        )
    }
}

/// Short names for requests that cannot be guessed: a counter under a key of this process.
pub(crate) struct Sequence {
    key: RandomState,
    next: AtomicU64,
}

impl Sequence {
    pub(crate) fn new() -> Self {
        Self {
            key: RandomState::new(),
            next: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn loads_once_for_all_who_wait_and_again_when_it_is_old() {
        let fresh = Arc::new(Fresh::<u8, usize>::new(16));
        let loads = Arc::new(AtomicU64::new(0));
        let ask = || {
            let (fresh, loads) = (Arc::clone(&fresh), Arc::clone(&loads));
            async move {
                fresh
                    .get_or_load(&1, async {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        loads.fetch_add(1, Ordering::Relaxed);
                        (7, TTL)
                    })
                    .await
            }
        };
        assert_eq!(
            futures_util::future::join_all((0..50).map(|_| ask())).await,
            vec![7; 50]
        );
        assert_eq!(loads.load(Ordering::Relaxed), 1);
        // The value is as old as the question, not as the answer.
        tokio::time::advance(TTL.checked_sub(Duration::from_millis(1001)).expect("positive")).await;
        assert_eq!(fresh.get(&1), Some(7));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(fresh.get(&1), None);
        assert_eq!(ask().await, 7);
        assert_eq!(loads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_load_is_taken_over() {
        let fresh = Fresh::<u8, u8>::new(16);
        let never = fresh.get_or_load(&1, std::future::pending());
        assert!(tokio::time::timeout(TTL, never).await.is_err());
        assert_eq!(fresh.get_or_load(&1, async { (3, TTL) }).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_is_not_kept_is_shared_by_those_who_wait() {
        let fresh = Fresh::<u8, u8>::new(16);
        let loads = AtomicU64::new(0);
        let ask = || {
            fresh.get_or_load(&1, async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                loads.fetch_add(1, Ordering::Relaxed);
                (7, Duration::ZERO)
            })
        };
        let before = Instant::now();
        assert_eq!(
            futures_util::future::join_all((0..50).map(|_| ask())).await,
            vec![7; 50]
        );
        assert_eq!(
            (loads.load(Ordering::Relaxed), before.elapsed().as_secs()),
            (1, 1)
        );
        assert_eq!(ask().await, 7);
        assert_eq!(loads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn stays_within_its_bound() {
        let fresh = Fresh::<u32, u32>::new(100);
        for key in 0..10_000 {
            fresh.get_or_load(&key, async { (key, TTL) }).await;
        }
        assert!(fresh.cache.len() <= 128, "{}", fresh.cache.len());
    }

    #[test]
    fn sequence_does_not_repeat_soon() {
        let sequence = Sequence::new();
        let seen: std::collections::HashSet<u64> = (0..10_000).map(|_| sequence.next()).collect();
        assert_eq!(seen.len(), 10_000);
    }
}
