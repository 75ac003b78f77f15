//! Aggregated cluster roles: their rules are the union of the selected roles' rules.

use berth_apimachinery::authz::rbac::aggregate;
use berth_apimachinery::object::Object;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::{Notice, Storage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::queue::Queue;

/// The one key of the queue: any change may concern any aggregated role.
const ALL: &str = "";

/// Keeps the rules of aggregated roles, until `stop`.
pub(super) async fn run(roles: Storage, stop: CancellationToken) {
    let mut queue = Queue::default();
    let mut notices = roles.subscribe();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            notice = notices.next() => match notice {
                Some(Notice::Changed(_) | Notice::Reset) => queue.add(ALL),
                None => return,
            },
            key = queue.next() => match pass(&roles).await {
                Ok(()) => queue.succeeded(&key),
                Err(error) => {
                    warn!(%error, "aggregated cluster roles are not up to date, trying again");
                    queue.failed(&key);
                }
            },
        }
    }
}

/// The rules that `role` should have but has not.
fn wanted<'a>(role: &Object, all: impl IntoIterator<Item = &'a Object>) -> Option<Value> {
    let rules = json!(aggregate(role, all)?);
    (role.get("rules") != Some(&rules)).then_some(rules)
}

/// Writes the rules of every aggregated role that is out of date, until none is: roles may join joined roles.
pub(crate) async fn pass(roles: &Storage) -> Result<(), Status> {
    /// Roles that join roles that join roles… further than this are left to the next change.
    const DEPTH: usize = 8;
    for _ in 0..DEPTH {
        let all = roles.list("");
        let stale: Vec<(&Object, Value)> = all
            .iter()
            .filter_map(|entry| {
                Some((
                    entry.object(),
                    wanted(entry.object(), all.iter().map(|entry| entry.object()))?,
                ))
            })
            .collect();
        if stale.is_empty() {
            return Ok(());
        }
        for (role, rules) in stale {
            let update = |role: &Object| {
                let mut changed = role.clone();
                changed.set("rules", rules.clone());
                Ok(role.get("aggregationRule").is_some().then_some(changed))
            };
            match roles.update("", role.name(), update).await {
                Err(status) if status.code() != 404 => return Err(status),
                _ => {}
            }
        }
    }
    Ok(())
}
