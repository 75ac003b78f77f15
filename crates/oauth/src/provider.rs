//! Identity providers: who knows people, and how they prove who they are.
//!
//! A provider that takes passwords ([`htpasswd`]) works for command-line clients and for the form; one that people are
//! sent to ([`openid`]) only works in a browser.
pub(crate) mod htpasswd;
pub(crate) mod openid;

use std::sync::Arc;

use crate::config::{MappingMethod, ProviderConfig, ProviderKind};

/// A provider, ready for use.
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) mapping: MappingMethod,
    pub(crate) kind: Kind,
}

/// What kind it is.
pub(crate) enum Kind {
    /// Takes passwords.
    Passwords(htpasswd::Htpasswd),
    /// People are sent to it.
    Redirect(Box<openid::OpenId>),
}

impl Provider {
    /// Prepares the providers of a configuration; their files and servers are looked at when they are needed.
    ///
    /// # Errors
    /// What is wrong with one of them, with its name.
    pub(crate) fn all(configured: &[ProviderConfig]) -> Result<Arc<[Provider]>, Error> {
        let mut providers: Vec<Provider> = Vec::new();
        for config in configured {
            let fail = |problem: String| Error {
                provider: config.name.clone(),
                problem,
            };
            if let Some(problem) = name_problem(&config.name) {
                return Err(fail(problem.to_owned()));
            }
            if providers.iter().any(|provider| provider.name == config.name) {
                return Err(fail("there is another provider of this name".to_owned()));
            }
            let kind = match &config.kind {
                ProviderKind::Htpasswd { file } => Kind::Passwords(htpasswd::Htpasswd::new(file.clone())),
                ProviderKind::OpenId(config) => {
                    Kind::Redirect(Box::new(openid::OpenId::new(config).map_err(fail)?))
                }
            };
            providers.push(Provider {
                name: config.name.clone(),
                mapping: config.mapping,
                kind,
            });
        }
        Ok(providers.into())
    }
}

/// A provider cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the identity provider {provider:?}: {problem}")]
pub struct Error {
    provider: String,
    problem: String,
}

/// The name stands in paths, in names of objects and in annotations.
fn name_problem(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name {
        "" => Some("it has no name"),
        "." | ".." | "kube:admin" | "kubeadmin" => Some("the name is reserved"),
        _ if name.len() > 48 => Some("the name is longer than 48 characters"),
        _ if !name.chars().all(fits) => Some("the name may only contain letters, digits, '-', '_' and '.'"),
        _ => None,
    }
}
