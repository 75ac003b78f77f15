//! `events.k8s.io/v1`: the core group's events under newer names, for the clients that report through it.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions, WatchOptions};
use berth_apimachinery::resource::Resource;
use berth_apimachinery::rest::{Deleted, List, Rest, Transform, Updated, Verbs, WatchEvent, WatchStream};
use berth_apimachinery::selector::FieldSelector;
use berth_apimachinery::status::Status;
use futures_util::StreamExt as _;

use crate::core::event;
use crate::kinds::Kinds;

/// The API group.
const GROUP: &str = "events.k8s.io";

/// Names of this group, and the core group's names of the same fields.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// Registers the kind over the core group's events.
pub(crate) fn register(kinds: &mut Kinds<'_>, core: Arc<dyn Rest>) {
    let resource = Resource::namespaced(GROUP, "v1", "Event", "events").with_short_names(&["ev"]);
    let table = event::table(|event| Some(core_event(event.clone())));
    kinds.serve(resource.with_table(table), Arc::new(Events { core }));
}

/// An event of this group as one of the core group.
fn core_event(mut event: Object) -> Object {
    rename(&mut event, |(new, old)| (new, old));
    event.set("apiVersion", "v1");
    event
}

/// An event of the core group as one of this group.
fn new_event(event: &Object) -> Object {
    let mut event = event.clone();
    rename(&mut event, |(new, old)| (old, new));
    event.set("apiVersion", "events.k8s.io/v1");
    event
}

fn rename(
    event: &mut Object,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for (from, to) in NAMES.map(direction) {
        if let Some(value) = event.remove(from) {
            event.set(to, value);
        }
    }
}

/// A field selector in the core group's names.
fn core_fields(selector: &FieldSelector) -> FieldSelector {
    let mut selector = selector.clone();
    for requirement in &mut selector.requirements {
        let (first, rest) = match requirement.field.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (requirement.field.as_str(), None),
        };
        if let Some((_, old)) = NAMES.iter().find(|(new, _)| *new == first) {
            requirement.field = rest.map_or_else(|| (*old).to_owned(), |rest| format!("{old}.{rest}"));
        }
    }
    selector
}

/// Serves the core group's events.
struct Events {
    core: Arc<dyn Rest>,
}

fn view(entry: &Entry) -> Arc<Entry> {
    new_event(entry.object()).into()
}

fn view_list(list: List) -> List {
    List {
        items: list.items.iter().map(|entry| view(entry)).collect(),
        ..list
    }
}

#[async_trait]
impl Rest for Events {
    fn verbs(&self) -> Verbs {
        self.core.verbs()
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        self.core.get(cx, name).await.map(|entry| view(&entry))
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        let options = ListOptions {
            fields: core_fields(&options.fields),
            ..options.clone()
        };
        self.core.list(cx, &options).await.map(view_list)
    }

    async fn watch(&self, cx: &Context, options: &WatchOptions) -> Result<WatchStream, Status> {
        let options = WatchOptions {
            fields: core_fields(&options.fields),
            ..options.clone()
        };
        let events = self.core.watch(cx, &options).await?;
        let view = |event: WatchEvent| match event {
            WatchEvent::Added(entry) => WatchEvent::Added(view(&entry)),
            WatchEvent::Modified(entry) => WatchEvent::Modified(view(&entry)),
            WatchEvent::Deleted(entry) => WatchEvent::Deleted(view(&entry)),
            bookmark @ WatchEvent::Bookmark { .. } => bookmark,
        };
        Ok(events.map(move |event| event.map(view)).boxed())
    }

    async fn create(&self, cx: &Context, parent: Option<&str>, object: Object) -> Result<Arc<Entry>, Status> {
        self.core
            .create(cx, parent, core_event(object))
            .await
            .map(|entry| view(&entry))
    }

    async fn update(&self, cx: &Context, name: &str, transform: Transform<'_>) -> Result<Updated, Status> {
        let through = |current: Option<&Object>| transform(current.map(new_event).as_ref()).map(core_event);
        let updated = self.core.update(cx, name, &through).await?;
        Ok(Updated {
            object: view(&updated.object),
            created: updated.created,
        })
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        Ok(match self.core.delete(cx, name, options).await? {
            Deleted::Gone(entry) => Deleted::Gone(view(&entry)),
            Deleted::Pending(entry) => Deleted::Pending(view(&entry)),
            Deleted::Done => Deleted::Done,
        })
    }

    async fn delete_collection(
        &self,
        cx: &Context,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<List, Status> {
        let list = ListOptions {
            fields: core_fields(&list.fields),
            ..list.clone()
        };
        self.core
            .delete_collection(cx, &list, options)
            .await
            .map(view_list)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_names_mean_the_same() {
        let new = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "n", "reason": "r",
            "regarding": {"name": "a"}, "reportingController": "c", "deprecatedCount": 3, "eventTime": null,
        });
        let new = Object::from_value(new).unwrap();
        let core = core_event(new.clone());
        assert_eq!(core.api_version(), "v1");
        assert_eq!(core.str_at(&["involvedObject", "name"]), "a");
        assert_eq!(
            (core.str_at(&["message"]), core.get("count")),
            ("n", Some(&json!(3)))
        );
        assert_eq!(new_event(&core), new);
    }

    #[test]
    fn selectors_are_translated() {
        for (new, want) in [
            (
                "regarding.name=a,reason!=b",
                "involvedObject.name a true, reason b false",
            ),
            ("reportingController=c", "reportingComponent c true"),
        ] {
            let selector = core_fields(&FieldSelector::parse(new).unwrap());
            let parts = selector
                .requirements
                .iter()
                .map(|one| format!("{} {} {}", one.field, one.value, one.equal));
            assert_eq!(parts.collect::<Vec<_>>().join(", "), want);
        }
    }
}
