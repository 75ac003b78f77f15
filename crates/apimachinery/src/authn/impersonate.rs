//! Acting as somebody else: `kubectl --as`.
use std::sync::Arc;

use http::HeaderMap;

use super::{
    AUTHENTICATED, authenticated,
    proxy::{all, extra},
    service_account_groups, split_service_account,
};
use crate::{
    access::{Attributes, Authorizer, Target},
    authz,
    identity::UserInfo,
    status::Status,
};

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

/// Whom `user` acts as by the `Impersonate-…` headers; `None` without such headers.
///
/// Each part needs the verb `impersonate`: on `users` or `serviceaccounts`, `groups`, `uids` and
/// `userextras/KEY`.
///
/// # Errors
/// 403 when `user` may not, 400 when groups or extras come without a user.
///
/// Source: Kubernetes documentation, "User Impersonation".
pub async fn impersonate(
    headers: &HeaderMap,
    user: &UserInfo,
    authorizer: &dyn Authorizer,
) -> Result<Option<Arc<UserInfo>>, Status> {
    let name = all(headers, USER).into_iter().next().unwrap_or_default();
    let uid = all(headers, UID).into_iter().next().unwrap_or_default();
    let mut groups = all(headers, GROUP);
    let extra = extra(headers, EXTRA);
    if name.is_empty() {
        if uid.is_empty() && groups.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::bad_request(
            "groups, uids and extras can only be impersonated together with a user",
        ));
    }
    let account = split_service_account(&name);
    let who = match account {
        Some((namespace, name)) => asked("", "serviceaccounts", "", namespace, name),
        None => asked("", "users", "", "", &name),
    };
    let mut targets = vec![who];
    targets.extend(groups.iter().map(|group| asked("", "groups", "", "", group)));
    if !uid.is_empty() {
        targets.push(asked("authentication.k8s.io", "uids", "", "", &uid));
    }
    for (key, values) in &extra {
        targets.extend(
            values
                .iter()
                .map(|value| asked("authentication.k8s.io", "userextras", key, "", value)),
        );
    }
    for target in targets {
        let attributes = Attributes {
            user,
            verb: "impersonate",
            target,
        };
        let decision = authorizer.authorize(&attributes).await;
        if !decision.allowed {
            return Err(authz::forbidden(&attributes, &decision));
        }
    }
    if let (Some((namespace, _)), true) = (account, groups.is_empty()) {
        groups = service_account_groups(namespace);
    }
    let mut acting = UserInfo {
        name,
        uid,
        groups,
        extra,
    };
    if acting.is_anonymous() {
        acting.groups.retain(|group| group != AUTHENTICATED);
        acting.groups.push(super::UNAUTHENTICATED.into());
    }
    Ok(Some(Arc::new(authenticated(acting))))
}

fn asked<'a>(
    group: &'a str,
    resource: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
) -> Target<'a> {
    Target::Resource {
        group,
        version: "v1",
        resource,
        subresource,
        namespace,
        name,
    }
}
