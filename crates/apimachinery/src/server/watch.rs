//! Watches on the wire: a line of JSON for every event, until the time is over.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::negotiate::Output;
use super::render::{self, Include, Renderer};
use crate::rest::{WatchEvent, WatchStream};
use crate::status::Status;
use crate::table::Table;

/// How long a watch lasts at least if the client does not say; up to twice as long, so that not all end at once.
const WATCH_SECONDS: u64 = 1800;

/// What a watch needs to write its events.
pub(super) struct Watching {
    pub(super) events: WatchStream,
    pub(super) output: Output,
    pub(super) table: Table,
    pub(super) include: Include,
    /// Group, version and kind of the objects, for bookmarks.
    pub(super) gvk: crate::resource::Gvk,
    pub(super) closing: CancellationToken,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) metrics: Arc<std::sync::atomic::AtomicI64>,
}

struct State {
    watching: Watching,
    deadline: Instant,
    first: bool,
    ended: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        self.watching
            .metrics
            .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The answer to a watch.
pub(super) fn respond(watching: Watching, timeout_seconds: Option<u64>) -> Response<Body> {
    let seconds = match timeout_seconds {
        Some(seconds) if seconds > 0 => seconds,
        _ => WATCH_SECONDS + u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * WATCH_SECONDS / 255,
    };
    watching
        .metrics
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(seconds.min(24 * 3600));
    let state = State {
        watching,
        deadline,
        first: true,
        ended: false,
    };
    let lines = stream::unfold(state, |mut state| async move {
        let line = state.next().await?;
        Some((line, state))
    });
    render::respond(StatusCode::OK, "application/json", Body::stream(lines.boxed()))
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        debug_assert!(
            self.watching.permit.num_permits() > 0,
            "a watch holds its permit until it ends"
        );
        let event = tokio::select! {
            biased;
            () = self.watching.closing.cancelled() => None,
            event = self.watching.events.next() => event,
            () = sleep_until(self.deadline) => None,
        };
        match event? {
            Ok(event) => Some(self.line(event)),
            Err(status) => {
                self.ended = true;
                Some(error_line(&status))
            }
        }
    }

    fn line(&mut self, event: WatchEvent) -> Bytes {
        let renderer = Renderer {
            output: self.watching.output,
            table: &self.watching.table,
            include: self.watching.include,
            now: jiff::Timestamp::now(),
        };
        // The columns of a table are sent once.
        let columns = self.first;
        let (kind, object) = match event {
            WatchEvent::Added(entry) => ("ADDED", renderer.shaped(&entry, columns)),
            WatchEvent::Modified(entry) => ("MODIFIED", renderer.shaped(&entry, columns)),
            WatchEvent::Deleted(entry) => ("DELETED", renderer.shaped(&entry, columns)),
            WatchEvent::Bookmark {
                revision,
                initial_events_end,
            } => {
                let gvk = &self.watching.gvk;
                let object =
                    renderer.bookmark(&gvk.group, &gvk.version, &gvk.kind, revision, initial_events_end);
                return line("BOOKMARK", &object);
            }
        };
        self.first = false;
        line(kind, &object)
    }
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(br#"{"type":""#);
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(br#"","object":"#);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

fn error_line(status: &Status) -> Bytes {
    line("ERROR", &status.to_json())
}
