//! How far memory has followed the store, and who waits for it to go on.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

#[derive(Default)]
pub(super) struct Progress {
    current: AtomicU64,
    /// By the revision waited for, so that a step wakes nobody in vain.
    waiters: Mutex<BTreeMap<u64, Vec<oneshot::Sender<()>>>>,
}

impl Progress {
    pub(super) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    pub(super) fn advance(&self, revision: u64) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.fetch_max(revision, Ordering::AcqRel);
        let later = waiters.split_off(&(revision + 1));
        let reached = std::mem::replace(&mut *waiters, later);
        drop(waiters);
        for waiter in reached.into_values().flatten() {
            // Whoever gave up waiting has dropped the other end.
            waiter.send(()).ok();
        }
    }

    pub(super) async fn reach(&self, revision: u64) {
        if self.current() >= revision {
            return;
        }
        let reached = {
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            // Checked again under the lock, since `advance` moves under it.
            if self.current() >= revision {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            let queue = waiters.entry(revision).or_default();
            queue.retain(|waiter| !waiter.is_closed());
            queue.push(sender);
            receiver
        };
        // The sender lives in `waiters` until it is sent to, so this does not fail while `self` lives.
        drop(reached.await);
    }
}
