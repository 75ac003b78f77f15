//! Which content a stream gives access to: every image in its histories, the entries of indexes, their layers and configurations.

use std::collections::BTreeSet;

use berth_api::{
    DockerImage, Image, ImageBlobReferences, ImageLayer, ImageLayerData, ImageManifest, ImageStream,
    ImageStreamLayers,
};
use serde::Deserialize;

/// How deep indexes may nest before their entries are no longer followed.
pub const MAX_DEPTH: usize = 8;

/// What the layers view needs of an Image, to be read from its JSON without the rest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Content {
    docker_image_manifest_media_type: String,
    docker_image_layers: Vec<ImageLayer>,
    docker_image_manifests: Vec<ImageManifest>,
    docker_image_metadata: Option<Metadata>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    id: String,
}

impl From<&Image> for Content {
    fn from(image: &Image) -> Self {
        let DockerImage { id, .. } = &image.docker_image_metadata;
        Self {
            docker_image_manifest_media_type: image.docker_image_manifest_media_type.clone(),
            docker_image_layers: image.docker_image_layers.clone(),
            docker_image_manifests: image.docker_image_manifests.clone(),
            docker_image_metadata: Some(Metadata { id: id.clone() }),
        }
    }
}

impl Content {
    /// The configuration's digest and its media type, as far as the kind of manifest tells.
    fn config(&self) -> Option<(&str, &'static str)> {
        let media_type = match self.docker_image_manifest_media_type.as_str() {
            "application/vnd.docker.distribution.manifest.v2+json" => {
                "application/vnd.docker.container.image.v1+json"
            }
            "application/vnd.oci.image.manifest.v1+json" => "application/vnd.oci.image.config.v1+json",
            _ => return None,
        };
        let id = self
            .docker_image_metadata
            .as_ref()
            .map(|metadata| metadata.id.as_str())?;
        (!id.is_empty()).then_some((id, media_type))
    }
}

/// Computes the layers view of `stream`; `content` looks up an Image by name.
///
/// Images are looked up one by one, so that memory grows with the stream and not with the cluster.
pub fn layers(stream: &ImageStream, mut content: impl FnMut(&str) -> Option<Content>) -> ImageStreamLayers {
    let mut view = ImageStreamLayers {
        metadata: stream.metadata.clone(),
        ..ImageStreamLayers::default()
    };
    let images: BTreeSet<&str> = stream
        .status
        .tags
        .values()
        .flat_map(|list| &list.items)
        .map(|event| event.image.as_str())
        .collect();
    let mut pending: Vec<(String, usize)> = images
        .into_iter()
        .filter(|image| !image.is_empty())
        .map(|image| (image.to_owned(), 0))
        .collect();
    while let Some((name, depth)) = pending.pop() {
        if view.images.contains_key(&name) {
            continue;
        }
        let Some(content) = content(&name) else {
            view.images.insert(
                name,
                ImageBlobReferences {
                    image_missing: true,
                    ..ImageBlobReferences::default()
                },
            );
            continue;
        };
        let entries = &content.docker_image_manifests;
        if depth < MAX_DEPTH {
            pending.extend(entries.iter().map(|entry| (entry.digest.clone(), depth + 1)));
        }
        let mut references = ImageBlobReferences {
            manifests: entries.iter().map(|entry| entry.digest.clone()).collect(),
            ..ImageBlobReferences::default()
        };
        if entries.is_empty() {
            if let Some((config, media_type)) = content.config() {
                references.config = Some(config.to_owned());
                let data = ImageLayerData {
                    size: None,
                    media_type: media_type.to_owned(),
                };
                view.blobs.entry(config.to_owned()).or_insert(data);
            }
            for layer in &content.docker_image_layers {
                references.layers.push(layer.name.clone());
                let data = ImageLayerData {
                    size: Some(layer.size),
                    media_type: layer.media_type.clone(),
                };
                view.blobs.insert(layer.name.clone(), data);
            }
        }
        let manifest = ImageLayerData {
            size: None,
            media_type: content.docker_image_manifest_media_type,
        };
        view.blobs.insert(name.clone(), manifest);
        view.images.insert(name, references);
    }
    view
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use berth_api::{NamedTagEventList, TagEvent};
    use serde_json::json;

    use super::*;

    fn stream(images: &[&str]) -> ImageStream {
        let mut stream = ImageStream::default();
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

    fn image(config: &str, layers: &[&str]) -> Image {
        Image {
            docker_image_manifest_media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            docker_image_metadata: DockerImage {
                id: config.into(),
                ..DockerImage::default()
            },
            docker_image_layers: layers
                .iter()
                .map(|&name| ImageLayer {
                    name: name.into(),
                    size: 7,
                    media_type: "layer".into(),
                })
                .collect(),
            ..Image::default()
        }
    }

    fn index(entries: &[&str]) -> Image {
        Image {
            docker_image_manifest_media_type: "index".into(),
            docker_image_metadata: DockerImage {
                id: "ignored".into(),
                ..DockerImage::default()
            },
            docker_image_manifests: entries
                .iter()
                .map(|&digest| ImageManifest {
                    digest: digest.into(),
                    ..ImageManifest::default()
                })
                .collect(),
            ..Image::default()
        }
    }

    #[test]
    fn indexes_are_followed_and_missing_images_marked() {
        let images = BTreeMap::from([
            ("i", index(&["a", "gone", "i"])),
            ("a", image("cfg", &["l1", "l2"])),
        ]);
        let view = layers(&stream(&["i", "", "i"]), |name| {
            images.get(name).map(Content::from)
        });
        let want = json!({
            "metadata": {},
            "blobs": {
                "a": {"size": null, "mediaType": "application/vnd.oci.image.manifest.v1+json"},
                "cfg": {"size": null, "mediaType": "application/vnd.oci.image.config.v1+json"},
                "i": {"size": null, "mediaType": "index"},
                "l1": {"size": 7, "mediaType": "layer"},
                "l2": {"size": 7, "mediaType": "layer"},
            },
            "images": {
                "a": {"layers": ["l1", "l2"], "config": "cfg", "imageMissing": false},
                "gone": {"layers": null, "config": null, "imageMissing": true},
                "i": {"layers": null, "config": null, "imageMissing": false, "manifests": ["a", "gone", "i"]},
            },
        });
        assert_eq!(serde_json::to_value(view).unwrap(), want);
    }

    #[test]
    fn content_reads_from_the_json_of_an_image() {
        let text = serde_json::to_string(&image("cfg", &["l1"])).unwrap();
        let content: Content = serde_json::from_str(&text).unwrap();
        let view = layers(&stream(&["a"]), |_| Some(content.clone()));
        assert_eq!(view.blobs.keys().collect::<Vec<_>>(), ["a", "cfg", "l1"]);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut looked_up = 0;
        let view = layers(&stream(&["0"]), |name| {
            looked_up += 1;
            let next = (name.parse::<u32>().expect("a number") + 1).to_string();
            Some(Content::from(&index(&[next.as_str()])))
        });
        assert_eq!((looked_up, view.images.len()), (MAX_DEPTH + 1, MAX_DEPTH + 1));
    }
}
