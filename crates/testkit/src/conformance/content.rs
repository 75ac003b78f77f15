//! What is pushed.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use crate::image::{gzip, noise, tar};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const FOREIGN_GZIP: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const ARTIFACT_ONE: &str = "application/vnd.example.walk.v1";
const ARTIFACT_TWO: &str = "application/vnd.example.walk.v2";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(super) fn digest(self, bytes: &[u8]) -> String {
        match self {
            Self::Sha256 => format!("sha256:{}", hex::encode(Sha256::digest(bytes))),
            Self::Sha512 => format!("sha512:{}", hex::encode(Sha512::digest(bytes))),
        }
    }
}

thread_local! {
    /// Makes every content of a walk another one.
    static SEED: Cell<u64> = Cell::new(u64::from(std::process::id()) << 32);
}

pub(super) fn fresh() -> u64 {
    SEED.with(|seed| {
        seed.set(seed.get() + 1);
        seed.get()
    })
}

/// A set of content that is pushed together.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) name: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// In the order in which they are pushed.
    pub(super) manifests: Vec<(String, Vec<u8>)>,
    pub(super) tags: BTreeMap<String, String>,
    /// Descriptors that must be listed, by subject.
    pub(super) referrers: BTreeMap<String, Vec<Value>>,
    /// Whether tags are pushed as parameters of their manifest's push.
    pub(super) tag_parameters: bool,
    /// Whether every manifest was changed after its digest was taken.
    pub(super) broken: bool,
}

/// How an image is made.
#[derive(Clone, Default)]
pub(super) struct Shape {
    artifact_type: Option<&'static str>,
    config: Option<Vec<u8>>,
    layers: Option<Vec<(&'static str, Vec<u8>)>>,
    subject: Option<Value>,
    annotations: Option<Value>,
    architecture: Option<&'static str>,
    embed: bool,
    extra: bool,
}

impl Content {
    fn new(name: &'static str, algorithm: Algorithm) -> Self {
        Self {
            name,
            algorithm,
            blobs: BTreeMap::new(),
            manifests: Vec::new(),
            tags: BTreeMap::new(),
            referrers: BTreeMap::new(),
            tag_parameters: false,
            broken: false,
        }
    }

    fn blob(&mut self, media_type: &str, bytes: Vec<u8>, embed: bool) -> Value {
        let mut descriptor = describe(self.algorithm, media_type, &bytes);
        if embed {
            use base64::Engine as _;
            descriptor["data"] = base64::engine::general_purpose::STANDARD.encode(&bytes).into();
        }
        self.blobs.insert(self.algorithm.digest(&bytes), bytes);
        descriptor
    }

    /// Adds an image or an artifact, and returns its descriptor.
    fn image(&mut self, shape: &Shape) -> Value {
        let file = |n: u64| {
            tar(
                &format!("file-{n}.txt"),
                format!("number {n} of {}", fresh()).as_bytes(),
            )
        };
        let layers = shape
            .layers
            .clone()
            .unwrap_or_else(|| (0..2).map(|n| (LAYER_GZIP, gzip(&file(n)))).collect());
        let layers: Vec<Value> = layers
            .into_iter()
            .map(|(kind, bytes)| self.blob(kind, bytes, shape.embed))
            .collect();
        let (kind, config) = match &shape.config {
            Some(config) => (EMPTY, config.clone()),
            None => (CONFIG, config(shape, &layers)),
        };
        let config = self.blob(kind, config, shape.embed);
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        if shape.extra {
            manifest[format!("org.example.{}", fresh())] = json!({"some": ["extra", 1, null]});
        }
        self.add(shape, manifest, shape.artifact_type.or(kind.into()))
    }

    /// Adds an index of what was described, and returns its descriptor.
    fn index(&mut self, shape: &Shape, children: &[Value]) -> Value {
        let manifest = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
        self.add(shape, manifest, shape.artifact_type)
    }

    fn add(&mut self, shape: &Shape, mut manifest: Value, artifact_type: Option<&str>) -> Value {
        if let Some(own) = shape.artifact_type {
            manifest["artifactType"] = own.into();
        }
        if let Some(annotations) = &shape.annotations {
            manifest["annotations"] = annotations.clone();
        }
        if let Some(subject) = &shape.subject {
            manifest["subject"] = subject.clone();
        }
        let bytes = serde_json::to_vec(&manifest).expect("JSON serializes");
        let mut descriptor = describe(
            self.algorithm,
            manifest["mediaType"].as_str().unwrap_or_default(),
            &bytes,
        );
        self.manifests.push((self.algorithm.digest(&bytes), bytes));
        if let Some(subject) = shape
            .subject
            .as_ref()
            .and_then(|subject| subject["digest"].as_str())
        {
            let mut listed = descriptor.clone();
            if let Some(artifact_type) = artifact_type {
                listed["artifactType"] = artifact_type.into();
            }
            if let Some(annotations) = &shape.annotations {
                listed["annotations"] = annotations.clone();
            }
            self.referrers.entry(subject.to_owned()).or_default().push(listed);
        }
        if let Some(architecture) = shape.architecture {
            descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        }
        descriptor
    }

    /// Adds an image for each of two machines and their index.
    fn multi(&mut self, shape: &Shape) -> Value {
        let one = |architecture| {
            let shape = match shape.artifact_type {
                Some(kind) => Shape {
                    subject: shape.subject.clone(),
                    ..artifact(kind)
                },
                None => shape.clone(),
            };
            Shape {
                architecture: Some(architecture),
                ..shape
            }
        };
        let children = [self.image(&one("amd64")), self.image(&one("arm64"))];
        self.index(shape, &children)
    }

    fn tag(&mut self, tag: &str, descriptor: &Value) {
        self.tags.insert(
            tag.to_owned(),
            descriptor["digest"].as_str().unwrap_or_default().to_owned(),
        );
    }
}

fn describe(algorithm: Algorithm, media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": algorithm.digest(bytes), "size": bytes.len() })
}

fn config(shape: &Shape, layers: &[Value]) -> Vec<u8> {
    let mut config = json!({
        "author": "a walk", "os": "linux", "architecture": shape.architecture.unwrap_or("amd64"),
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| layer["digest"].clone()).collect::<Vec<_>>()},
        "seed": fresh(),
    });
    if shape.extra {
        config["org.example.extra"] = json!({"some": "extra"});
    }
    serde_json::to_vec(&config).expect("JSON serializes")
}

fn noted() -> Option<Value> {
    Some(json!({"org.example.walk": "hello", "org.example.unique": fresh().to_string()}))
}

fn artifact(artifact_type: &'static str) -> Shape {
    Shape {
        artifact_type: Some(artifact_type),
        config: Some(b"{}".to_vec()),
        layers: Some(vec![(artifact_type, noise(fresh(), 2048))]),
        annotations: noted(),
        ..Shape::default()
    }
}

/// Every kind of content.
pub(super) fn every() -> Vec<Content> {
    let mut all = Vec::new();
    let mut set = |name, algorithm, make: &dyn Fn(&mut Content)| {
        let mut content = Content::new(name, algorithm);
        make(&mut content);
        all.push(content);
    };
    let sha256 = Algorithm::Sha256;
    let tagged = |shape: Shape, tag: &'static str| {
        move |content: &mut Content| {
            let image = content.image(&shape);
            content.tag(tag, &image);
        }
    };
    set("image", sha256, &tagged(Shape::default(), "image"));
    let plain = |n| (LAYER, tar(&format!("{n}.txt"), fresh().to_string().as_bytes()));
    let uncompressed = Shape {
        layers: Some(vec![plain(1), plain(2)]),
        ..Shape::default()
    };
    set(
        "uncompressed image",
        sha256,
        &tagged(uncompressed, "image-uncompressed"),
    );
    let large: serde_json::Map<_, _> = (0..390)
        .map(|n| (format!("large-{n}"), "A".repeat(10_000).into()))
        .collect();
    set(
        "large manifest",
        sha256,
        &tagged(
            Shape {
                annotations: Some(large.into()),
                ..Shape::default()
            },
            "large",
        ),
    );
    set("index", sha256, &|content| {
        let index = content.multi(&Shape::default());
        content.tag("index", &index);
    });
    set("nested index", sha256, &|content| {
        let children = [content.multi(&Shape::default()), content.multi(&Shape::default())];
        let index = content.index(&Shape::default(), &children);
        content.tag("index-of-index", &index);
    });
    set("empty index", sha256, &|content| {
        let index = content.index(&Shape::default(), &[]);
        content.tag("index", &index);
    });
    set("artifact", sha256, &tagged(artifact(ARTIFACT_ONE), "artifact"));
    set("artifact index", sha256, &|content| {
        let index = content.multi(&artifact(ARTIFACT_ONE));
        content.tag("artifact-index", &index);
    });
    let hollow = Shape {
        layers: Some(vec![(EMPTY, b"{}".to_vec())]),
        ..artifact(ARTIFACT_ONE)
    };
    set(
        "artifact without layers",
        sha256,
        &tagged(hollow, "artifact-without-layers"),
    );
    set("artifacts with a subject", sha256, &|content| {
        let image = content.image(&Shape::default());
        content.tag("image", &image);
        content.image(&Shape {
            subject: Some(image.clone()),
            ..Shape::default()
        });
        for (n, kind) in [(1, ARTIFACT_ONE), (2, ARTIFACT_TWO)] {
            let artifact = content.image(&Shape {
                subject: Some(image.clone()),
                ..artifact(kind)
            });
            content.tag(&format!("tagged-artifact{n}"), &artifact);
        }
    });
    set("index with a subject", sha256, &|content| {
        let index = content.multi(&Shape::default());
        content.tag("index", &index);
        let artifact = content.multi(&Shape {
            subject: Some(index),
            ..artifact(ARTIFACT_ONE)
        });
        content.tag("tagged-artifact", &artifact);
    });
    set("artifact of a missing subject", sha256, &|content| {
        let missing = json!({ "mediaType": MANIFEST, "digest": sha256.digest(b"missing"), "size": 123 });
        let artifact = content.image(&Shape {
            subject: Some(missing),
            ..artifact(ARTIFACT_ONE)
        });
        content.tag("tagged-artifact", &artifact);
    });
    set(
        "embedded data",
        sha256,
        &tagged(
            Shape {
                embed: true,
                ..Shape::default()
            },
            "data-field",
        ),
    );
    set("layers from elsewhere", sha256, &|content| {
        let image = content.image(&Shape::default());
        let (_, bytes) = content.manifests.pop().expect("an image was added");
        let mut manifest: Value = serde_json::from_slice(&bytes).expect("a manifest is JSON");
        for (kind, size) in [(FOREIGN_GZIP, 123_456), (FOREIGN, 12_345)] {
            let digest = sha256.digest(&fresh().to_le_bytes());
            let url = format!("https://store.example.com/{digest}");
            let layer = json!({ "mediaType": kind, "digest": digest, "size": size, "urls": [url] });
            manifest["layers"]
                .as_array_mut()
                .expect("layers are a list")
                .insert(0, layer);
        }
        drop(image);
        let image = content.add(&Shape::default(), manifest, None);
        content.tag("non-distributable-image", &image);
    });
    set("fields of others", sha256, &|content| {
        let index = content.multi(&Shape {
            extra: true,
            ..Shape::default()
        });
        content.tag("custom-fields", &index);
    });
    set(
        "no layers",
        sha256,
        &tagged(
            Shape {
                layers: Some(Vec::new()),
                ..Shape::default()
            },
            "no-layers",
        ),
    );
    set("sparse", sha256, &|content| {
        let image = content.image(&Shape::default());
        content.tag("sparse-image", &image);
        let manifest: Value = serde_json::from_slice(&content.manifests[0].1).expect("a manifest is JSON");
        content
            .blobs
            .remove(manifest["layers"][0]["digest"].as_str().unwrap_or_default());
        let there = content.image(&Shape {
            architecture: Some("amd64"),
            ..Shape::default()
        });
        let missing = describe(sha256, MANIFEST, &noise(fresh(), 1024));
        let index = content.index(&Shape::default(), &[there, missing]);
        content.tag("sparse-index", &index);
    });
    set("sha512", Algorithm::Sha512, &|content| {
        content.multi(&Shape::default());
    });
    for algorithm in [sha256, Algorithm::Sha512] {
        set("tag parameters", algorithm, &|content| {
            content.tag_parameters = true;
            let index = content.multi(&Shape::default());
            content.tag("tag-param", &index);
            let all = content.manifests.clone();
            for (n, (digest, _)) in all.into_iter().enumerate() {
                content.tags.insert(format!("tag-param-{n}"), digest);
            }
        });
    }
    set("a wrong digest", sha256, &|content| {
        content.image(&Shape::default());
        content.manifests[0].1.extend_from_slice(b"  ");
        content.broken = true;
    });
    all
}
