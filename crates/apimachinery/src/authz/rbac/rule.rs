//! [`Rule`]: what a role allows.
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Attributes, Target};

/// A `PolicyRule` of `rbac.authorization.k8s.io/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Verbs; `*` for all.
    pub verbs: Vec<String>,
    /// API groups; `*` for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// Resources and `resource/subresource`; `*` for all, `*/subresource` for that subresource of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Names; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths that are not resources; a trailing `*` matches any rest.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

/// A request, in the spelling that rules use.
pub(super) struct Asked<'a> {
    verb: &'a str,
    target: Kind<'a>,
}

enum Kind<'a> {
    Path(&'a str),
    Resource {
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
        name: &'a str,
    },
}

impl<'a> Asked<'a> {
    pub(super) fn new(attributes: &Attributes<'a>) -> Self {
        let target = match attributes.target {
            Target::Path(path) => Kind::Path(path),
            Target::Resource {
                group,
                resource,
                subresource,
                name,
                ..
            } => {
                // Some callers put `imagestreams/layers` whole into the resource; both spellings mean the same.
                let (resource, subresource) = match resource.split_once('/') {
                    Some((resource, rest)) if subresource.is_empty() => (resource, rest),
                    _ => (resource, subresource),
                };
                Kind::Resource {
                    group,
                    resource,
                    subresource,
                    name,
                }
            }
        };
        Self {
            verb: attributes.verb,
            target,
        }
    }
}

impl Rule {
    /// Reads the `rules` of a role; elements that are not rules allow nothing.
    #[must_use]
    pub fn list(rules: Option<&Value>) -> Vec<Self> {
        let rules = rules.and_then(Value::as_array).into_iter().flatten();
        rules.filter_map(|rule| Self::deserialize(rule).ok()).collect()
    }

    /// Whether the rule allows what is asked.
    pub(super) fn allows(&self, asked: &Asked<'_>) -> bool {
        if !has(&self.verbs, asked.verb) {
            return false;
        }
        match asked.target {
            Kind::Path(path) => self.non_resource_urls.iter().any(|url| url_matches(url, path)),
            Kind::Resource {
                group,
                resource,
                subresource,
                name,
            } => {
                has(&self.api_groups, group)
                    && self
                        .resources
                        .iter()
                        .any(|allowed| resource_matches(allowed, resource, subresource))
                    && (self.resource_names.is_empty()
                        || self.resource_names.iter().any(|allowed| allowed == name))
            }
        }
    }

    /// Whether everything that `wanted` allows is allowed by this rule alone.
    pub(super) fn covers(&self, wanted: &Rule) -> bool {
        let names = if wanted.resource_names.is_empty() {
            self.resource_names.is_empty()
        } else {
            self.resource_names.is_empty()
                || wanted
                    .resource_names
                    .iter()
                    .all(|name| self.resource_names.contains(name))
        };
        names
            && wanted.verbs.iter().all(|verb| has(&self.verbs, verb))
            && wanted.api_groups.iter().all(|group| has(&self.api_groups, group))
            && wanted.resources.iter().all(|resource| {
                let (plain, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                self.resources
                    .iter()
                    .any(|allowed| resource_matches(allowed, plain, subresource))
            })
            && wanted
                .non_resource_urls
                .iter()
                .all(|wanted| self.non_resource_urls.iter().any(|url| url_matches(url, wanted)))
    }

    /// How many rules [`Self::split`] makes.
    pub(super) fn combinations(&self) -> usize {
        let resources = self.api_groups.len().saturating_mul(self.resources.len());
        let resources = resources.saturating_mul(self.resource_names.len().max(1));
        self.verbs
            .len()
            .saturating_mul(resources.saturating_add(self.non_resource_urls.len()))
    }

    /// The rule as rules of one verb, one group, one resource and one name each.
    pub(super) fn split(&self) -> impl Iterator<Item = Rule> + '_ {
        let names: Vec<Option<&String>> = if self.resource_names.is_empty() {
            vec![None]
        } else {
            self.resource_names.iter().map(Some).collect()
        };
        let resources = self.api_groups.iter().flat_map(move |group| {
            let names = names.clone();
            self.resources.iter().flat_map(move |resource| {
                let names = names.clone();
                self.verbs.iter().flat_map(move |verb| {
                    names.clone().into_iter().map(move |name| Rule {
                        verbs: vec![verb.clone()],
                        api_groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        resource_names: name.cloned().into_iter().collect(),
                        non_resource_urls: Vec::new(),
                    })
                })
            })
        });
        let urls = self.non_resource_urls.iter().flat_map(|url| {
            self.verbs.iter().map(|verb| Rule {
                verbs: vec![verb.clone()],
                non_resource_urls: vec![url.clone()],
                ..Rule::default()
            })
        });
        resources.chain(urls)
    }
}

/// As messages show it: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        f.write_str("{")?;
        let mut first = true;
        for (name, values) in parts.into_iter().filter(|(_, values)| !values.is_empty()) {
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            write!(f, "{name}:{}", quoted(values))?;
        }
        f.write_str("}")
    }
}

/// `["a" "b"]`
pub(super) fn quoted(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", values.join(" "))
}

fn has(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|allowed| allowed == "*" || allowed == asked)
}

fn resource_matches(allowed: &str, resource: &str, subresource: &str) -> bool {
    if allowed == "*" {
        return true;
    }
    match allowed.split_once('/') {
        None => subresource.is_empty() && allowed == resource,
        Some((plain, sub)) => {
            !subresource.is_empty() && sub == subresource && (plain == "*" || plain == resource)
        }
    }
}

fn url_matches(allowed: &str, path: &str) -> bool {
    allowed == path
        || allowed
            .strip_suffix('*')
            .is_some_and(|prefix| path.starts_with(prefix))
}
