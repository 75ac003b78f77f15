//! [`Turns`]: lets the updates of one object queue, instead of losing races against each other.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

/// How long an update waits for those before it. Then it goes on all the same: compare-and-swap is what keeps updates
/// right, queueing only spares their work. The bound also ends a deadlock, should a hook of an update ever wait for
/// an update that waits for this one.
const PATIENCE: Duration = Duration::from_secs(2);

type Queue = Arc<tokio::sync::Mutex<()>>;

/// Queues by key of an object; a queue exists while somebody is in it.
#[derive(Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<String, Queue>>>);

/// The turn of an update; the next one begins when this is dropped.
pub(crate) struct Turn {
    key: String,
    queues: Arc<Mutex<HashMap<String, Queue>>>,
    /// None after impatience.
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(super) async fn wait(&self, key: String) -> Turn {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry(key.clone()).or_default())
        };
        // Made before waiting, so that a queue is also left when the wait is given up.
        let mut turn = Turn {
            key,
            queues: Arc::clone(&self.0),
            guard: None,
        };
        turn.guard = tokio::time::timeout(PATIENCE, queue.lock_owned()).await.ok();
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The guard holds the queue, too: without it, the map's own reference is the last one.
        self.guard = None;
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues
            .get(&self.key)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_after_the_other_and_nothing_is_left() {
        let turns = Arc::new(Turns::default());
        let running = Arc::new(Mutex::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..20 {
            let (turns, running) = (Arc::clone(&turns), Arc::clone(&running));
            tasks.spawn(async move {
                let _turn = turns.wait(format!("key{}", index % 2)).await;
                *running.lock().unwrap() += 1;
                assert!(*running.lock().unwrap() <= 2, "two keys, two turns at once");
                tokio::time::sleep(Duration::from_millis(1)).await;
                *running.lock().unwrap() -= 1;
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_giving_up_leaves_nothing() {
        let turns = Turns::default();
        let held = turns.wait("a".into()).await;
        let impatient = turns.wait("a".into()).await;
        assert!(impatient.guard.is_none());
        drop(impatient);
        let given_up = tokio::time::timeout(Duration::from_millis(1), turns.wait("a".into())).await;
        assert!(given_up.is_err());
        drop(held);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
