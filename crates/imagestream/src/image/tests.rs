use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_api::ObjectMeta;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn now() -> Time {
    Time::parse("2026-01-01T00:00:00Z").expect("a time")
}

fn descriptor(digest: &str, size: i64) -> Value {
    json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size})
}

fn image(manifest: &Value, config: &str) -> Image {
    let manifest = manifest.to_string();
    let name = Digest::sha256(manifest.as_bytes()).to_string();
    Image {
        metadata: ObjectMeta {
            name,
            ..ObjectMeta::default()
        },
        docker_image_manifest: manifest,
        docker_image_config: config.to_owned(),
        ..Image::default()
    }
}

fn filled(mut image: Image) -> Image {
    fill_metadata(&mut image, now(), |_| None).expect("a good manifest");
    image
}

const CONFIG: &str = r#"{"architecture": "amd64", "os": "linux", "created": "2020-05-06T07:08:09.123Z", "author": "me",
    "config": {"Cmd": ["/x"], "Env": ["A=b"], "Healthcheck": {}, "Labels": {"l": "v"}, "ExposedPorts": {"80/tcp": {}}},
    "rootfs": {"type": "layers", "diff_ids": []}, "history": [{"created_by": "x"}]}"#;

#[test]
fn an_image_manifest_tells_layers_size_and_configuration() {
    for (declared, own, want) in [
        ("", Some(OCI_MANIFEST), OCI_MANIFEST),
        ("", None, OCI_MANIFEST),
        (DOCKER_MANIFEST, None, DOCKER_MANIFEST),
        (OCI_INDEX, Some(DOCKER_MANIFEST), DOCKER_MANIFEST),
    ] {
        let mut manifest = json!({"schemaVersion": 2, "config": descriptor("sha256:cfg", 400),
            "layers": [descriptor("sha256:a", 10), descriptor("sha256:b", 20), descriptor("sha256:a", 10)]});
        if let Some(own) = own {
            manifest["mediaType"] = own.into();
        }
        let mut image = image(&manifest, CONFIG);
        image.docker_image_manifest_media_type = declared.into();
        // What a client claims next to the manifest does not count.
        image.docker_image_layers = vec![ImageLayer {
            name: "sha256:planted".into(),
            size: 1,
            media_type: String::new(),
        }];
        image.docker_image_metadata.size = 1;
        let image = filled(image);
        assert_eq!(image.docker_image_manifest_media_type, want);
        let names: Vec<_> = image
            .docker_image_layers
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        assert_eq!(names, ["sha256:a", "sha256:b", "sha256:a"]);
        let metadata = &image.docker_image_metadata;
        assert_eq!(
            (metadata.id.as_str(), metadata.size),
            ("sha256:cfg", 430),
            "each layer counts once"
        );
        assert_eq!(
            (metadata.architecture.as_str(), metadata.author.as_str()),
            ("amd64", "me")
        );
        assert_eq!(
            metadata.created.map(|time| time.to_string()).as_deref(),
            Some("2020-05-06T07:08:09Z")
        );
        let config = metadata.config.as_ref().expect("a configuration");
        assert_eq!(
            (config.cmd.as_slice(), config.labels["l"].as_str()),
            (["/x".to_owned()].as_slice(), "v")
        );
        assert_eq!(
            image.metadata.annotations[annotation::LAYERS_ORDER],
            annotation::LAYERS_ASCENDING
        );
    }
}

#[test]
fn artifacts_need_no_configuration() {
    for config in [
        "",
        "{}",
        "not json",
        r#"{"created": "whenever"}"#,
        r#"{"created": "0001-01-01T00:00:00Z"}"#,
    ] {
        let manifest = json!({"schemaVersion": 2, "artifactType": "application/x", "config": descriptor("sha256:e", 2),
            "layers": [descriptor("sha256:a", 10)]});
        let image = filled(image(&manifest, config));
        assert_eq!(image.docker_image_metadata.size, 12, "{config}");
        assert_eq!(image.docker_image_metadata.created, None, "{config}");
        assert_eq!(image.docker_image_layers.len(), 1, "{config}");
    }
    let empty = filled(image(
        &json!({"schemaVersion": 2, "config": descriptor("sha256:e", 2), "layers": []}),
        "{}",
    ));
    assert!(empty.docker_image_layers.is_empty() && empty.metadata.annotations.is_empty());
}

#[test]
fn an_index_tells_its_entries_and_the_size_of_what_is_known() {
    let child = |layers: &[(&str, i64)], config: &str| {
        let layers: Vec<_> = layers
            .iter()
            .map(|&(digest, size)| descriptor(digest, size))
            .collect();
        filled(image(
            &json!({"schemaVersion": 2, "config": descriptor(config, 5), "layers": layers}),
            "{}",
        ))
    };
    let children = [
        (
            "sha256:1",
            child(&[("sha256:shared", 100), ("sha256:amd", 10)], "sha256:c1"),
        ),
        (
            "sha256:2",
            child(&[("sha256:shared", 100), ("sha256:arm", 30)], "sha256:c2"),
        ),
    ];
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": "sha256:1", "size": 7, "platform": {"architecture": "amd64", "os": "linux"}},
        {"mediaType": OCI_MANIFEST, "digest": "sha256:2", "size": 7, "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}},
        {"mediaType": OCI_MANIFEST, "digest": "sha256:attestation", "size": 7},
    ]});
    let look_up = |name: &str| {
        children
            .iter()
            .find(|(digest, _)| *digest == name)
            .map(|(_, image)| image.clone())
    };
    let mut index = image(&manifest, "");
    fill_metadata(&mut index, now(), look_up).unwrap();
    let entries: Vec<_> = index
        .docker_image_manifests
        .iter()
        .map(|entry| {
            (
                entry.digest.as_str(),
                entry.architecture.as_str(),
                entry.variant.as_str(),
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            ("sha256:1", "amd64", ""),
            ("sha256:2", "arm64", "v8"),
            ("sha256:attestation", "", "")
        ]
    );
    assert_eq!(
        index.docker_image_metadata.size,
        100 + 10 + 30 + 5 + 5,
        "what is shared counts once"
    );
    assert_eq!(index.docker_image_metadata.id, index.metadata.name);
    assert_eq!(index.docker_image_metadata.created, Some(now()));
    assert_eq!(
        limited_size(&index, look_up),
        135,
        "a limit looks at the largest entry"
    );
    assert_eq!(limited_size(&children[0].1, |_| None), 115);
}

#[test]
fn schema_1_is_turned_round() {
    let v1 = |id: &str, size: i64| {
        json!({"id": id, "Size": size, "architecture": "amd64", "config": {"Cmd": [id]}}).to_string()
    };
    let manifest = json!({"schemaVersion": 1, "fsLayers": [{"blobSum": "sha256:top"}, {"blobSum": "sha256:base"}],
        "history": [{"v1Compatibility": v1("top", 3)}, {"v1Compatibility": v1("base", 4)}]});
    let image = filled(image(&manifest, ""));
    let layers: Vec<_> = image
        .docker_image_layers
        .iter()
        .map(|layer| (layer.name.as_str(), layer.size))
        .collect();
    assert_eq!(layers, [("sha256:base", 4), ("sha256:top", 3)]);
    assert_eq!(
        (
            image.docker_image_metadata.id.as_str(),
            image.docker_image_metadata.size
        ),
        ("top", 7)
    );
    assert_eq!(image.docker_image_manifest_media_type, SCHEMA1);
}

#[test]
fn what_cannot_be_understood_changes_nothing() {
    for manifest in [
        json!("text"),
        json!({"layers": [{"digest": "x", "size": -1}]}),
        json!({"config": {"size": -1}}),
        json!({"fsLayers": [{"blobSum": "a"}], "history": []}),
        json!({"layers": "x"}),
    ] {
        let mut image = image(&manifest, CONFIG);
        let before = image.clone();
        assert!(fill_metadata(&mut image, now(), |_| None).is_err(), "{manifest}");
        assert_eq!(image, before, "{manifest}");
    }
}

#[test]
fn an_image_is_named_by_its_manifest() {
    let good = image(&json!({"schemaVersion": 2}), "");
    assert_eq!(check_name(&good), Ok(()));
    let right = good.metadata.name.clone();
    for name in [
        "sha256:0000",
        "x",
        "",
        &Digest::sha256(b"something else").to_string(),
    ] {
        let mut planted = good.clone();
        planted.metadata.name = name.into();
        assert_eq!(
            check_name(&planted),
            Err(WrongName {
                digest: right.clone()
            }),
            "{name}"
        );
    }
    let mut imported = good.clone();
    imported.docker_image_manifest.clear();
    imported.metadata.name = "sha256:cannot-be-checked".into();
    assert_eq!(check_name(&imported), Ok(()));
    let mut long = good;
    long.metadata.name = berth_oci::Algorithm::Sha512
        .digest(long.docker_image_manifest.as_bytes())
        .to_string();
    assert_eq!(check_name(&long), Ok(()));
}

#[test]
fn a_signed_manifest_is_named_by_its_payload() {
    let payload = "{\n   \"schemaVersion\": 1\n}";
    let length = payload.len() - 2;
    let tail = URL_SAFE_NO_PAD.encode(&payload[length..]);
    let protected = URL_SAFE_NO_PAD.encode(json!({"formatLength": length, "formatTail": tail}).to_string());
    let signatures = json!([{"protected": protected, "signature": "x"}]);
    let signed = format!("{},\n   \"signatures\": {signatures}\n}}", &payload[..length]);
    let name = Digest::sha256(payload.as_bytes()).to_string();
    let image = Image {
        metadata: ObjectMeta {
            name,
            ..ObjectMeta::default()
        },
        docker_image_manifest: signed,
        ..Image::default()
    };
    assert_eq!(check_name(&image), Ok(()));
}

#[test]
fn documents_are_dropped_when_they_are_stored_elsewhere() {
    for (stored, kept) in [("true", false), ("false", true), ("", true)] {
        let mut image = image(&json!({}), CONFIG);
        image
            .metadata
            .annotations
            .insert(annotation::MANIFEST_BLOB_STORED.into(), stored.into());
        image
            .metadata
            .annotations
            .insert(annotation::MANAGED_SIGNATURE.into(), "x".into());
        drop_stored_documents(&mut image);
        assert_eq!(!image.docker_image_manifest.is_empty(), kept, "{stored}");
        assert_eq!(!image.docker_image_config.is_empty(), kept, "{stored}");
        assert!(
            !image
                .metadata
                .annotations
                .contains_key(annotation::MANAGED_SIGNATURE)
        );
    }
}

#[test]
fn descending_layers_without_a_manifest_are_turned_round() {
    let named = |name: &str| ImageLayer {
        name: name.into(),
        ..ImageLayer::default()
    };
    for (order, want) in [
        (Some("descending"), ["b", "a"]),
        (Some("ascending"), ["a", "b"]),
        (None, ["a", "b"]),
    ] {
        let mut image = Image {
            docker_image_layers: vec![named("a"), named("b")],
            ..Image::default()
        };
        if let Some(order) = order {
            image
                .metadata
                .annotations
                .insert(annotation::LAYERS_ORDER.into(), order.into());
        }
        let image = filled(image);
        let names: Vec<_> = image
            .docker_image_layers
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        assert_eq!(names, want, "{order:?}");
        let marked = image
            .metadata
            .annotations
            .get(annotation::LAYERS_ORDER)
            .map(String::as_str);
        assert_eq!(marked, order.map(|_| "ascending"), "{order:?}");
    }
}

#[test]
fn content_does_not_change() {
    let config = r#"{"architecture":"amd64"}"#;
    let config_digest = Digest::sha256(config.as_bytes()).to_string();
    let manifest = json!({"schemaVersion": 2, "config": descriptor(&config_digest, 5), "layers": [descriptor("sha256:a", 1)]});
    let old = filled(image(&manifest, config));
    let mut stored = old.clone();
    stored.docker_image_manifest.clear();
    stored.docker_image_config.clear();
    type Change = fn(&mut Image);
    let refused: [(&str, Change); 6] = [
        ("metadata", |image| image.docker_image_metadata.size = 1),
        ("layers", |image| image.docker_image_layers.clear()),
        ("media type", |image| {
            image.docker_image_manifest_media_type = "x".into()
        }),
        ("manifest", |image| image.docker_image_manifest = "changed".into()),
        ("config", |image| image.docker_image_config = "changed".into()),
        ("version", |image| {
            image.docker_image_metadata_version = "2".into()
        }),
    ];
    for base in [&old, &stored] {
        for (name, change) in refused {
            let mut new = base.clone();
            change(&mut new);
            prepare_update(&mut new, base);
            assert_eq!(new, *base, "{name}");
        }
    }
    let allowed: [(&str, Change); 5] = [
        ("reference", |image| {
            image.docker_image_reference = "changed/x:y".into()
        }),
        ("annotations", |image| {
            drop(image.metadata.annotations.insert("a".into(), "b".into()))
        }),
        ("signatures", |image| {
            image.signatures.push(berth_api::ImageSignature::default())
        }),
        ("no manifest", |image| image.docker_image_manifest.clear()),
        ("no config", |image| image.docker_image_config.clear()),
    ];
    for (name, change) in allowed {
        let mut new = old.clone();
        change(&mut new);
        let want = new.clone();
        prepare_update(&mut new, &old);
        assert_eq!(new, want, "{name}");
        assert_ne!(new, old, "{name}");
    }
    let mut restored = old.clone();
    prepare_update(&mut restored, &stored);
    assert_eq!(restored, old, "the right documents may come back");
}

proptest! {
    #[test]
    fn no_manifest_makes_it_panic(manifest in "\\PC{0,60}", config in "\\PC{0,60}") {
        let mut image = Image { docker_image_manifest: manifest, docker_image_config: config, ..Image::default() };
        let _ = check_name(&image);
        let _ = fill_metadata(&mut image, now(), |_| None);
    }

    #[test]
    fn sizes_never_overflow(sizes in proptest::collection::vec(0..=i64::MAX, 0..6)) {
        let layers: Vec<_> = sizes.iter().enumerate().map(|(i, &size)| descriptor(&format!("sha256:{i}"), size)).collect();
        let mut image = image(&json!({"layers": layers, "config": descriptor("sha256:c", i64::MAX)}), "");
        prop_assert!(fill_metadata(&mut image, now(), |_| None).is_ok());
        prop_assert!(image.docker_image_metadata.size >= 0);
    }
}
