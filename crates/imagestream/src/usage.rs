//! What a LimitRange of type `openshift.io/ImageStream` counts in a stream.

use std::collections::BTreeSet;

use berth_api::{ImageStream, ObjectReference};

use crate::PullSpec;

/// The distinct things that a stream refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Distinct sources of wanted tags: `openshift.io/image-tags`.
    pub tags: BTreeSet<String>,
    /// Distinct images in all histories: `openshift.io/images`.
    pub images: BTreeSet<String>,
}

impl Usage {
    /// Counts a stream.
    #[must_use]
    pub fn of(stream: &ImageStream) -> Self {
        let tags = stream
            .spec
            .tags
            .values()
            .filter_map(|tag| tag.from.as_ref())
            .map(|from| source(stream, from));
        let images = stream
            .status
            .tags
            .values()
            .flat_map(|list| &list.items)
            .map(|event| &event.image);
        Self {
            tags: tags.collect(),
            images: images.filter(|image| !image.is_empty()).cloned().collect(),
        }
    }

    /// Whether a write from `old` to `self` has to respect the limits: it refers to something new. What already exceeds a
    /// limit may stay and shrink.
    #[must_use]
    pub fn grows_from(&self, old: &Self) -> bool {
        !self.tags.is_subset(&old.tags) || !self.images.is_subset(&old.images)
    }
}

/// A source in a spelling in which equal sources are equal.
fn source(stream: &ImageStream, from: &ObjectReference) -> String {
    let namespace = if from.namespace.is_empty() {
        &stream.metadata.namespace
    } else {
        &from.namespace
    };
    let own = &stream.metadata.name;
    match from.kind.as_str() {
        "DockerImage" => match from.name.parse::<PullSpec>() {
            Ok(spec) => format!("docker/{}", spec.with_client_defaults()),
            Err(_) => format!("docker/{}", from.name),
        },
        "ImageStreamTag" if !from.name.contains(':') => format!("tag/{namespace}/{own}:{}", from.name),
        "ImageStreamTag" => format!("tag/{namespace}/{}", from.name),
        "ImageStreamImage" if !from.name.contains('@') => format!("image/{namespace}/{own}@{}", from.name),
        _ => format!("image/{namespace}/{}", from.name),
    }
}

#[cfg(test)]
mod tests {
    use berth_api::{NamedTagEventList, TagEvent, TagReference};

    use super::*;

    fn stream(sources: &[(&str, &str, &str)], images: &[&str]) -> ImageStream {
        let mut stream = ImageStream::default();
        stream.metadata.name = "app".into();
        stream.metadata.namespace = "ns".into();
        for (index, &(kind, namespace, name)) in sources.iter().enumerate() {
            let from = ObjectReference {
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
                ..ObjectReference::default()
            };
            let tag = TagReference {
                name: index.to_string(),
                from: Some(from),
                ..TagReference::default()
            };
            stream.spec.tags.insert(tag.name.clone(), tag);
        }
        let items = images
            .iter()
            .map(|&image| TagEvent {
                image: image.into(),
                ..TagEvent::default()
            })
            .collect();
        stream.status.tags.insert(
            "t".into(),
            NamedTagEventList {
                tag: "t".into(),
                items,
                ..NamedTagEventList::default()
            },
        );
        stream
    }

    #[test]
    fn equal_things_count_once() {
        let usage = Usage::of(&stream(
            &[
                ("DockerImage", "", "ruby"),
                ("DockerImage", "", "docker.io/library/ruby:latest"),
                ("DockerImage", "", "ruby:2"),
                ("ImageStreamTag", "", "v1"),
                ("ImageStreamTag", "ns", "app:v1"),
                ("ImageStreamTag", "other", "app:v1"),
                ("ImageStreamImage", "", "sha256:a"),
                ("ImageStreamImage", "", "app@sha256:a"),
            ],
            &["A", "B", "A", ""],
        ));
        assert_eq!((usage.tags.len(), usage.images.len()), (5, 2));
    }

    #[test]
    fn only_what_is_new_is_checked() {
        let usage = |tags: &[&str], images: &[&str]| {
            let tags: Vec<_> = tags.iter().map(|&tag| ("DockerImage", "", tag)).collect();
            Usage::of(&stream(&tags, images))
        };
        for (name, old, new, want) in [
            ("same", usage(&["a"], &["A"]), usage(&["a"], &["A"]), false),
            ("fewer", usage(&["a", "b"], &["A"]), usage(&["b"], &[]), false),
            ("more", usage(&["a"], &[]), usage(&["a", "b"], &[]), true),
            ("replaced", usage(&["a"], &["A"]), usage(&["a"], &["B"]), true),
        ] {
            assert_eq!(new.grows_from(&old), want, "{name}");
        }
    }
}
