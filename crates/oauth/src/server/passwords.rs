//! Names and passwords, from a challenge or from a form.
use std::net::IpAddr;
use std::time::Duration;

use tracing::{info, warn};

use super::OAuth;
use crate::config::MappingMethod;
use crate::kubeadmin::{self, LOGIN};
use crate::mapping::{self, Person};
use crate::provider::{Kind, Provider};
use crate::session::Login;

/// What became of a name and a password.
pub(super) enum Outcome {
    /// This user logged in.
    User(Login),
    /// They are nobody's.
    Wrong,
    /// Too many attempts: not before this time has passed.
    Slow(Duration),
    /// They are somebody's who may not log in; the sentence is for that person.
    Refused(String),
    /// They cannot be checked now.
    Unavailable,
}

impl OAuth {
    /// Whether there is anybody who takes passwords.
    pub(super) fn takes_passwords(&self) -> bool {
        self.0.kubeadmin.is_on()
            || self
                .0
                .providers
                .iter()
                .any(|provider| matches!(provider.kind, Kind::Passwords(_)))
    }

    /// Checks a name and a password with one provider, or with all in order.
    pub(super) async fn check(
        &self,
        only: Option<&str>,
        user: &str,
        password: &str,
        address: IpAddr,
    ) -> Outcome {
        if user.is_empty() || password.is_empty() {
            return Outcome::Wrong;
        }
        let attempt = match self.0.throttle.enter(user, address).await {
            Ok(attempt) => attempt,
            Err(refused) => {
                warn!(%address, "an attempt to log in is put off: there were too many failures");
                return Outcome::Slow(refused.retry_after);
            }
        };
        let outcome = self.ask_providers(only, user, password).await;
        if matches!(outcome, Outcome::Wrong) {
            // Not the name: people type passwords there.
            info!(%address, provider = only.unwrap_or("any"), "log-in refused: wrong user name or password");
            attempt.failed();
        }
        outcome
    }

    async fn ask_providers(&self, only: Option<&str>, user: &str, password: &str) -> Outcome {
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let mut unavailable = false;
        if user == LOGIN && wanted(kubeadmin::USER) {
            match self.0.kubeadmin.log_in(password).await {
                Ok(Some(user)) => {
                    info!(user = %user.name, "logged in");
                    return Outcome::User(Login {
                        user: user.name,
                        uid: user.uid,
                    });
                }
                Ok(None) => {}
                Err(error) => unavailable = failed(kubeadmin::USER, &error),
            }
        }
        for provider in self.0.providers.iter().filter(|provider| wanted(&provider.name)) {
            let Kind::Passwords(htpasswd) = &provider.kind else {
                continue;
            };
            match htpasswd.check(user, password).await {
                Ok(Some(person)) => return self.map(provider, &person).await,
                Ok(None) => {}
                Err(error) => unavailable = failed(&provider.name, &error),
            }
        }
        if unavailable {
            Outcome::Unavailable
        } else {
            Outcome::Wrong
        }
    }

    /// Makes a user of somebody whom a provider knows.
    pub(super) async fn map(&self, provider: &Provider, person: &Person) -> Outcome {
        let method: MappingMethod = provider.mapping;
        match self.0.mapper.user(&provider.name, method, person).await {
            Ok(user) => {
                let user = user.object();
                info!(user = user.name(), provider = %provider.name, "logged in");
                Outcome::User(Login {
                    user: user.name().to_owned(),
                    uid: user.uid().to_owned(),
                })
            }
            Err(error) if error.is_refusal() => {
                info!(provider = %provider.name, %error, "log-in refused");
                Outcome::Refused(sentence(&error))
            }
            Err(error) => {
                failed(&provider.name, &error);
                Outcome::Unavailable
            }
        }
    }

    /// Whether the user of a session is still the same.
    pub(super) fn still_there(&self, login: &Login) -> bool {
        let uid = if login.user == kubeadmin::USER {
            self.0.kubeadmin.user().map(|user| user.uid)
        } else {
            self.0
                .stores
                .users
                .get("", &login.user)
                .map(|user| user.object().uid().to_owned())
        };
        uid.is_some_and(|uid| uid == login.uid)
    }
}

fn sentence(error: &mapping::Error) -> String {
    format!("You cannot log in: {error}.")
}

fn failed(provider: &str, error: &(dyn std::error::Error + 'static)) -> bool {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    warn!(provider, error = %text, "an identity provider cannot check anybody");
    true
}
