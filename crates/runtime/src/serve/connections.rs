//! Which connections are open, and which of them may be closed to make room.
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::Stop;

/// All open connections of one listener.
#[derive(Clone)]
pub(super) struct Connections(Arc<Inner>);

struct Inner {
    limit: usize,
    next: AtomicU64,
    begun: Instant,
    open: Mutex<HashMap<u64, Arc<State>>>,
}

struct State {
    evict: Stop,
    in_flight: AtomicUsize,
    /// Milliseconds after `begun` at which the last request ended.
    idle_since: AtomicU64,
    begun: Instant,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            next: AtomicU64::new(0),
            begun: Instant::now(),
            open: Mutex::default(),
        }))
    }

    /// A place for a new connection. When all are taken the connection that has been idle longest is told to end; `None`
    /// when every one of them is busy.
    pub(super) fn admit(&self) -> Option<Slot> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.0.limit {
            let idle = open
                .iter()
                .filter(|(_, state)| state.in_flight.load(Ordering::Relaxed) == 0)
                .min_by_key(|(_, state)| state.idle_since.load(Ordering::Relaxed))
                .map(|(id, _)| *id)?;
            // It leaves the table at once, so that a flood finds the next victim and not the same one again.
            if let Some(state) = open.remove(&idle) {
                state.evict.stop();
            }
        }
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(State {
            evict: Stop::new(),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(millis(self.0.begun)),
            begun: self.0.begun,
        });
        open.insert(id, state.clone());
        Some(Slot {
            id,
            state,
            connections: self.0.clone(),
        })
    }
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// One connection's place; leaves the table when dropped.
pub(super) struct Slot {
    id: u64,
    state: Arc<State>,
    connections: Arc<Inner>,
}

impl Slot {
    /// Returns when the connection should end to make room.
    pub(super) async fn evicted(&self) {
        self.state.evict.stopped().await;
    }

    /// Marks requests as they come and go.
    pub(super) fn activity(&self) -> Activity {
        Activity(self.state.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

/// Counts a connection's requests.
#[derive(Clone)]
pub(super) struct Activity(Arc<State>);

impl Activity {
    /// The connection is busy until the result is dropped.
    pub(super) fn begin(&self) -> Busy {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(self.0.clone())
    }
}

/// A request in flight.
pub(super) struct Busy(Arc<State>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(millis(self.0.begun), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idlest_connection_makes_room_and_busy_ones_stay() {
        let connections = Connections::new(2);
        let (first, second) = (connections.admit().unwrap(), connections.admit().unwrap());
        let busy = first.activity().begin();
        let third = connections.admit().unwrap();
        assert!(!first.state.evict.is_stopped(), "the busy one stays");
        assert!(second.state.evict.is_stopped(), "the idle one makes room");
        let _busy_too = third.activity().begin();
        assert!(connections.admit().is_none(), "all are busy");
        drop(busy);
        assert!(connections.admit().is_some());
        assert!(first.state.evict.is_stopped());
    }

    #[test]
    fn a_dropped_connection_frees_its_place() {
        let connections = Connections::new(1);
        let busy = connections.admit().unwrap();
        let _request = busy.activity().begin();
        assert!(connections.admit().is_none());
        drop(busy);
        assert!(connections.admit().is_some());
    }
}
