//! Default accounts and bindings: created with their namespace, and again if they are deleted.

use berth_apimachinery::storage::{Notice, Storage};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::queue::Queue;
use crate::core;
use crate::defaults::NamespaceDefaults;

/// Keeps the defaults of every namespace, until `stop`.
pub(super) async fn run(core: core::Storages, bindings: Storage, stop: CancellationToken) {
    let defaults = NamespaceDefaults::new(core.service_accounts.clone(), bindings.clone());
    let mut queue = Queue::default();
    let mut namespaces = core.namespaces.subscribe();
    let mut accounts = core.service_accounts.subscribe();
    let mut bindings = bindings.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            notice = namespaces.next() => match notice {
                Some(Notice::Changed(change)) => queue.add(change.name()),
                Some(Notice::Reset) => {}
                None => return,
            },
            notice = accounts.next() => if !on_content(notice, &mut queue) { return },
            notice = bindings.next() => if !on_content(notice, &mut queue) { return },
            name = queue.next() => {
                let Some(namespace) = core.namespaces.get("", &name) else { continue };
                match defaults.ensure(namespace.object()).await {
                    Ok(()) => queue.succeeded(&name),
                    Err(error) => {
                        warn!(namespace = name, %error, "default accounts or bindings are missing, trying again");
                        queue.failed(&name);
                    }
                }
            }
        }
    }
}

/// Only what is gone can be missing. False when there will be no more notices.
fn on_content(notice: Option<Notice>, queue: &mut Queue) -> bool {
    match notice {
        Some(Notice::Changed(change)) => {
            if change.entry.is_none() {
                queue.add(change.namespace());
            }
            true
        }
        Some(Notice::Reset) => true,
        None => false,
    }
}
