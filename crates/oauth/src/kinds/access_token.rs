//! `OAuthAccessToken`: what a token grants.
use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::access::{Attributes, Authorizer, Target};
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions, WatchOptions};
use berth_apimachinery::resource::Resource;
use berth_apimachinery::rest::{Deleted, List, Rest, Transform, Updated, Verbs, WatchStream};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table};

use crate::opaque;
use crate::scope;

/// Fields that field selectors may name.
const FIELDS: [&str; 4] = ["clientName", "userName", "userUID", "authorizeToken"];

pub(super) fn resource() -> Resource {
    let mut columns = vec![
        Column::name(),
        Column::new("User Name", "The user it stands for."),
    ];
    columns.extend(super::token_columns());
    let table = Table::new(columns, |token, _now| {
        let mut cells = vec![token.name().into(), token.str_at(&["userName"]).into()];
        cells.extend(super::token_cells(token));
        cells
    });
    Resource::cluster(super::GROUP, "v1", "OAuthAccessToken", "oauthaccesstokens").with_table(table)
}

/// Only a hash can be a name: whoever made one of the token itself would publish it.
pub(super) fn validate_name(name: &str) -> Result<(), String> {
    if opaque::is_object_name(name) {
        return Ok(());
    }
    let form = "must be \"sha256~\" and the base64url-encoded SHA-256 hash of the token without its prefix";
    Err(form.to_owned())
}

pub(super) fn validate(object: &Object, old: Option<&Object>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for field in ["clientName", "userName", "userUID", "redirectURI"] {
        let value = object.str_at(&[field]);
        if value.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else if old.is_some_and(|old| old.str_at(&[field]) != value) {
            errors.push(FieldError::invalid(field, value, "field is immutable"));
        }
    }
    let scopes = super::scopes(object);
    if scopes.is_empty() {
        errors.push(FieldError::required("scopes", ""));
    }
    for (index, scope) in scopes.iter().enumerate() {
        if !scope::is_known(scope) {
            errors.push(FieldError::invalid(
                format!("scopes[{index}]"),
                scope.as_str(),
                "is not a scope",
            ));
        }
    }
    if old.is_some_and(|old| super::scopes(old) != scopes) {
        errors.push(FieldError::invalid("scopes", scopes, "field is immutable"));
    }
    errors
}

/// The rules of access tokens.
#[derive(Debug)]
pub struct AccessTokenStrategy;

impl Strategy for AccessTokenStrategy {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        validate_name(name)
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        validate(object, old)
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        FIELDS
            .map(|field| (field, object.str_at(&[field]).to_owned()))
            .into()
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &FIELDS
    }
}

/// Serves access tokens. Everybody who is logged in may call its deletion, since that is how `oc logout` ends a session;
/// here it is seen to that the session is their own.
pub struct AccessTokens {
    stored: StoredRest,
    authorizer: Arc<dyn Authorizer>,
}

impl AccessTokens {
    /// Over the stored tokens; `authorizer` says who may end the sessions of others.
    #[must_use]
    pub fn new(storage: Storage, authorizer: Arc<dyn Authorizer>) -> AccessTokens {
        AccessTokens {
            stored: StoredRest::new(storage),
            authorizer,
        }
    }

    /// Whether the caller may delete any token: who may delete all of them at once may.
    async fn may_delete_any(&self, cx: &Context) -> bool {
        let resource = self.stored.storage().resource();
        let attributes = Attributes {
            user: &cx.user,
            verb: "deletecollection",
            target: Target::Resource {
                group: resource.group(),
                version: resource.version(),
                resource: resource.plural(),
                subresource: "",
                namespace: "",
                name: "",
            },
        };
        self.authorizer.authorize(&attributes).await.allowed
    }
}

#[async_trait]
impl Rest for AccessTokens {
    fn verbs(&self) -> Verbs {
        Verbs::ALL
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        self.stored.get(cx, name).await
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
        let storage = self.stored.storage();
        let entry = storage.require("", name)?;
        let own = entry.object().str_at(&["userName"]) == cx.user.name;
        if !own && !self.may_delete_any(cx).await {
            let resource = storage.resource().group_resource();
            return Err(Status::forbidden(&resource, name, "the token is another user's"));
        }
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
