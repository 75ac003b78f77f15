//! `imagetags`: everything that is known about a tag, under `<stream>:<tag>`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use berth_api::{GROUP, ImageStream, ImageTag, ImportMode, Kind as _, ObjectMeta};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    field::{FieldError, FieldErrors},
    object::Object,
    options::{DeleteOptions, ListOptions},
    resource::GroupKind,
    rest::{Deleted, List, Rest, Transform, Updated, Verbs},
    status::Status,
};
use berth_imagestream::{spec, view};

use super::{
    field,
    images::{self, Images},
    stream_tags::{check_version, split_new},
    streams::Streams,
    tag_views::{self, TagViews},
};

type Views = TagViews<ImageTag>;

/// Reads and writes tags of streams.
pub(super) struct ImageTags {
    views: Views,
}

impl ImageTags {
    /// Over streams and images.
    pub(super) fn new(streams: Streams, images: Images) -> Self {
        Self {
            views: Views::new(streams, images),
        }
    }

    /// The answer to a write: the tag as it is now, image or not.
    fn answer(&self, stream: &ImageStream, tag: &str) -> Result<Arc<Entry>, Status> {
        images::entry(view::image_tag(stream, tag, self.views.image(stream, tag)))
    }
}

fn invalid(name: &str, errors: &FieldErrors) -> Status {
    let kind = GroupKind {
        group: GROUP.to_owned(),
        kind: ImageTag::KIND.to_owned(),
    };
    Status::invalid(&kind, name, errors)
}

/// Errors of the wanted tag that a client sent, after defaulting it.
fn check_spec(sent: &mut ImageTag, tag: &str) -> FieldErrors {
    let Some(wanted) = &mut sent.spec else {
        return FieldErrors::new();
    };
    spec::default_tag(wanted, ImportMode::Legacy);
    let mut errors = FieldErrors::new();
    if wanted.name != tag {
        errors.push(FieldError::invalid(
            "spec.name",
            wanted.name.clone(),
            "must match image tag name",
        ));
    }
    errors.extend(field::tag("spec", wanted));
    errors
}

/// Whether the client sent back the metadata that it was shown; what it left out counts as unchanged.
fn same_metadata(sent: &ObjectMeta, shown: &ObjectMeta) -> bool {
    let same = |sent: &std::collections::BTreeMap<String, String>, shown| sent.is_empty() || sent == shown;
    same(&sent.labels, &shown.labels)
        && same(&sent.annotations, &shown.annotations)
        && (sent.creation_timestamp.is_none() || sent.creation_timestamp == shown.creation_timestamp)
        && (sent.generation == 0 || sent.generation == shown.generation)
}

#[async_trait]
impl Rest for ImageTags {
    fn verbs(&self) -> Verbs {
        tag_views::VERBS
    }

    async fn get(&self, cx: &Context, full_name: &str) -> Result<Arc<Entry>, Status> {
        let (stream, tag) = Views::split(full_name)?;
        let stream = self.views.stream(cx, stream)?;
        if !view::tags(&stream).contains(tag) {
            return Err(Status::not_found(&Views::resource(), full_name));
        }
        self.answer(&stream, tag)
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        self.views
            .list(cx, options, |stream, tag| {
                Some(view::image_tag(stream, tag, None))
            })
            .await
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let mut sent: ImageTag = object.into_typed()?;
        let full_name = sent.metadata.name.clone();
        let mut errors = FieldErrors::new();
        let parts = split_new(&full_name, &mut errors);
        if sent.spec.is_none() {
            errors.push(FieldError::required(
                "spec",
                "spec is a required field during creation",
            ));
        }
        if let Some((_, tag)) = parts {
            errors.extend(check_spec(&mut sent, tag));
        }
        let Some(((name, tag), wanted)) = parts.zip(sent.spec).filter(|_| errors.is_empty()) else {
            return Err(invalid(&full_name, &errors));
        };
        let change = |stream: &mut ImageStream, _exists: bool| {
            if stream.spec.tags.contains_key(tag) {
                return Err(Status::already_exists(&Views::resource(), &full_name));
            }
            stream.spec.tags.insert(tag.to_owned(), wanted.clone());
            Ok(())
        };
        let stream = self.views.write(cx, name, &change).await?;
        self.answer(&stream, tag)
    }

    async fn update(
        &self,
        cx: &Context,
        full_name: &str,
        transform: Transform<'_>,
    ) -> Result<Updated, Status> {
        let (name, tag) = Views::split(full_name)?;
        let existed = AtomicBool::new(false);
        let change = |stream: &mut ImageStream, exists: bool| {
            let old = view::image_tag(stream, tag, self.views.image(stream, tag));
            let wanted = transform(Some(&Object::from_typed(&old.clone().typed())?))?;
            let mut wanted: ImageTag = wanted.into_typed()?;
            check_version(&Views::resource(), full_name, stream, exists, &wanted.metadata)?;

            let mut errors = FieldErrors::new();
            if !exists {
                split_new(full_name, &mut errors);
            }
            errors.extend(check_spec(&mut wanted, tag));
            let detail = "may not update fields other than spec";
            if exists && !same_metadata(&wanted.metadata, &old.metadata) {
                errors.push(FieldError::invalid("metadata", "", detail));
            }
            if wanted.status.is_some() && wanted.status != old.status {
                errors.push(FieldError::invalid("status", "", detail));
            }
            if !errors.is_empty() {
                return Err(invalid(full_name, &errors));
            }
            // Without a wanted tag the history stays; there is nothing to take away where there is neither.
            let before = match wanted.spec {
                Some(spec) => stream.spec.tags.insert(tag.to_owned(), spec),
                None => {
                    let before = stream.spec.tags.remove(tag);
                    if before.is_none() && old.status.is_none() {
                        return Err(Status::not_found(&Views::resource(), full_name));
                    }
                    existed.store(true, Ordering::Relaxed);
                    return Ok(());
                }
            };
            existed.store(before.is_some(), Ordering::Relaxed);
            Ok(())
        };
        let stream = self.views.write(cx, name, &change).await?;
        Ok(Updated {
            object: self.answer(&stream, tag)?,
            created: !existed.load(Ordering::Relaxed),
        })
    }

    async fn delete(&self, cx: &Context, name: &str, options: &DeleteOptions) -> Result<Deleted, Status> {
        self.views.delete(cx, name, options).await
    }
}
