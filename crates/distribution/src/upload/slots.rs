//! Turns to receive a request body. They are few, because each costs memory, and no project may have them all: whoever may
//! push anywhere could otherwise hold every turn with bodies that hardly move, and keep everybody else from pushing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_oci::RepositoryName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Projects whose shares are kept before those that nobody uses are forgotten.
const SHARES: usize = 1024;

/// All turns.
#[derive(Debug)]
pub(super) struct Slots {
    all: Semaphore,
    /// How many of them one project may have.
    share: usize,
    shares: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
    /// How long to wait for one.
    queue: Duration,
}

/// A turn, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    _turn: SemaphorePermit<'a>,
    _share: OwnedSemaphorePermit,
}

impl Slots {
    /// `count` turns; one project, which is the first part of a repository's name, may have half of them.
    pub(super) fn new(count: usize, queue: Duration) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(count),
            share: count.div_ceil(2),
            shares: Mutex::default(),
            queue,
        }
    }

    /// A turn, waiting for it if need be; none when it does not come in time.
    pub(super) async fn take(&self, name: &RepositoryName) -> Option<Slot<'_>> {
        let turn = async {
            // First the own share: who waits for that does not stand in the way of others.
            let share = self.share_of(name).acquire_owned().await.ok()?;
            let turn = self.all.acquire().await.ok()?;
            Some(Slot {
                _turn: turn,
                _share: share,
            })
        };
        tokio::time::timeout(self.queue, turn).await.ok().flatten()
    }

    fn share_of(&self, name: &RepositoryName) -> Arc<Semaphore> {
        let project = name.as_str().split('/').next().unwrap_or_default();
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(project) {
            return Arc::clone(share);
        }
        if shares.len() >= SHARES {
            // A permit holds its semaphore, and so does who waits for one.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(project.into(), Arc::clone(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_project_has_all_turns() {
        let slots = Slots::new(4, Duration::from_secs(10));
        let first = slots.take(&name("a/x")).await.unwrap();
        let second = slots.take(&name("a/y")).await.unwrap();
        assert!(slots.take(&name("a/z")).await.is_none());
        let third = slots.take(&name("b/x")).await.unwrap();
        let fourth = slots.take(&name("c/x")).await.unwrap();
        assert!(slots.take(&name("d/x")).await.is_none());
        drop(first);
        assert!(slots.take(&name("a/z")).await.is_some());
        drop((second, third, fourth));
        assert!(slots.take(&name("d/x")).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_turn_is_one_turn() {
        let slots = Slots::new(1, Duration::from_secs(10));
        let only = slots.take(&name("a")).await.unwrap();
        assert!(slots.take(&name("b")).await.is_none());
        drop(only);
        assert!(slots.take(&name("b")).await.is_some());
    }

    #[tokio::test]
    async fn shares_are_forgotten() {
        let slots = Slots::new(4, Duration::from_secs(10));
        let held = slots.take(&name("held/x")).await.unwrap();
        for n in 0..3 * SHARES {
            assert!(slots.take(&name(&format!("p{n}/x"))).await.is_some());
        }
        let shares = slots.shares.lock().unwrap();
        assert!(shares.len() <= SHARES);
        assert!(shares.contains_key("held"));
        drop(held);
    }
}
