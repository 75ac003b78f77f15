//! Pushing a manifest.

use berth_blobs::Step;
use berth_oci::{Algorithm, Digest, Kind, Manifest, Reference, RepositoryName, Tag};
use bytes::Bytes;

use super::{Error, Manifests, parse};
use crate::incoming::{Incoming, RequestBody};
use crate::mismatch::Mismatch;
use crate::store::Store;
use crate::{Caller, Pushed, layout, limits};

/// A push, as the request has it.
pub(crate) struct Push<'a> {
    pub(crate) name: &'a RepositoryName,
    /// Tag or digest, from the path.
    pub(crate) reference: &'a str,
    /// Further tags, from the query.
    pub(crate) tags: Vec<String>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) content_length: Option<u64>,
}

/// What became of a push.
pub(crate) struct Accepted {
    pub(crate) digest: Digest,
    /// The tags of the query, which are now set.
    pub(crate) tags: Vec<Tag>,
    pub(crate) subject: Option<Digest>,
}

impl Manifests {
    /// Takes a manifest, verifies it, and makes it part of its repository. When this returns, all of it is durable.
    ///
    /// The order keeps a push from being seen before it is whole: bytes, then the integration's record, then the links
    /// in storage, and a tag kept in storage last.
    ///
    /// Spec: OCI distribution, "Pushing Manifests" (end-7).
    pub(crate) async fn put(
        &self,
        caller: &Caller,
        push: Push<'_>,
        body: RequestBody,
    ) -> Result<Accepted, Error> {
        let reference = parse(push.reference)?;
        let parameters = tag_parameters(&push.tags)?;
        let bytes = self.read(push.content_length, body).await?;
        let algorithm = reference.digest().map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = algorithm.digest(&bytes);
        if let Reference::Digest(want) = &reference
            && *want != digest
        {
            return Err(Error::DigestMismatch(Box::new(Mismatch {
                want: *want,
                got: digest,
            })));
        }
        let manifest = Manifest::parse(bytes.clone(), push.content_type)?;
        let missing = self.verify(caller, push.name, &manifest).await?;

        let mut tags: Vec<Tag> = reference.tag().cloned().into_iter().collect();
        for tag in &parameters {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let driver = self.store.driver();
        driver
            .commit(vec![Step::Ensure {
                path: layout::data(&digest),
                bytes: bytes.clone(),
            }])
            .await?;
        let subject = manifest.subject().map(|subject| subject.digest);
        let config = self.config(&manifest).await?;
        let media_type = manifest.media_type().to_owned();
        let pushed = Pushed {
            digest,
            media_type,
            bytes,
            manifest,
            config,
            tags,
            missing,
        };
        self.repositories
            .record_manifest(caller, push.name, &pushed)
            .await?;

        let mut links = vec![Store::manifest_step(push.name, &digest)];
        links.extend(self.referrers.step(push.name, &pushed.manifest, &digest));
        let (own, copies): (Vec<&Tag>, Vec<&Tag>) = pushed
            .tags
            .iter()
            .partition(|tag| self.repositories.is_in_storage(tag));
        links.extend(
            copies
                .into_iter()
                .flat_map(|tag| Store::tag_copy_steps(push.name, tag, &digest)),
        );
        let _turn = self.tag_turns.turn(push.name).await;
        driver.commit(links).await?;
        if !own.is_empty() {
            // A tag is what everybody sees, so it must not survive a power failure that the links do not.
            let own = own
                .into_iter()
                .flat_map(|tag| Store::tag_steps(push.name, tag, &digest));
            driver.commit(own.collect()).await?;
        }
        Ok(Accepted {
            digest,
            tags: parameters,
            subject,
        })
    }

    /// The body of the request, unless it is too large.
    async fn read(&self, length: Option<u64>, body: RequestBody) -> Result<Bytes, Error> {
        let too_large = Error::TooLarge {
            limit: limits::MANIFEST_LIMIT,
        };
        if length.is_some_and(|length| length > limits::MANIFEST_LIMIT as u64) {
            return Err(too_large);
        }
        let (bytes, _) = Incoming::new(body, self.window)
            .prefix(limits::MANIFEST_LIMIT)
            .await?;
        if bytes.len() > limits::MANIFEST_LIMIT {
            Err(too_large)
        } else {
            Ok(bytes)
        }
    }

    /// The bytes of the config of an image manifest, if the integration wants to have them.
    async fn config(&self, manifest: &Manifest) -> Result<Option<Bytes>, Error> {
        let wanted = self.repositories.wants_config()
            && matches!(manifest.kind(), Kind::OciManifest | Kind::DockerManifest);
        match manifest.config() {
            Some(config) if wanted => Ok(self.store.small(&config.digest, limits::CONFIG_LIMIT).await?),
            Some(_) | None => Ok(None),
        }
    }
}

/// The `tag` parameters, each once.
fn tag_parameters(texts: &[String]) -> Result<Vec<Tag>, Error> {
    if texts.len() > limits::TAG_PARAMETERS {
        return Err(Error::TooManyTags {
            limit: limits::TAG_PARAMETERS,
        });
    }
    let mut tags = Vec::with_capacity(texts.len());
    for text in texts {
        let shown = || text.chars().take(160).collect();
        let tag: Tag = text.parse().map_err(|source| Error::TagMalformed {
            text: shown(),
            source,
        })?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_name_each_tag_once() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let tags = tag_parameters(&texts(&["a", "b", "a"])).unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert!(matches!(
            tag_parameters(&texts(&["a", "-b"])),
            Err(Error::TagMalformed { .. })
        ));
        assert!(matches!(
            tag_parameters(&texts(&["a:b"])),
            Err(Error::TagMalformed { .. })
        ));
        let many = vec!["a".to_owned(); limits::TAG_PARAMETERS + 1];
        assert!(matches!(tag_parameters(&many), Err(Error::TooManyTags { .. })));
    }
}
