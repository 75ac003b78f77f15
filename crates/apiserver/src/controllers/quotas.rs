//! Status of quotas: what their namespaces hold, counted again whenever content comes or goes.

use std::sync::Arc;
use std::time::Duration;

use berth_apimachinery::object::Object;
use berth_apimachinery::storage::{Notice, Storage};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::queue::Queue;
use crate::admission::{PENDING, Quota};

/// A namespace is counted this long after a change, so that many changes cost one count.
const SETTLE: Duration = Duration::from_millis(500);

/// Keeps the status of all quotas, until `stop`.
pub(super) async fn run(quotas: Storage, quota: Arc<Quota>, stop: CancellationToken) {
    let mut queue = Queue::default();
    let mut notices = quotas.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            notice = notices.next() => match notice {
                // Only a new quota, or one with another spec: counting must not follow from its own result.
                Some(Notice::Changed(change)) => {
                    let stale = |object: &Object| !crate::core::resource_quota::is_current(object);
                    if change.entry.as_ref().is_some_and(|entry| stale(entry.object())) {
                        queue.add(change.namespace());
                    }
                }
                Some(Notice::Reset) => {}
                None => return,
            },
            namespaces = quota.marked() => {
                for namespace in namespaces {
                    queue.add_after(namespace, SETTLE);
                }
            },
            namespace = queue.next() => match quota.count_again(&namespace).await {
                Ok(()) => {
                    queue.succeeded(&namespace);
                    if quota.has_pending(&namespace) {
                        queue.add_after(namespace, PENDING);
                    }
                }
                Err(error) => {
                    warn!(namespace, %error, "the status of a quota is not up to date, trying again");
                    queue.failed(&namespace);
                }
            },
        }
    }
}
