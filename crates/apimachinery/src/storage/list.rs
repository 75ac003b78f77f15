//! Paged lists with selectors and resource versions.
use std::sync::Arc;

use berth_store::{Error, Key, Revision};

use super::Storage;
use super::continue_token::ContinueToken;
use super::filter::Filter;
use crate::entry::Entry;
use crate::options::{ListOptions, VersionMatch};
use crate::rest::List;
use crate::status::Status;

/// Items per page that a client gets at most when it asks for pages.
pub const PAGE_LIMIT: usize = 10_000;

/// Items read from the store at once for a list of the past.
const STORE_PAGE: usize = 500;

const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start \
    a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
    the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
    modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// A page that is being filled.
struct Page {
    items: Vec<(String, Arc<Entry>)>,
    limit: usize,
}

impl Storage {
    /// A page of the objects of a namespace, or of all.
    ///
    /// # Errors
    /// 400 for options that do not go together, 410 when history is gone, 504 when a resource version is not reached.
    pub async fn list_page(&self, namespace: Option<&str>, options: &ListOptions) -> Result<List, Status> {
        let filter = Filter::new(
            self.resource(),
            self.strategy(),
            namespace,
            &options.labels,
            &options.fields,
        )?;
        let limit = match options.limit {
            0 => usize::MAX,
            limit => limit.min(PAGE_LIMIT),
        };
        if !options.continue_token.is_empty() {
            if options.resource_version.is_some_and(|version| version != 0) {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let token = ContinueToken::decode(&options.continue_token)?;
            return match token.revision() {
                Some(revision) => self.list_at(&filter, revision, Some(&token.start), limit).await,
                None => Ok(self.list_now(&filter, Some(&token.start), limit)),
            };
        }
        match (options.resource_version, options.version_match) {
            (Some(revision), Some(VersionMatch::Exact)) => self.list_at(&filter, revision, None, limit).await,
            (Some(revision), _) if revision > 0 => {
                self.database().fresh(revision).await?;
                Ok(self.list_now(&filter, None, limit))
            }
            _ => Ok(self.list_now(&filter, None, limit)),
        }
    }

    /// A page of the present state, from memory.
    fn list_now(&self, filter: &Filter, after: Option<&str>, limit: usize) -> List {
        // Taken before memory is read: what is read then is at least as new.
        let seen = self.database().revision();
        let cache = self.cache();
        if let Some(key) = filter.only_key() {
            let entry = cache.get(&key).filter(|entry| filter.matches(&key, entry));
            let items = if after.is_some() {
                Vec::new()
            } else {
                entry.into_iter().collect()
            };
            return List {
                items,
                resource_version: seen.max(cache.revision()).to_string(),
                ..List::default()
            };
        }
        let trivial = filter.is_trivial();
        let range = cache.range(&filter.prefix, after, if trivial { limit } else { usize::MAX });
        let revision = seen.max(range.revision);
        let mut list = List {
            resource_version: revision.to_string(),
            ..List::default()
        };
        let mut last = None;
        let mut more = range.remaining > 0;
        for (key, slot) in &range.items {
            let entry = cache.slot_entry(slot);
            if !filter.matches(key, &entry) {
                continue;
            }
            if list.items.len() == limit {
                more = true;
                break;
            }
            list.items.push(entry);
            last = Some(key);
        }
        if more && let Some(last) = last {
            list.continue_token = ContinueToken::new(Some(revision), last).encode();
            list.remaining = trivial.then_some(range.remaining);
        }
        list
    }

    /// A page of the state at a revision: from memory if nothing has changed since, else from the store.
    async fn list_at(
        &self,
        filter: &Filter,
        revision: u64,
        after: Option<&str>,
        limit: usize,
    ) -> Result<List, Status> {
        if revision <= self.database().revision() {
            let list = self.list_now(filter, after, limit);
            // Read after the list: an older state of the resource cannot have been listed.
            if self.cache().revision() <= revision {
                return Ok(at_revision(list, revision));
            }
        }
        let expired = |after: &str| {
            let status = Status::expired(EXPIRED);
            if after.is_empty() {
                status
            } else {
                status.with_continue(ContinueToken::new(None, after).encode())
            }
        };
        let bad = |error: berth_store::InvalidKey| Status::bad_request(error.to_string());
        let root = &self.cache().prefix;
        let prefix = Key::new(format!("{root}/{}", filter.prefix).trim_end_matches('/')).map_err(bad)?;
        let mut from = match after {
            Some(after) => Some(Key::new(&format!("{root}/{after}")).map_err(bad)?),
            None => None,
        };
        let at = Some(Revision::new(revision));
        let mut page = Page {
            items: Vec::new(),
            limit,
        };
        let mut more = true;
        while more && page.items.len() <= limit {
            let found = self
                .database()
                .store()
                .list(&prefix, from.as_ref(), STORE_PAGE, at)
                .await;
            let found = match found {
                Ok(found) => found,
                Err(Error::Compacted { asked, oldest }) => {
                    return Err(match after {
                        Some(after) => expired(after),
                        None => Status::too_old(asked.get(), oldest.get()),
                    });
                }
                Err(error) => return Err(Status::from_store(&error)),
            };
            more = found.more;
            from = found.items.last().map(|item| item.key.clone());
            for item in found.items {
                let key = &item.key.as_str()[root.len() + 1..];
                let entry = self.cache().entry(&item.value, item.modified.get());
                if filter.matches(key, &entry) {
                    page.items.push((key.to_owned(), entry));
                    if page.items.len() > limit {
                        break;
                    }
                }
            }
        }
        Ok(page.finish(revision))
    }
}

/// The list as one of an earlier revision, at which the resource was the same.
fn at_revision(mut list: List, revision: u64) -> List {
    list.resource_version = revision.to_string();
    if !list.continue_token.is_empty()
        && let Ok(token) = ContinueToken::decode(&list.continue_token)
    {
        list.continue_token = ContinueToken::new(Some(revision), &token.start).encode();
    }
    list
}

impl Page {
    fn finish(mut self, revision: u64) -> List {
        let more = self.items.len() > self.limit;
        self.items.truncate(self.limit);
        let continue_token = match self.items.last() {
            Some((key, _)) if more => ContinueToken::new(Some(revision), key).encode(),
            _ => String::new(),
        };
        List {
            items: self.items.into_iter().map(|(_, entry)| entry).collect(),
            resource_version: revision.to_string(),
            continue_token,
            remaining: None,
        }
    }
}
