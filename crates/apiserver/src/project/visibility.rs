//! Who sees which project, also while rights change.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use berth_apimachinery::access::{Attributes, Authorizer, Target};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::WatchOptions;
use berth_apimachinery::rest::{WatchEvent, WatchStream};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};

use super::Parts;
use super::view::project;

/// Whether a user may get a project, as a project or as a namespace.
pub(super) async fn may_get(authorizer: &dyn Authorizer, user: &UserInfo, name: &str) -> bool {
    for (group, resource) in [("", "namespaces"), (super::GROUP, "projects")] {
        let target = Target::Resource {
            group,
            version: "v1",
            resource,
            subresource: "",
            namespace: name,
            name,
        };
        if authorizer
            .authorize(&Attributes {
                user,
                verb: "get",
                target,
            })
            .await
            .allowed
        {
            return true;
        }
    }
    false
}

/// A watch in progress: which projects the watcher knows of, and what is to be sent next.
struct Watcher {
    parts: Arc<Parts>,
    user: Arc<UserInfo>,
    options: WatchOptions,
    /// The projects that the watcher knows of, with the revision it has seen.
    known: BTreeMap<String, u64>,
    pending: VecDeque<WatchEvent>,
    namespaces: WatchStream,
    /// Something about roles or bindings changed.
    rights: BoxStream<'static, ()>,
}

/// An item for each change of what `storage` holds, from now on.
fn changes(storage: &Storage) -> BoxStream<'static, ()> {
    let mut subscription = storage.subscribe();
    // What is there already is no change.
    while subscription.next().now_or_never().flatten().is_some() {}
    stream::unfold(subscription, |mut subscription| async move {
        subscription.next().await.map(|_| ((), subscription))
    })
    .boxed()
}

/// Events of the projects that the caller may get. A right that comes adds its project, one that goes deletes it.
pub(super) async fn watch(
    parts: Arc<Parts>,
    cx: &Context,
    options: &WatchOptions,
) -> Result<WatchStream, Status> {
    let namespaces = parts.namespace_rest.watch(cx, options).await?;
    let rights = &parts.rights;
    let rights = [
        &rights.roles,
        &rights.cluster_roles,
        &rights.role_bindings,
        &rights.cluster_role_bindings,
    ];
    let rights = stream::select_all(rights.map(changes)).boxed();
    let mut watcher = Watcher {
        user: Arc::clone(&cx.user),
        options: options.clone(),
        known: BTreeMap::new(),
        pending: VecDeque::new(),
        namespaces,
        rights,
        parts,
    };
    if options.resource_version.is_some_and(|version| version > 0) {
        // The client has listed before: what it could see then is not news.
        let known = visible(&watcher.parts, &watcher.user, options).await;
        watcher.known = known
            .into_iter()
            .map(|(name, entry)| (name, entry.revision()))
            .collect();
    }
    watcher.end_what_is_lost();
    Ok(stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((event, watcher))
    })
    .boxed())
}

impl Watcher {
    /// Tells a client that waits for the end of one project, from a state in which it saw it, when the right to see it
    /// went before the watch began: no later event would. It learns no more than the name that it asked for.
    fn end_what_is_lost(&mut self) {
        let Some(revision) = self.options.resource_version.filter(|version| *version > 0) else {
            return;
        };
        let Some(name) = self.options.fields.required("metadata.name") else {
            return;
        };
        if !self.known.contains_key(name) {
            let mut gone = project(&Object::default());
            gone.set_name(name);
            gone.set_resource_version(&revision.to_string());
            self.pending.push_back(WatchEvent::Deleted(gone.into()));
        }
    }

    async fn next(&mut self) -> Option<Result<WatchEvent, Status>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(Ok(event));
            }
            tokio::select! {
                event = self.namespaces.next() => match event? {
                    Ok(event) => self.on_namespace(event).await,
                    Err(status) => return Some(Err(status)),
                },
                Some(()) = self.rights.next() => {
                    // A burst of changes is looked at once.
                    while self.rights.next().now_or_never().flatten().is_some() {}
                    self.on_rights().await;
                }
            }
        }
    }

    async fn on_namespace(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Bookmark { .. } => self.pending.push_back(event),
            WatchEvent::Deleted(entry) => {
                if self.known.remove(entry.object().name()).is_some() {
                    self.pending.push_back(WatchEvent::Deleted(as_project(&entry)));
                }
            }
            WatchEvent::Added(entry) | WatchEvent::Modified(entry) => {
                let name = entry.object().name();
                let visible = may_get(self.parts.authorizer.as_ref(), &self.user, name).await;
                self.show(&entry, visible, true);
            }
        }
    }

    /// Sends what became visible or invisible since a role or binding changed.
    async fn on_rights(&mut self) {
        let visible = visible(&self.parts, &self.user, &self.options).await;
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|name| !visible.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(entry) = self.parts.namespaces.get("", &name) {
                self.show(&entry, false, false);
            }
        }
        for entry in visible.values() {
            self.show(entry, true, false);
        }
    }

    fn show(&mut self, entry: &Arc<Entry>, visible: bool, changed: bool) {
        let name = entry.object().name();
        let known = self.known.get(name).copied();
        let event = match (visible, known) {
            (true, None) => WatchEvent::Added(as_project(entry)),
            // A right that came may have shown a state that its own event tells of later.
            (true, Some(seen)) if changed && entry.revision() > seen => {
                WatchEvent::Modified(as_project(entry))
            }
            (false, Some(_)) => WatchEvent::Deleted(as_project(entry)),
            _ => return,
        };
        if visible {
            self.known.insert(name.to_owned(), entry.revision());
        } else {
            self.known.remove(name);
        }
        self.pending.push_back(event);
    }
}

/// Everything that matches the watch and that the user may get, now.
async fn visible(parts: &Parts, user: &UserInfo, options: &WatchOptions) -> BTreeMap<String, Arc<Entry>> {
    let mut visible = BTreeMap::new();
    for entry in parts.namespaces.list("") {
        let object = entry.object();
        let name = object.name();
        let field = |field: &str| match field {
            "metadata.name" => Cow::Borrowed(name),
            "status.phase" => Cow::Borrowed(object.str_at(&["status", "phase"])),
            _ => Cow::Borrowed(""),
        };
        if options.labels.matches(object.labels())
            && options.fields.matches(field)
            && may_get(parts.authorizer.as_ref(), user, name).await
        {
            visible.insert(name.to_owned(), Arc::clone(&entry));
        }
    }
    visible
}

fn as_project(entry: &Entry) -> Arc<Entry> {
    project(entry.object()).into()
}
