//! Deletion of namespaces: everything in them first, then the finalizer, then the namespace.
//!
//! One process does this. Two that do it at once would need to agree who: one could still be emptying a namespace that the
//! other has finished and that was created anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_apimachinery::context::Context;
use berth_apimachinery::object::{Object, format_time};
use berth_apimachinery::options::{DeleteOptions, ListOptions, Preconditions};
use berth_apimachinery::resource::{Endpoint, GroupResource};
use berth_apimachinery::rest::Rest;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::{Notice, Storage};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::queue::Queue;
use crate::core::namespace::{self, FINALIZER};

/// A request that passed admission just before its namespace was marked may store its object afterwards. Such orphans are
/// looked for when the namespace is gone, and once more after this time.
const SECOND_SWEEP: Duration = Duration::from_secs(10);

/// Every kind of content that a namespace may have.
pub(crate) struct Content(Vec<(GroupResource, Arc<dyn Rest>)>);

impl Content {
    /// All namespaced resources that can be deleted as a collection; views on other objects cannot.
    pub(super) fn of(endpoints: &[Endpoint]) -> Content {
        let stored = endpoints.iter().filter(|endpoint| {
            let verbs = endpoint.rest.verbs();
            endpoint.resource.is_namespaced() && verbs.list && verbs.delete_collection
        });
        Content(
            stored
                .map(|endpoint| (endpoint.resource.group_resource(), Arc::clone(&endpoint.rest)))
                .collect(),
        )
    }

    /// Deletes everything in a namespace and tells what is left.
    async fn sweep(&self, namespace: &str) -> Remaining {
        let mut remaining = Remaining::default();
        for (resource, rest) in &self.0 {
            let cx = Context::system().in_namespace(namespace);
            let all = ListOptions::default();
            if let Err(status) = rest.delete_collection(&cx, &all, &DeleteOptions::default()).await {
                remaining.failures.push(format!("{resource}: {status}"));
            }
            match rest.list(&cx, &all).await {
                Ok(list) => remaining.count(resource, list.items.iter().map(|entry| entry.object())),
                Err(status) => remaining.failures.push(format!("{resource}: {status}")),
            }
        }
        remaining
    }

    /// Deletes what is left of a namespace that is gone.
    ///
    /// The name may be taken again at any moment, so nothing is deleted by name alone: what was listed before the
    /// namespace was seen to be missing is an orphan for certain, and its UID says that it is still the same.
    async fn sweep_orphans(&self, namespaces: &Storage, namespace: &str) -> Result<(), Status> {
        for (_, rest) in &self.0 {
            let cx = Context::system().in_namespace(namespace);
            let list = rest.list(&cx, &ListOptions::default()).await?;
            if namespaces.get("", namespace).is_some() {
                return Ok(());
            }
            for entry in &list.items {
                let object = entry.object();
                let this = Preconditions {
                    uid: Some(object.uid().to_owned()),
                    resource_version: None,
                };
                let options = DeleteOptions {
                    preconditions: this,
                    ..DeleteOptions::default()
                };
                match rest.delete(&cx, object.name(), &options).await {
                    Err(status) if !matches!(status.code(), 404 | 409) => return Err(status),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// What could not be removed from a namespace.
#[derive(Debug, Default, PartialEq)]
struct Remaining {
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Remaining {
    fn count<'a>(&mut self, resource: &GroupResource, objects: impl Iterator<Item = &'a Object>) {
        for object in objects {
            // Kubernetes' message puts a dot after the resource of the core group, too.
            *self
                .objects
                .entry(format!("{}.{}", resource.resource, resource.group))
                .or_default() += 1;
            for finalizer in object.finalizers() {
                *self.finalizers.entry(finalizer).or_default() += 1;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.failures.is_empty()
    }
}

/// The conditions of a terminating namespace; a condition that does not change keeps its time.
fn conditions(namespace: &Object, remaining: &Remaining, now: Timestamp) -> Value {
    let list = |counts: &BTreeMap<String, usize>, text: &str| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(key, count)| format!("{key} {text} {count} resource instances"))
            .collect();
        parts.join(", ")
    };
    let made = |kind: &str, bad: bool, reasons: (&str, &str), messages: (String, &str)| {
        let (reason, message) = if bad {
            (reasons.0, messages.0)
        } else {
            (reasons.1, messages.1.to_owned())
        };
        let status = if bad { "True" } else { "False" };
        let old = namespace
            .at(&["status", "conditions"])
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let old = old
            .into_iter()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind));
        let unchanged =
            old.filter(|condition| condition.get("status").and_then(Value::as_str) == Some(status));
        let since =
            unchanged.and_then(|condition| condition.get("lastTransitionTime").and_then(Value::as_str));
        let since = since.map_or_else(|| format_time(now), str::to_owned);
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    };
    json!([
        made(
            "NamespaceDeletionDiscoveryFailure",
            false,
            ("DiscoveryFailed", "ResourcesDiscovered"),
            (String::new(), "All resources successfully discovered"),
        ),
        made(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            ("GroupVersionParsingFailed", "ParsedGroupVersions"),
            (String::new(), "All legacy kube types successfully parsed"),
        ),
        made(
            "NamespaceDeletionContentFailure",
            !remaining.failures.is_empty(),
            ("ContentDeletionFailed", "ContentDeleted"),
            (
                format!(
                    "Failed to delete all resource types, {} remaining: {}",
                    remaining.failures.len(),
                    remaining.failures.join(", ")
                ),
                "All content successfully deleted, may be waiting on finalization",
            ),
        ),
        made(
            "NamespaceContentRemaining",
            !remaining.objects.is_empty(),
            ("SomeResourcesRemain", "ContentRemoved"),
            (
                format!(
                    "Some resources are remaining: {}",
                    list(&remaining.objects, "has")
                ),
                "All content successfully removed",
            ),
        ),
        made(
            "NamespaceFinalizersRemaining",
            !remaining.finalizers.is_empty(),
            ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
            (
                format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    list(&remaining.finalizers, "in")
                ),
                "All content-preserving finalizers finished",
            ),
        ),
    ])
}

/// Empties namespaces that are being deleted, until `stop`.
pub(super) async fn run(namespaces: Storage, content: Content, stop: CancellationToken) {
    let (mut queue, mut late) = (Queue::default(), Queue::default());
    let mut notices = namespaces.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            notice = notices.next() => match notice {
                Some(Notice::Changed(change)) => match &change.entry {
                    Some(entry) if entry.object().is_deleting() => queue.add(change.name()),
                    Some(_) => {}
                    None => {
                        queue.add(change.name());
                        late.add_after(change.name(), SECOND_SWEEP);
                    }
                },
                Some(Notice::Reset) => {}
                None => return,
            },
            name = late.next() => queue.add(name),
            name = queue.next() => match pass(&namespaces, &content, &name).await {
                Ok(true) => queue.succeeded(&name),
                Ok(false) => queue.failed(&name),
                Err(error) => {
                    warn!(namespace = name, %error, "a namespace could not be finalized, trying again");
                    queue.failed(&name);
                }
            },
        }
    }
}

/// Deletes what is in a terminating namespace, or in one that does not exist, and then the namespace. False: something
/// is left, look again later.
async fn pass(namespaces: &Storage, content: &Content, name: &str) -> Result<bool, Status> {
    let Some(entry) = namespaces.get("", name) else {
        content.sweep_orphans(namespaces, name).await?;
        return Ok(true);
    };
    if !entry.object().is_deleting() {
        return Ok(true);
    }
    let remaining = content.sweep(name).await;
    if !remaining.is_empty() {
        let now = Timestamp::now();
        namespaces
            .update("", name, |namespace| {
                let mut changed = namespace.clone();
                let conditions = conditions(namespace, &remaining, now);
                let status = json!({"phase": "Terminating", "conditions": conditions});
                changed.set("status", status);
                Ok(Some(changed))
            })
            .await?;
        return Ok(false);
    }
    let uid = entry.object().uid().to_owned();
    let finalized = namespaces.update("", name, |namespace| {
        let kept: Vec<String> = namespace::spec_finalizers(namespace)
            .into_iter()
            .filter(|finalizer| finalizer != FINALIZER)
            .collect();
        let mut changed = namespace.clone();
        let spec = if kept.is_empty() {
            json!({})
        } else {
            json!({ "finalizers": kept })
        };
        changed.set("spec", spec);
        Ok(Some(changed))
    });
    let finalized = finalized.await?;
    if namespace::spec_finalizers(finalized.object()).is_empty() && finalized.object().finalizers().is_empty()
    {
        let this = Preconditions {
            uid: Some(uid),
            resource_version: None,
        };
        match namespaces.delete("", name, &this).await {
            Ok(_) => info!(namespace = name, "namespace deleted"),
            Err(status) if status.code() == 404 => {}
            Err(status) => return Err(status),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_tell_what_is_left() {
        let mut remaining = Remaining::default();
        let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/keep"]}});
        let held = Object::from_value(held).unwrap();
        remaining.count(&GroupResource::new("", "configmaps"), [&held].into_iter());
        assert!(!remaining.is_empty());
        let mut namespace = Object::from_value(json!({"metadata": {"name": "demo"}})).unwrap();
        let first: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let made = conditions(&namespace, &remaining, first);
        let texts: Vec<_> = made
            .as_array()
            .unwrap()
            .iter()
            .map(|c| {
                (
                    c["type"].as_str().unwrap(),
                    c["status"].as_str().unwrap(),
                    c["message"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            texts[3],
            (
                "NamespaceContentRemaining",
                "True",
                "Some resources are remaining: configmaps. has 1 resource instances"
            )
        );
        assert_eq!(
            texts[4],
            (
                "NamespaceFinalizersRemaining",
                "True",
                "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances"
            )
        );
        assert_eq!(texts[2].1, "False");
        namespace.set("status", json!({ "conditions": made.clone() }));
        assert_eq!(
            conditions(&namespace, &remaining, later),
            made,
            "nothing changed, so no time changes"
        );
        let done = conditions(&namespace, &Remaining::default(), later);
        assert_eq!(done[3]["lastTransitionTime"], "2026-01-01T00:01:00Z");
        assert_eq!(done[3]["reason"], "ContentRemoved");
    }
}
