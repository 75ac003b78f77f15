//! When tokens were last used, and what follows for those that end without use.
//!
//! `inactivityTimeoutSeconds` of a token counts from its creation and says how long the token is valid; a use puts it off.
//! A use is remembered in memory and written now and then, so that a token that is used all day is not written all day.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use berth_apimachinery::object::Object;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::kinds::Client;

/// Uses that wait to be written; beyond, a token's use is only written with the next pass after it is used again.
const PENDING: usize = 65_536;

/// Uses of tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Inner>);

struct Inner {
    /// Last use by name of the token, in seconds of Unix time.
    uses: Mutex<HashMap<String, i64>>,
    clients: Storage,
    default: Option<SignedDuration>,
}

impl Activity {
    pub(crate) fn new(clients: Storage, default: Option<SignedDuration>) -> Activity {
        Activity(Arc::new(Inner {
            uses: Mutex::default(),
            clients,
            default,
        }))
    }

    /// For how many seconds without use tokens of a client last; 0 for as long as they live.
    pub(crate) fn timeout(&self, client: &str) -> i64 {
        let client = self
            .0
            .clients
            .get("", client)
            .and_then(|entry| Client::read(entry.object()));
        client
            .and_then(|client| client.access_token_inactivity_timeout_seconds)
            .unwrap_or_else(|| self.0.default.map_or(0, |timeout| timeout.as_secs()))
    }

    /// Records a use; false if the token had ended before.
    pub(crate) fn used(&self, token: &Object, now: Timestamp) -> bool {
        let Some((created, limit)) = limits(token) else {
            return true;
        };
        let now = now.as_second();
        let timeout = self.timeout(token.str_at(&["clientName"]));
        let mut uses = self.0.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let last = uses.get(token.name()).copied();
        let end = last
            .map_or(0, |last| last.saturating_add(timeout))
            .max(created.saturating_add(limit));
        if now >= end {
            return false;
        }
        if timeout > 0 && (last.is_some() || uses.len() < PENDING) {
            uses.insert(token.name().to_owned(), now);
        }
        true
    }

    /// Writes the uses that are not written yet.
    ///
    /// # Errors
    /// What the store answers; what was not written is kept for the next pass.
    pub(crate) async fn flush(&self, tokens: &Storage) -> Result<(), Status> {
        let uses: Vec<(String, i64)> = {
            let uses = self.0.uses.lock().unwrap_or_else(PoisonError::into_inner);
            uses.iter().map(|(name, last)| (name.clone(), *last)).collect()
        };
        for (name, last) in uses {
            let write = |token: &Object| {
                let Some((created, limit)) = limits(token) else {
                    return Ok(None);
                };
                let timeout = self.timeout(token.str_at(&["clientName"]));
                let wanted = last.saturating_sub(created).saturating_add(timeout);
                if wanted <= limit {
                    return Ok(None);
                }
                let mut token = token.clone();
                token.set(
                    "inactivityTimeoutSeconds",
                    i32::try_from(wanted).unwrap_or(i32::MAX),
                );
                Ok(Some(token))
            };
            match tokens.update("", &name, write).await {
                Err(status) if !status.is_not_found() => return Err(status),
                _ => {}
            }
            let mut uses = self.0.uses.lock().unwrap_or_else(PoisonError::into_inner);
            if uses.get(&name) == Some(&last) {
                uses.remove(&name);
            }
        }
        Ok(())
    }
}

/// Creation and, counted from there, the end without use; none for a token that does not end so.
fn limits(token: &Object) -> Option<(i64, i64)> {
    let limit = token
        .get("inactivityTimeoutSeconds")
        .and_then(Value::as_i64)
        .filter(|limit| *limit > 0)?;
    Some((token.creation_timestamp()?.as_second(), limit))
}
