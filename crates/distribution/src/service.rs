//! Requests and responses: extract, authorize, call the domain, answer.

mod respond;

use std::sync::Arc;

use berth_blobs::Driver;
use berth_oci::{Algorithm, Digest, RepositoryName};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;

use self::respond::{Answered, Upload, header, json, link};
use crate::blob::{self, Blobs};
use crate::body::BodyError;
use crate::incoming::RequestBody;
use crate::listing::{Lists, Page};
use crate::manifest::{self, Manifests, Push};
use crate::query::Query;
use crate::referrers::{self, Referrers};
use crate::store::{Freshness, Store};
use crate::upload::{self, Claim, Session, Signer, State, Uploads};
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

    /// `POST /v2/<name>/blobs/uploads/`: mount (end-11), single POST (end-4b), or the start of a session (end-4a).
    async fn start(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
        body: RequestBody,
    ) -> Result<Answered, Error> {
        let query = Query::of(&head.uri);
        if let Some(mounted) = query.first("mount")
            && let Ok(digest) = mounted.parse::<Digest>()
            && self
                .mount(caller, name, query.first("from").as_deref(), &digest)
                .await?
        {
            return Ok(("BlobStore.Create", self.created(head, name, &digest)));
        }
        self.repositories
            .admit_blob(caller, name, content_length(head).filter(|length| *length > 0))
            .await?;
        if let Some(digest) = query.first("digest") {
            let digest = upload_digest(Some(&digest))?;
            self.uploads
                .receive(caller, name, &claim(head, None), &digest, body)
                .await?;
            return Ok(("BlobStore.Put", self.created(head, name, &digest)));
        }
        let algorithm = match query.first("digest-algorithm") {
            Some(text) => {
                let unknown = |_| upload::Error::AlgorithmUnknown {
                    text: text.chars().take(32).collect(),
                };
                text.parse().map_err(unknown)?
            }
            None => Algorithm::Sha256,
        };
        let session = self.uploads.start(name, algorithm).await?;
        let mut response = self.progress(head, StatusCode::ACCEPTED, &session, 0);
        if self.config.chunk_min > 0 {
            response
                .headers_mut()
                .insert(CHUNK_MIN, HeaderValue::from(self.config.chunk_min));
        }
        Ok(("BlobStore.Create", response))
    }

    /// Whether the blob could be mounted. When no source is named, repositories that had the blob lately will do, if the
    /// caller may pull from them.
    async fn mount(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        from: Option<&str>,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let sources = match from {
            Some(from) => from.parse::<RepositoryName>().into_iter().collect(),
            None => self.store.holders(digest),
        };
        for source in sources {
            if !self.access.may_pull(caller, &source).await? {
                continue;
            }
            let Some((target, stat)) = self
                .blobs
                .stat(caller, &source, digest)
                .await
                .map_err(blob::Error::from)?
            else {
                continue;
            };
            if target != *digest {
                // A blob that is only known by an alias is uploaded once more rather than aliased again.
                continue;
            }
            self.repositories
                .admit_blob(caller, name, Some(stat.size))
                .await?;
            if self
                .store
                .link_layer(name, digest)
                .await
                .map_err(blob::Error::from)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn upload(
        &self,
        head: &Parts,
        caller: &Caller,
        name: &RepositoryName,
        id: &str,
        body: RequestBody,
    ) -> Result<Answered, Error> {
        let query = Query::of(&head.uri);
        let state = query.first("_state").and_then(|token| self.signer.read(&token));
        if state
            .as_ref()
            .is_some_and(|state| state.name != name.as_str() || state.session != id)
        {
            return Err(upload::Error::SessionForeign.into());
        }
        let session = match self.uploads.find(name, id).await {
            Ok(session) => session,
            Err(error @ upload::Error::SessionUnknown { .. }) if head.method == Method::PUT => {
                // A client repeats its closing PUT when the connection drops, so an equal digest is success.
                let digest = upload_digest(query.first("digest").as_deref())?;
                if self.uploads.is_finished(name, &digest).await? {
                    return Ok(("BlobWriter.Commit", self.created(head, name, &digest)));
                }
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let claim = claim(head, state.as_ref());
        match head.method {
            Method::PATCH => match self.uploads.append(&session, &claim, body).await {
                Ok(held) => Ok((
                    "BlobWriter.Write",
                    self.progress(head, StatusCode::ACCEPTED, &session, held),
                )),
                Err(error) => Err(self.at(head, &session, error)),
            },
            Method::PUT => {
                let digest = upload_digest(query.first("digest").as_deref())?;
                match self.uploads.finish(caller, &session, &claim, &digest, body).await {
                    Ok(()) => Ok(("BlobWriter.Commit", self.created(head, name, &digest))),
                    Err(upload::Error::SessionUnknown { .. })
                        if self.uploads.is_finished(name, &digest).await? =>
                    {
                        Ok(("BlobWriter.Commit", self.created(head, name, &digest)))
                    }
                    Err(error) => Err(self.at(head, &session, error)),
                }
            }
            Method::DELETE => {
                self.uploads.cancel(&session).await?;
                Ok(("BlobWriter.Cancel", respond::empty(StatusCode::NO_CONTENT)))
            }
            _ => {
                let held = self.uploads.held(&session).await?;
                Ok((
                    "BlobStore.Resume",
                    self.progress(head, StatusCode::NO_CONTENT, &session, held),
                ))
            }
        }
    }

    /// The answer that tells where a session stands.
    fn progress(&self, head: &Parts, status: StatusCode, session: &Session, held: u64) -> Response<Body> {
        let mut response = respond::empty(status);
        for (name, value) in self.place(head, session, held).headers() {
            header(&mut response, name, &value);
        }
        response
    }

    /// An error from which the client recovers by going on where the session stands, which it is told.
    fn at(&self, head: &Parts, session: &Session, error: upload::Error) -> Error {
        let Some(held) = error.held() else {
            return error.into();
        };
        let place = self.place(head, session, held);
        let mut refusal = wire::refusal(error.into());
        for (name, value) in place.headers() {
            refusal = refusal.with_header(name, &value);
        }
        Error::Refused(refusal)
    }

    fn place(&self, head: &Parts, session: &Session, held: u64) -> Upload {
        let state = State {
            name: session.name().as_str().into(),
            session: session.id().as_str().into(),
            offset: held,
            started_at: session.started_at().into(),
        };
        let token = self.signer.sign(&state);
        let path = format!(
            "/v2/{}/blobs/uploads/{}?_state={}",
            session.name(),
            session.id(),
            crate::query::encode(&token)
        );
        Upload {
            location: url::of(&self.config.urls, head, &path),
            id: session.id().to_string(),
            held,
        }
    }

    /// The answer when a blob is part of a repository.
    fn created(&self, head: &Parts, name: &RepositoryName, digest: &Digest) -> Response<Body> {
        let path = format!("/v2/{name}/blobs/{digest}");
        let mut response = respond::empty(StatusCode::CREATED);
        header(&mut response, LOCATION, &url::of(&self.config.urls, head, &path));
        header(&mut response, CONTENT_DIGEST, &digest.to_string());
        response
    }
}

fn content_length(head: &Parts) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn claim(head: &Parts, state: Option<&State<'_>>) -> Claim {
    Claim {
        offset: state.map(|state| state.offset),
        range: head
            .headers
            .get(CONTENT_RANGE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        length: content_length(head),
    }
}

fn blob_digest(text: &str) -> Result<Digest, blob::Error> {
    let shown = || text.chars().take(160).collect();
    text.parse().map_err(|source| blob::Error::DigestMalformed {
        text: shown(),
        source,
    })
}

fn upload_digest(text: Option<&str>) -> Result<Digest, upload::Error> {
    let text = text
        .filter(|text| !text.is_empty())
        .ok_or(upload::Error::DigestMissing)?;
    let shown = || text.chars().take(160).collect();
    text.parse().map_err(|source| upload::Error::DigestMalformed {
        text: shown(),
        source,
    })
}
