//! Image streams as repositories: tags, membership, and what a push records.

use std::sync::Arc;

use async_trait::async_trait;
use berth_blobs::Driver;
use berth_client::Client;
use berth_distribution::{
    Caller, Membership, Names, Pushed, Refusal, Repositories, plain::PlainRepositories,
};
use berth_oci::{Digest, ErrorCode, RepositoryName, Tag};

use crate::{
    Config,
    access::Gate,
    catalog::Catalog,
    decision::{Object, Right},
    folded,
    identity::Identity,
    incarnation::{Incarnations, is_current},
    mapping::Mappings,
    metrics::Metrics,
    quota::Limits,
    refuse, removal,
    stream::{Stream, Streams},
};

/// How often the deletion of a tag is tried when the stream changes under it.
const DELETE_ATTEMPTS: u32 = 5;

/// The repositories of a cluster: one for each image stream.
pub(crate) struct ImageStreams {
    gate: Arc<Gate>,
    streams: Streams,
    mappings: Mappings,
    catalog: Catalog,
    limits: Option<Limits>,
    /// Tags that exist in storage only.
    stored: Arc<dyn Repositories>,
    incarnations: Incarnations,
    metrics: Metrics,
}

impl ImageStreams {
    /// Repositories over the API behind `client` and the links in `driver`'s storage.
    pub(crate) fn new(
        client: &Client,
        gate: Arc<Gate>,
        config: &Config,
        driver: Arc<dyn Driver>,
        metrics: Metrics,
    ) -> Self {
        Self {
            gate,
            streams: Streams::new(client.clone(), metrics.clone()),
            mappings: Mappings::new(client.clone(), config.server_addr.clone()),
            catalog: Catalog::new(client.clone()),
            limits: config
                .quota
                .then(|| Limits::new(client.clone(), config.quota_ttl)),
            stored: Arc::new(PlainRepositories::new(Arc::clone(&driver))),
            incarnations: Incarnations::new(driver),
            metrics,
        }
    }

    async fn existing(&self, name: &RepositoryName) -> Result<Arc<Stream>, Refusal> {
        self.streams
            .now(name)
            .await?
            .ok_or_else(|| refuse::no_such_stream(name))
    }

    /// Whether content belongs to the stream as far as its history tells; links in storage decide the rest. They outlive
    /// their stream: beside the note of another one they do not count, and without a stream only for one who is pushing it
    /// right now.
    async fn holds(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Membership, Refusal> {
        let stream = self.streams.recent(name).await?;
        let remembered = stream.as_ref().is_some_and(|stream| stream.remembers(digest));
        self.metrics.history_lookup(remembered);
        if remembered {
            return Ok(Membership::Yes);
        }
        let uid = stream.as_ref().map(|stream| stream.uid());
        let current = is_current(self.incarnations.noted(name).await?.as_deref(), uid);
        match stream {
            Some(_) if current => Ok(Membership::Unknown),
            // The links are another stream's, but the API may know the content as part of a tagged image.
            Some(_) if self.reaches(name, digest).await? => Ok(Membership::Yes),
            None if current && self.may_push(caller, name).await? => Ok(Membership::Unknown),
            Some(_) | None => Ok(Membership::No),
        }
    }

    /// Makes the repository ready for new content of the stream, which is returned if there is one.
    async fn begin(&self, name: &RepositoryName) -> Result<Option<Arc<Stream>>, Refusal> {
        let mut stream = self.streams.recent(name).await?;
        let noted = self.incarnations.noted(name).await?;
        if !is_current(noted.as_deref(), stream.as_ref().map(|stream| stream.uid())) {
            // What is removed now must not be what another replica just pushed to a stream that this one has not seen yet.
            stream = self.streams.now(name).await?;
        }
        let uid = stream.as_ref().map(|stream| stream.uid());
        self.incarnations.begin(name, uid).await?;
        Ok(stream)
    }

    async fn may_push(&self, caller: &Caller, name: &RepositoryName) -> Result<bool, Refusal> {
        match name.pair() {
            Some((namespace, name)) => {
                self.gate
                    .may(caller, Right::Push, Object { namespace, name })
                    .await
            }
            None => Ok(false),
        }
    }

    async fn reaches(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, Refusal> {
        Ok(self
            .streams
            .layers(name)
            .await?
            .is_some_and(|layers| layers.contains(digest)))
    }
}

#[async_trait]
impl Repositories for ImageStreams {
    async fn resolve_tag(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, Refusal> {
        let stream = self.existing(name).await?;
        match stream.resolve(tag.as_str()) {
            None if folded::is_folded(tag.as_str()) => self.stored.resolve_tag(caller, name, tag).await,
            resolved => Ok(resolved),
        }
    }

    async fn tags(
        &self,
        _caller: &Caller,
        name: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Names, Refusal> {
        let stream = self.existing(name).await?;
        let mut tags = stream.tags_after(after);
        let names = tags.by_ref().take(limit).map(str::to_owned).collect();
        Ok(Names {
            names,
            more: tags.next().is_some(),
        })
    }

    async fn catalog(&self, caller: &Caller, after: Option<&str>, limit: usize) -> Result<Names, Refusal> {
        self.catalog.page(caller, after, limit).await
    }

    async fn holds_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Membership, Refusal> {
        self.holds(caller, name, digest).await
    }

    async fn holds_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Membership, Refusal> {
        self.holds(caller, name, digest).await
    }

    async fn holds_unlinked(
        &self,
        _caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Refusal> {
        // What was said before came from a stream of some seconds ago; the layers are of now, and include the history.
        self.reaches(name, digest).await
    }

    async fn admit_blob(
        &self,
        _caller: &Caller,
        name: &RepositoryName,
        size: Option<u64>,
    ) -> Result<(), Refusal> {
        if let (Some(limits), Some(size)) = (&self.limits, size) {
            limits.admit(name, size).await?;
        }
        if let Some(stream) = self.begin(name).await? {
            // Not only with a manifest, which may never come: until there is a note, the links are of any later stream.
            self.incarnations.note(name, stream.uid()).await;
        }
        Ok(())
    }

    async fn record_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        pushed: &Pushed,
    ) -> Result<(), Refusal> {
        let anonymous = Identity::anonymous();
        let who = Identity::of(caller).unwrap_or(&anonymous);
        self.begin(name).await?;
        if !pushed.missing.is_empty() {
            // A mapping would take the Image of the same digest as it is, so it must be one that may be had.
            if self.streams.now(name).await?.is_none() {
                self.mappings.create_stream(who, name).await?;
            }
            self.mappings.image_only(name, pushed).await?;
        }
        let mut recorded = false;
        for tag in pushed.tags.iter().filter(|tag| !folded::is_folded(tag.as_str())) {
            self.mappings.tag(who, name, tag, pushed).await?;
            recorded = true;
        }
        if !recorded {
            // A manifest without a tag of its own still needs the stream: it is what the right to pull is about.
            if self.streams.now(name).await?.is_none() {
                self.mappings.create_stream(who, name).await?;
            }
            self.mappings.image_only(name, pushed).await?;
        }
        self.streams.forget(name);
        if let Some(stream) = self.streams.now(name).await? {
            self.incarnations.note(name, stream.uid()).await;
        }
        Ok(())
    }

    fn is_in_storage(&self, tag: &Tag) -> bool {
        folded::is_folded(tag.as_str())
    }

    async fn delete_tag(&self, caller: &Caller, name: &RepositoryName, tag: &Tag) -> Result<bool, Refusal> {
        const DOING: &str = "deleting the tag";
        let (namespace, stream) = name.pair().ok_or_else(|| refuse::not_two_parts(name.as_str()))?;
        let mut attempt = 1;
        loop {
            // The caller's right was reviewed; pruners have no right on tags of their own, so the registry acts for them.
            let deleted = self
                .streams
                .client()
                .own()
                .delete_image_stream_tag(namespace, stream, tag.as_str())
                .await;
            self.streams.forget(name);
            match deleted {
                Ok(()) => return Ok(true),
                Err(error) if error.is_not_found() && folded::is_folded(tag.as_str()) => {
                    return self.stored.delete_tag(caller, name, tag).await;
                }
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) if error.is_conflict() && attempt < DELETE_ATTEMPTS => attempt += 1,
                Err(error) => return Err(refuse::failed(DOING, &error)),
            }
        }
    }

    async fn delete_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Refusal> {
        let Some(stream) = self.streams.now(name).await? else {
            return Ok(false);
        };
        let layers = self.streams.layers(name).await?;
        if layers.is_some_and(|layers| layers.lists(digest)) {
            return Err(Refusal::of(
                ErrorCode::Unsupported,
                format!(
                    "an index of the image stream {name} lists {digest} and could not be pulled without it; delete the \
                     index first"
                ),
            ));
        }
        if !stream.remembers(digest) {
            // The Image object stays: other streams may have it, and pruning is what deletes Images.
            return Ok(false);
        }
        let anonymous = Identity::anonymous();
        let who = Identity::of(caller).unwrap_or(&anonymous);
        let removed = removal::remove(self.streams.client(), who, name, digest).await;
        self.streams.forget(name);
        removed
    }
}
