//! Requests and responses: extract, authorize, call the domain, answer.

mod respond;
mod uploads;

use std::sync::Arc;

use berth_blobs::Driver;
use berth_oci::{Digest, RepositoryName};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;

use self::respond::{Answered, header, json, link};
use crate::blob::{self, Blobs};
use crate::body::BodyError;
use crate::incoming::RequestBody;
use crate::listing::{Lists, Page};
use crate::manifest::{self, Manifests, Push};
use crate::query::Query;
use crate::referrers::{self, Referrers};
use crate::store::{Freshness, Store};
use crate::upload::{Signer, Uploads};
use crate::wire::{self, Error};
use crate::{
    Access, Body, Caller, Config, Needs, Operation, Purge, Repositories, RequestId, Route, conditional,
    route, url,
};

/// Says which protocol is spoken, on every response.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// The distribution protocol. Cheap to clone.
#[derive(Clone)]
pub struct Distribution(Arc<Inner>);

struct Inner {
    config: Config,
    access: Arc<dyn Access>,
    repositories: Arc<dyn Repositories>,
    driver: Arc<dyn Driver>,
    store: Arc<Store>,
    blobs: Arc<Blobs>,
    uploads: Uploads,
    manifests: Manifests,
    referrers: Arc<Referrers>,
    lists: Lists,
    signer: Arc<Signer>,
}

impl Distribution {
    /// The protocol over a storage, with the rules of an integration. No I/O happens here.
    #[must_use]
    pub fn new(
        mut config: Config,
        driver: Arc<dyn Driver>,
        access: Arc<dyn Access>,
        repositories: Arc<dyn Repositories>,
    ) -> Self {
        let secret_is_shared = !config.secret.is_empty();
        if !secret_is_shared {
            config.secret = uuid::Uuid::new_v4()
                .as_bytes()
                .iter()
                .chain(uuid::Uuid::new_v4().as_bytes())
                .copied()
                .collect();
        }
        let signer = Arc::new(Signer::new(&config.secret));
        let store = Arc::new(Store::new(Arc::clone(&driver), &config));
        let blobs = Arc::new(Blobs::new(Arc::clone(&store), Arc::clone(&repositories)));
        let referrers = Arc::new(Referrers::new(Arc::clone(&store), Arc::clone(&repositories)));
        let manifests = Manifests::new(
            Arc::clone(&store),
            Arc::clone(&blobs),
            Arc::clone(&referrers),
            Arc::clone(&repositories),
            &config,
        );
        Self(Arc::new(Inner {
            uploads: Uploads::new(
                Arc::clone(&store),
                Arc::clone(&repositories),
                Arc::clone(&signer),
                secret_is_shared,
                &config,
            ),
            lists: Lists::new(Arc::clone(&repositories)),
            signer,
            config,
            access,
            repositories,
            driver,
            store,
            blobs,
            manifests,
            referrers,
        }))
    }

    /// The component that removes abandoned upload sessions.
    #[must_use]
    pub fn purge(&self) -> Purge {
        Purge::new(Arc::clone(&self.0.driver), &self.0.config)
    }

    /// Forgets what is remembered of a blob whose bytes were removed from storage behind the protocol's back.
    pub fn forget(&self, digest: &Digest) {
        self.0.store.forget(digest);
    }

    /// Writes the index of referrers of a repository anew, and returns how many there are.
    ///
    /// # Errors
    /// When storage fails; the index has what was written until then.
    pub async fn rebuild_referrers(&self, name: &RepositoryName) -> berth_blobs::Result<usize> {
        self.0.referrers.rebuild(name).await
    }

    /// Answers a request. The response carries [`Operation`] and, once known, [`Caller`] in its extensions.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (head, body) = request.into_parts();
        let body = body.map_err(Into::into).boxed_unsync();
        let mut caller = None;
        let id = head.extensions.get::<RequestId>();
        let mut response = match self.0.answer(&head, body, &mut caller).await {
            Ok(response) => response,
            Err(error) => failure(error, &head, id),
        };
        response
            .headers_mut()
            .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if let Some(caller) = caller {
            response.extensions_mut().insert(caller);
        }
        if head.method == Method::HEAD {
            respond::without_body(response)
        } else {
            response
        }
    }
}

/// The response to a request that failed. What only a log may say is logged where it is handled; here it is which request.
fn failure(error: Error, head: &Parts, id: Option<&RequestId>) -> Response<Body> {
    if matches!(error, Error::Route(route::Error::MissingSlash)) {
        return respond::moved(route::PREFIX);
    }
    let cause = error.cause().map(wire::chain);
    let refusal = wire::refusal(error);
    let request = id.map_or("", RequestId::as_str);
    let (method, path) = (&head.method, head.uri.path());
    if refusal.status.is_server_error() {
        tracing::error!(request, %method, path, status = refusal.status.as_u16(), cause, "request failed");
    } else {
        tracing::debug!(request, %method, path, status = refusal.status.as_u16(), code = %refusal.code, "request refused");
    }
    refusal.response(id)
}

impl Inner {
    async fn answer(
        &self,
        head: &Parts,
        body: RequestBody,
        authorized: &mut Option<Caller>,
    ) -> Result<Response<Body>, Error> {
        let route = route::parse(head.uri.path())?;
        let needs = route.needs(&head.method);
        let caller = self.access.authorize(head, &needs).await?;
        *authorized = Some(caller.clone());
        if !route.allows(&head.method) {
            return Err(Error::Method { allow: route.allow() });
        }
        self.check_mode(&needs)?;
        let (operation, response) = self.dispatch(head, &route, &caller, body).await?;
        let mut response = response;
        response.extensions_mut().insert(Operation(operation));
        Ok(response)
    }

    /// What an operator switched off.
    fn check_mode(&self, needs: &Needs) -> Result<(), Error> {
        match needs {
            Needs::Identity | Needs::Catalog | Needs::Pull(_) => Ok(()),
            _ if self.config.read_only => Err(Error::ReadOnly),
            Needs::Push(_) | Needs::CancelUpload(_) => Ok(()),
            Needs::DeleteTag { .. } | Needs::DeleteManifest { .. } | Needs::DeleteBlob { .. }
                if self.config.delete =>
            {
                Ok(())
            }
            Needs::DeleteTag { .. } | Needs::DeleteManifest { .. } | Needs::DeleteBlob { .. } => {
                Err(Error::DeleteDisabled)
            }
        }
    }

    async fn dispatch(
        &self,
        head: &Parts,
        route: &Route,
        caller: &Caller,
        body: RequestBody,
    ) -> Result<Answered, Error> {
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        match route {
            Route::Base => Ok(("Base", json(Bytes::from_static(b"{}")))),
            Route::Catalog => Ok(("Catalog", self.catalog(head, caller).await?)),
            Route::Tags { name } => Ok(("TagService.All", self.tags(head, caller, name).await?)),
            Route::Referrers { name, digest } => Ok((
                "ManifestService.Referrers",
                self.referrers(head, caller, name, digest).await?,
            )),
            Route::Manifest { name, reference } if reads => {
                self.manifest(head, caller, name, reference).await
            }
            Route::Manifest { name, reference } if head.method == Method::PUT => Ok((
                "ManifestService.Put",
                self.put_manifest(head, caller, name, reference, body).await?,
            )),
            Route::Manifest { name, reference } => {
                self.manifests.delete(caller, name, reference).await?;
                let operation = if reference.contains(':') {
                    "ManifestService.Delete"
                } else {
                    "TagService.Untag"
                };
                Ok((operation, respond::empty(StatusCode::ACCEPTED)))
            }
            Route::Blob { name, digest } if reads => self.blob(head, caller, name, digest).await,
            Route::Blob { name, digest } => {
                self.blobs.delete(name, &blob_digest(digest)?).await?;
                Ok(("BlobStore.Delete", respond::empty(StatusCode::ACCEPTED)))
            }
            Route::Uploads { name } => self.start(head, caller, name, body).await,
            Route::Upload { name, session } => self.upload(head, caller, name, session, body).await,
        }
    }

    async fn catalog(&self, head: &Parts, caller: &Caller) -> Result<Response<Body>, Error> {
        let page = Page::of_repositories(Query::of(&head.uri), self.config.catalog_limit)?;
        let listed = self.lists.catalog(caller, &page).await?;
        Ok(link(
            json(listed.body),
            &self.config.urls,
            head,
            listed.next.as_deref(),
        ))
    }

    async fn tags(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
    ) -> Result<Response<Body>, Error> {
        let page = Page::of_tags(Query::of(&head.uri))?;
        let listed = self.lists.tags(caller, name, &page).await?;
        Ok(link(
            json(listed.body),
            &self.config.urls,
            head,
            listed.next.as_deref(),
        ))
    }

    async fn referrers(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
        subject: &str,
    ) -> Result<Response<Body>, Error> {
        let digest = |text: &str| {
            let shown = || text.chars().take(160).collect();
            text.parse::<Digest>()
                .map_err(|source| referrers::Error::DigestMalformed {
                    text: shown(),
                    source,
                })
        };
        let subject = digest(subject)?;
        let query = Query::of(&head.uri);
        let after = query.first("last").map(|last| digest(&last)).transpose()?;
        // Media types have no spaces, but many have a plus, which clients forget to escape.
        let wanted = query
            .first("artifactType")
            .filter(|wanted| !wanted.is_empty())
            .map(|wanted| wanted.replace(' ', "+"));
        let page = self
            .referrers
            .list(caller, name, &subject, wanted.as_deref(), after.as_ref())
            .await?;
        let next = page.next.map(|last| match &wanted {
            Some(wanted) => format!("artifactType={}&last={last}", crate::query::encode(wanted)),
            None => format!("last={last}"),
        });
        let mut response = link(json(page.body), &self.config.urls, head, next.as_deref());
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(berth_oci::media_type::OCI_INDEX),
        );
        if wanted.is_some() {
            headers.insert(FILTERS, HeaderValue::from_static("artifactType"));
        }
        Ok(response)
    }

    async fn manifest(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
        reference: &str,
    ) -> Result<Answered, Error> {
        let (operation, freshness) = match head.method {
            Method::HEAD => ("ManifestService.Exists", Freshness::Checked),
            _ => ("ManifestService.Get", Freshness::Remembered),
        };
        let answer = self
            .manifests
            .get(caller, name, reference, &head.headers, freshness)
            .await?;
        let response = match answer {
            manifest::Answer::NotModified(digest) => {
                respond::content(&digest, StatusCode::NOT_MODIFIED, Body::empty())
            }
            manifest::Answer::Manifest(digest, stored) => {
                let mut response = respond::content(&digest, StatusCode::OK, Body::full(stored.bytes));
                header(&mut response, CONTENT_TYPE, &stored.media_type);
                response
            }
        };
        Ok((operation, response))
    }

    async fn put_manifest(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
        reference: &str,
        body: RequestBody,
    ) -> Result<Response<Body>, Error> {
        let push = Push {
            name,
            reference,
            tags: Query::of(&head.uri)
                .all("tag")
                .take(crate::limits::TAG_PARAMETERS + 1)
                .map(Into::into)
                .collect(),
            content_type: head
                .headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok()),
            content_length: content_length(head),
        };
        let accepted = self.manifests.put(caller, push, body).await?;
        let path = format!("/v2/{name}/manifests/{}", accepted.digest);
        let mut response = respond::empty(StatusCode::CREATED);
        header(&mut response, LOCATION, &url::of(&self.config.urls, head, &path));
        header(&mut response, CONTENT_DIGEST, &accepted.digest.to_string());
        if let Some(subject) = accepted.subject {
            header(&mut response, SUBJECT, &subject.to_string());
        }
        for tag in &accepted.tags {
            if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
                response.headers_mut().append(TAG, value);
            }
        }
        Ok(response)
    }

    async fn blob(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
        digest: &str,
    ) -> Result<Answered, Error> {
        let digest = blob_digest(digest)?;
        let (operation, answer) = if head.method == Method::HEAD {
            (
                "BlobStore.Stat",
                self.blobs.head(caller, name, &digest, &head.headers).await?,
            )
        } else {
            (
                "BlobStore.ServeBlob",
                self.blobs.get(caller, name, &digest, &head.headers).await?,
            )
        };
        Ok((operation, respond::blob(&digest, answer)))
    }
}

fn content_length(head: &Parts) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn blob_digest(text: &str) -> Result<Digest, blob::Error> {
    let shown = || text.chars().take(160).collect();
    text.parse().map_err(|source| blob::Error::DigestMalformed {
        text: shown(),
        source,
    })
}
