//! `UserIdentityMapping`: which user an identity belongs to. Nothing is stored but the two ends: `user` of the identity,
//! and its name among the user's `identities`.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::options::DeleteOptions;
use berth_apimachinery::resource::{Gvk, Resource};
use berth_apimachinery::rest::{Deleted, Rest, Transform, Updated, Verbs};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::table::{Column, Table};
use serde_json::{Value, json};

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Identity", "The identity."),
        Column::new("User Name", "The user that it belongs to."),
        Column::new("User UID", "UID of that user."),
    ];
    Resource::cluster(super::GROUP, "v1", "UserIdentityMapping", "useridentitymappings").with_table(
        Table::new(columns, |mapping, _now| {
            vec![
                mapping.name().into(),
                mapping.str_at(&["identity", "name"]).into(),
                mapping.str_at(&["user", "name"]).into(),
                mapping.str_at(&["user", "uid"]).into(),
            ]
        }),
    )
}

/// Serves mappings.
pub(super) struct Mappings {
    users: Storage,
    identities: Storage,
}

/// The mapping that an identity and its user make.
fn mapping(identity: &Object, user: &Object) -> Object {
    let mut object = Object::new(
        &Gvk::new(super::GROUP, "v1", "UserIdentityMapping"),
        identity.name(),
    );
    object.set_uid(identity.uid());
    object.set_resource_version(identity.resource_version());
    object.set_meta("creationTimestamp", identity.meta("creationTimestamp"));
    for (key, end) in [("identity", identity), ("user", user)] {
        object.set(key, json!({ "name": end.name(), "uid": end.uid() }));
    }
    object
}

/// The names among a user's identities, with or without one.
fn identities_of(user: &Object, name: &str, present: bool) -> Vec<Value> {
    let held = user
        .get("identities")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut names: Vec<Value> = held.filter(|held| held.as_str() != Some(name)).cloned().collect();
    if present {
        names.push(name.into());
    }
    names
}

impl Mappings {
    /// Over the stored users and identities.
    pub(super) fn new(users: Storage, identities: Storage) -> Mappings {
        Mappings { users, identities }
    }

    fn not_found(name: &str) -> Status {
        Status::not_found(&resource().group_resource(), name)
    }

    /// The identity and its user, if both know of each other.
    fn find(&self, name: &str) -> Option<Object> {
        let identity = self.identities.get("", name)?;
        let user = self.users.get("", identity.object().str_at(&["user", "name"]))?;
        let same = identity.object().str_at(&["user", "uid"]) == user.object().uid();
        same.then(|| mapping(identity.object(), user.object()))
    }

    /// Writes a user's list of identities, if that changes it.
    async fn list_at_user(&self, user: &str, identity: &str, present: bool) -> Result<(), Status> {
        let change = |user: &Object| {
            let names = identities_of(user, identity, present);
            if user.get("identities").and_then(Value::as_array) == Some(&names) {
                return Ok(None);
            }
            let mut user = user.clone();
            user.set("identities", names);
            Ok(Some(user))
        };
        match self.users.update("", user, change).await {
            Err(status) if status.code() == 404 && !present => Ok(()),
            written => written.map(drop),
        }
    }

    /// Lets an identity belong to the user that `wanted` names.
    async fn assign(&self, cx: &Context, wanted: &Object, is_new: bool) -> Result<Object, Status> {
        let names = (
            wanted.str_at(&["identity", "name"]),
            wanted.str_at(&["user", "name"]),
        );
        let kind = resource().group_kind();
        let invalid = |errors: FieldErrors| Status::invalid(&kind, names.0, &errors);
        if !wanted.name().is_empty() && wanted.name() != names.0 {
            let detail = format!("must be {}, the name of the identity", names.0);
            return Err(invalid(vec![FieldError::invalid(
                "metadata.name",
                wanted.name(),
                detail,
            )]));
        }
        let Some(identity) = self.identities.get("", names.0) else {
            return Err(invalid(vec![FieldError::not_found("identity.name", names.0)]));
        };
        let Some(user) = self.users.get("", names.1) else {
            return Err(invalid(vec![FieldError::not_found("user.name", names.1)]));
        };
        let uid = wanted.str_at(&["user", "uid"]);
        if !uid.is_empty() && uid != user.object().uid() {
            return Err(invalid(vec![FieldError::invalid(
                "user.uid",
                uid,
                "must be the uid of the user",
            )]));
        }
        let before = identity.object().str_at(&["user", "name"]).to_owned();
        if is_new && !before.is_empty() {
            return Err(Status::already_exists(&resource().group_resource(), names.0));
        }
        if cx.dry_run {
            return Ok(mapping(identity.object(), user.object()));
        }
        // The user's list first: an identity that already points to its user is what logging in goes by.
        self.list_at_user(names.1, names.0, true).await?;
        let reference = json!({ "name": names.1, "uid": user.object().uid() });
        let change = |identity: &Object| {
            let mut identity = identity.clone();
            identity.set("user", reference.clone());
            Ok(Some(identity))
        };
        let identity = self.identities.update("", names.0, change).await?;
        if !before.is_empty() && before != names.1 {
            self.list_at_user(&before, names.0, false).await?;
        }
        Ok(mapping(identity.object(), user.object()))
    }
}

#[async_trait]
impl Rest for Mappings {
    fn verbs(&self) -> Verbs {
        Verbs {
            list: false,
            watch: false,
            delete_collection: false,
            ..Verbs::ALL
        }
    }

    async fn get(&self, _cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        self.find(name)
            .map(Into::into)
            .ok_or_else(|| Self::not_found(name))
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        object: Object,
    ) -> Result<Arc<Entry>, Status> {
        self.assign(cx, &object, true).await.map(Into::into)
    }

    async fn update(&self, cx: &Context, name: &str, transform: Transform<'_>) -> Result<Updated, Status> {
        let current = self.find(name);
        let mut wanted = transform(current.as_ref())?;
        if let Some(current) = &current {
            // A uid that came along unchanged belongs to the user of before.
            let user = |object: &Object, field: &str| object.str_at(&["user", field]).to_owned();
            if user(&wanted, "name") != user(current, "name") && user(&wanted, "uid") == user(current, "uid")
            {
                wanted.set("user", json!({ "name": user(&wanted, "name") }));
            }
        }
        Ok(Updated {
            object: self.assign(cx, &wanted, false).await?.into(),
            created: current.is_none(),
        })
    }

    async fn delete(&self, cx: &Context, name: &str, _options: &DeleteOptions) -> Result<Deleted, Status> {
        let mapping = self.find(name).ok_or_else(|| Self::not_found(name))?;
        if !cx.dry_run {
            let change = |identity: &Object| {
                let mut identity = identity.clone();
                identity.remove("user");
                Ok(Some(identity))
            };
            self.identities.update("", name, change).await?;
            self.list_at_user(mapping.str_at(&["user", "name"]), name, false)
                .await?;
        }
        Ok(Deleted::Done)
    }
}
