//! Image streams as repositories see them: which image each tag means, and which images its history names.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use berth_client::Client;
use berth_distribution::Refusal;
use berth_oci::{Digest, RepositoryName};
use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{metrics::Metrics, refuse};

/// How long a stream that was seen to exist answers reads by digest: a deleted one opens nothing after that.
const RECENT: Duration = Duration::from_secs(1);
/// Bytes of streams and of their layers that are kept; one costs about twice its bytes.
const CAPACITY_BYTES: u64 = 8 << 20;
/// Streams that the bound above is expected to hold.
const EXPECTED: usize = 2048;

/// A stream's status, parsed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    uid: Box<str>,
    /// Tags in bytewise order with the image each one means now.
    tags: Vec<(Box<str>, Digest)>,
    /// Every image of every tag's history.
    history: HashSet<Digest>,
}

impl Stream {
    /// The stream's unique id: another one of the same name has another.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// The image a tag means now.
    pub(crate) fn resolve(&self, tag: &str) -> Option<Digest> {
        let at = self.tags.binary_search_by(|(name, _)| (**name).cmp(tag)).ok()?;
        Some(self.tags[at].1)
    }

    /// Tags after `after`, in order.
    pub(crate) fn tags_after(&self, after: Option<&str>) -> impl Iterator<Item = &str> {
        let from = after.map_or(0, |after| self.tags.partition_point(|(name, _)| **name <= *after));
        self.tags[from..].iter().map(|(name, _)| &**name)
    }

    /// Whether any tag ever meant `digest`, as far as the history goes.
    pub(crate) fn remembers(&self, digest: &Digest) -> bool {
        self.history.contains(digest)
    }

    fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let wire: Wire<'_> = serde_json::from_slice(bytes)?;
        let lists = wire.status.unwrap_or_default().tags.unwrap_or_default();
        let mut history = HashSet::new();
        let mut tags: Vec<(Box<str>, Digest)> = Vec::with_capacity(lists.len());
        for list in lists {
            let items = list.items.unwrap_or_default();
            // What is no digest is no image of a registry; such events come from imports that failed half way.
            history.extend(
                items
                    .iter()
                    .filter_map(|event| event.image.parse::<Digest>().ok()),
            );
            if let Some(image) = items.first().and_then(|event| event.image.parse().ok()) {
                tags.push((Box::from(&*list.tag), image));
            }
        }
        tags.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        tags.dedup_by(|a, b| a.0 == b.0);
        let uid = Box::from(&*wire.metadata.uid);
        Ok(Self { uid, tags, history })
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    metadata: WireMetadata<'a>,
    #[serde(borrow)]
    status: Option<WireStatus<'a>>,
}

#[derive(Deserialize, Default)]
struct WireMetadata<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
struct WireStatus<'a> {
    #[serde(borrow)]
    tags: Option<Vec<WireTag<'a>>>,
}

#[derive(Deserialize)]
struct WireTag<'a> {
    #[serde(borrow)]
    tag: Cow<'a, str>,
    #[serde(borrow)]
    items: Option<Vec<WireEvent<'a>>>,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, default)]
    image: Cow<'a, str>,
}

/// Every blob and manifest that a stream's history reaches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    all: HashSet<Digest>,
    /// Those that an index of the history lists.
    children: HashSet<Digest>,
}

impl Layers {
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.all.contains(digest)
    }

    /// Whether an index of the history lists the manifest.
    pub(crate) fn lists(&self, digest: &Digest) -> bool {
        self.children.contains(digest)
    }

    fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let layers: berth_api::ImageStreamLayers = parse_owned(bytes)?;
        let children = layers.images.values().flat_map(|image| &image.manifests);
        let children: HashSet<Digest> = children.filter_map(|digest| digest.parse().ok()).collect();
        let own = layers.blobs.keys().chain(layers.images.keys());
        let all = own
            .filter_map(|digest| digest.parse().ok())
            .chain(children.iter().copied())
            .collect();
        Ok(Self { all, children })
    }
}

fn parse_owned<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes)
}

/// A value with the bytes it was parsed from: while the API answers with the same bytes, it is not parsed again.
struct Parsed<T> {
    bytes: Bytes,
    value: Arc<T>,
    seen: Instant,
}

impl<T> Clone for Parsed<T> {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            value: Arc::clone(&self.value),
            seen: self.seen,
        }
    }
}

#[derive(Clone)]
struct ByBytes;

impl<T> Weighter<RepositoryName, Parsed<T>> for ByBytes {
    fn weight(&self, _name: &RepositoryName, parsed: &Parsed<T>) -> u64 {
        parsed.bytes.len() as u64 + 1
    }
}

type Kept<T> = Cache<RepositoryName, Parsed<T>, ByBytes>;

/// The image streams of the cluster, read with the registry's own identity.
pub(crate) struct Streams {
    client: Client,
    streams: Kept<Stream>,
    layers: Kept<Layers>,
    /// Counts what this process forgot: an answer to a question from before that is not kept.
    changes: AtomicU64,
    metrics: Metrics,
}

impl Streams {
    pub(crate) fn new(client: Client, metrics: Metrics) -> Self {
        Self {
            client,
            metrics,
            changes: AtomicU64::new(0),
            streams: Cache::with_weighter(EXPECTED, CAPACITY_BYTES, ByBytes),
            layers: Cache::with_weighter(EXPECTED, CAPACITY_BYTES, ByBytes),
        }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// The stream as it is now: sees every push that was acknowledged before.
    pub(crate) async fn now(&self, name: &RepositoryName) -> Result<Option<Arc<Stream>>, Refusal> {
        const DOING: &str = "reading the image stream";
        let Some((namespace, stream)) = name.pair() else {
            return Ok(None);
        };
        let asked = self.ask();
        match self.client.own().image_stream_bytes(namespace, stream).await {
            Ok(bytes) => self
                .keep(&self.streams, name, bytes, asked, Stream::parse)
                .map(Some)
                .map_err(|source| {
                    let what = format!("GET {name}");
                    refuse::failed(
                        DOING,
                        &berth_client::Error::Answer {
                            what,
                            kind: "ImageStream",
                            source,
                        },
                    )
                }),
            Err(error) if error.is_not_found() => {
                self.streams.remove(name);
                Ok(None)
            }
            Err(error) => Err(refuse::failed(DOING, &error)),
        }
    }

    /// The stream as it was a moment ago, or as it is now. Good for saying yes: what is missing from it may
    /// have come since.
    pub(crate) async fn recent(&self, name: &RepositoryName) -> Result<Option<Arc<Stream>>, Refusal> {
        let recent = self
            .streams
            .get(name)
            .filter(|parsed| parsed.seen.elapsed() < RECENT);
        self.metrics.stream_lookup(recent.is_some());
        match recent {
            Some(parsed) => Ok(Some(parsed.value)),
            None => self.now(name).await,
        }
    }

    /// What the stream's history reaches now; none when there is no such stream.
    pub(crate) async fn layers(&self, name: &RepositoryName) -> Result<Option<Arc<Layers>>, Refusal> {
        const DOING: &str = "reading the layers of the image stream";
        let Some((namespace, stream)) = name.pair() else {
            return Ok(None);
        };
        let asked = self.ask();
        match self
            .client
            .own()
            .image_stream_layers_bytes(namespace, stream)
            .await
        {
            Ok(bytes) => self
                .keep(&self.layers, name, bytes, asked, Layers::parse)
                .map(Some)
                .map_err(|source| {
                    let what = format!("GET {name}/layers");
                    refuse::failed(
                        DOING,
                        &berth_client::Error::Answer {
                            what,
                            kind: "ImageStreamLayers",
                            source,
                        },
                    )
                }),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(refuse::failed(DOING, &error)),
        }
    }

    /// Forgets what was seen of a stream: this process just changed it.
    pub(crate) fn forget(&self, name: &RepositoryName) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.streams.remove(name);
        self.layers.remove(name);
    }

    fn ask(&self) -> Asked {
        Asked {
            changes: self.changes.load(Ordering::Acquire),
            at: Instant::now(),
        }
    }

    /// The parsed value of `bytes`: the kept one when the bytes are the same.
    fn keep<T>(
        &self,
        kept: &Kept<T>,
        name: &RepositoryName,
        bytes: Bytes,
        asked: Asked,
        parse: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> serde_json::Result<Arc<T>> {
        let (value, fresh) = match kept.get(name) {
            Some(parsed) if same(&parsed.bytes, &bytes) => {
                // Renewing the time costs a write to the cache, which is not worth it for every read of a tag.
                (
                    parsed.value,
                    asked.at.saturating_duration_since(parsed.seen) > RECENT / 10,
                )
            }
            _ => (Arc::new(parse(&bytes)?), true),
        };
        if fresh && asked.changes == self.changes.load(Ordering::Acquire) {
            let parsed = Parsed {
                bytes,
                value: Arc::clone(&value),
                seen: asked.at,
            };
            kept.insert(name.clone(), parsed);
            // A change between the look and the insertion must win.
            if asked.changes != self.changes.load(Ordering::Acquire) {
                kept.remove(name);
            }
        }
        Ok(value)
    }
}

/// When a question was put, and how many changes this process had made by then.
#[derive(Clone, Copy)]
struct Asked {
    changes: u64,
    at: Instant,
}

/// Whether two byte strings are equal. An API server in this process answers with the very same bytes.
fn same(a: &Bytes, b: &Bytes) -> bool {
    a.len() == b.len() && (std::ptr::eq(a.as_ptr(), b.as_ptr()) || a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::sha256(of.as_bytes())
    }

    #[test]
    fn a_stream_is_its_tags_and_its_history() {
        let (a, b, c) = (digest("a"), digest("b"), digest("c"));
        let json = serde_json::json!({"kind": "ImageStream", "metadata": {"name": "app", "uid": "u"}, "spec": {"tags": null}, "status": {
            "dockerImageRepository": "r/ns/app",
            "tags": [
                {"tag": "v2", "items": [{"image": b.to_string(), "created": "x"}, {"image": a.to_string()}]},
                {"tag": "v1", "items": [{"image": a.to_string()}]},
                {"tag": "empty", "items": null},
                {"tag": "broken", "items": [{"image": ""}, {"image": c.to_string()}]},
                {"tag": "1.10", "items": [{"image": a.to_string()}]},
            ],
        }});
        let stream = Stream::parse(json.to_string().as_bytes()).expect("a stream");
        let tags = |after| stream.tags_after(after).collect::<Vec<_>>();
        assert_eq!(tags(None), ["1.10", "v1", "v2"]);
        assert_eq!(tags(Some("1.10")), ["v1", "v2"]);
        assert_eq!(tags(Some("v11")), ["v2"]);
        assert_eq!(tags(Some("z")), [""; 0]);
        for (tag, want) in [
            ("v1", Some(a)),
            ("v2", Some(b)),
            ("empty", None),
            ("broken", None),
            ("v", None),
        ] {
            assert_eq!(stream.resolve(tag), want, "{tag}");
        }
        assert!(
            stream.remembers(&a)
                && stream.remembers(&b)
                && stream.remembers(&c)
                && !stream.remembers(&digest("d"))
        );
        for empty in ["{}", r#"{"status":{}}"#, r#"{"status":{"tags":null}}"#] {
            assert_eq!(
                Stream::parse(empty.as_bytes()).expect(empty).tags.len(),
                0,
                "{empty}"
            );
        }
    }

    #[test]
    fn layers_hold_blobs_images_and_children() {
        let json = serde_json::json!({"metadata": {}, "blobs": {digest("blob").to_string(): {"size": 1, "mediaType": "x"}},
            "images": {digest("list").to_string(): {"layers": null, "config": null, "manifests": [digest("child").to_string()]}}});
        let layers = Layers::parse(json.to_string().as_bytes()).expect("layers");
        for (name, want) in [("blob", true), ("list", true), ("child", true), ("other", false)] {
            assert_eq!(layers.contains(&digest(name)), want, "{name}");
        }
    }
}
