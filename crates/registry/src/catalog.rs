//! The catalogue: image streams of the whole cluster, listed page by page with the caller's own rights.

use std::time::Duration;

use berth_client::{Client, Error, NamesPage};
use berth_distribution::{Caller, Names, Refusal};

use crate::{
    decision::{Object, Right},
    fresh::Fresh,
    identity::{Identity, TokenKey},
    refuse,
};

/// Names per request to the API while it looks for the place where a page begins.
const SCAN: usize = 500;
/// How long the place where a page ended is remembered; afterwards it is looked for.
const CONTINUE_FOR: Duration = Duration::from_secs(60);
/// Places that are remembered, over all callers.
const CAPACITY: usize = 1024;

/// Where each caller's last page ended.
pub(crate) struct Catalog {
    client: Client,
    ends: Fresh<(Option<TokenKey>, String), String>,
}

impl Catalog {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            ends: Fresh::new(CAPACITY),
        }
    }

    /// At most `limit` repositories after `after`, in the API's own order, which is that of the names' bytes.
    pub(crate) async fn page(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Names, Refusal> {
        let anonymous = Identity::anonymous();
        let who = Identity::of(caller).unwrap_or(&anonymous);
        let key = who.token.as_ref().map(|(_, key)| *key);
        let known = after.and_then(|after| self.ends.get(&(key, after.to_owned())));
        let listed = match self.list(who, after, limit, known.as_deref()).await {
            // The API forgot the place; it is found again from the start.
            Err(error) if known.is_some() && error.status().is_some_and(|status| status.code == 410) => {
                self.list(who, after, limit, None).await
            }
            listed => listed,
        };
        match listed {
            Ok((names, next)) => {
                if let (Some(next), Some(last)) = (next, names.names.last()) {
                    self.ends.insert((key, last.clone()), next, CONTINUE_FOR);
                }
                Ok(names)
            }
            Err(error) if error.is_forbidden() || error.is_unauthorized() => {
                Err(refuse::denied(who, Right::Catalog, Object::CLUSTER))
            }
            Err(error) => Err(refuse::failed("listing the image streams", &error)),
        }
    }

    /// The page, and what continues it when it ends where a page of the API ends.
    async fn list(
        &self,
        who: &Identity,
        after: Option<&str>,
        limit: usize,
        from: Option<&str>,
    ) -> Result<(Names, Option<String>), Error> {
        let mut page = Names::default();
        if limit == 0 {
            return Ok((page, None));
        }
        let mut from = from.map(str::to_owned);
        let mut searching = after.is_some() && from.is_none();
        loop {
            let wanted = if searching { SCAN } else { limit - page.names.len() };
            let NamesPage { names, next } = self.request(who, wanted, from.as_deref()).await?;
            for name in names {
                let name = format!("{}/{}", name.namespace, name.name);
                if searching && after.is_some_and(|after| *name <= *after) {
                    continue;
                }
                searching = false;
                if page.names.len() == limit {
                    page.more = true;
                    return Ok((page, None));
                }
                page.names.push(name);
            }
            match next {
                Some(next) if page.names.len() == limit => {
                    page.more = true;
                    return Ok((page, Some(next)));
                }
                Some(next) => from = Some(next),
                None => return Ok((page, None)),
            }
        }
    }

    async fn request(&self, who: &Identity, limit: usize, from: Option<&str>) -> Result<NamesPage, Error> {
        let session = match &who.token {
            Some((token, _)) => self.client.with_token(token),
            None => self.client.anonymous(),
        };
        session.image_stream_names(limit, from).await
    }
}
