use serde_json::{Value, json};

use super::*;
use crate::media_type::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LAYER_FOREIGN, DOCKER_SCHEMA1_SIGNED, OCI_CONFIG, OCI_LAYER,
};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn descriptor(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": EMPTY, "size": 0})
}

fn image() -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG), "layers": [descriptor(OCI_LAYER)]})
}

fn docker() -> Value {
    json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": descriptor(DOCKER_CONFIG), "layers": [descriptor(DOCKER_LAYER)]})
}

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_MANIFEST)]})
}

fn list() -> Value {
    json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor(DOCKER_MANIFEST)]})
}

fn with(mut value: Value, field: &str, to: Value) -> Value {
    value[field] = to;
    value
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().unwrap().remove(field);
    value
}

fn parse(value: &Value, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    Manifest::parse(serde_json::to_vec(value).unwrap().into(), content_type)
}

#[test]
fn reads_every_kind() {
    for (value, kind) in [
        (image(), Kind::OciManifest),
        (index(), Kind::OciIndex),
        (docker(), Kind::DockerManifest),
        (list(), Kind::DockerList),
    ] {
        let parameters = format!("{}; charset=utf-8", kind.media_type());
        for content_type in [
            None,
            Some(kind.media_type()),
            Some(parameters.as_str()),
            Some("application/json"),
            Some(""),
        ] {
            let manifest = parse(&value, content_type).unwrap();
            assert_eq!(manifest.kind(), kind, "{content_type:?}");
            assert_eq!(manifest.raw()[..], serde_json::to_vec(&value).unwrap());
            assert_eq!(manifest.layers().len() + manifest.children().len(), 1);
            assert_eq!(manifest.config().is_some(), !kind.is_index());
        }
    }
}

#[test]
fn only_oci_may_leave_its_type_to_the_request() {
    for (value, kind, good) in [
        (image(), Kind::OciManifest, true),
        (index(), Kind::OciIndex, true),
        (docker(), Kind::DockerManifest, false),
        (list(), Kind::DockerList, false),
    ] {
        let value = without(value, "mediaType");
        assert_eq!(parse(&value, Some(kind.media_type())).is_ok(), good, "{kind:?}");
        assert_eq!(parse(&value, None), Err(ManifestError::Untyped), "{kind:?}");
    }
}

#[test]
fn says_what_is_wrong() {
    let wide = Value::from(vec![descriptor(OCI_MANIFEST); INDEX_MAX_WIDTH + 1]);
    let thick = Value::from(vec![descriptor(OCI_LAYER); MAX_LAYERS + 1]);
    let notes: Value = (0..=ANNOTATIONS_MAX)
        .map(|n| (n.to_string(), json!("")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let ambiguous = |kind: Kind, field: &str| ManifestError::Ambiguous {
        kind: kind.media_type(),
        field: field.to_owned(),
    };
    for (value, content_type, want) in [
        (
            with(image(), "schemaVersion", json!(1)),
            None,
            ManifestError::SchemaVersion,
        ),
        (
            without(image(), "schemaVersion"),
            None,
            ManifestError::SchemaVersion,
        ),
        (without(image(), "config"), None, ManifestError::Missing("config")),
        (
            with(image(), "config", Value::Null),
            None,
            ManifestError::Missing("config"),
        ),
        (
            without(index(), "manifests"),
            None,
            ManifestError::Missing("manifests"),
        ),
        (
            with(image(), "manifests", json!([])),
            None,
            ambiguous(Kind::OciManifest, "manifests"),
        ),
        (
            with(image(), "Layers", json!([])),
            None,
            ambiguous(Kind::OciManifest, "Layers"),
        ),
        (
            with(image(), "MEDIATYPE", json!("x")),
            None,
            ambiguous(Kind::OciManifest, "MEDIATYPE"),
        ),
        (
            with(image(), "fsLayers", json!([])),
            None,
            ambiguous(Kind::OciManifest, "fsLayers"),
        ),
        (
            with(index(), "layers", json!([])),
            None,
            ambiguous(Kind::OciIndex, "layers"),
        ),
        (
            with(list(), "config", descriptor(OCI_CONFIG)),
            None,
            ambiguous(Kind::DockerList, "config"),
        ),
        (
            with(docker(), "manifests", Value::Null),
            None,
            ambiguous(Kind::DockerManifest, "manifests"),
        ),
        (
            image(),
            Some(OCI_INDEX),
            ManifestError::TypeMismatch {
                body: OCI_MANIFEST.to_owned(),
                header: OCI_INDEX.to_owned(),
            },
        ),
        (
            image(),
            Some("text/plain"),
            ManifestError::UnknownType("text/plain".to_owned()),
        ),
        (
            with(image(), "mediaType", json!("a/b")),
            None,
            ManifestError::UnknownType("a/b".to_owned()),
        ),
        (
            json!({"schemaVersion": 1, "fsLayers": []}),
            None,
            ManifestError::Schema1,
        ),
        (
            json!({"schemaVersion": 1, "fsLayers": []}),
            Some(DOCKER_SCHEMA1_SIGNED),
            ManifestError::Schema1,
        ),
        (json!({}), None, ManifestError::Untyped),
        (
            with(index(), "manifests", wide),
            None,
            ManifestError::TooMany {
                what: "children",
                got: INDEX_MAX_WIDTH + 1,
                most: INDEX_MAX_WIDTH,
            },
        ),
        (
            with(image(), "layers", thick),
            None,
            ManifestError::TooMany {
                what: "layers",
                got: MAX_LAYERS + 1,
                most: MAX_LAYERS,
            },
        ),
        (
            with(image(), "annotations", notes),
            None,
            ManifestError::TooMany {
                what: "annotations",
                got: ANNOTATIONS_MAX + 1,
                most: ANNOTATIONS_MAX,
            },
        ),
    ] {
        let text = value.to_string();
        assert_eq!(
            parse(&value, content_type),
            Err(want),
            "{}",
            &text[..text.len().min(200)]
        );
    }
}

#[test]
fn refuses_what_is_not_the_shape_of_a_manifest() {
    for text in ["", "null", "[]", "{", "1", r#"{"schemaVersion":2"#, "\u{feff}{}"] {
        let got = Manifest::parse(Bytes::copy_from_slice(text.as_bytes()), Some(OCI_MANIFEST));
        assert!(matches!(got, Err(ManifestError::Malformed(_))), "{text}: {got:?}");
    }
    for (field, value) in [
        ("layers", json!({})),
        (
            "layers",
            json!([{"mediaType": OCI_LAYER, "digest": EMPTY, "size": -1}]),
        ),
        (
            "layers",
            json!([{"mediaType": OCI_LAYER, "digest": "sha256:0", "size": 1}]),
        ),
        ("layers", json!([{"digest": EMPTY, "size": 1}])),
        ("layers", json!([null])),
        ("subject", json!("x")),
        ("artifactType", json!("nonsense")),
        ("annotations", json!({"a": 1})),
    ] {
        let got = parse(&with(image(), field, value.clone()), None);
        assert!(
            matches!(got, Err(ManifestError::Malformed(_))),
            "{field}={value}: {got:?}"
        );
    }
    let mut binary = br#"{"x":"?","#.to_vec();
    binary.extend_from_slice(&serde_json::to_vec(&image()).unwrap()[1..]);
    assert!(Manifest::parse(binary.clone().into(), None).is_ok());
    binary[6] = 0xff;
    let got = Manifest::parse(binary.into(), None);
    assert!(
        matches!(got, Err(ManifestError::Malformed(_))),
        "text that is not UTF-8: {got:?}"
    );
    let twice = r#"{"schemaVersion":2,"config":{},"config":{}}"#;
    assert!(Manifest::parse(twice.as_bytes().into(), Some(OCI_MANIFEST)).is_err());
}

#[test]
fn limits_size_and_depth() {
    let huge = Bytes::from(vec![b' '; MANIFEST_MAX_BYTES + 1]);
    assert_eq!(
        Manifest::parse(huge, None),
        Err(ManifestError::TooLarge {
            got: MANIFEST_MAX_BYTES + 1
        })
    );
    let deep = "[".repeat(JSON_MAX_DEPTH + 1);
    assert_eq!(Manifest::parse(deep.into(), None), Err(ManifestError::TooDeep));
    let notes: Value = (0..390)
        .map(|n| (n.to_string(), json!("b".repeat(10_000))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert!(
        parse(&with(image(), "annotations", notes), None).is_ok(),
        "only the whole bounds their length"
    );
}

#[test]
fn empty_lists_of_go_are_empty_lists() {
    for value in [
        with(image(), "layers", Value::Null),
        with(image(), "layers", json!([])),
        without(image(), "layers"),
        with(index(), "manifests", Value::Null),
        with(image(), "subject", Value::Null),
        with(image(), "annotations", Value::Null),
        with(image(), "unknown", json!({"a": [1]})),
    ] {
        assert!(parse(&value, None).is_ok(), "{value}");
    }
}

#[test]
fn the_artifact_type_falls_back_to_that_of_the_configuration() {
    for (value, want) in [
        (image(), Some(OCI_CONFIG)),
        (with(image(), "artifactType", json!("a/b")), Some("a/b")),
        (with(image(), "artifactType", json!("")), Some(OCI_CONFIG)),
        (index(), None),
        (with(index(), "artifactType", json!("a/b")), Some("a/b")),
        (with(docker(), "artifactType", json!("a/b")), Some(DOCKER_CONFIG)),
    ] {
        let manifest = parse(&value, None).unwrap();
        assert_eq!(manifest.artifact_type().map(MediaType::as_str), want, "{value}");
    }
}

#[test]
fn only_oci_manifests_have_a_subject() {
    for (value, has) in [
        (image(), true),
        (index(), true),
        (docker(), false),
        (list(), false),
    ] {
        let value = with(value, "subject", descriptor(OCI_MANIFEST));
        assert_eq!(parse(&value, None).unwrap().subject().is_some(), has, "{value}");
    }
}

#[test]
fn foreign_layers_are_not_needed() {
    let layers = json!([descriptor(DOCKER_LAYER), descriptor(DOCKER_LAYER_FOREIGN)]);
    let manifest = parse(&with(docker(), "layers", layers), None).unwrap();
    assert_eq!(manifest.layers().len(), 2);
    assert_eq!(manifest.blobs().count(), 2, "the configuration and one layer");
}

#[test]
fn embedded_data_must_be_the_content() {
    let abc = Digest::sha256(b"abc").to_string();
    for (data, size, digest, good) in [
        ("YWJj", 3, abc.as_str(), true),
        ("YWJj", 4, abc.as_str(), false),
        ("YWJj", 3, EMPTY, false),
        ("!", 3, abc.as_str(), false),
    ] {
        let config = json!({"mediaType": OCI_CONFIG, "digest": digest, "size": size, "data": data});
        assert_eq!(
            parse(&with(image(), "config", config), None).is_ok(),
            good,
            "{data} {size} {digest}"
        );
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parses_anything_without_panic(text in "[\\[\\]{}\":,a-z0-9]{0,60}|.{0,60}") {
            for kind in Kind::ALL {
                let _ = Manifest::parse(Bytes::copy_from_slice(text.as_bytes()), Some(kind.media_type()));
            }
        }

        #[test]
        fn what_parses_is_read_the_same_way_without_a_content_type(
            layers in 0..5_usize, note in "[a-z]{0,9}", typed in any::<bool>(), artifact in any::<bool>(),
        ) {
            let mut value = with(image(), "layers", vec![descriptor(OCI_LAYER); layers].into());
            value["annotations"] = json!({"k": note});
            if artifact { value["artifactType"] = json!("a/b"); }
            if !typed { value = without(value, "mediaType"); }
            let manifest = parse(&value, Some(OCI_MANIFEST)).unwrap();
            prop_assert_eq!(manifest.layers().len(), layers);
            prop_assert_eq!(&manifest.annotations()["k"], &note);
            prop_assert_eq!(parse(&value, None).is_ok(), typed);
        }
    }
}
