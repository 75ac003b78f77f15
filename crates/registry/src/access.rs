//! Authentication and authorization of every request: token to user, user to right, both remembered for seconds.

use std::sync::Arc;

use async_trait::async_trait;
use berth_client::Client;
use berth_distribution::{Access, Caller, Needs, Refusal};
use berth_oci::RepositoryName;
use http::{Method, StatusCode, request::Parts};

use crate::{
    credentials::Credentials,
    decision::{Decision, Decisions, Object, Right},
    exchange::Who,
    identity::{ANONYMOUS, Identities, Identity},
    origin, refuse,
};

/// What the challenge says about a caller whose credentials do not suffice.
const ACCESS_DENIED: &str = "access denied";
/// What it says about credentials that are none.
const UNDECODABLE: &str = "failed to decode credentials";

/// The gate before every route: decides by the cluster's identities and access reviews, facts/registry.md section 2.
pub(crate) struct Gate {
    identities: Identities,
    decisions: Decisions,
    realm: String,
    token_realm: Option<String>,
    server_addr: String,
}

impl Gate {
    pub(crate) fn new(client: &Client, config: &crate::Config) -> Self {
        Self {
            identities: Identities::new(client.clone()),
            decisions: Decisions::new(client.clone()),
            realm: config.realm.clone(),
            token_realm: config.token_realm.clone(),
            server_addr: config.server_addr.clone(),
        }
    }

    pub(crate) const fn identities(&self) -> &Identities {
        &self.identities
    }

    pub(crate) const fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Lets the sender of a request in who has all of `rights`.
    ///
    /// A request without any credentials that only reads is let in where everybody may read: public streams need no token
    /// dance. In all other cases its sender is asked for a token, which is how every client begins.
    pub(crate) async fn admit(
        &self,
        head: &Parts,
        rights: &[(Right, Object<'_>)],
    ) -> Result<Caller, Refusal> {
        let who = match self.authenticate(head, rights).await? {
            Authenticated::As(who) => {
                if let Some(known) = head.extensions.get::<Who>() {
                    known.is(&who);
                }
                who
            }
            Authenticated::Headerless => {
                let may_try = !rights.is_empty()
                    && rights.iter().all(|(right, _)| *right == Right::Pull)
                    && is_read(head);
                let who = Arc::new(Identity::anonymous());
                if may_try && self.all_allowed(&who, rights).await? {
                    return Ok(Caller::shared(ANONYMOUS, who));
                }
                return Err(refuse::token_required(&self.token_origin(head), rights));
            }
        };
        for &(right, object) in rights {
            match self.decisions.decide(&who, right, object).await? {
                Decision::Allowed => {}
                Decision::TokenRejected => {
                    return Err(refuse::credentials_rejected(&self.realm, ACCESS_DENIED, rights));
                }
                Decision::Denied if who.is_anonymous() => {
                    return Err(refuse::credentials_rejected(&self.realm, ACCESS_DENIED, rights));
                }
                Decision::Denied => return Err(refuse::denied(&who, right, object)),
            }
        }
        Ok(Caller::shared(Arc::clone(&who.name), who))
    }

    async fn authenticate(
        &self,
        head: &Parts,
        rights: &[(Right, Object<'_>)],
    ) -> Result<Authenticated, Refusal> {
        match Credentials::of(&head.headers) {
            Credentials::Missing => Ok(Authenticated::Headerless),
            Credentials::Anonymous => Ok(Authenticated::As(Arc::new(Identity::anonymous()))),
            Credentials::Undecodable => Err(refuse::credentials_rejected(&self.realm, UNDECODABLE, rights)),
            Credentials::Token(token) => match self.identities.resolve(&token).await? {
                Some(who) => Ok(Authenticated::As(who)),
                None => Err(refuse::credentials_rejected(&self.realm, ACCESS_DENIED, rights)),
            },
        }
    }

    async fn all_allowed(&self, who: &Identity, rights: &[(Right, Object<'_>)]) -> Result<bool, Refusal> {
        for &(right, object) in rights {
            if self.decisions.decide(who, right, object).await? != Decision::Allowed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an admitted caller has one more right.
    pub(crate) async fn may(
        &self,
        caller: &Caller,
        right: Right,
        object: Object<'_>,
    ) -> Result<bool, Refusal> {
        let Some(who) = Identity::of(caller) else {
            return Ok(false);
        };
        Ok(self.decisions.decide(who, right, object).await? == Decision::Allowed)
    }

    /// Where the token endpoint is, as the client can reach it.
    fn token_origin(&self, head: &Parts) -> String {
        self.token_realm
            .clone()
            .or_else(|| origin::of(head))
            .unwrap_or_else(|| format!("https://{}", self.server_addr))
    }

    /// A name with exactly two components. Whoever asks for another one must be somebody before learning why not.
    async fn repository<'a>(&self, head: &Parts, name: &'a RepositoryName) -> Result<Object<'a>, Refusal> {
        if let Some((namespace, name)) = name.pair() {
            return Ok(Object { namespace, name });
        }
        self.admit(head, &[]).await?;
        let refusal = refuse::not_two_parts(name.as_str());
        // Clients begin a push by looking for a blob, and the answer to a HEAD cannot carry a reason. Told that it is not
        // there, they go on to the upload, whose refusal they show.
        if head.method == Method::HEAD && head.uri.path().contains("/blobs/") {
            return Err(Refusal {
                status: StatusCode::NOT_FOUND,
                ..refusal
            });
        }
        Err(refusal)
    }

    /// A tag may be deleted by whoever may delete the `ImageStreamTag` it is, and by pruners.
    async fn admit_tag_deletion(
        &self,
        head: &Parts,
        object: Object<'_>,
        tag: &str,
    ) -> Result<Caller, Refusal> {
        let name = format!("{}:{tag}", object.name);
        let own = (
            Right::DeleteTag,
            Object {
                namespace: object.namespace,
                name: &name,
            },
        );
        match self.admit(head, &[own]).await {
            Ok(caller) => Ok(caller),
            // The refusal that names the nearer right is the one that helps.
            Err(refusal) => self
                .admit(head, &[(Right::Prune, Object::CLUSTER)])
                .await
                .map_err(|_pruner| refusal),
        }
    }
}

enum Authenticated {
    As(Arc<Identity>),
    Headerless,
}

fn is_read(head: &Parts) -> bool {
    head.method == Method::GET || head.method == Method::HEAD
}

#[async_trait]
impl Access for Gate {
    async fn authorize(&self, head: &Parts, needs: &Needs) -> Result<Caller, Refusal> {
        let object = match needs.repository() {
            Some(name) => self.repository(head, name).await?,
            None => Object::CLUSTER,
        };
        match needs {
            Needs::Identity => self.admit(head, &[]).await,
            Needs::Catalog => self.admit(head, &[(Right::Catalog, object)]).await,
            Needs::Pull(_) => self.admit(head, &[(Right::Pull, object)]).await,
            Needs::Push(_) => {
                self.admit(head, &[(Right::Pull, object), (Right::Push, object)])
                    .await
            }
            Needs::CancelUpload(_) => self.admit(head, &[(Right::Push, object)]).await,
            Needs::DeleteTag { tag, .. } => self.admit_tag_deletion(head, object, tag).await,
            Needs::DeleteManifest { .. } | Needs::DeleteBlob { .. } => {
                self.admit(head, &[(Right::Prune, Object::CLUSTER)]).await
            }
        }
    }

    async fn may_pull(&self, caller: &Caller, repository: &RepositoryName) -> Result<bool, Refusal> {
        match repository.pair() {
            Some((namespace, name)) => self.may(caller, Right::Pull, Object { namespace, name }).await,
            None => Ok(false),
        }
    }
}
