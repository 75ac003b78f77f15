//! From somebody whom a provider knows to a user: `Identity`, `User` and `Group` objects.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_apimachinery::entry::Entry;
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use berth_apimachinery::resource::Gvk;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::config::MappingMethod;
use crate::membership::{self, Membership};

const GROUP: &str = "user.openshift.io";
/// Annotation of a group that was made from what a provider said.
const GENERATED: &str = "oauth.openshift.io/generated";
/// How often a mapping is tried again when another log-in of the same person interferes.
const ATTEMPTS: usize = 5;
/// Groups that are taken from one log-in; more are left out.
const GROUPS_LIMIT: usize = 1000;

/// What a provider says about somebody who proved who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// Who they are there, for good.
    pub(crate) subject: String,
    /// The user name to prefer.
    pub(crate) preferred_username: String,
    /// Their name; may be empty.
    pub(crate) name: String,
    /// Their address; may be empty.
    pub(crate) email: String,
    /// Their groups; none to leave groups alone.
    pub(crate) groups: Option<Vec<String>>,
}

/// Why somebody does not become a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The name cannot be a user's.
    #[error("{provider} calls this person {name:?}, which {problem}")]
    Name {
        provider: String,
        name: String,
        problem: String,
    },
    /// `claim`: the name is taken.
    #[error(
        "the user {0:?} exists already and belongs to another identity; an administrator can settle that"
    )]
    Claimed(String),
    /// `lookup`: nobody prepared it.
    #[error("the identity {0:?} is not known here; an administrator must create it, with its user")]
    Unknown(String),
    /// User and identity do not refer to each other.
    #[error(
        "the identity {identity:?} and the user {user:?} do not refer to each other; an administrator can settle that"
    )]
    Inconsistent { identity: String, user: String },
    /// The store did not follow.
    #[error(transparent)]
    Store(#[from] Status),
}

impl Error {
    /// Whether the person is at fault, or an administrator; otherwise trying again may help.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(self, Error::Store(_))
    }
}

/// Makes users of people. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mapper {
    pub(crate) users: Storage,
    pub(crate) identities: Storage,
    pub(crate) groups: Storage,
    pub(crate) membership: Membership,
}

/// Whether a user object may have this name.
fn user_name_problem(name: &str) -> Option<String> {
    match name {
        "" => Some("is empty".to_owned()),
        "~" => Some("is reserved".to_owned()),
        _ if name.contains(':') => Some("may not contain ':'".to_owned()),
        _ if name.chars().any(char::is_control) => Some("may not contain control characters".to_owned()),
        _ if name.len() > 253 => Some("is too long".to_owned()),
        _ => names::path_segment(name).err(),
    }
}

/// The provider's user name as it can stand in the name of an identity.
fn provider_user_name(subject: &str) -> String {
    match user_name_problem(subject) {
        None => subject.to_owned(),
        Some(_) => format!("b64~{}", URL_SAFE_NO_PAD.encode(subject)),
    }
}

fn identities(user: &Object) -> impl Iterator<Item = &str> {
    let identities = user
        .get("identities")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    identities.filter_map(Value::as_str)
}

impl Mapper {
    /// The user of a person, made or joined as `method` says.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) async fn user(
        &self,
        provider: &str,
        method: MappingMethod,
        person: &Person,
    ) -> Result<Arc<Entry>, Error> {
        let mut attempt = 0;
        let user = loop {
            attempt += 1;
            match self.try_user(provider, method, person).await {
                // Somebody else, probably the same person, was faster with one of the objects: look again.
                Err(Error::Store(status))
                    if attempt < ATTEMPTS && (status.is_already_exists() || status.is_conflict()) =>
                {
                    self.users.catch_up().await?;
                }
                done => break done?,
            }
        };
        if let Some(groups) = &person.groups {
            self.join_groups(provider, user.object().name(), groups).await?;
        }
        Ok(user)
    }

    async fn try_user(
        &self,
        provider: &str,
        method: MappingMethod,
        person: &Person,
    ) -> Result<Arc<Entry>, Error> {
        let subject = provider_user_name(&person.subject);
        let name = format!("{provider}:{subject}");
        if let Some(identity) = self.identities.get("", &name) {
            return self.of_identity(identity.object());
        }
        if method == MappingMethod::Lookup {
            return Err(Error::Unknown(name));
        }
        let user = self.claim_or_add(provider, method, person, &name).await?;
        let mut identity = Object::new(&Gvk::new(GROUP, "v1", "Identity"), &name);
        identity.set("providerName", provider);
        identity.set("providerUserName", subject);
        identity.set(
            "user",
            json!({"name": user.object().name(), "uid": user.object().uid()}),
        );
        let known = [
            ("name", &person.name),
            ("email", &person.email),
            ("preferred_username", &person.preferred_username),
        ];
        let extra: serde_json::Map<String, Value> = known
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value.as_str().into()))
            .collect();
        if !extra.is_empty() {
            identity.set("extra", extra);
        }
        self.identities.create(identity).await?;
        Ok(user)
    }

    /// The user that a known identity belongs to; both must say so.
    fn of_identity(&self, identity: &Object) -> Result<Arc<Entry>, Error> {
        let (name, uid) = (
            identity.str_at(&["user", "name"]),
            identity.str_at(&["user", "uid"]),
        );
        let user = self.users.get("", name).filter(|user| {
            let user = user.object();
            (uid.is_empty() || user.uid() == uid) && identities(user).any(|held| held == identity.name())
        });
        user.ok_or_else(|| Error::Inconsistent {
            identity: identity.name().to_owned(),
            user: name.to_owned(),
        })
    }

    async fn claim_or_add(
        &self,
        provider: &str,
        method: MappingMethod,
        person: &Person,
        identity: &str,
    ) -> Result<Arc<Entry>, Error> {
        let name = person.preferred_username.as_str();
        if let Some(problem) = user_name_problem(name) {
            let (provider, name) = (provider.to_owned(), name.to_owned());
            return Err(Error::Name {
                provider,
                name,
                problem,
            });
        }
        let Some(user) = self.users.get("", name) else {
            let mut user = Object::new(&Gvk::new(GROUP, "v1", "User"), name);
            if !person.name.is_empty() {
                user.set("fullName", person.name.as_str());
            }
            user.set("identities", json!([identity]));
            user.set("groups", Value::Null);
            return Ok(self.users.create(user).await?);
        };
        if identities(user.object()).any(|held| held == identity) {
            return Ok(user);
        }
        if method != MappingMethod::Add {
            return Err(Error::Claimed(name.to_owned()));
        }
        let add = |user: &Object| {
            let mut held: Vec<&str> = identities(user).collect();
            if held.contains(&identity) {
                return Ok(None);
            }
            held.push(identity);
            let held = json!(held);
            let mut user = user.clone();
            user.set("identities", held);
            Ok(Some(user))
        };
        Ok(self.users.update("", name, add).await?)
    }

    /// Puts the user into the groups that the provider says, and out of those that it said before.
    async fn join_groups(&self, provider: &str, user: &str, wanted: &[String]) -> Result<(), Error> {
        let synced = format!("oauth.openshift.io/idp.{provider}");
        let fits = |group: &&String| user_name_problem(group).is_none();
        for group in wanted.iter().filter(fits).take(GROUPS_LIMIT) {
            self.join(group, user, &synced).await?;
        }
        for group in self.membership.groups(user) {
            let Some(entry) = self.groups.get("", &group) else {
                continue;
            };
            if wanted.contains(&group) || entry.object().annotation(&synced) != Some("synced") {
                continue;
            }
            self.leave(&group, user).await?;
        }
        Ok(())
    }

    async fn join(&self, group: &str, user: &str, synced: &str) -> Result<(), Status> {
        if self.groups.get("", group).is_none() {
            let mut object = Object::new(&Gvk::new(GROUP, "v1", "Group"), group);
            object.set_annotation(GENERATED, "true");
            object.set_annotation(synced, "synced");
            object.set("users", json!([user]));
            match self.groups.create(object).await {
                Err(status) if status.is_already_exists() => self.groups.catch_up().await?,
                done => return done.map(drop),
            }
        }
        let add = |group: &Object| {
            let mut users: Vec<&str> = membership::users(group).collect();
            if users.contains(&user) && group.annotation(synced) == Some("synced") {
                return Ok(None);
            }
            if !users.contains(&user) {
                users.push(user);
            }
            let users = json!(users);
            let mut group = group.clone();
            group.set("users", users);
            group.set_annotation(synced, "synced");
            Ok(Some(group))
        };
        self.groups.update("", group, add).await.map(drop)
    }

    /// Removes a user, and with the last one a group that was only made for that.
    async fn leave(&self, group: &str, user: &str) -> Result<(), Status> {
        let remove = |group: &Object| {
            let users: Vec<&str> = membership::users(group).filter(|held| *held != user).collect();
            let users = json!(users);
            let mut group = group.clone();
            group.set("users", users);
            Ok(Some(group))
        };
        let left = match self.groups.update("", group, remove).await {
            Err(status) if status.is_not_found() => return Ok(()),
            left => left?,
        };
        let left = left.object();
        if membership::users(left).next().is_some() || left.annotation(GENERATED) != Some("true") {
            return Ok(());
        }
        let unchanged = Preconditions {
            resource_version: Some(left.resource_version().to_owned()),
            ..Preconditions::default()
        };
        match self.groups.delete("", group, &unchanged).await {
            // Somebody has joined meanwhile, or it is gone: both are fine.
            Err(status) if !status.is_not_found() && !status.is_conflict() => Err(status),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_are_no_user_names() {
        for (name, fine) in [
            ("ann", true),
            ("ann@a.example", true),
            ("auth0|123", true),
            ("", false),
            ("~", false),
            ("system:admin", false),
            ("kube:admin", false),
            ("a/b", false),
            ("..", false),
            ("a\nb", false),
        ] {
            assert_eq!(user_name_problem(name).is_none(), fine, "{name:?}");
        }
        assert_eq!(provider_user_name("auth0|1"), "auth0|1");
        assert_eq!(provider_user_name("a:b/c"), "b64~YTpiL2M");
    }
}
