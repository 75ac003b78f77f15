//! The end of an upload: the bytes become a blob of their repository, durably, or they are gone.

use berth_blobs::Step;
use berth_oci::{Digest, RepositoryName};
use bytes::Bytes;

use super::receive::Claim;
use super::session::{Progress, Session};
use super::{Error, Uploads};
use crate::incoming::{Incoming, RequestBody};
use crate::mismatch::Mismatch;
use crate::store::{Freshness, Store};
use crate::{Caller, layout, limits};

impl Uploads {
    /// Closes a session: takes the last bytes, verifies the digest, and makes the blob part of the repository. When this
    /// returns, all of it is durable.
    ///
    /// Content with another digest ends the session.
    ///
    /// Spec: OCI distribution, "POST then PUT" and "Pushing a blob in chunks" (end-6).
    pub(crate) async fn finish(
        &self,
        caller: &Caller,
        session: &Session,
        claim: &Claim,
        digest: &Digest,
        body: RequestBody,
    ) -> Result<(), Error> {
        let mut progress = session.lock()?;
        let slot = self.slot(session.name()).await?;
        let mut body = Incoming::new(body, self.window);
        // A claim that is wrong is told before any byte is read.
        let whole = progress
            .hasher
            .as_ref()
            .is_some_and(|hasher| hasher.length() == 0)
            && claim.check(0).is_ok();
        let (first, ended) = if whole {
            body.prefix(limits::SMALL_BLOB).await?
        } else {
            (Bytes::new(), false)
        };
        if whole && ended && self.is_empty(session).await? {
            drop(slot);
            return self
                .finish_small(caller, session, progress.noted, digest, first)
                .await;
        }
        self.finish_large(caller, session, &mut progress, claim, digest, (first, body))
            .await
    }

    /// Receives a blob in one request, without a session that anybody could resume.
    ///
    /// Spec: OCI distribution, "Single POST" (end-4b).
    pub(crate) async fn receive(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        claim: &Claim,
        digest: &Digest,
        body: RequestBody,
    ) -> Result<(), Error> {
        let session = self.issue(name, digest.algorithm());
        let finished = self.finish(caller, &session, claim, digest, body).await;
        // Nobody was told of the session, so nobody can go on with it.
        if let Err(error) = &finished
            && !matches!(error, Error::DigestMismatch(_))
            && let Err(error) = self.discard(&session).await
        {
            tracing::warn!(session = %session.id(), %error, "what is left of an upload was not removed");
        }
        finished
    }

    /// Whether nothing arrived yet, as storage sees it.
    async fn is_empty(&self, session: &Session) -> Result<bool, Error> {
        let path = layout::upload_data(session.name(), session.id());
        Ok(self.store.driver().stat(&path).await?.is_none())
    }

    /// Stores a blob whose bytes are all here. Nothing is written before the digest is known to be right.
    async fn finish_small(
        &self,
        caller: &Caller,
        session: &Session,
        noted: bool,
        digest: &Digest,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let got = digest.algorithm().digest(&bytes);
        if got != *digest {
            // What looks like a session that has not begun may have been closed by another replica.
            if bytes.is_empty() && self.is_finished(session.name(), digest).await? {
                return Ok(());
            }
            self.discard(session).await?;
            return Err(Error::DigestMismatch(Box::new(Mismatch { want: *digest, got })));
        }
        self.repositories
            .admit_blob(caller, session.name(), Some(bytes.len() as u64))
            .await?;
        let mut steps = vec![
            Step::Ensure {
                path: layout::data(digest),
                bytes,
            },
            Store::layer_step(session.name(), digest),
        ];
        if noted {
            steps.push(Step::Discard {
                path: layout::upload(session.name(), session.id()),
            });
        }
        self.store.driver().commit(steps).await?;
        self.finished(session, digest);
        Ok(())
    }

    async fn finish_large(
        &self,
        caller: &Caller,
        session: &Session,
        progress: &mut Progress,
        claim: &Claim,
        digest: &Digest,
        (first, mut body): (Bytes, Incoming),
    ) -> Result<(), Error> {
        let mut sink = self.sink(session, progress, digest.algorithm(), claim).await?;
        let begin = sink.length();
        let filled = async {
            if !first.is_empty() {
                sink.push(first).await?;
            }
            sink.fill(&mut body).await
        };
        if let Err(error) = filled.await {
            drop(sink);
            return Err(self.failed(session, error).await);
        }
        let (writer, hasher) = sink.into_parts();
        claim.check_received(hasher.length() - begin)?;
        let size = hasher.length();
        let got = hasher.finish();
        if got != *digest {
            drop(writer);
            self.discard(session).await?;
            return Err(Error::DigestMismatch(Box::new(Mismatch { want: *digest, got })));
        }
        self.repositories
            .admit_blob(caller, session.name(), Some(size))
            .await?;
        let steps = vec![
            Step::Publish {
                from: layout::upload_data(session.name(), session.id()),
                to: layout::data(digest),
            },
            Store::layer_step(session.name(), digest),
            Step::Discard {
                path: layout::upload(session.name(), session.id()),
            },
        ];
        if let Err(error) = writer.close(steps).await {
            return Err(self.failed(session, error.into()).await);
        }
        self.finished(session, digest);
        Ok(())
    }

    fn finished(&self, session: &Session, digest: &Digest) {
        self.end(session);
        self.store.remember_holder(session.name(), digest);
    }

    /// Whether a blob is part of a repository already, so that closing its upload once more is a success.
    pub(crate) async fn is_finished(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
        let target = self.store.layer(name, digest, Freshness::Checked).await?;
        Ok(match target {
            Some(target) => self.store.blob(&target).await?.is_some(),
            None => false,
        })
    }
}
