//! The refusals of the integration, all in one place: when a client is asked for other credentials and when it is told
//! no.
//!
//! | who asks | answer | why |
//! | --- | --- | --- |
//! | no `Authorization` header | 401 `UNAUTHORIZED`, Bearer challenge | every client goes to the token endpoint from here, with or without credentials |
//! | the anonymous token | 401 `UNAUTHORIZED`, Basic challenge | credentials may help: `docker` and `podman` say "authentication required", containerd tries its next credentials |
//! | a token that is none | 401 `UNAUTHORIZED`, Basic challenge | other credentials may help |
//! | a valid identity without the right | 403 `DENIED`, no challenge | other credentials of the same client do not exist; the message says who lacks what where, which a client only prints for a 4xx with an error body |
//! | anybody, while the API server does not answer | 503 `UNAVAILABLE`, `Retry-After` | clients repeat a 503 |
//!
//! OpenShift's registry answers 401 with a Basic challenge in the fourth case: `docker` then asks for a login that changes
//! nothing, and containerd repeats the request. No client takes a 403 worse than that 401: they all print the message.

use std::{fmt::Write as _, sync::Arc};

use berth_distribution::Refusal;
use berth_oci::{ErrorCode, RepositoryName};
use serde_json::{Value, json};
use tracing::warn;

use crate::{
    decision::{Object, Right},
    identity::Identity,
};

/// The API server did not answer; what is told and when to come back. Cheap to clone, since everyone who waits gets it.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    doing: &'static str,
    why: Arc<str>,
    retry_after: u32,
}

/// When a client should come back if the API server does not say, in seconds.
const RETRY_AFTER: u32 = 1;

/// Logs that the API server could not be asked, with the whole chain of causes, and keeps what a client may know.
pub(crate) fn unavailable(doing: &'static str, error: &berth_client::Error) -> Unavailable {
    warn!(error = %chain(error), "{doing}");
    Unavailable {
        doing,
        why: error.to_string().into(),
        retry_after: error.retry_after().unwrap_or(RETRY_AFTER),
    }
}

impl From<Unavailable> for Refusal {
    fn from(cause: Unavailable) -> Self {
        let message = format!("{} failed: {}; try again in a moment", cause.doing, cause.why);
        Refusal::of(ErrorCode::Unavailable, message).retry_after(cause.retry_after)
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _infallible = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// The API server refused or failed a call of the registry's own: unavailable if it may work a moment later, an internal
/// error otherwise. Both are logged here, where they are handled.
pub(crate) fn failed(doing: &'static str, error: &berth_client::Error) -> Refusal {
    if error.is_unavailable() {
        return unavailable(doing, error).into();
    }
    tracing::error!(error = %chain(error), "{doing}");
    let message = if error.is_forbidden() || error.is_unauthorized() {
        format!(
            "{doing}: the registry's own account may not do that; bind the cluster role system:registry to it"
        )
    } else {
        format!("{doing} failed; the registry's log has the reason")
    };
    Refusal::of(ErrorCode::Unknown, message)
}

/// Storage failed; the cause is in the log.
pub(crate) fn storage(doing: &'static str) -> Refusal {
    Refusal::of(
        ErrorCode::Unavailable,
        format!("{doing} failed; try again in a moment"),
    )
    .retry_after(RETRY_AFTER)
}

/// The words that ask for credentials.
const AUTHENTICATION_REQUIRED: &str = "authentication required";

/// Asks a client without credentials to fetch a token at `origin`.
pub(crate) fn token_required(origin: &str, rights: &[(Right, Object<'_>)]) -> Refusal {
    Refusal::of(ErrorCode::Unauthorized, AUTHENTICATION_REQUIRED)
        .with_detail(records(rights))
        .with_challenge(&format!("Bearer realm=\"{origin}{}\"", crate::token::PATH))
}

/// Asks for other credentials: these are none, or belong to nobody who may do that.
pub(crate) fn credentials_rejected(realm: &str, why: &str, rights: &[(Right, Object<'_>)]) -> Refusal {
    Refusal::of(ErrorCode::Unauthorized, AUTHENTICATION_REQUIRED)
        .with_detail(records(rights))
        // The realm is not quoted: that is what clients of OpenShift's registry have always seen.
        .with_challenge(&format!("Basic realm={realm},error=\"{why}\""))
}

/// Says no to somebody, with the reason.
pub(crate) fn denied(who: &Identity, right: Right, object: Object<'_>) -> Refusal {
    let Object { namespace, name } = object;
    let user = &who.name;
    let what = match right {
        Right::Pull => format!("pull from {namespace}/{name}"),
        Right::Push => format!("push to {namespace}/{name}"),
        Right::Prune => "delete images".to_owned(),
        Right::Catalog => "list the repositories of the whole cluster".to_owned(),
        Right::Metrics => "read the metrics".to_owned(),
        Right::Sign => format!("sign images of {namespace}/{name}"),
        Right::DeleteTag => format!("delete the tag {namespace}/{name}"),
    };
    let (needs, role) = (right.phrase(), right.role());
    let place = if namespace.is_empty() || matches!(right, Right::Sign) {
        "the whole cluster".to_owned()
    } else {
        format!("the project \"{namespace}\", which must exist")
    };
    let message =
        format!("user \"{user}\" may not {what}: it needs {needs}, as the role {role} gives, in {place}");
    Refusal::of(ErrorCode::Denied, message).with_detail(records(&[(right, object)]))
}

/// Says that a repository is a project and an image stream, no more and no less.
pub(crate) fn not_two_parts(name: &str) -> Refusal {
    let message = format!(
        "\"{name}\" is not a repository of this registry: a name is <project>/<image stream>, with exactly one slash; \
         join further levels with a dash, as in <project>/a-b"
    );
    Refusal::of(ErrorCode::NameInvalid, message).with_detail(json!({ "name": name }))
}

/// Says that the repository does not exist.
pub(crate) fn no_such_stream(name: &RepositoryName) -> Refusal {
    Refusal::of(
        ErrorCode::NameUnknown,
        format!("the image stream {name} does not exist; the first push makes it"),
    )
    .with_detail(json!({ "name": name.as_str() }))
}

/// Says that the project of a push does not exist, and how to make it.
pub(crate) fn no_such_project(namespace: &str) -> Refusal {
    Refusal::of(
        ErrorCode::Denied,
        format!(
            "the project \"{namespace}\" does not exist; make it with: kubectl create namespace {namespace}"
        ),
    )
}

/// The access records of a request, in the shape that OpenShift's registry gives them.
fn records(rights: &[(Right, Object<'_>)]) -> Value {
    let record = |&(right, object): &(Right, Object<'_>)| {
        let (kind, action) = right.record();
        let slash = if object.namespace.is_empty() { "" } else { "/" };
        let name = format!("{}{slash}{}", object.namespace, object.name);
        json!({ "Type": kind, "Class": "", "Name": name, "Action": action })
    };
    rights.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};

    use super::*;

    fn challenge(refusal: &Refusal) -> Option<&str> {
        let value = refusal
            .headers
            .iter()
            .find(|(name, _)| name == header::WWW_AUTHENTICATE)?;
        Some(value.1.to_str().expect("text"))
    }

    #[test]
    fn a_denial_says_who_lacks_what_where() {
        let who = Identity {
            name: "alice".into(),
            uid: Box::default(),
            token: None,
        };
        let refusal = denied(
            &who,
            Right::Push,
            Object {
                namespace: "demo",
                name: "app",
            },
        );
        assert_eq!(
            (refusal.status, refusal.code),
            (StatusCode::FORBIDDEN, ErrorCode::Denied)
        );
        assert_eq!(
            refusal.message,
            "user \"alice\" may not push to demo/app: it needs \"update\" on imagestreams/layers, as the role \
             system:image-builder gives, in the project \"demo\", which must exist"
        );
        assert_eq!(challenge(&refusal), None);
        let records = json!([{ "Type": "repository", "Class": "", "Name": "demo/app", "Action": "push" }]);
        assert_eq!(refusal.detail, Some(records));
    }

    #[test]
    fn challenges_are_those_that_clients_know() {
        let none = token_required("https://r:5000", &[]);
        assert_eq!(
            challenge(&none),
            Some("Bearer realm=\"https://r:5000/openshift/token\"")
        );
        let bad = credentials_rejected("openshift", "access denied", &[]);
        assert_eq!(
            challenge(&bad),
            Some("Basic realm=openshift,error=\"access denied\"")
        );
    }
}
