//! Tags and images as seen through a stream.

use std::collections::BTreeSet;

use berth_api::{
    Image, ImageStream, ImageStreamImage, ImageStreamTag, ImageTag, ObjectMeta, ReferencePolicyType, TagEvent,
};

use crate::history;

/// The pull spec that consumers of `tag` get for `event`: where the image came from, or this stream on the integrated registry
/// if the tag says `referencePolicy: Local` and there is a registry and an image.
#[must_use]
pub fn reference(stream: &ImageStream, tag: &str, event: &TagEvent) -> String {
    let local = stream
        .spec
        .tags
        .get(tag)
        .is_some_and(|tag| tag.reference_policy.policy_type == ReferencePolicyType::Local.as_str());
    let repository = &stream.status.docker_image_repository;
    if local && !repository.is_empty() && !event.image.is_empty() {
        format!("{repository}@{}", event.image)
    } else {
        event.docker_image_reference.clone()
    }
}

/// Every tag that is wanted or has a history, sorted.
#[must_use]
pub fn tags(stream: &ImageStream) -> BTreeSet<&str> {
    stream
        .spec
        .tags
        .keys()
        .chain(stream.status.tags.keys())
        .map(String::as_str)
        .collect()
}

/// The newest event of `tag` that names an image.
#[must_use]
pub fn tagged_image<'a>(stream: &'a ImageStream, tag: &str) -> Option<&'a TagEvent> {
    history::latest(stream, tag).filter(|event| !event.image.is_empty())
}

/// `<stream>:<tag>` as an ImageStreamTag; `image` is the Image that its newest event names, if the caller looked it up.
///
/// A tag without an event still makes an object (a write answers with it); whoever serves a read checks [`tagged_image`] first.
#[must_use]
pub fn image_stream_tag(stream: &ImageStream, tag: &str, image: Option<Image>) -> ImageStreamTag {
    let nothing = TagEvent {
        created: stream.metadata.creation_timestamp,
        ..TagEvent::default()
    };
    let event = tagged_image(stream, tag).unwrap_or(&nothing);
    let wanted = stream.spec.tags.get(tag);
    let mut image = match image {
        Some(image) => {
            let mut image = without_documents(image);
            image
                .metadata
                .annotations
                .extend(wanted.into_iter().flat_map(|wanted| wanted.annotations.clone()));
            image
        }
        None => Image {
            metadata: ObjectMeta {
                name: event.image.clone(),
                ..ObjectMeta::default()
            },
            ..Image::default()
        },
    };
    image.docker_image_reference = reference(stream, tag, event);
    ImageStreamTag {
        metadata: ObjectMeta {
            name: format!("{}:{tag}", stream.metadata.name),
            namespace: stream.metadata.namespace.clone(),
            uid: stream.metadata.uid.clone(),
            resource_version: stream.metadata.resource_version.clone(),
            creation_timestamp: event.created,
            labels: stream.metadata.labels.clone(),
            annotations: wanted
                .map(|wanted| wanted.annotations.clone())
                .unwrap_or_default(),
            ..ObjectMeta::default()
        },
        tag: wanted.cloned(),
        generation: event.generation,
        lookup_policy: stream.spec.lookup_policy,
        conditions: stream
            .status
            .tags
            .get(tag)
            .map(|list| list.conditions.clone())
            .unwrap_or_default(),
        image,
        ..ImageStreamTag::default()
    }
}

/// `<stream>:<tag>` as an ImageTag.
#[must_use]
pub fn image_tag(stream: &ImageStream, tag: &str, image: Option<Image>) -> ImageTag {
    let status = stream.status.tags.get(tag).cloned();
    let image = image.map(|image| {
        let mut image = without_documents(image);
        if let Some(event) = status.as_ref().and_then(|list| list.items.first()) {
            image.docker_image_reference = reference(stream, tag, event);
        }
        image
    });
    ImageTag {
        metadata: ObjectMeta {
            name: format!("{}:{tag}", stream.metadata.name),
            managed_fields: Vec::new(),
            ..stream.metadata.clone()
        },
        spec: stream.spec.tags.get(tag).cloned(),
        status,
        image,
        ..ImageTag::default()
    }
}

/// `<stream>@<id>` as an ImageStreamImage, under the id that was asked for.
#[must_use]
pub fn image_stream_image(stream: &ImageStream, id: &str, image: Image) -> ImageStreamImage {
    ImageStreamImage {
        metadata: ObjectMeta {
            name: format!("{}@{id}", stream.metadata.name),
            namespace: stream.metadata.namespace.clone(),
            creation_timestamp: image.metadata.creation_timestamp,
            annotations: stream.metadata.annotations.clone(),
            ..ObjectMeta::default()
        },
        image: without_documents(image),
        ..ImageStreamImage::default()
    }
}

/// An image as it is embedded: without kind, raw manifest and raw configuration.
fn without_documents(mut image: Image) -> Image {
    image.kind.clear();
    image.api_version.clear();
    image.docker_image_manifest.clear();
    image.docker_image_config.clear();
    image.metadata.managed_fields.clear();
    image
}

#[cfg(test)]
mod tests {
    use berth_api::{TagReference, Time};

    use super::*;

    const IMAGE: &str = "sha256:aa";

    fn stream(policy: ReferencePolicyType, repository: &str, image: &str) -> ImageStream {
        let mut stream = ImageStream::default();
        stream.metadata.name = "app".into();
        stream.metadata.namespace = "ns".into();
        stream.metadata.uid = "stream".into();
        stream.metadata.resource_version = "7".into();
        stream.metadata.annotations.insert("of".into(), "stream".into());
        stream.status.docker_image_repository = repository.into();
        let mut wanted = TagReference {
            name: "v1".into(),
            ..TagReference::default()
        };
        policy
            .as_str()
            .clone_into(&mut wanted.reference_policy.policy_type);
        wanted.annotations.insert("of".into(), "tag".into());
        stream.spec.tags.insert("v1".into(), wanted);
        let event = TagEvent {
            created: Time::parse("2026-01-01T00:00:00Z").ok(),
            docker_image_reference: "quay.io/a/b@sha256:aa".into(),
            image: image.into(),
            generation: 3,
        };
        history::record(&mut stream, "v1", event);
        stream
    }

    #[test]
    fn references_follow_the_policy() {
        use ReferencePolicyType::{Local, Source};
        for (policy, repository, image, want) in [
            (Source, "registry/ns/app", IMAGE, "quay.io/a/b@sha256:aa"),
            (Local, "registry/ns/app", IMAGE, "registry/ns/app@sha256:aa"),
            (Local, "", IMAGE, "quay.io/a/b@sha256:aa"),
            (Local, "registry/ns/app", "", "quay.io/a/b@sha256:aa"),
        ] {
            let stream = stream(policy, repository, image);
            let event = history::latest(&stream, "v1").unwrap();
            assert_eq!(
                reference(&stream, "v1", event),
                want,
                "{policy:?} {repository} {image}"
            );
        }
    }

    #[test]
    fn a_tag_shows_its_own_annotations_and_the_stream_s_identity() {
        let stream = stream(ReferencePolicyType::Source, "", IMAGE);
        let mut image = Image {
            docker_image_manifest: "{}".into(),
            docker_image_config: "{}".into(),
            ..Image::default()
        };
        image.metadata.uid = "image".into();
        image.metadata.annotations.insert("i".into(), "mage".into());
        let tag = image_stream_tag(&stream, "v1", Some(image));
        assert_eq!(tag.metadata.name, "app:v1");
        assert_eq!(
            (tag.metadata.uid.as_str(), tag.metadata.resource_version.as_str()),
            ("stream", "7")
        );
        assert_eq!(tag.metadata.annotations["of"], "tag");
        assert_eq!(
            tag.image.metadata.annotations.keys().collect::<Vec<_>>(),
            ["i", "of"]
        );
        assert!(tag.image.docker_image_manifest.is_empty() && tag.image.docker_image_config.is_empty());
        assert_eq!(tag.generation, 3);
    }

    #[test]
    fn a_tag_without_image_is_still_an_object() {
        let stream = stream(ReferencePolicyType::Source, "", "");
        assert!(tagged_image(&stream, "v1").is_none());
        let tag = image_stream_tag(&stream, "v1", None);
        assert_eq!(
            (tag.generation, tag.image.docker_image_reference.as_str()),
            (0, "")
        );
    }

    #[test]
    fn an_image_tag_shows_the_history_and_the_stream_s_metadata() {
        let stream = stream(ReferencePolicyType::Source, "", IMAGE);
        let tag = image_tag(&stream, "v1", None);
        assert_eq!(
            (
                tag.metadata.name.as_str(),
                tag.metadata.annotations["of"].as_str()
            ),
            ("app:v1", "stream")
        );
        assert_eq!(tag.status.unwrap().items.len(), 1);
        assert!(tag.spec.is_some() && tag.image.is_none());
        assert!(image_tag(&stream, "none", None).spec.is_none());
    }
}
