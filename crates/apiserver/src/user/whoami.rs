//! `User`, and `users/~`: the caller.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions, WatchOptions};
use berth_apimachinery::resource::Resource;
use berth_apimachinery::rest::{Deleted, List, Rest, Transform, Updated, Verbs, WatchStream};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table};
use serde_json::{Value, json};

/// The name that stands for the caller.
const SELF: &str = "~";

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("UID", "UID of the user."),
        Column::new("Full Name", "The person's name."),
        Column::new("Identities", "Identities through which the user logs in."),
    ];
    Resource::cluster(super::GROUP, "v1", "User", "users").with_table(Table::new(columns, |user, _now| {
        let identities = user
            .get("identities")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let identities: Vec<&str> = identities.filter_map(Value::as_str).collect();
        vec![
            user.name().into(),
            user.uid().into(),
            user.str_at(&["fullName"]).into(),
            identities.join(", ").into(),
        ]
    }))
}

/// Whether a user object may have this name; `~` and names with a colon are the server's.
fn check_name(name: &str) -> Result<(), String> {
    names::path_segment(name)?;
    match name {
        SELF => Err("may not be \"~\"".to_owned()),
        _ if name.contains(':') => Err("may not contain \":\"".to_owned()),
        _ => Ok(()),
    }
}

/// The rules of users.
#[derive(Debug)]
pub(super) struct UserStrategy;

impl Strategy for UserStrategy {
    fn defaults(&self, object: &mut Object) {
        if object.get("groups").is_none() {
            object.set("groups", Value::Null);
        }
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        check_name(name)
    }
}

/// The user object for the caller: the stored one if there is one and it is the same user, with the groups of the
/// request; else one made up from what the authenticator said.
fn caller(user: &UserInfo, stored: Option<&Object>) -> Object {
    let groups: BTreeSet<&String> = user.groups.iter().collect();
    let same = |stored: &&Object| user.uid.is_empty() || stored.uid() == user.uid;
    let mut object = stored.filter(same).cloned().unwrap_or_else(|| {
        let mut object = Object::default();
        object.set("kind", "User");
        object.set("apiVersion", format!("{}/v1", super::GROUP));
        object.set_name(&user.name);
        object.set_uid(&user.uid);
        object
            .metadata_mut()
            .insert("creationTimestamp".to_owned(), Value::Null);
        object.set("identities", Value::Null);
        object
    });
    object.set("groups", json!(groups));
    object
}

/// Serves users.
pub(super) struct Users {
    storage: Storage,
    stored: StoredRest,
}

impl Users {
    /// Over the stored users.
    pub(super) fn new(storage: Storage) -> Users {
        Users {
            stored: StoredRest::new(storage.clone()),
            storage,
        }
    }
}

#[async_trait]
impl Rest for Users {
    fn verbs(&self) -> Verbs {
        Verbs::ALL
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        if name != SELF {
            return self.stored.get(cx, name).await;
        }
        if cx.user.is_anonymous() {
            let resource = self.storage.resource().group_resource();
            return Err(Status::forbidden(
                &resource,
                SELF,
                "requests to ~ must be authenticated",
            ));
        }
        let stored = check_name(&cx.user.name)
            .ok()
            .and_then(|()| self.storage.get("", &cx.user.name));
        Ok(caller(&cx.user, stored.as_ref().map(|entry| entry.object())).into())
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        self.stored.list(cx, options).await
    }

    async fn watch(&self, cx: &Context, options: &WatchOptions) -> Result<WatchStream, Status> {
        self.stored.watch(cx, options).await
    }

    async fn create(&self, cx: &Context, parent: Option<&str>, object: Object) -> Result<Arc<Entry>, Status> {
        self.stored.create(cx, parent, object).await
    }

    async fn update(&self, cx: &Context, name: &str, transform: Transform<'_>) -> Result<Updated, Status> {
        self.stored.update(cx, name, transform).await
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        self.stored.delete(cx, name, options).await
    }

    async fn delete_collection(
        &self,
        cx: &Context,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<List, Status> {
        self.stored.delete_collection(cx, list, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_stored_user_if_it_is_the_same() {
        let stored =
            Object::from_value(json!({"metadata": {"name": "ann", "uid": "1"}, "fullName": "Ann"})).unwrap();
        for (uid, full_name) in [("", "Ann"), ("1", "Ann"), ("2", "")] {
            let groups = vec!["b".to_owned(), "a".to_owned(), "b".to_owned()];
            let user = UserInfo {
                name: "ann".into(),
                uid: uid.into(),
                groups,
                ..UserInfo::default()
            };
            let object = caller(&user, Some(&stored));
            assert_eq!(object.str_at(&["fullName"]), full_name, "{uid}");
            assert_eq!(object.get("groups"), Some(&json!(["a", "b"])), "{uid}");
            assert_eq!(object.name(), "ann", "{uid}");
        }
    }

    #[test]
    fn reserved_names_are_refused() {
        for (name, fine) in [
            ("ann", true),
            ("~", false),
            ("system:admin", false),
            ("a@b.example", true),
            ("a/b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), fine, "{name}");
        }
    }
}
