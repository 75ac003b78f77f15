//! Acting as somebody else: the `Impersonate-…` headers of `kubectl --as`.
use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::Exchange;
use crate::access::{Attributes, Target};
use crate::identity::{ANONYMOUS, UserInfo};
use crate::status::Status;

const EXTRA: &str = "impersonate-extra-";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Most groups and extra values that can be impersonated at once.
const VALUES_LIMIT: usize = 256;

/// Whom the headers ask to be; none if they do not.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Status> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let name = text("impersonate-user");
    let groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .take(VALUES_LIMIT)
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut values = 0;
    for (header, value) in headers {
        let Some(key) = header.as_str().strip_prefix(EXTRA) else {
            continue;
        };
        values += 1;
        if values > VALUES_LIMIT {
            break;
        }
        let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
        extra
            .entry(key)
            .or_default()
            .push(value.to_str().unwrap_or_default().to_owned());
    }
    let uid = text("impersonate-uid").to_owned();
    if name.is_empty() {
        if groups.is_empty() && extra.is_empty() && uid.is_empty() {
            return Ok(None);
        }
        let message = "requested [{Group}] without impersonating a user: impersonation of groups, uid or extra needs \
                       the header Impersonate-User";
        return Err(Status::internal(message));
    }
    Ok(Some(UserInfo {
        name: name.to_owned(),
        uid,
        groups,
        extra,
    }))
}

impl Exchange<'_> {
    pub(super) async fn impersonate(
        &self,
        user: &UserInfo,
        mut wanted: UserInfo,
    ) -> Result<Arc<UserInfo>, Status> {
        let ask = |group, version, resource, subresource, namespace, name| Attributes {
            user,
            verb: "impersonate",
            target: Target::Resource {
                group,
                version,
                resource,
                subresource,
                namespace,
                name,
            },
        };
        let service_account = wanted
            .name
            .strip_prefix(SERVICE_ACCOUNT)
            .and_then(|name| name.split_once(':'));
        match service_account {
            Some((namespace, name)) => {
                self.authorize(&ask("", "v1", "serviceaccounts", "", namespace, name))
                    .await?;
            }
            None => {
                self.authorize(&ask("", "v1", "users", "", "", &wanted.name))
                    .await?
            }
        }
        for group in &wanted.groups {
            self.authorize(&ask("", "v1", "groups", "", "", group)).await?;
        }
        if !wanted.uid.is_empty() {
            self.authorize(&ask("authentication.k8s.io", "v1", "uids", "", "", &wanted.uid))
                .await?;
        }
        for (key, values) in &wanted.extra {
            for value in values {
                self.authorize(&ask("authentication.k8s.io", "v1", "userextras", key, "", value))
                    .await?;
            }
        }
        let mut implied = Vec::new();
        if wanted.groups.is_empty()
            && let Some((namespace, _)) = service_account
        {
            implied.push("system:serviceaccounts".to_owned());
            implied.push(format!("system:serviceaccounts:{namespace}"));
        }
        let everybody = if wanted.name == ANONYMOUS {
            "system:unauthenticated"
        } else {
            "system:authenticated"
        };
        if !wanted.in_group(everybody) {
            implied.push(everybody.to_owned());
        }
        wanted.groups.extend(implied);
        tracing::info!(user = %user.name, impersonated = %wanted.name, request = %self.request_id, "impersonation");
        Ok(Arc::new(wanted))
    }
}
