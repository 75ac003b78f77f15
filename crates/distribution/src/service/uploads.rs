//! Upload requests: from the start of a session, or a mount, to a blob.

use berth_oci::{Algorithm, Digest, RepositoryName};
use http::header::{CONTENT_RANGE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::respond::{self, Answered, Upload, header};
use super::{CHUNK_MIN, CONTENT_DIGEST, Inner, content_length};
use crate::incoming::RequestBody;
use crate::query::{self, Query};
use crate::upload::{self, Claim, Session, State};
use crate::wire::{self, Error};
use crate::{Body, Caller, blob, url};

impl Inner {
    /// `POST /v2/<name>/blobs/uploads/`: mount (end-11), single POST (end-4b), or the start of a session (end-4a).
    pub(super) async fn start(
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

    pub(super) async fn upload(
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
            query::encode(&token)
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
