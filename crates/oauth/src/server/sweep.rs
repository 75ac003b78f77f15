//! Upkeep: uses of tokens are written down, tokens and codes that have ended are removed.
use std::time::Duration;

use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::OAuth;
use crate::kinds;

/// How often uses are written: well below the least inactivity timeout.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// In how many of those passes what has ended is looked for.
const SWEEP_EVERY: u32 = 10;
/// How long what has ended is kept, so that whoever uses it is told that it has expired.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

pub(super) async fn run(oauth: &OAuth, stop: &CancellationToken) {
    let mut pass = 0_u32;
    while stop
        .run_until_cancelled(tokio::time::sleep(FLUSH_EVERY))
        .await
        .is_some()
    {
        pass = pass.wrapping_add(1);
        let tokens = &oauth.0.stores.access_tokens;
        if let Err(error) = oauth.0.activity.flush(tokens).await {
            warn!(%error, "uses of tokens could not be recorded; they will be with the next pass");
        }
        if pass.is_multiple_of(SWEEP_EVERY) {
            for storage in [tokens, &oauth.0.stores.authorize_tokens] {
                if let Err(error) = sweep(storage, Timestamp::now()).await {
                    warn!(%error, "expired tokens could not be removed; they will be with the next pass");
                }
            }
        }
    }
    // What was used last is worth remembering over a restart.
    if let Err(error) = oauth.0.activity.flush(&oauth.0.stores.access_tokens).await {
        warn!(%error, "uses of tokens could not be recorded");
    }
}

/// Removes what ended some time ago.
async fn sweep(storage: &Storage, now: Timestamp) -> Result<(), Status> {
    let Ok(before) = now.checked_sub(KEPT) else {
        return Ok(());
    };
    for entry in storage.list("") {
        let token = entry.object();
        if !ended(token, before) {
            continue;
        }
        // Unless it was put off meanwhile.
        let unchanged = Preconditions {
            resource_version: Some(token.resource_version().to_owned()),
            ..Preconditions::default()
        };
        match storage.delete("", token.name(), &unchanged).await {
            Err(status) if !status.is_not_found() && !status.is_conflict() => return Err(status),
            _ => {}
        }
    }
    Ok(())
}

fn ended(token: &Object, before: Timestamp) -> bool {
    let unused = token
        .get("inactivityTimeoutSeconds")
        .and_then(Value::as_i64)
        .filter(|seconds| *seconds > 0);
    let unused = unused
        .zip(token.creation_timestamp())
        .is_some_and(|(seconds, created)| created.as_second().saturating_add(seconds) < before.as_second());
    unused || kinds::expires_at(token).is_some_and(|end| end < before)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_ended_is_removed() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        for (fields, want) in [
            (json!({"expiresIn": 60}), true),
            (json!({"expiresIn": 86400}), false),
            (json!({}), false),
            (
                json!({"expiresIn": 172_800, "inactivityTimeoutSeconds": 300}),
                true,
            ),
            (
                json!({"expiresIn": 172_800, "inactivityTimeoutSeconds": 90_000}),
                false,
            ),
        ] {
            let mut token = Object::from_value(fields.clone()).unwrap();
            token.set_creation_timestamp("2026-01-01T00:00:00Z".parse().unwrap());
            assert_eq!(ended(&token, now), want, "{fields}");
        }
    }
}
