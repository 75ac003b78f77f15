//! Slowing down who guesses passwords, without locking anybody out.
//!
//! Two things are counted. Failures for a *user* make every further attempt for that user wait, some seconds at most, from
//! wherever it comes: the owner waits along, but always gets in. Failures from an *address* make further attempts from
//! there refused for a time that doubles, half a minute at most, and only so many attempts from there run at once. An
//! attempt that is refused counts for nothing, so hammering does not prolong the time; failures are forgotten with time.
//! A success is no reason to forget: whoever guesses may own an account too.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking::Counts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// Users and addresses that are remembered, each; the ones least asked for are forgotten first.
const REMEMBERED: usize = 8192;
/// Failures that cost nothing: people mistype.
const FREE_FOR_USER: u32 = 3;
const FREE_FOR_ADDRESS: u32 = 10;
/// The first wait, which doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest an attempt for a user waits.
const LONGEST_FOR_USER: Duration = Duration::from_secs(5);
/// The longest an address is refused.
const LONGEST_FOR_ADDRESS: Duration = Duration::from_secs(30);
/// In this time, half of the failures are forgotten.
const HALF_LIFE: Duration = Duration::from_secs(120);
/// Attempts that wait or are checked at once, from one address and in all.
const AT_ONCE_FROM_ADDRESS: usize = 4;
const AT_ONCE: usize = 256;

/// Counts failures. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Throttle(Arc<Inner>);

struct Inner {
    users: Counts<String>,
    addresses: Counts<IpAddr>,
    places: Arc<Semaphore>,
    by_address: quick_cache::sync::Cache<IpAddr, Arc<Semaphore>>,
}

/// An attempt is refused for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) retry_after: Duration,
}

/// An attempt that may be made; it says how it ended.
pub(crate) struct Attempt {
    throttle: Throttle,
    user: String,
    address: IpAddr,
    _places: [OwnedSemaphorePermit; 2],
}

impl Attempt {
    /// The credentials were wrong.
    pub(crate) fn failed(self) {
        let now = Instant::now();
        self.throttle.0.users.failed(&self.user, now);
        self.throttle.0.addresses.failed(&self.address, now);
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle(Arc::new(Inner {
            users: Counts::new(REMEMBERED),
            addresses: Counts::new(REMEMBERED),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            by_address: quick_cache::sync::Cache::new(REMEMBERED),
        }))
    }
}

impl Throttle {
    /// Waits until an attempt for `user` from `address` may be made.
    ///
    /// # Errors
    /// [`Refused`] when the address must pause, or too many attempts are under way.
    pub(crate) async fn enter(&self, user: &str, address: IpAddr) -> Result<Attempt, Refused> {
        let address = network(address);
        let inner = &self.0;
        let refused_until = inner
            .addresses
            .wait(&address, FREE_FOR_ADDRESS, LONGEST_FOR_ADDRESS)
            .filter(|(since, wait)| *since + *wait > Instant::now());
        if let Some((since, wait)) = refused_until {
            let retry_after = (since + wait).saturating_duration_since(Instant::now());
            return Err(Refused { retry_after });
        }
        let busy = Refused {
            retry_after: Duration::from_secs(1),
        };
        let place = Arc::clone(&inner.places).try_acquire_owned().map_err(|_| busy)?;
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::new(Semaphore::new(AT_ONCE_FROM_ADDRESS)));
        let own = match inner.by_address.get_or_insert_with(&address, fresh) {
            Ok(own) => own,
            Err(never) => match never {},
        };
        let own = own.try_acquire_owned().map_err(|_| busy)?;
        // Names of any length come from strangers; what is remembered of them must not be.
        let user: String = user.chars().take(256).collect();
        if let Some((_, wait)) = inner.users.wait(&user, FREE_FOR_USER, LONGEST_FOR_USER) {
            sleep(wait).await;
        }
        Ok(Attempt {
            throttle: self.clone(),
            user,
            address,
            _places: [place, own],
        })
    }
}

/// What one party has at its disposal: an IPv4 address, or the network of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            segments[4..].fill(0);
            IpAddr::V6(segments.into())
        }
        address => address,
    }
}

/// Counting, apart from what is done with it.
mod parking {
    use std::hash::Hash;

    use super::{Duration, FIRST_WAIT, HALF_LIFE, Instant};

    /// Failures by key.
    pub(super) struct Counts<K>(quick_cache::sync::Cache<K, (u32, Instant)>);

    impl<K: Clone + Eq + Hash> Counts<K> {
        pub(super) fn new(remembered: usize) -> Self {
            Self(quick_cache::sync::Cache::new(remembered))
        }

        pub(super) fn failed(&self, key: &K, now: Instant) {
            let failures = self.0.get(key).map_or(0, |held| current(held, now));
            self.0.insert(key.clone(), (failures.saturating_add(1), now));
        }

        /// When the last failure was, and how long to wait after it; none if there is nothing to wait for.
        pub(super) fn wait(&self, key: &K, free: u32, longest: Duration) -> Option<(Instant, Duration)> {
            let held = self.0.get(key)?;
            let beyond = current(held, Instant::now())
                .checked_sub(free)
                .filter(|beyond| *beyond > 0)?;
            let doublings = (beyond - 1).min(16);
            Some((held.1, longest.min(FIRST_WAIT * 2_u32.pow(doublings))))
        }
    }

    fn current((failures, since): (u32, Instant), now: Instant) -> u32 {
        let halvings = now.saturating_duration_since(since).as_secs() / HALF_LIFE.as_secs();
        u32::try_from(halvings)
            .ok()
            .and_then(|halvings| failures.checked_shr(halvings))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn fail(throttle: &Throttle, user: &str, from: &str) -> Duration {
        let began = Instant::now();
        throttle.enter(user, address(from)).await.ok().unwrap().failed();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_for_a_user_wait_longer_and_longer_but_never_long() {
        let throttle = Throttle::default();
        let mut waits = Vec::new();
        for number in 0..12 {
            // From everywhere, so that only the user counts.
            waits.push(
                fail(&throttle, "ann", &format!("10.0.0.{number}"))
                    .await
                    .as_millis(),
            );
        }
        assert_eq!(waits, [0, 0, 0, 0, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]);
        assert_eq!(
            fail(&throttle, "ben", "10.0.0.1").await.as_millis(),
            0,
            "others do not wait"
        );
        sleep(HALF_LIFE * 8).await;
        assert_eq!(
            fail(&throttle, "ann", "10.0.1.1").await.as_millis(),
            0,
            "forgotten"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_refused_for_a_while_whatever_it_does_meanwhile() {
        let throttle = Throttle::default();
        for number in 0..30 {
            while let Err(refused) = throttle
                .enter(&format!("user{number}"), address("10.0.0.1"))
                .await
            {
                assert!(refused.retry_after <= LONGEST_FOR_ADDRESS);
                sleep(refused.retry_after).await;
            }
            fail(&throttle, &format!("user{number}"), "10.0.0.1").await;
        }
        let first = throttle.enter("x", address("10.0.0.1")).await.err().unwrap();
        assert!(first.retry_after > Duration::from_secs(1), "{first:?}");
        for _ in 0..100 {
            assert!(throttle.enter("x", address("10.0.0.1")).await.is_err());
        }
        sleep(first.retry_after).await;
        assert!(
            throttle.enter("x", address("10.0.0.1")).await.is_ok(),
            "hammering did not prolong it"
        );
        assert!(
            throttle.enter("x", address("10.0.0.2")).await.is_ok(),
            "others are not concerned"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_cannot_take_every_place() {
        let throttle = Throttle::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE_FROM_ADDRESS {
            held.push(throttle.enter("ann", address("2001:db8::1")).await.ok().unwrap());
        }
        assert!(
            throttle.enter("ann", address("2001:db8::2")).await.is_err(),
            "the same network"
        );
        assert!(throttle.enter("ann", address("2001:db8:1::1")).await.is_ok());
        held.pop();
        assert!(throttle.enter("ann", address("2001:db8::2")).await.is_ok());
    }
}
