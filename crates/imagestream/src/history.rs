//! The history of a tag: newest first, and never losing a digest that it once held.

use berth_api::{ImageStream, NamedTagEventList, TagEvent};

/// The event that `tag` points to now.
#[must_use]
pub fn latest<'a>(stream: &'a ImageStream, tag: &str) -> Option<&'a TagEvent> {
    stream.status.tags.get(tag)?.items.first()
}

/// Enters `event` into the history of `tag` and clears the tag's conditions; returns whether anything changed.
///
/// Only the newest event is compared, so that A, B, A makes three events:
///
/// | newest against new | what happens |
/// | --- | --- |
/// | image, reference and generation equal | nothing |
/// | image and reference equal | the generation is brought up to date |
/// | image equal, reference differs | the reference is replaced, `created` stays |
/// | image differs | a new event |
///
/// OpenShift replaces the image in place when only the reference is equal, and so forgets the former digest (and with it the
/// right to pull it). Here a digest that was tagged stays in the history until somebody prunes it. The exception is an event
/// that names no image: it carries no digest that could be lost.
pub fn record(stream: &mut ImageStream, tag: &str, event: TagEvent) -> bool {
    let list = stream
        .status
        .tags
        .entry(tag.to_owned())
        .or_insert_with(|| NamedTagEventList {
            tag: tag.to_owned(),
            ..NamedTagEventList::default()
        });
    match list.items.first_mut() {
        Some(newest) if newest.image == event.image => {
            let same_reference = newest.docker_image_reference == event.docker_image_reference;
            if same_reference && newest.generation == event.generation {
                return false;
            }
            if same_reference || !event.image.is_empty() {
                newest.docker_image_reference = event.docker_image_reference;
                newest.generation = event.generation;
            } else {
                // Without an image the reference is all there is, so a new one is a new event.
                list.items.insert(0, event);
            }
        }
        Some(newest)
            if newest.image.is_empty() && newest.docker_image_reference == event.docker_image_reference =>
        {
            newest.image = event.image;
            newest.generation = event.generation;
        }
        _ => list.items.insert(0, event),
    }
    list.conditions.clear();
    true
}

/// Hands `event`, which has entered the history of `tag`, on to the wanted tags of the same stream that follow `tag`.
/// Returns how many histories changed.
///
/// One hop only, as in OpenShift: who follows a follower moves with the next write of the stream's spec.
pub fn update_followers(stream: &mut ImageStream, tag: &str, event: &TagEvent) -> usize {
    let followers: Vec<String> = stream
        .spec
        .tags
        .iter()
        .filter(|(name, _)| name.as_str() != tag)
        .filter(|(_, wanted)| followed_tag(stream, wanted) == Some(tag))
        .map(|(name, _)| name.clone())
        .collect();
    followers
        .into_iter()
        .filter(|follower| record(stream, follower, event.clone()))
        .count()
}

/// The tag of the same stream that a wanted tag follows.
fn followed_tag<'a>(stream: &ImageStream, wanted: &'a berth_api::TagReference) -> Option<&'a str> {
    let from = wanted.from.as_ref()?;
    if from.kind != "ImageStreamTag"
        || !(from.namespace.is_empty() || from.namespace == stream.metadata.namespace)
    {
        return None;
    }
    match from.name.split_once(':') {
        Some((name, tag)) => (name == stream.metadata.name).then_some(tag),
        None => Some(&from.name),
    }
}

/// Drops the histories that hold neither an event nor a condition.
pub fn drop_empty(stream: &mut ImageStream) {
    stream
        .status
        .tags
        .retain(|_, list| !list.items.is_empty() || !list.conditions.is_empty());
}

#[cfg(test)]
mod tests {
    use berth_api::{ObjectReference, TagEventCondition, TagReference, Time};
    use proptest::prelude::*;

    use super::*;

    fn event(image: &str, reference: &str, generation: i64, second: i64) -> TagEvent {
        TagEvent {
            created: Some(Time::new(jiff::Timestamp::from_second(second).expect("in range"))),
            docker_image_reference: reference.into(),
            image: image.into(),
            generation,
        }
    }

    fn short(stream: &ImageStream, tag: &str) -> String {
        let items = stream
            .status
            .tags
            .get(tag)
            .map(|list| list.items.as_slice())
            .unwrap_or_default();
        let items = items.iter().map(|e| {
            format!(
                "{}={}#{}@{}",
                e.docker_image_reference,
                e.image,
                e.generation,
                e.created.map_or(0, |t| t.timestamp().as_second())
            )
        });
        items.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn insertion() {
        for (name, events, want) in [
            ("first", vec![("A", "r", 1)], "r=A#1@0"),
            ("again", vec![("A", "r", 1), ("A", "r", 1)], "r=A#1@0"),
            ("newer generation", vec![("A", "r", 1), ("A", "r", 2)], "r=A#2@0"),
            ("other place", vec![("A", "r", 1), ("A", "s", 2)], "s=A#2@0"),
            (
                "other image",
                vec![("A", "r", 1), ("B", "s", 1)],
                "s=B#1@1 r=A#1@0",
            ),
            (
                "no digest is lost when only the reference stays",
                vec![("A", "r", 1), ("B", "r", 1)],
                "r=B#1@1 r=A#1@0",
            ),
            (
                "back and forth",
                vec![("A", "r", 1), ("B", "s", 1), ("A", "r", 1)],
                "r=A#1@2 s=B#1@1 r=A#1@0",
            ),
            (
                "an import fulfils a bare reference",
                vec![("", "r", 1), ("A", "r", 2)],
                "r=A#2@0",
            ),
            (
                "another bare reference",
                vec![("", "r", 1), ("", "s", 2)],
                "s=#2@1 r=#1@0",
            ),
            (
                "bare after an image",
                vec![("A", "r", 1), ("", "r", 2)],
                "r=#2@1 r=A#1@0",
            ),
        ] {
            let mut stream = ImageStream::default();
            for (second, (image, reference, generation)) in (0..).zip(events) {
                record(&mut stream, "t", event(image, reference, generation, second));
            }
            assert_eq!(short(&stream, "t"), want, "{name}");
        }
    }

    #[test]
    fn a_change_clears_conditions_and_nothing_else_does() {
        let mut stream = ImageStream::default();
        record(&mut stream, "t", event("A", "r", 1, 0));
        stream
            .status
            .tags
            .get_mut("t")
            .unwrap()
            .conditions
            .push(TagEventCondition::default());
        assert!(!record(&mut stream, "t", event("A", "r", 1, 5)));
        assert_eq!(stream.status.tags["t"].conditions.len(), 1);
        assert!(record(&mut stream, "t", event("A", "r", 2, 5)));
        assert!(stream.status.tags["t"].conditions.is_empty());
    }

    #[test]
    fn followers_move_one_hop() {
        let mut stream = ImageStream::default();
        stream.metadata.name = "app".into();
        stream.metadata.namespace = "ns".into();
        for (tag, kind, namespace, name) in [
            ("short", "ImageStreamTag", "", "v1"),
            ("long", "ImageStreamTag", "ns", "app:v1"),
            ("hop", "ImageStreamTag", "", "short"),
            ("foreign", "ImageStreamTag", "other", "app:v1"),
            ("neighbour", "ImageStreamTag", "", "lib:v1"),
            ("docker", "DockerImage", "", "v1"),
            ("v1", "ImageStreamTag", "", "v1"),
        ] {
            let from = ObjectReference {
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
                ..ObjectReference::default()
            };
            stream.spec.tags.insert(
                tag.into(),
                TagReference {
                    name: tag.into(),
                    from: Some(from),
                    ..TagReference::default()
                },
            );
        }
        let new = event("A", "r", 1, 0);
        assert_eq!(update_followers(&mut stream, "v1", &new), 2);
        assert_eq!(stream.status.tags.keys().collect::<Vec<_>>(), ["long", "short"]);
        assert_eq!(update_followers(&mut stream, "v1", &new), 0);
    }

    proptest! {
        #[test]
        fn no_digest_is_ever_lost(events in proptest::collection::vec(("[ABC]?", "[rs]", 1..3i64), 0..30)) {
            let mut stream = ImageStream::default();
            for (image, reference, generation) in &events {
                record(&mut stream, "t", event(image, reference, *generation, 0));
                let newest = latest(&stream, "t").unwrap();
                prop_assert_eq!((&newest.image, &newest.docker_image_reference, newest.generation), (image, reference, *generation));
            }
            let items = stream.status.tags.get("t").map(|list| list.items.as_slice()).unwrap_or_default();
            for (image, ..) in events.iter().filter(|(image, ..)| !image.is_empty()) {
                prop_assert!(items.iter().any(|item| item.image == *image));
            }
        }
    }
}
