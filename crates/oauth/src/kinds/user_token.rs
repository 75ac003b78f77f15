//! `UserOAuthAccessToken`: the caller's own access tokens, to look at and to revoke.
use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::entry::Entry;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::{DeleteOptions, ListOptions, WatchOptions};
use berth_apimachinery::resource::{GroupResource, Resource};
use berth_apimachinery::rest::{Deleted, List, Rest, Verbs, WatchEvent, WatchStream};
use berth_apimachinery::selector::{FieldRequirement, FieldSelector};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;
use berth_apimachinery::table::{Column, Table};
use futures_util::StreamExt as _;

const PLURAL: &str = "useroauthaccesstokens";

pub(super) fn resource() -> Resource {
    let mut columns = vec![Column::name()];
    columns.extend(super::token_columns());
    let table = Table::new(columns, |token, _now| {
        let mut cells = vec![token.name().into()];
        cells.extend(super::token_cells(token));
        cells
    });
    Resource::cluster(super::GROUP, "v1", "UserOAuthAccessToken", PLURAL).with_table(table)
}

/// Serves the caller's own tokens.
pub struct UserTokens {
    stored: StoredRest,
}

impl UserTokens {
    /// Over all access tokens.
    #[must_use]
    pub fn new(access_tokens: Storage) -> UserTokens {
        UserTokens {
            stored: StoredRest::new(access_tokens),
        }
    }

    /// The caller's token of this name; another's is as good as none.
    fn own(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        let entry = self.stored.storage().get("", name);
        entry
            .filter(|entry| !cx.user.is_anonymous() && belongs(entry.object(), cx))
            .ok_or_else(|| Status::not_found(&GroupResource::new(super::GROUP, PLURAL), name))
    }
}

/// By name and uid: a user who was deleted and made anew is another one.
fn belongs(token: &Object, cx: &Context) -> bool {
    token.str_at(&["userName"]) == cx.user.name
        && (cx.user.uid.is_empty() || token.str_at(&["userUID"]) == cx.user.uid)
}

fn view(entry: &Arc<Entry>) -> Arc<Entry> {
    let mut object = entry.object().clone();
    object.set_gvk(&super::gvk("UserOAuthAccessToken"));
    Arc::new(Entry::new(object))
}

fn restrict(fields: &FieldSelector, cx: &Context) -> FieldSelector {
    let mut fields = fields.clone();
    let mut require = |field: &str, value: &str| {
        fields.requirements.push(FieldRequirement {
            field: field.to_owned(),
            value: value.to_owned(),
            equal: true,
        });
    };
    require("userName", &cx.user.name);
    if !cx.user.uid.is_empty() {
        require("userUID", &cx.user.uid);
    }
    fields
}

#[async_trait]
impl Rest for UserTokens {
    fn verbs(&self) -> Verbs {
        Verbs {
            get: true,
            list: true,
            watch: true,
            delete: true,
            ..Verbs::NONE
        }
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        Ok(view(&self.own(cx, name)?))
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        let options = ListOptions {
            fields: restrict(&options.fields, cx),
            ..options.clone()
        };
        let mut list = self.stored.list(cx, &options).await?;
        list.items = list.items.iter().map(view).collect();
        Ok(list)
    }

    async fn watch(&self, cx: &Context, options: &WatchOptions) -> Result<WatchStream, Status> {
        let options = WatchOptions {
            fields: restrict(&options.fields, cx),
            ..options.clone()
        };
        let events = self.stored.watch(cx, &options).await?;
        let seen = events.map(|event| {
            event.map(|event| match event {
                WatchEvent::Added(entry) => WatchEvent::Added(view(&entry)),
                WatchEvent::Modified(entry) => WatchEvent::Modified(view(&entry)),
                WatchEvent::Deleted(entry) => WatchEvent::Deleted(view(&entry)),
                bookmark @ WatchEvent::Bookmark { .. } => bookmark,
            })
        });
        Ok(seen.boxed())
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        self.own(cx, name)?;
        self.stored.delete(cx, name, options).await
    }
}
