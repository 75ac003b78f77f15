//! Bytes on their way from a client into a session.

use berth_blobs::{self as blobs, Append, Step};
use berth_oci::{Algorithm, ContentRange, Hasher};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::session::{Progress, Session};
use super::{Error, Uploads, note};
use crate::incoming::{Incoming, RequestBody};
use crate::{layout, limits};

/// Hash states looked at when a session is resumed. docker-registry writes one for every request.
const STATES: usize = 1000;

/// Where the client believes its bytes belong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim {
    /// The length of the session according to the signed state in the URL.
    pub(crate) offset: Option<u64>,
    /// The value of `Content-Range`.
    pub(crate) range: Option<String>,
    /// The value of `Content-Length`.
    pub(crate) length: Option<u64>,
}

impl Claim {
    /// Checks the claim against the length of the session.
    ///
    /// Spec: OCI distribution, "Pushing a blob in chunks".
    pub(super) fn check(&self, held: u64) -> Result<(), Error> {
        if let Some(text) = &self.range {
            let range: ContentRange = text.parse().map_err(|_| Error::RangeMalformed {
                text: text.chars().take(64).collect(),
                held,
            })?;
            if range.start() != held {
                return Err(Error::OutOfOrder {
                    got: range.start(),
                    held,
                });
            }
            if let Some(got) = self.length
                && got != range.len()
            {
                return Err(Error::LengthMismatch {
                    declared: range.len(),
                    got,
                });
            }
        }
        match self.offset {
            Some(got) if got != held => Err(Error::OutOfOrder { got, held }),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the claim against the number of bytes that came.
    pub(super) fn check_received(&self, got: u64) -> Result<(), Error> {
        match self
            .range
            .as_ref()
            .and_then(|text| text.parse::<ContentRange>().ok())
        {
            Some(range) if range.len() != got => Err(Error::LengthMismatch {
                declared: range.len(),
                got,
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Hashes and writes what arrives. Gathering small pieces into writes worth their while is the driver's business.
pub(super) struct Sink {
    writer: Box<dyn Append>,
    hasher: Hasher,
}

impl Sink {
    /// The length of the session with everything that was pushed.
    pub(super) fn length(&self) -> u64 {
        self.hasher.length()
    }

    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.hasher.update(&bytes);
        Ok(self.writer.write(bytes).await?)
    }

    /// Takes everything a body has.
    pub(super) async fn fill(&mut self, body: &mut Incoming) -> Result<(), Error> {
        while let Some(bytes) = body.next().await? {
            self.push(bytes).await?;
        }
        Ok(())
    }

    pub(super) fn into_parts(self) -> (Box<dyn Append>, Hasher) {
        (self.writer, self.hasher)
    }
}

impl Uploads {
    /// Appends a body to a session and returns the session's new length, in bytes. What arrives before an error stays.
    ///
    /// Spec: OCI distribution, "Pushing a blob in chunks" (end-5); Docker registry API, streamed upload.
    pub(crate) async fn append(
        &self,
        session: &Session,
        claim: &Claim,
        body: RequestBody,
    ) -> Result<u64, Error> {
        let mut progress = session.lock()?;
        let sink = self
            .sink(session, &mut progress, session.algorithm(), claim)
            .await?;
        let _slot = self.slot(session.name()).await?;
        let begin = sink.writer.length();
        let mut sink = sink;
        let filled = sink.fill(&mut Incoming::new(body, self.window)).await;
        if let Err(error @ Error::Store(_)) = filled {
            drop(sink);
            return Err(self.failed(session, error).await);
        }
        let held = self.rest(session, &mut progress, sink).await?;
        filled?;
        claim.check_received(held - begin)?;
        Ok(held)
    }

    /// A sink at the end of the session, once the claim was found right.
    pub(super) async fn sink(
        &self,
        session: &Session,
        progress: &mut Progress,
        algorithm: Algorithm,
        claim: &Claim,
    ) -> Result<Sink, Error> {
        let path = layout::upload_data(session.name(), session.id());
        if claim.offset.is_some_and(|offset| offset > 0) {
            session.begin();
        }
        let mut again = true;
        loop {
            let hasher = match progress.hasher.take() {
                Some(hasher) if hasher.algorithm() == algorithm => hasher,
                Some(_) | None => self.rehash(session, progress, algorithm).await?,
            };
            let held = hasher.length();
            if let Err(error) = claim.check(held) {
                // The claim may be right and memory old: another replica may have taken bytes since.
                if again && self.held(session).await? != held {
                    again = false;
                    continue;
                }
                progress.hasher = Some(hasher);
                return Err(error);
            }
            match self.store.driver().append(&path, held).await {
                Ok(writer) => {
                    session.begin();
                    return Ok(Sink { writer, hasher });
                }
                Err(blobs::Error::Offset { .. } | blobs::Error::NotFound { .. }) if again => again = false,
                Err(blobs::Error::NotFound { .. }) => {
                    return Err(Error::SessionUnknown {
                        session: session.id().to_string(),
                    });
                }
                Err(blobs::Error::Locked { .. } | blobs::Error::Offset { .. }) => {
                    return Err(Error::Busy {
                        session: session.id().clone(),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends a request that does not close its session. The hash state goes to storage when enough bytes came since the
    /// last one; only then the bytes it covers have to be durable.
    async fn rest(&self, session: &Session, progress: &mut Progress, sink: Sink) -> Result<u64, Error> {
        let (writer, hasher) = sink.into_parts();
        let held = hasher.length();
        let mut then = Vec::new();
        // What is small is sent again sooner than it is written about.
        if !progress.noted && held > limits::SMALL_BLOB as u64 {
            then.push(note(session));
        }
        let noted = progress.noted || !then.is_empty();
        if held - progress.checkpoint.min(held) < limits::CHECKPOINT {
            writer.release(then).await?;
        } else {
            let path = layout::hash_state(session.name(), session.id(), hasher.algorithm(), held);
            then.push(Step::Stash {
                path,
                bytes: hasher.state().into(),
            });
            writer.close(then).await?;
            progress.checkpoint = held;
        }
        progress.noted = noted;
        progress.hasher = Some(hasher);
        Ok(held)
    }

    /// A hasher over everything a session has in storage: from the latest hash state there, and the bytes after it.
    async fn rehash(
        &self,
        session: &Session,
        progress: &mut Progress,
        algorithm: Algorithm,
    ) -> Result<Hasher, Error> {
        let held = self.held(session).await?;
        let mut hasher = self
            .hash_state(session, algorithm, held)
            .await?
            .unwrap_or_else(|| Hasher::new(algorithm));
        progress.checkpoint = hasher.length();
        if hasher.length() == held {
            return Ok(hasher);
        }
        let path = layout::upload_data(session.name(), session.id());
        let unknown = || Error::SessionUnknown {
            session: session.id().to_string(),
        };
        let source = self.store.driver().open(&path).await?.ok_or_else(unknown)?;
        let mut bytes = source.stream(hasher.length()..held);
        while let Some(bytes) = bytes.next().await {
            hasher.update(&bytes?);
        }
        Ok(hasher)
    }

    /// The latest usable hash state in storage of at most `held` bytes.
    async fn hash_state(
        &self,
        session: &Session,
        algorithm: Algorithm,
        held: u64,
    ) -> Result<Option<Hasher>, Error> {
        if held == 0 {
            return Ok(None);
        }
        let (name, id) = (session.name(), session.id());
        let listing = self
            .store
            .driver()
            .list(&layout::hash_states(name, id, algorithm), None, STATES)
            .await?;
        let mut offsets: Vec<u64> = listing
            .entries
            .iter()
            .filter_map(|entry| entry.name.parse().ok())
            .collect();
        offsets.sort_unstable_by(|a, b| b.cmp(a));
        for offset in offsets
            .into_iter()
            .filter(|offset| (1..=held).contains(offset))
            .take(3)
        {
            let path = layout::hash_state(name, id, algorithm, offset);
            let Some(state) = self.store.driver().read(&path).await? else {
                continue;
            };
            // A state may be cut off by a crash; the one before it serves as well.
            if let Ok(hasher) = Hasher::resume(algorithm, &state)
                && hasher.length() == offset
            {
                return Ok(Some(hasher));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims() {
        for (range, length, offset, held, want) in [
            (None, None, None, 0, None),
            (Some("0-9"), Some(10), None, 0, None),
            (Some("0-9"), None, None, 0, None),
            (Some("10-19"), Some(10), Some(10), 10, None),
            (Some("10-19"), Some(10), None, 0, Some("chunk starts at byte 10")),
            (Some("0-9"), Some(10), None, 10, Some("chunk starts at byte 0")),
            (Some("0-9"), Some(9), None, 0, Some("declares 10 bytes, but 9")),
            (Some("9-0"), Some(9), None, 0, Some("not a range")),
            (Some("x"), Some(9), None, 0, Some("not a range")),
            (Some(""), None, None, 0, Some("not a range")),
            (None, None, Some(5), 5, None),
            (
                None,
                None,
                Some(0),
                5,
                Some("starts at byte 0, but the session holds 5"),
            ),
        ] {
            let claim = Claim {
                offset,
                range: range.map(str::to_owned),
                length,
            };
            let got = claim.check(held).err().map(|error| error.to_string());
            match want {
                None => assert_eq!(got, None, "{claim:?} {held}"),
                Some(want) => assert!(
                    got.clone().is_some_and(|got| got.contains(want)),
                    "{claim:?} {held}: {got:?}"
                ),
            }
        }
    }
}
