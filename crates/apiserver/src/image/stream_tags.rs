//! `imagestreamtags`: the image that a tag points to now, under `<stream>:<tag>`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use berth_api::{GROUP, ImageStream, ImageStreamTag, ImportMode, Kind as _};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    field::{FieldError, FieldErrors},
    object::Object,
    options::{DeleteOptions, ListOptions},
    resource::{GroupKind, GroupResource},
    rest::{Deleted, List, Rest, Transform, Updated, Verbs},
    status::Status,
};
use berth_imagestream::{name, spec, view};

use super::{
    field,
    images::{self, Images},
    streams::Streams,
    tag_views::{self, TagViews},
};

type Views = TagViews<ImageStreamTag>;

/// Reads and writes tags of streams.
pub(super) struct StreamTags {
    views: Views,
}

impl StreamTags {
    /// Over streams and images.
    pub(super) fn new(streams: Streams, images: Images) -> Self {
        Self {
            views: Views::new(streams, images),
        }
    }

    /// The answer to a write: the tag as it is now, image or not.
    fn answer(&self, stream: &ImageStream, tag: &str) -> Result<Arc<Entry>, Status> {
        images::entry(view::image_stream_tag(stream, tag, self.views.image(stream, tag)))
    }
}

fn invalid(name: &str, errors: &FieldErrors) -> Status {
    let kind = GroupKind {
        group: GROUP.to_owned(),
        kind: ImageStreamTag::KIND.to_owned(),
    };
    Status::invalid(&kind, name, errors)
}

/// Splits the name of a tag that is to be written; faults are field errors here.
pub(super) fn split_new<'a>(full_name: &'a str, errors: &mut FieldErrors) -> Option<(&'a str, &'a str)> {
    let Some((stream, tag)) = name::split_tag(full_name) else {
        let detail = "must be of the form <stream_name>:<tag>";
        errors.push(FieldError::invalid("metadata.name", full_name, detail));
        return None;
    };
    errors.extend(field::tag_name("metadata.name", tag));
    Some((stream, tag))
}

/// Brings the two places where a tag's annotations may be sent together, for a creation.
fn settle_annotations(sent: &mut ImageStreamTag, errors: &mut FieldErrors) {
    let Some(tag) = &mut sent.tag else { return };
    if tag.annotations.is_empty() {
        tag.annotations.clone_from(&sent.metadata.annotations);
    } else if !sent.metadata.annotations.is_empty() && tag.annotations != sent.metadata.annotations {
        let detail = "tag annotations must not be provided or must be equal to the object meta annotations";
        errors.push(FieldError::invalid("tag.annotations", "<map>", detail));
    }
}

#[async_trait]
impl Rest for StreamTags {
    fn verbs(&self) -> Verbs {
        tag_views::VERBS
    }

    async fn get(&self, cx: &Context, full_name: &str) -> Result<Arc<Entry>, Status> {
        let (stream, tag) = Views::split(full_name)?;
        let stream = self.views.stream(cx, stream)?;
        let missing = |name: &str| Status::not_found(&Views::resource(), name);
        let event = view::tagged_image(&stream, tag).ok_or_else(|| missing(full_name))?;
        let image = self
            .views
            .image(&stream, tag)
            .ok_or_else(|| missing(&event.image))?;
        images::entry(view::image_stream_tag(&stream, tag, Some(image)))
    }

    async fn list(&self, cx: &Context, options: &ListOptions) -> Result<List, Status> {
        let make = |stream: &ImageStream, tag: &str| {
            view::tagged_image(stream, tag).map(|_| view::image_stream_tag(stream, tag, None))
        };
        self.views.list(cx, options, make).await
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let mut sent: ImageStreamTag = object.into_typed()?;
        let full_name = sent.metadata.name.clone();
        let mut errors = FieldErrors::new();
        let parts = split_new(&full_name, &mut errors);
        settle_annotations(&mut sent, &mut errors);
        if let (Some(wanted), Some((_, tag))) = (&mut sent.tag, parts) {
            tag.clone_into(&mut wanted.name);
            spec::default_tag(wanted, ImportMode::Legacy);
            errors.extend(field::tag("tag", wanted));
        }
        let Some((name, tag)) = parts.filter(|_| errors.is_empty()) else {
            return Err(invalid(&full_name, &errors));
        };
        let change = |stream: &mut ImageStream, _exists: bool| {
            if stream.spec.tags.contains_key(tag) {
                // In the singular: the word that OpenShift's answer has.
                return Err(Status::already_exists(
                    &GroupResource::new(GROUP, "imagestreamtag"),
                    &full_name,
                ));
            }
            if let Some(wanted) = &sent.tag {
                stream.spec.tags.insert(tag.to_owned(), wanted.clone());
            }
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
            let image = self.views.image(stream, tag);
            let old = view::image_stream_tag(stream, tag, image);
            let wanted = transform(Some(&Object::from_typed(&old.clone().typed())?))?;
            let mut wanted: ImageStreamTag = wanted.into_typed()?;
            check_version(&Views::resource(), full_name, stream, exists, &wanted.metadata)?;

            let mut errors = FieldErrors::new();
            if !exists {
                split_new(full_name, &mut errors);
            }
            let labels = &wanted.metadata.labels;
            if !labels.is_empty() && *labels != old.metadata.labels {
                let detail = "may not update fields other than metadata.annotations";
                errors.push(FieldError::invalid("metadata", "", detail));
            }
            if let Some(wanted) = &mut wanted.tag {
                tag.clone_into(&mut wanted.name);
                spec::default_tag(wanted, ImportMode::Legacy);
                errors.extend(field::tag("tag", wanted));
            }
            if !errors.is_empty() {
                return Err(invalid(full_name, &errors));
            }
            let before = stream.spec.tags.get(tag);
            existed.store(before.is_some(), Ordering::Relaxed);
            let Some(mut new) = wanted.tag.or_else(|| before.cloned()) else {
                return Err(Status::bad_request(format!(
                    "imagestreamtag {tag} is not a spec tag in imagestream {}/{name}, cannot be updated",
                    stream.metadata.namespace
                )));
            };
            // Of the two places that show a tag's annotations, the object's own is the one that clients edit.
            new.annotations = wanted.metadata.annotations;
            stream.spec.tags.insert(tag.to_owned(), new);
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

/// Checks the version and uid that a client sent with a tag against its stream's. Without a version the write is unconditional.
///
/// # Errors
/// 404 if there is no stream to have the version, 409 if it has another.
pub(super) fn check_version(
    resource: &GroupResource,
    full_name: &str,
    stream: &ImageStream,
    exists: bool,
    sent: &berth_api::ObjectMeta,
) -> Result<(), Status> {
    let current = &stream.metadata;
    if !sent.resource_version.is_empty() {
        if !exists {
            return Err(Status::not_found(resource, full_name));
        }
        if sent.resource_version != current.resource_version {
            let cause = format!(
                "another caller has updated the resource version to {}",
                current.resource_version
            );
            return Err(Status::conflict(resource, full_name, cause));
        }
    }
    if exists && !sent.uid.is_empty() && sent.uid != current.uid {
        let cause = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            sent.uid, current.uid
        );
        return Err(Status::conflict(resource, full_name, cause));
    }
    Ok(())
}
