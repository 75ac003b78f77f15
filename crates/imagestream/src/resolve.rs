//! Wanted tags that point to a tag or an image of a stream, or that only record a pull spec, get their event in the same
//! request that writes the stream. Tags that have to be imported wait for the importer.
//!
//! It takes two steps, because this crate does no I/O: [`sources`] names the foreign streams that are needed (and that the
//! caller must be allowed to pull from), [`resolve`] gets them and enters the events.

use std::collections::{BTreeMap, BTreeSet};

use berth_api::{ImageStream, ObjectReference, TagEvent, Time};

use crate::{PullSpec, history, name, spec};

/// A stream, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What is wrong with the source of a wanted tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `from.name` does not have the form that `from.kind` asks for.
    Form {
        /// The tag.
        tag: String,
        /// `from.name`.
        name: String,
    },
    /// The stream that is the source does not exist.
    NoStream {
        /// The tag.
        tag: String,
        /// `from.name`.
        name: String,
    },
    /// The source stream holds no image of this name.
    NoImage {
        /// The tag.
        tag: String,
        /// `from.name`.
        name: String,
        /// The digest or prefix that was looked for.
        id: String,
    },
    /// The source stream holds several images that begin like this.
    Ambiguous {
        /// The tag.
        tag: String,
        /// `from.name`.
        name: String,
        /// The prefix that was looked for.
        id: String,
        /// The images that begin with it.
        images: Vec<String>,
    },
}

/// Which tag or image of which stream a reference means.
fn target<'a>(stream: &'a ImageStream, from: &'a ObjectReference) -> Option<(StreamKey, &'a str)> {
    let separator = match from.kind.as_str() {
        "ImageStreamTag" => ':',
        "ImageStreamImage" => '@',
        _ => return None,
    };
    let (source, rest) = match from.name.split_once(separator) {
        Some((_, rest)) if rest.contains(separator) => return None,
        Some(parts) => parts,
        None => (stream.metadata.name.as_str(), from.name.as_str()),
    };
    let namespace = if from.namespace.is_empty() {
        &stream.metadata.namespace
    } else {
        &from.namespace
    };
    Some((
        StreamKey {
            namespace: namespace.clone(),
            name: source.to_owned(),
        },
        rest,
    ))
}

fn key_of(stream: &ImageStream) -> StreamKey {
    StreamKey {
        namespace: stream.metadata.namespace.clone(),
        name: stream.metadata.name.clone(),
    }
}

/// Whether a new or changed tag is waiting for [`resolve`]; tags without source and plain imports are not.
fn is_pending(old: Option<&ImageStream>, new: &ImageStream, tag: &berth_api::TagReference) -> bool {
    let is_import = |from: &ObjectReference| from.kind == "DockerImage" && !tag.reference;
    tag.from.as_ref().is_some_and(|from| !is_import(from)) && spec::is_new_or_changed(old, new, tag)
}

/// The streams, other than `new` itself, that new and changed tags of `new` are copied from, each with those tags.
///
/// Who writes `new` must be allowed to pull from the ones in other namespaces: afterwards their images can be pulled from `new`.
#[must_use]
pub fn sources(new: &ImageStream, old: Option<&ImageStream>) -> BTreeMap<StreamKey, BTreeSet<String>> {
    let own = key_of(new);
    let mut sources: BTreeMap<StreamKey, BTreeSet<String>> = BTreeMap::new();
    for (name, tag) in &new.spec.tags {
        if let Some(from) = &tag.from
            && is_pending(old, new, tag)
            && let Some((key, _)) = target(new, from)
            && key != own
        {
            sources.entry(key).or_default().insert(name.clone());
        }
    }
    sources
}

/// Enters the events of new and changed tags of `stream`, then hands changes on to the tags that follow them.
///
/// `foreign` holds the streams that [`sources`] asked for; one that is missing there does not exist. `internal_host` is the
/// integrated registry: a copied reference that points to the source stream there is rewritten to this stream, so that pulls
/// are checked here, unless the tag says `reference`.
pub fn resolve(
    stream: &mut ImageStream,
    old: Option<&ImageStream>,
    foreign: &BTreeMap<StreamKey, ImageStream>,
    internal_host: Option<&str>,
    now: Time,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let pending: Vec<_> = stream
        .spec
        .tags
        .values()
        .filter(|tag| is_pending(old, stream, tag))
        .cloned()
        .collect();
    for tag in pending {
        let Some(from) = &tag.from else { continue };
        let generation = tag.generation.unwrap_or(stream.metadata.generation);
        if from.kind == "DockerImage" {
            if !from.name.is_empty() {
                let event = TagEvent {
                    created: Some(now),
                    docker_image_reference: from.name.clone(),
                    image: String::new(),
                    generation,
                };
                history::record(stream, &tag.name, event);
            }
            continue;
        }
        let Some((key, id)) = target(stream, from) else {
            problems.push(Problem::Form {
                tag: tag.name.clone(),
                name: from.name.clone(),
            });
            continue;
        };
        let is_own = key == key_of(stream);
        let Some(source) = (if is_own { Some(&*stream) } else { foreign.get(&key) }) else {
            problems.push(Problem::NoStream {
                tag: tag.name.clone(),
                name: from.name.clone(),
            });
            continue;
        };
        let found = if from.kind == "ImageStreamTag" {
            // A source tag that does not exist yet is no error; a follower of the own stream moves once it does.
            Ok(history::latest(source, id).cloned())
        } else {
            find_image(source, id).map(|event| {
                Some(TagEvent {
                    created: Some(now),
                    ..event.clone()
                })
            })
        };
        let event = match found {
            Ok(None) => continue,
            Ok(Some(event)) => TagEvent { generation, ..event },
            Err(images) if images.is_empty() => {
                problems.push(Problem::NoImage {
                    tag: tag.name.clone(),
                    name: from.name.clone(),
                    id: id.to_owned(),
                });
                continue;
            }
            Err(images) => {
                let (tag, name, id) = (tag.name.clone(), from.name.clone(), id.to_owned());
                problems.push(Problem::Ambiguous {
                    tag,
                    name,
                    id,
                    images,
                });
                continue;
            }
        };
        let event = if tag.reference {
            event
        } else {
            localize(event, source, stream, internal_host)
        };
        let raised = (is_own && from.kind == "ImageStreamTag").then(|| id.to_owned());
        if let Some(source_tag) = raised {
            raise_generation(stream, &source_tag, generation);
        }
        history::record(stream, &tag.name, event);
    }
    follow_changes(stream, old);
    problems
}

/// OpenShift raises the generation of a tag's newest event when another tag of the stream begins to follow it, and clients see
/// it. That would hide an import that is still to come, so it is done only where none is.
fn raise_generation(stream: &mut ImageStream, tag: &str, generation: i64) {
    let wanted = stream
        .spec
        .tags
        .get(tag)
        .and_then(|tag| tag.generation)
        .unwrap_or(0);
    if let Some(newest) = stream
        .status
        .tags
        .get_mut(tag)
        .and_then(|list| list.items.first_mut())
        && newest.generation >= wanted
    {
        newest.generation = newest.generation.max(generation);
    }
}

/// Hands every newest event that differs from the old one on to its followers.
fn follow_changes(stream: &mut ImageStream, old: Option<&ImageStream>) {
    let changed: Vec<(String, TagEvent)> = stream
        .status
        .tags
        .iter()
        .filter_map(|(tag, list)| {
            let newest = list.items.first()?;
            let before = old.and_then(|old| history::latest(old, tag));
            (before != Some(newest)).then(|| (tag.clone(), newest.clone()))
        })
        .collect();
    for (tag, event) in changed {
        history::update_followers(stream, &tag, &event);
    }
}

/// The event of the one image in a stream's history that `id` means; else all images that it could mean.
fn find_image<'a>(stream: &'a ImageStream, id: &str) -> Result<&'a TagEvent, Vec<String>> {
    let mut found: BTreeMap<&str, &TagEvent> = BTreeMap::new();
    for event in stream.status.tags.values().flat_map(|list| &list.items) {
        if name::is_image_prefix(&event.image, id) {
            found.entry(&event.image).or_insert(event);
        }
    }
    let mut events = found.values();
    match (events.next(), events.next()) {
        (Some(event), None) => Ok(event),
        _ => Err(found.into_keys().map(str::to_owned).collect()),
    }
}

fn localize(
    mut event: TagEvent,
    source: &ImageStream,
    stream: &ImageStream,
    internal_host: Option<&str>,
) -> TagEvent {
    if let Some(host) = internal_host
        && let Ok(reference) = event.docker_image_reference.parse::<PullSpec>()
        && reference.registry == host
        && reference.namespace == source.metadata.namespace
        && reference.name == source.metadata.name
    {
        let local = PullSpec {
            namespace: stream.metadata.namespace.clone(),
            name: stream.metadata.name.clone(),
            ..reference
        };
        event.docker_image_reference = local.to_string();
    }
    event
}

#[cfg(test)]
mod tests;
