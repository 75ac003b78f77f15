//! Deleting manifests and tags.

use berth_oci::{Digest, Manifest, Reference, RepositoryName, Tag};

use super::{Error, Manifests, parse};
use crate::{Caller, layout, limits};

impl Manifests {
    /// Deletes a tag, or a manifest with every tag that points to it.
    ///
    /// Spec: OCI distribution, "Deleting Tags" and "Deleting Manifests" (end-9).
    pub(crate) async fn delete(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &str,
    ) -> Result<(), Error> {
        let reference = parse(reference)?;
        let deleted = match &reference {
            Reference::Tag(tag) => self.delete_tag(caller, name, tag).await?,
            Reference::Digest(digest) => self.delete_manifest(caller, name, digest).await?,
        };
        if deleted {
            Ok(())
        } else {
            Err(Error::Unknown {
                name: name.clone(),
                reference,
            })
        }
    }

    async fn delete_tag(&self, caller: &Caller, name: &RepositoryName, tag: &Tag) -> Result<bool, Error> {
        let recorded = self.repositories.delete_tag(caller, name, tag).await?;
        let _turn = self.tag_turns.turn(name).await;
        let linked = self.store.delete_tag(name, tag).await?;
        Ok(recorded || linked)
    }

    /// The link of the manifest is what makes it part of the repository, so its removal is the moment of the deletion; a
    /// tag that a crash leaves behind points to nothing, and deleting once more removes it.
    async fn delete_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let recorded = self.repositories.delete_manifest(caller, name, digest).await?;
        let manifest = self.store.manifest(digest).await?;
        let linked = self.store.unlink_manifest(name, digest).await?;
        if let Some(stored) = manifest
            && let Ok(manifest) = Manifest::parse(stored.bytes, Some(&stored.media_type))
            && let Some(subject) = manifest.subject()
        {
            self.referrers.remove(name, &subject.digest, digest).await?;
        }
        let untagged = self.delete_tags_of(name, digest).await?;
        Ok(recorded || linked || untagged)
    }

    /// Deletes the tags kept in storage that point to a manifest; whether there were any.
    async fn delete_tags_of(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
        let directory = layout::tags(name);
        let mut after: Option<String> = None;
        let mut any = false;
        loop {
            let listing = self
                .store
                .driver()
                .list(&directory, after.as_deref(), limits::PAGE_LIMIT)
                .await?;
            for entry in &listing.entries {
                let Ok(tag) = entry.name.parse::<Tag>() else {
                    continue;
                };
                // A push that moves the tag meanwhile must find it either before or after, never in between.
                let _turn = self.tag_turns.turn(name).await;
                if self.store.tag(name, &tag).await? == Some(*digest) {
                    any |= self.store.delete_tag(name, &tag).await?;
                }
            }
            match listing.entries.into_iter().next_back() {
                Some(last) if listing.more => after = Some(last.name),
                Some(_) | None => return Ok(any),
            }
        }
    }
}
