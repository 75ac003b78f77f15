//! `imagestreammappings`: a tag of a stream now points to this image. It is what the registry posts when it accepts a push by tag.

use std::sync::Arc;

use async_trait::async_trait;
use berth_api::{GROUP, Image, ImageStream, ImageStreamMapping, Kind as _, TagEvent, Time, annotation};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    field::{FieldError, FieldErrors},
    names,
    object::Object,
    resource::{GroupKind, GroupResource},
    rest::{Rest, Verbs},
    status::Status,
};
use berth_imagestream::{PullSpec, image};
use serde_json::json;

use super::{
    field,
    images::{self, Images},
    nested, push,
    streams::{self, Streams},
};

/// Creates mappings, which are not stored themselves.
pub(super) struct Mappings {
    streams: Streams,
    images: Images,
}

impl Mappings {
    /// Over streams and images.
    pub(super) fn new(streams: Streams, images: Images) -> Self {
        Self { streams, images }
    }

    fn not_found(stream: &str) -> Status {
        // OpenShift names the resource of the request with the name of the stream, and the registry waits for just that.
        Status::not_found(&resource(), stream)
    }

    /// Refuses who cannot be trusted to have seen the image's content; see the table of the [module](super).
    async fn check_possession(&self, cx: &Context, name: &str, image: &Image) -> Result<(), Status> {
        if self.streams.may_create_images(cx).await {
            return Ok(());
        }
        let stream = self
            .streams
            .get(cx.require_namespace()?, name)
            .ok_or_else(|| Self::not_found(name))?;
        let digest = &image.metadata.name;
        let held = stream
            .status
            .tags
            .values()
            .flat_map(|list| &list.items)
            .any(|item| item.image == *digest);
        if held && self.images.storage().get("", digest).is_some() {
            return Ok(());
        }
        Err(streams::not_in_possession(&resource(), &stream, digest))
    }

    /// Enters the event and hands it on to followers, again and again while other writers come first.
    async fn record(&self, cx: &Context, name: &str, tag: &str, event: &TagEvent) -> Result<(), Status> {
        let namespace = cx.require_namespace()?;
        let change = |current: Option<&Object>| {
            let current = current.ok_or_else(|| Self::not_found(name))?;
            let mut object = current.clone();
            if push::record(&mut object, tag, event)? && self.streams.limits().limits_streams(namespace) {
                let (new, old): (ImageStream, ImageStream) = (object.to_typed()?, current.to_typed()?);
                if let Err(exceeded) = self.streams.check_limits(&new, Some(&old)) {
                    let kind = self.streams.storage().resource().group_kind();
                    return Err(Status::invalid(
                        &kind,
                        name,
                        &[FieldError::forbidden("imageStream", exceeded)],
                    ));
                }
            }
            Ok(object)
        };
        let cx = nested(cx, self.streams.storage().resource(), "update", name);
        let _turn = self.streams.lock(namespace, name).await;
        match self.streams.checked_rest().update(&cx, name, &change).await {
            Ok(_) => Ok(()),
            Err(status) if status.is_not_found() => Err(Self::not_found(name)),
            Err(status) => Err(status),
        }
    }

    /// Where the image is reached through the stream, if it is reached anywhere.
    fn local_reference(&self, namespace: &str, name: &str, image: &str) -> Option<String> {
        let repository = match self.streams.internal_host() {
            Some(host) => PullSpec::of_stream(host, namespace, name),
            None => self
                .streams
                .get(namespace, name)?
                .spec
                .docker_image_repository
                .parse()
                .ok()?,
        };
        Some(repository.at(image).to_string())
    }
}

fn resource() -> GroupResource {
    GroupResource::new(GROUP, ImageStreamMapping::PLURAL)
}

fn validate(mapping: &ImageStreamMapping) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (path, name) in [
        ("metadata.name", &mapping.metadata.name),
        ("image.metadata.name", &mapping.image.metadata.name),
    ] {
        if name.is_empty() {
            errors.push(FieldError::required(path, "name or generateName is required"));
        } else if let Err(detail) = names::path_segment(name) {
            errors.push(FieldError::invalid(path, name.clone(), detail));
        }
    }
    errors.extend(field::tag_name("tag", &mapping.tag));
    errors.extend(images::validate_new("image.", &mapping.image));
    errors
}

#[async_trait]
impl Rest for Mappings {
    fn verbs(&self) -> Verbs {
        Verbs::CREATE
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let namespace = cx.require_namespace()?;
        let mut mapping: ImageStreamMapping = object.into_typed()?;
        let name = mapping.metadata.name.clone();
        mapping.image.signatures.clear();
        if mapping.image.docker_image_reference.is_empty()
            && let Some(host) = self.streams.internal_host()
        {
            let repository = PullSpec::of_stream(host, namespace, &name);
            mapping.image.docker_image_reference = repository.at(&mapping.image.metadata.name).to_string();
        }
        let errors = validate(&mapping);
        if !errors.is_empty() {
            let kind = GroupKind {
                group: GROUP.to_owned(),
                kind: ImageStreamMapping::KIND.to_owned(),
            };
            return Err(Status::invalid(&kind, &name, &errors));
        }
        if self.streams.storage().get(namespace, &name).is_none() {
            return Err(Self::not_found(&name));
        }

        let mut image = mapping.image;
        let is_whole = !image.docker_image_manifest.is_empty();
        self.images.prepare(&mut image, cx.now);
        let size = image::limited_size(&image, |name| self.images.get(name));
        if let Err(exceeded) = self.streams.limits().check_image(namespace, size) {
            return Err(Status::forbidden(&resource(), &name, exceeded));
        }
        self.check_possession(cx, &name, &image).await?;

        let managed = image.metadata.is_annotated(annotation::MANAGED);
        let mut event = TagEvent {
            created: Some(Time::new(cx.now)),
            docker_image_reference: image.docker_image_reference.clone(),
            image: image.metadata.name.clone(),
            generation: 0,
        };
        // Who posts the manifest has all of it; whoever is not trusted with that only repeats what the stream has.
        if is_whole && self.images.names_less(&image) && self.streams.may_create_images(cx).await {
            self.images.complete(cx, &image).await?;
        }
        let existed = self.images.add(cx, image).await?;
        // The same content was pushed elsewhere before; this stream points to itself all the same.
        if existed
            && managed
            && let Some(reference) = self.local_reference(namespace, &name, &event.image)
        {
            event.docker_image_reference = reference;
        }
        self.record(cx, &name, &mapping.tag, &event).await?;
        success(201)
    }
}

/// A Status that says that it worked; `code` is filled in for creations.
fn success(code: u16) -> Result<Arc<Entry>, Status> {
    let value =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code});
    let object = Object::from_value(value).ok_or_else(|| Status::internal("a status is an object"))?;
    Ok(object.into())
}
