//! Who may do what: access reviews, remembered for seconds.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use berth_client::{Attributes, Client};
use quick_cache::Equivalent;
use tracing::debug;

use crate::{
    fresh::Fresh,
    identity::{Identity, TokenKey},
    refuse::{Unavailable, unavailable},
};

/// How long a right is remembered: long enough for the requests of one pull, and with the request that is under way less than
/// the ten seconds within which a lost right must be gone.
const ALLOWED_FOR: Duration = Duration::from_secs(8);
/// A denial is not remembered at all, only shared by those who ask at the same time: whoever was just granted a right tries
/// again at once, and then it works.
const DENIED_FOR: Duration = Duration::ZERO;
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);
/// Decisions that are remembered.
const CAPACITY: usize = 16 * 1024;

/// Whom Kubernetes sees in a request without credentials.
const ANONYMOUS_USER: &str = "system:anonymous";
const ANONYMOUS_GROUP: &str = "system:unauthenticated";

/// A right as the registry asks for it. facts/registry.md 2.4 says which access review each one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Right {
    /// get `imagestreams/layers` of a stream.
    Pull,
    /// update `imagestreams/layers` of a stream.
    Push,
    /// delete `images`, cluster-wide.
    Prune,
    /// list `imagestreams`, cluster-wide.
    Catalog,
    /// get `registry/metrics`, cluster-wide.
    Metrics,
    /// create `imagesignatures`, asked with namespace and name of the stream.
    Sign,
    /// delete `imagestreamtags` named `stream:tag`.
    DeleteTag,
}

/// What a right is asked for: a stream, a tag of it, or nothing for the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Object<'a> {
    /// The namespace, or empty.
    pub(crate) namespace: &'a str,
    /// The stream, or `stream:tag`, or empty.
    pub(crate) name: &'a str,
}

impl Object<'_> {
    pub(crate) const CLUSTER: Object<'static> = Object {
        namespace: "",
        name: "",
    };
}

impl Right {
    pub(crate) fn attributes<'a>(self, object: Object<'a>) -> Attributes<'a> {
        let (verb, resource, subresource) = self.words();
        Attributes {
            verb,
            group: berth_api::GROUP,
            resource,
            subresource,
            namespace: object.namespace,
            name: object.name,
        }
    }

    /// Verb, resource and subresource.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pull => ("get", "imagestreams", "layers"),
            Self::Push => ("update", "imagestreams", "layers"),
            Self::Prune => ("delete", "images", ""),
            Self::Catalog => ("list", "imagestreams", ""),
            Self::Metrics => ("get", "registry", "metrics"),
            Self::Sign => ("create", "imagesignatures", ""),
            Self::DeleteTag => ("delete", "imagestreamtags", ""),
        }
    }

    /// The review in one phrase: `update on imagestreams/layers`.
    pub(crate) fn phrase(self) -> String {
        let (verb, resource, subresource) = self.words();
        let slash = if subresource.is_empty() { "" } else { "/" };
        format!("\"{verb}\" on {resource}{slash}{subresource}")
    }

    /// A role of every cluster that holds the right.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Pull => "system:image-puller",
            Self::Push => "system:image-builder",
            Self::Prune => "system:image-pruner",
            Self::Catalog => "cluster-reader",
            Self::Metrics => "one with get on registry/metrics of image.openshift.io",
            Self::Sign => "system:image-signer",
            Self::DeleteTag => "edit",
        }
    }

    /// The class, name and action of facts/registry.md 2.6, as older clients see it in the detail of a 401.
    pub(crate) const fn record(self) -> (&'static str, &'static str) {
        match self {
            Self::Pull => ("repository", "pull"),
            Self::Push => ("repository", "push"),
            Self::Prune => ("admin", "prune"),
            Self::Catalog => ("registry", "*"),
            Self::Metrics => ("metrics", "get"),
            Self::Sign => ("signature", "put"),
            Self::DeleteTag => ("repository", "delete"),
        }
    }
}

/// What the cluster says about a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may be done.
    Allowed,
    /// It may not.
    Denied,
    /// The token was good a moment ago and is no longer.
    TokenRejected,
}

type Outcome = Result<Decision, Unavailable>;

#[derive(Clone, PartialEq, Eq)]
struct Key {
    who: Option<TokenKey>,
    right: Right,
    namespace: Box<str>,
    name: Box<str>,
}

struct Question<'a> {
    who: Option<TokenKey>,
    right: Right,
    object: Object<'a>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Question {
            who: self.who,
            right: self.right,
            object: Object {
                namespace: &self.namespace,
                name: &self.name,
            },
        }
        .hash(state);
    }
}

impl Hash for Question<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.who, self.right, self.object).hash(state);
    }
}

impl Equivalent<Key> for Question<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.who == key.who
            && self.right == key.right
            && *self.object.namespace == *key.namespace
            && *self.object.name == *key.name
    }
}

/// Decisions by caller, right and object.
pub(crate) struct Decisions {
    client: Client,
    known: Fresh<Key, Outcome>,
}

impl Decisions {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            known: Fresh::new(CAPACITY),
        }
    }

    /// Whether `who` may do `right` to `object`, by a review at most [`ALLOWED_FOR`] ago.
    pub(crate) async fn decide(&self, who: &Identity, right: Right, object: Object<'_>) -> Outcome {
        let key = who.token.as_ref().map(|(_, key)| *key);
        if let Some(outcome) = self.known.get(&Question {
            who: key,
            right,
            object,
        }) {
            return outcome;
        }
        let key = Key {
            who: key,
            right,
            namespace: object.namespace.into(),
            name: object.name.into(),
        };
        self.known.get_or_load(&key, self.load(who, right, object)).await
    }

    async fn load(&self, who: &Identity, right: Right, object: Object<'_>) -> (Outcome, Duration) {
        let attributes = right.attributes(object);
        let reviewed = match &who.token {
            Some((token, _)) => match self.client.with_token(token).can(attributes).await {
                // Scoped tokens may not even ask. They can do what everybody can.
                Err(error) if error.is_forbidden() => self.anonymous(attributes).await,
                reviewed => reviewed,
            },
            None => self.anonymous(attributes).await,
        };
        match reviewed {
            Ok(decision) if decision.allowed => (Ok(Decision::Allowed), ALLOWED_FOR),
            Ok(decision) => {
                debug!(user = %who.name, ?attributes, reason = decision.reason, "denied");
                (Ok(Decision::Denied), DENIED_FOR)
            }
            Err(error) if error.is_unauthorized() && who.token.is_some() => {
                (Ok(Decision::TokenRejected), DENIED_FOR)
            }
            Err(error) => (
                Err(unavailable("asking what the caller may do", &error)),
                UNAVAILABLE_FOR,
            ),
        }
    }

    async fn anonymous(&self, attributes: Attributes<'_>) -> berth_client::Result<berth_client::Decision> {
        self.client
            .own()
            .review(ANONYMOUS_USER, &[ANONYMOUS_GROUP], attributes)
            .await
    }

    pub(crate) fn counts(&self) -> (u64, u64) {
        self.known.counts()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use super::*;

    #[test]
    fn a_question_finds_its_answer() {
        let state = std::hash::RandomState::new();
        let object = Object {
            namespace: "ns",
            name: "app",
        };
        let key = Key {
            who: None,
            right: Right::Pull,
            namespace: "ns".into(),
            name: "app".into(),
        };
        let question = |right, object| Question {
            who: None,
            right,
            object,
        };
        assert_eq!(
            state.hash_one(&key),
            state.hash_one(question(Right::Pull, object))
        );
        assert!(question(Right::Pull, object).equivalent(&key));
        assert!(!question(Right::Push, object).equivalent(&key));
        assert!(
            !question(
                Right::Pull,
                Object {
                    namespace: "nsa",
                    name: "pp"
                }
            )
            .equivalent(&key)
        );
    }

    #[test]
    fn reviews_are_those_of_the_cluster() {
        let object = Object {
            namespace: "ns",
            name: "app",
        };
        for (right, want) in [
            (Right::Pull, ("get", "imagestreams", "layers")),
            (Right::Push, ("update", "imagestreams", "layers")),
            (Right::Prune, ("delete", "images", "")),
            (Right::Catalog, ("list", "imagestreams", "")),
            (Right::Metrics, ("get", "registry", "metrics")),
            (Right::Sign, ("create", "imagesignatures", "")),
            (Right::DeleteTag, ("delete", "imagestreamtags", "")),
        ] {
            let attributes = right.attributes(object);
            assert_eq!(
                (attributes.verb, attributes.resource, attributes.subresource),
                want,
                "{right:?}"
            );
            assert_eq!(
                (attributes.group, attributes.namespace, attributes.name),
                ("image.openshift.io", "ns", "app")
            );
        }
    }
}
