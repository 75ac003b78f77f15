//! Secrets of type `kubernetes.io/service-account-token`: filled for their account, deleted without it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::{Notice, Storage};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::queue::Queue;
use crate::core::secret::{ACCOUNT_NAME, ACCOUNT_UID, SERVICE_ACCOUNT_TOKEN, type_of};
use crate::tokens::Tokens;

/// What is to be done about a token secret.
#[derive(Debug, PartialEq)]
enum Plan {
    /// Nothing.
    Leave,
    /// Its account is gone, or another one has its name.
    Delete,
    /// These keys are missing.
    Fill { token: bool, ca: bool, namespace: bool },
}

/// What is to be done, given the account that the secret names. Pure.
fn plan(secret: &Object, account: Option<&Object>, ca_bundle: &[u8]) -> Plan {
    if type_of(secret) != SERVICE_ACCOUNT_TOKEN || secret.is_deleting() {
        return Plan::Leave;
    }
    let uid = secret.annotation(ACCOUNT_UID).unwrap_or_default();
    let Some(account) = account.filter(|account| uid.is_empty() || account.uid() == uid) else {
        return Plan::Delete;
    };
    let missing = |key: &str| secret.str_at(&["data", key]).is_empty();
    let token = missing("token");
    let ca = !ca_bundle.is_empty() && secret.str_at(&["data", "ca.crt"]) != STANDARD.encode(ca_bundle);
    let namespace = missing("namespace");
    if token || ca || namespace || uid != account.uid() {
        Plan::Fill { token, ca, namespace }
    } else {
        Plan::Leave
    }
}

/// Fills and deletes token secrets, until `stop`.
pub(super) async fn run(secrets: Storage, accounts: Storage, tokens: Arc<Tokens>, stop: CancellationToken) {
    let mut queue = Queue::default();
    let mut secret_notices = secrets.subscribe();
    let mut account_notices = accounts.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            notice = secret_notices.next() => match notice {
                Some(Notice::Changed(change)) => {
                    let secret = change.entry.as_ref().map(|entry| entry.object());
                    if secret.is_some_and(|secret| type_of(secret) == SERVICE_ACCOUNT_TOKEN) {
                        queue.add(&*change.key);
                    }
                }
                Some(Notice::Reset) => {}
                None => return,
            },
            notice = account_notices.next() => match notice {
                Some(Notice::Changed(change)) => {
                    let tokens = secrets.list(change.namespace());
                    let of_account = tokens.iter().map(|entry| entry.object()).filter(|secret| {
                        type_of(secret) == SERVICE_ACCOUNT_TOKEN && secret.annotation(ACCOUNT_NAME) == Some(change.name())
                    });
                    of_account.for_each(|secret| queue.add(format!("{}/{}", secret.namespace(), secret.name())));
                }
                Some(Notice::Reset) => {}
                None => return,
            },
            key = queue.next() => match pass(&secrets, &accounts, &tokens, &key).await {
                Ok(()) => queue.succeeded(&key),
                Err(error) => {
                    warn!(secret = key, %error, "a token secret could not be kept, trying again");
                    queue.failed(&key);
                }
            },
        }
    }
}

async fn pass(secrets: &Storage, accounts: &Storage, tokens: &Tokens, key: &str) -> Result<(), Status> {
    let Some((namespace, name)) = key.split_once('/') else {
        return Ok(());
    };
    let Some(entry) = secrets.get(namespace, name) else {
        return Ok(());
    };
    let account_name = entry
        .object()
        .annotation(ACCOUNT_NAME)
        .unwrap_or_default()
        .to_owned();
    let account = accounts.get(namespace, &account_name);
    let account = account.as_ref().map(|entry| entry.object());
    let done = match plan(entry.object(), account, &tokens.ca_bundle) {
        Plan::Leave => return Ok(()),
        Plan::Delete => {
            let this = Preconditions {
                uid: Some(entry.object().uid().to_owned()),
                resource_version: None,
            };
            secrets.delete(namespace, name, &this).await
        }
        Plan::Fill { .. } => {
            let uid = account.map_or("", Object::uid);
            let token = tokens.issue_legacy(namespace, &account_name, uid, name)?;
            secrets
                .update(namespace, name, |secret| {
                    Ok(fill(secret, account, &token, &tokens.ca_bundle))
                })
                .await
        }
    };
    match done {
        Err(status) if status.code() != 404 => Err(status),
        _ => Ok(()),
    }
}

/// The secret with what it lacks; none if it lacks nothing.
fn fill(secret: &Object, account: Option<&Object>, token: &str, ca_bundle: &[u8]) -> Option<Object> {
    let Plan::Fill {
        token: lacks_token,
        ca,
        namespace,
    } = plan(secret, account, ca_bundle)
    else {
        return None;
    };
    let mut filled = secret.clone();
    filled.set_annotation(ACCOUNT_UID, account?.uid());
    let data = filled
        .fields_mut()
        .entry("data")
        .or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = json!({});
    }
    let values = [
        (lacks_token, "token", token.as_bytes()),
        (ca, "ca.crt", ca_bundle),
        (namespace, "namespace", secret.namespace().as_bytes()),
    ];
    for (_, key, value) in values.into_iter().filter(|(lacks, ..)| *lacks) {
        data[key] = Value::String(STANDARD.encode(value));
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_by_account_and_content() {
        let account = Object::from_value(json!({"metadata": {"name": "builder", "uid": "1"}})).unwrap();
        let full = json!({"token": "eA==", "ca.crt": "Y2E=", "namespace": "ZGVtbw=="});
        for (uid, data, account, want) in [
            (
                "",
                json!({}),
                Some(&account),
                Plan::Fill {
                    token: true,
                    ca: true,
                    namespace: true,
                },
            ),
            ("1", full.clone(), Some(&account), Plan::Leave),
            (
                "1",
                json!({"token": "eA==", "ca.crt": "b2xk", "namespace": "ZGVtbw=="}),
                Some(&account),
                Plan::Fill {
                    token: false,
                    ca: true,
                    namespace: false,
                },
            ),
            ("2", full.clone(), Some(&account), Plan::Delete),
            ("1", full, None, Plan::Delete),
        ] {
            let secret = Object::from_value(json!({
                "metadata": {"name": "t", "annotations": {ACCOUNT_NAME: "builder", ACCOUNT_UID: uid}},
                "type": SERVICE_ACCOUNT_TOKEN, "data": data,
            }))
            .unwrap();
            assert_eq!(plan(&secret, account, b"ca"), want, "{uid} {data}");
        }
        let other = Object::from_value(json!({"type": "Opaque"})).unwrap();
        assert_eq!(plan(&other, None, b"ca"), Plan::Leave, "only token secrets");
    }

    #[test]
    fn fills_once() {
        let account = Object::from_value(json!({"metadata": {"name": "builder", "uid": "1"}})).unwrap();
        let secret = json!({"metadata": {"name": "t", "namespace": "demo"}, "type": SERVICE_ACCOUNT_TOKEN});
        let secret = Object::from_value(secret).unwrap();
        let filled = fill(&secret, Some(&account), "jwt", b"ca").unwrap();
        assert_eq!(
            filled.get("data"),
            Some(&json!({"ca.crt": "Y2E=", "namespace": "ZGVtbw==", "token": "and0"}))
        );
        assert_eq!(filled.annotation(ACCOUNT_UID), Some("1"));
        assert_eq!(fill(&filled, Some(&account), "other", b"ca"), None);
    }
}
