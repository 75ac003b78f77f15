//! The JSON of every type, field by field, as the incumbent writes it.

use berth_api::{
    API_VERSION, Image, ImageBlobReferences, ImageSignature, ImageStream, ImageStreamLayers,
    ImageStreamMapping, ImageStreamTag, ImageTag, Kind, NamedTagEventList, TagEvent, TagReference,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn write<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("every type serializes")
}

#[test]
fn empty_objects_carry_what_clients_rely_on() {
    let no_image = json!({
        "metadata": {}, "dockerImageMetadataVersion": "1.0",
        "dockerImageMetadata": {"kind": "DockerImage", "apiVersion": "image.openshift.io/1.0", "Id": "", "ContainerConfig": {}, "Created": null},
    });
    for (name, got, want) in [
        (
            "stream",
            write(&ImageStream::default()),
            json!({"metadata": {}, "spec": {"lookupPolicy": {"local": false}}, "status": {"dockerImageRepository": ""}}),
        ),
        (
            "spec tag",
            write(&TagReference::default()),
            json!({"name": "", "annotations": null, "generation": null, "importPolicy": {}, "referencePolicy": {"type": ""}}),
        ),
        (
            "history",
            write(&NamedTagEventList::default()),
            json!({"tag": "", "items": null}),
        ),
        (
            "event",
            write(&TagEvent::default()),
            json!({"created": null, "dockerImageReference": "", "image": "", "generation": 0}),
        ),
        ("image", write(&Image::default()), no_image.clone()),
        (
            "mapping",
            write(&ImageStreamMapping::default()),
            json!({"metadata": {}, "image": no_image, "tag": ""}),
        ),
        (
            "istag",
            write(&ImageStreamTag::default()),
            json!({"metadata": {}, "tag": null, "generation": 0, "lookupPolicy": {"local": false}, "image": no_image}),
        ),
        (
            "itag",
            write(&ImageTag::default()),
            json!({"metadata": {}, "spec": null, "status": null, "image": null}),
        ),
        (
            "layers",
            write(&ImageStreamLayers::default()),
            json!({"metadata": {}, "blobs": {}, "images": {}}),
        ),
        (
            "references",
            write(&ImageBlobReferences::default()),
            json!({"layers": null, "config": null, "imageMissing": false}),
        ),
        (
            "signature",
            write(&ImageSignature::default()),
            json!({"metadata": {}, "type": "", "content": ""}),
        ),
    ] {
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn typed_objects_say_what_they_are() {
    let stream = write(&ImageStream::default().typed());
    assert_eq!(stream["kind"], "ImageStream");
    assert_eq!(stream["apiVersion"], API_VERSION);
    assert_eq!(<ImageStreamTag as Kind>::PLURAL, "imagestreamtags");
}

#[test]
fn tags_are_maps_on_the_inside() {
    let stream: ImageStream = serde_json::from_value(json!({
        "spec": {"tags": [
            {"name": "b", "from": {"kind": "DockerImage", "name": "first"}},
            {"name": "a"},
            {"name": "b", "from": {"kind": "DockerImage", "name": "last"}},
        ]},
        "status": {"tags": [{"tag": "z", "items": []}, {"tag": "y", "items": null}]},
    }))
    .unwrap();
    let names: Vec<_> = write(&stream)["spec"]["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].clone())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(stream.spec.tags["b"].from.as_ref().unwrap().name, "last");
    assert_eq!(stream.status.tags.keys().collect::<Vec<_>>(), ["y", "z"]);
}

#[test]
fn null_reads_like_absence() {
    let with_nulls = json!({
        "metadata": {"name": "x", "labels": null, "annotations": null, "creationTimestamp": null},
        "spec": {"lookupPolicy": null, "dockerImageRepository": null,
            "tags": [{"name": "t", "annotations": null, "from": null, "reference": null, "generation": null, "importPolicy": null, "referencePolicy": null}]},
        "status": null,
    });
    let without = json!({"metadata": {"name": "x"}, "spec": {"tags": [{"name": "t"}]}});
    assert_eq!(
        serde_json::from_value::<ImageStream>(with_nulls).unwrap(),
        serde_json::from_value::<ImageStream>(without).unwrap()
    );
    let image: Image = serde_json::from_value(
        json!({"dockerImageMetadata": null, "signatures": null, "dockerImageLayers": null}),
    )
    .unwrap();
    assert_eq!(image, Image::default());
}

#[test]
fn metadata_keeps_the_docker_spelling_and_drops_unknown_keys() {
    let image: Image = serde_json::from_value(json!({"dockerImageMetadata": {
        "kind": "DockerImage", "apiVersion": "image.openshift.io/1.0", "Id": "sha256:1", "Architecture": "arm64", "Size": 7, "os": "linux",
        "Config": {"Cmd": ["/x"], "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["NONE"]}, "Cpuset": "0", "OnBuild": null},
    }}))
    .unwrap();
    assert_eq!(
        write(&image.docker_image_metadata),
        json!({
            "kind": "DockerImage", "apiVersion": "image.openshift.io/1.0", "Id": "sha256:1", "Architecture": "arm64", "Size": 7,
            "ContainerConfig": {}, "Created": null, "Config": {"Cmd": ["/x"], "ExposedPorts": {"80/tcp": {}}, "Cpuset": "0"},
        })
    );
}

#[test]
fn signature_content_is_base64() {
    let signature: ImageSignature =
        serde_json::from_value(json!({"type": "atomic", "content": "c2ln"})).unwrap();
    assert_eq!(signature.content.0, b"sig");
    assert_eq!(write(&signature)["content"], "c2ln");
    assert!(serde_json::from_value::<ImageSignature>(json!({"content": "*"})).is_err());
}

fn any_event() -> impl Strategy<Value = TagEvent> {
    (
        "[a-z0-9./:@-]{0,40}",
        "(sha256:[0-9a-f]{64})?",
        0..100i64,
        proptest::option::of(0..4_000_000_000i64),
    )
        .prop_map(|(docker_image_reference, image, generation, created)| TagEvent {
            created: created
                .map(|second| berth_api::Time::new(jiff::Timestamp::from_second(second).expect("in range"))),
            docker_image_reference,
            image,
            generation,
        })
}

proptest! {
    #[test]
    fn streams_round_trip(tags in proptest::collection::btree_map("[a-z]{1,8}", proptest::collection::vec(any_event(), 0..5), 0..5)) {
        let mut stream = ImageStream::default();
        for (tag, items) in tags {
            stream.spec.tags.insert(tag.clone(), TagReference { name: tag.clone(), ..Default::default() });
            stream.status.tags.insert(tag.clone(), NamedTagEventList { tag, items, ..Default::default() });
        }
        let text = serde_json::to_string(&stream).unwrap();
        prop_assert_eq!(serde_json::from_str::<ImageStream>(&text).unwrap(), stream);
    }
}
