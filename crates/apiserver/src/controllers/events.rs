//! Events live for an hour.

use std::time::Duration;

use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use berth_apimachinery::storage::Storage;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::core::event::{TIME_TO_LIVE, last_seen};

/// How often old events are looked for.
const INTERVAL: Duration = Duration::from_secs(60);

/// Whether an event has had its time.
fn is_expired(event: &Object, now: Timestamp) -> bool {
    now.duration_since(last_seen(event)) > TIME_TO_LIVE
}

/// Deletes old events, until `stop`.
pub(super) async fn run(events: Storage, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        let now = Timestamp::now();
        for entry in events.list("") {
            let event = entry.object();
            if !is_expired(event, now) || stop.is_cancelled() {
                continue;
            }
            // Seen again meanwhile, it stays.
            let this = Preconditions {
                uid: Some(event.uid().to_owned()),
                resource_version: Some(event.resource_version().to_owned()),
            };
            match events.delete(event.namespace(), event.name(), &this).await {
                Err(error) if error.code() >= 500 => warn!(%error, "an old event could not be deleted"),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_hour_after_it_was_last_seen() {
        let event = Object::from_value(json!({"lastTimestamp": "2026-01-01T00:00:00Z"})).unwrap();
        for (now, want) in [("2026-01-01T01:00:00Z", false), ("2026-01-01T01:00:01Z", true)] {
            assert_eq!(is_expired(&event, now.parse().unwrap()), want, "{now}");
        }
    }
}
