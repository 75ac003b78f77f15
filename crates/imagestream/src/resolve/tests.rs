use berth_api::TagReference;

use super::*;

const A: &str = "sha256:aa11000000000000000000000000000000";
const B: &str = "sha256:aa22000000000000000000000000000000";
const HOST: &str = "registry:5000";

fn now() -> Time {
    Time::parse("2026-01-01T00:00:00Z").expect("a time")
}

fn stream(namespace: &str, name: &str) -> ImageStream {
    let mut stream = ImageStream::default();
    stream.metadata.namespace = namespace.into();
    stream.metadata.name = name.into();
    stream.metadata.generation = 1;
    stream
}

fn push(stream: &mut ImageStream, tag: &str, image: &str) {
    let repository = PullSpec::of_stream(HOST, &stream.metadata.namespace, &stream.metadata.name);
    let event = TagEvent {
        created: Some(Time::parse("2020-01-01T00:00:00Z").expect("a time")),
        docker_image_reference: format!("{repository}@{image}"),
        image: image.into(),
        generation: 1,
    };
    history::record(stream, tag, event);
}

fn want(stream: &mut ImageStream, tag: &str, kind: &str, namespace: &str, from: &str) {
    let from = ObjectReference {
        kind: kind.into(),
        namespace: namespace.into(),
        name: from.into(),
        ..ObjectReference::default()
    };
    let tag = TagReference {
        name: tag.into(),
        from: Some(from),
        ..TagReference::default()
    };
    stream.spec.tags.insert(tag.name.clone(), tag);
}

fn write(stream: &mut ImageStream, old: &ImageStream, foreign: &[&ImageStream]) -> Vec<Problem> {
    spec::prepare_update(stream, old);
    let foreign = foreign
        .iter()
        .map(|&stream| (key_of(stream), stream.clone()))
        .collect();
    resolve(stream, Some(old), &foreign, Some(HOST), now())
}

#[test]
fn a_tag_of_the_same_stream_is_copied_and_followed() {
    let mut old = stream("ns", "app");
    push(&mut old, "v1", A);
    let mut new = old.clone();
    want(&mut new, "stable", "ImageStreamTag", "", "app:v1");
    assert_eq!(write(&mut new, &old, &[]), []);
    let stable = &new.status.tags["stable"].items;
    assert_eq!(stable.len(), 1);
    assert_eq!((stable[0].image.as_str(), stable[0].generation), (A, 2));
    assert_eq!(
        stable[0].created, old.status.tags["v1"].items[0].created,
        "it keeps its time"
    );
    assert_eq!(
        new.status.tags["v1"].items[0].generation, 2,
        "clients see the source's generation rise"
    );
}

#[test]
fn following_does_not_hide_an_import_to_come() {
    let mut old = stream("ns", "app");
    push(&mut old, "v1", A);
    want(&mut old, "v1", "DockerImage", "", "quay.io/a/b:v1");
    old.metadata.generation = 5;
    old.spec.tags.get_mut("v1").unwrap().generation = Some(5);
    let mut new = old.clone();
    want(&mut new, "stable", "ImageStreamTag", "", "v1");
    assert_eq!(write(&mut new, &old, &[]), []);
    assert_eq!(new.status.tags["v1"].items[0].generation, 1);
}

#[test]
fn a_foreign_tag_is_copied_and_made_local() {
    let mut lib = stream("shared", "lib");
    push(&mut lib, "v1", A);
    let old = stream("ns", "app");
    for (reference, want_reference) in [
        (false, format!("{HOST}/ns/app@{A}")),
        (true, format!("{HOST}/shared/lib@{A}")),
    ] {
        let mut new = old.clone();
        want(&mut new, "copy", "ImageStreamTag", "shared", "lib:v1");
        new.spec.tags.get_mut("copy").unwrap().reference = reference;
        let needed = sources(&new, Some(&old));
        assert_eq!(needed.keys().cloned().collect::<Vec<_>>(), [key_of(&lib)]);
        assert_eq!(write(&mut new, &old, &[&lib]), []);
        assert_eq!(
            new.status.tags["copy"].items[0].docker_image_reference,
            want_reference
        );
    }
}

#[test]
fn an_unchanged_tag_is_left_alone() {
    let mut old = stream("ns", "app");
    want(&mut old, "copy", "ImageStreamTag", "shared", "lib:v1");
    spec::prepare_create(&mut old);
    let mut new = old.clone();
    new.spec.lookup_policy.local = true;
    assert!(sources(&new, Some(&old)).is_empty());
    assert_eq!(write(&mut new, &old, &[]), []);
    assert!(new.status.tags.is_empty());
}

#[test]
fn images_are_found_by_prefix() {
    let mut old = stream("ns", "app");
    push(&mut old, "v1", A);
    push(&mut old, "v2", B);
    for (from, want_image) in [(A, A), ("app@sha256:aa2", B), ("aa11", A)] {
        let mut new = old.clone();
        want(&mut new, "pin", "ImageStreamImage", "", from);
        assert_eq!(write(&mut new, &old, &[]), [], "{from}");
        let item = &new.status.tags["pin"].items[0];
        assert_eq!(
            (item.image.as_str(), item.created),
            (want_image, Some(now())),
            "{from}"
        );
    }
}

#[test]
fn what_cannot_be_resolved() {
    let mut old = stream("ns", "app");
    push(&mut old, "v1", A);
    push(&mut old, "v2", B);
    let owned = |tag: &str, name: &str| (tag.to_owned(), name.to_owned());
    let (tag, name) = owned("t", "x");
    let cases = [
        (
            "Pod",
            "x",
            Problem::Form {
                tag: tag.clone(),
                name,
            },
        ),
        (
            "ImageStreamTag",
            "a:b:c",
            Problem::Form {
                tag: tag.clone(),
                name: "a:b:c".into(),
            },
        ),
        (
            "ImageStreamTag",
            "none:v1",
            Problem::NoStream {
                tag: tag.clone(),
                name: "none:v1".into(),
            },
        ),
        (
            "ImageStreamImage",
            "app@bb",
            Problem::NoImage {
                tag: tag.clone(),
                name: "app@bb".into(),
                id: "bb".into(),
            },
        ),
        (
            "ImageStreamImage",
            "aa",
            Problem::Ambiguous {
                tag,
                name: "aa".into(),
                id: "aa".into(),
                images: vec![A.into(), B.into()],
            },
        ),
    ];
    for (kind, from, problem) in cases {
        let mut new = old.clone();
        want(&mut new, "t", kind, "", from);
        assert_eq!(write(&mut new, &old, &[]), [problem], "{kind} {from}");
    }
}

#[test]
fn what_waits() {
    let old = stream("ns", "app");
    let mut new = old.clone();
    want(&mut new, "import", "DockerImage", "", "quay.io/a/b:c");
    want(&mut new, "later", "ImageStreamTag", "", "not-yet");
    new.spec.tags.insert(
        "note".into(),
        TagReference {
            name: "note".into(),
            ..TagReference::default()
        },
    );
    assert_eq!(write(&mut new, &old, &[]), []);
    assert!(new.status.tags.is_empty());

    let before = new.clone();
    push(&mut new, "not-yet", A);
    assert_eq!(write(&mut new, &before, &[]), []);
    assert_eq!(
        new.status.tags["later"].items[0].image, A,
        "a follower moves once its source exists"
    );
}

#[test]
fn a_reference_is_recorded_at_once() {
    let old = stream("ns", "app");
    let mut new = old.clone();
    want(&mut new, "ref", "DockerImage", "", "quay.example/a/b:c");
    new.spec.tags.get_mut("ref").unwrap().reference = true;
    assert_eq!(write(&mut new, &old, &[]), []);
    let item = &new.status.tags["ref"].items[0];
    assert_eq!(
        (
            item.docker_image_reference.as_str(),
            item.image.as_str(),
            item.generation
        ),
        ("quay.example/a/b:c", "", 2)
    );
}
