//! Pages of tags and of repositories.

use std::sync::Arc;

use berth_oci::RepositoryName;

use crate::query::{self, Query};
use crate::{Caller, Names, Refusal, Repositories, limits};

/// Why a list is not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("\"{text}\" is not a page size; n is a number from 0 to {limit}")]
    PageSize { text: String, limit: usize },
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Which page of a list a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Names in the page.
    size: usize,
    /// The name after which it begins.
    after: Option<String>,
}

impl Page {
    /// The page of tags: a larger `n` than the limit gets a page of the limit.
    pub(crate) fn of_tags(query: Query<'_>) -> Result<Self, Error> {
        let page = Self::read(query, limits::TAG_PAGE, limits::PAGE_LIMIT)?;
        Ok(Self {
            size: page.size.min(limits::PAGE_LIMIT),
            ..page
        })
    }

    /// The page of repositories: a larger `n` than the limit is refused, as docker-registry does.
    pub(crate) fn of_repositories(query: Query<'_>, limit: usize) -> Result<Self, Error> {
        let page = Self::read(query, limits::CATALOG_PAGE.min(limit), limit)?;
        if page.size > limit {
            return Err(Error::PageSize {
                text: page.size.to_string(),
                limit,
            });
        }
        Ok(page)
    }

    fn read(query: Query<'_>, default: usize, limit: usize) -> Result<Self, Error> {
        let size = match query.first("n") {
            Some(text) if !text.is_empty() => {
                let digits = text.bytes().all(|b| b.is_ascii_digit());
                let malformed = || Error::PageSize {
                    text: text.chars().take(32).collect(),
                    limit,
                };
                // A number too large to be one is still a number.
                if digits {
                    text.parse().unwrap_or(usize::MAX)
                } else {
                    return Err(malformed());
                }
            }
            Some(_) | None => default,
        };
        let after = query
            .first("last")
            .filter(|last| !last.is_empty())
            .map(std::borrow::Cow::into_owned);
        Ok(Self { size, after })
    }
}

/// A list as JSON, and the query of the page after it.
pub(crate) struct Listed {
    pub(crate) body: Vec<u8>,
    pub(crate) next: Option<String>,
}

/// Lists of what the integration knows.
pub(crate) struct Lists {
    repositories: Arc<dyn Repositories>,
}

impl Lists {
    pub(crate) fn new(repositories: Arc<dyn Repositories>) -> Self {
        Self { repositories }
    }

    /// The tags of a repository, sorted.
    ///
    /// Spec: OCI distribution, "Listing Tags" (end-8).
    pub(crate) async fn tags(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        page: &Page,
    ) -> Result<Listed, Error> {
        // An empty page still tells whether the repository exists.
        let size = page.size.max(1);
        let names = self
            .repositories
            .tags(caller, name, page.after.as_deref(), size)
            .await?;
        let names = if page.size == 0 { Names::default() } else { names };
        let body = serde_json::json!({ "name": name.as_str(), "tags": names.names });
        Ok(Listed {
            body: body.to_string().into_bytes(),
            next: next(&names, page.size),
        })
    }

    /// The repositories, sorted.
    ///
    /// Spec: Docker registry API, "Listing Repositories".
    pub(crate) async fn catalog(&self, caller: &Caller, page: &Page) -> Result<Listed, Error> {
        let names = match page.size {
            0 => Names::default(),
            size => {
                self.repositories
                    .catalog(caller, page.after.as_deref(), size)
                    .await?
            }
        };
        let body = serde_json::json!({ "repositories": names.names });
        Ok(Listed {
            body: body.to_string().into_bytes(),
            next: next(&names, page.size),
        })
    }
}

fn next(names: &Names, size: usize) -> Option<String> {
    let last = names.names.last().filter(|_| names.more)?;
    Some(format!("last={}&n={size}", query::encode(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> http::Uri {
        format!("/x?{text}").parse().unwrap()
    }

    #[test]
    fn pages() {
        for (text, tags, repositories) in [
            ("", Some(limits::TAG_PAGE), Some(100)),
            ("n=", Some(limits::TAG_PAGE), Some(100)),
            ("n=0", Some(0), Some(0)),
            ("n=5", Some(5), Some(5)),
            ("n=1000", Some(1000), Some(1000)),
            ("n=1001", Some(1001), None),
            ("n=99999999999999999999999", Some(limits::PAGE_LIMIT), None),
            ("n=-1", None, None),
            ("n=%2B1", None, None),
            ("n=x", None, None),
            ("n=1.5", None, None),
        ] {
            let uri = query(text);
            assert_eq!(
                Page::of_tags(Query::of(&uri)).ok().map(|page| page.size),
                tags,
                "{text}"
            );
            let got = Page::of_repositories(Query::of(&uri), 1000)
                .ok()
                .map(|page| page.size);
            assert_eq!(got, repositories, "{text}");
        }
        let uri = query("last=a%2Fb&n=1");
        assert_eq!(
            Page::of_tags(Query::of(&uri)).unwrap(),
            Page {
                size: 1,
                after: Some("a/b".to_owned())
            }
        );
    }

    #[test]
    fn the_next_page_is_named_when_there_is_one() {
        let names = |more| Names {
            names: vec!["a".to_owned(), "b+c".to_owned()],
            more,
        };
        assert_eq!(next(&names(true), 2).as_deref(), Some("last=b%2Bc&n=2"));
        assert_eq!(next(&names(false), 2), None);
    }
}
