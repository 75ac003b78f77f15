//! The wanted side of a stream: defaults, what counts as a change of a tag, and generations.

use berth_api::{ImageStream, ImportMode, ObjectReference, ReferencePolicyType, TagReference};

use crate::history;

/// Fills what a client may leave out of a wanted tag: import mode and reference policy.
pub fn default_tag(tag: &mut TagReference, import_mode: ImportMode) {
    if tag.import_policy.import_mode.is_empty() {
        import_mode
            .as_str()
            .clone_into(&mut tag.import_policy.import_mode);
    }
    if tag.reference_policy.policy_type.is_empty() {
        ReferencePolicyType::Source
            .as_str()
            .clone_into(&mut tag.reference_policy.policy_type);
    }
}

/// Fills what a client may leave out of a stream.
pub fn default_stream(stream: &mut ImageStream, import_mode: ImportMode) {
    for tag in stream.spec.tags.values_mut() {
        default_tag(tag, import_mode);
    }
}

/// Whether `new` wants something else than `old` did, so that the tag gets a new generation and is resolved again.
///
/// The source counts (kind, namespace and name; an empty namespace is the stream's own), so do `reference`, the import mode,
/// and generation 0, which asks for another import. How to reach the source and annotations do not count. OpenShift leaves
/// the kind out, and so ignores a `DockerImage` that becomes an `ImageStreamTag` of the same name.
#[must_use]
pub fn is_changed(old: &TagReference, new: &TagReference, namespace: &str) -> bool {
    let Some(from) = &new.from else { return false };
    if from.kind.is_empty() && from.name.is_empty() {
        return false;
    }
    let nothing = ObjectReference::default();
    let old_from = old.from.as_ref().unwrap_or(&nothing);
    let in_namespace = |reference: &ObjectReference| {
        if reference.namespace.is_empty() {
            namespace.to_owned()
        } else {
            reference.namespace.clone()
        }
    };
    let asked_again = new.generation == Some(0) && old.generation.is_some_and(|generation| generation != 0);
    old_from.kind != from.kind
        || old_from.name != from.name
        || in_namespace(old_from) != in_namespace(from)
        || old.reference != new.reference
        || old.import_policy.import_mode != new.import_policy.import_mode
        || asked_again
}

/// Whether `tag` of `new` has to be resolved: it is not in `old`, or it [changed](is_changed).
#[must_use]
pub fn is_new_or_changed(old: Option<&ImageStream>, new: &ImageStream, tag: &TagReference) -> bool {
    old.and_then(|old| old.spec.tags.get(&tag.name))
        .is_none_or(|old| is_changed(old, tag, &new.metadata.namespace))
}

/// Makes a stream ready for its creation: generation 1 everywhere.
pub fn prepare_create(stream: &mut ImageStream) {
    stream.metadata.generation = 1;
    for tag in stream.spec.tags.values_mut() {
        tag.generation = Some(1);
    }
    history::drop_empty(stream);
}

/// Makes a stream ready to replace `old`: the stream's generation grows with any change of its spec, a tag's when the tag
/// [changed](is_changed). Clients cannot set generations; the one value that is theirs is 0.
///
/// The repository fields of the status are the caller's business, and so is whether the status of `new` counts at all.
pub fn prepare_update(new: &mut ImageStream, old: &ImageStream) {
    history::drop_empty(new);
    for (name, tag) in &mut new.spec.tags {
        if tag.generation != Some(0)
            && let Some(old) = old.spec.tags.get(name)
        {
            tag.generation = old.generation;
        }
    }
    let differs = new.spec != old.spec || old.metadata.generation == 0;
    new.metadata.generation = old.metadata.generation + i64::from(differs);

    let generation = new.metadata.generation;
    for (name, tag) in &mut new.spec.tags {
        let changed = old
            .spec
            .tags
            .get(name)
            .is_none_or(|old| is_changed(old, tag, &new.metadata.namespace));
        if changed || tag.generation.is_none_or(|generation| generation == 0) {
            tag.generation = Some(generation);
        }
    }
}

/// Makes a stream ready to replace `old` through `/status`: the spec, labels and annotations are the old ones, and a newest
/// event without a generation gets that of the wanted tag it fulfils.
///
/// OpenShift lets the lookup policy, labels and annotations of a status update through; here a status update writes status.
pub fn prepare_status_update(new: &mut ImageStream, old: &ImageStream) {
    new.spec = old.spec.clone();
    new.metadata.generation = old.metadata.generation;
    new.metadata.labels.clone_from(&old.metadata.labels);
    new.metadata.annotations.clone_from(&old.metadata.annotations);
    for (name, list) in &mut new.status.tags {
        let Some(newest) = list.items.first_mut().filter(|newest| newest.generation == 0) else {
            continue;
        };
        let changed = old
            .status
            .tags
            .get(name)
            .and_then(|list| list.items.first())
            .is_some_and(|old| {
                old.image != newest.image
                    || old.docker_image_reference != newest.docker_image_reference
                    || old.generation > 0
            });
        let wanted = new.spec.tags.get(name).and_then(|tag| tag.generation);
        newest.generation = wanted.filter(|_| changed).unwrap_or(old.metadata.generation);
    }
}

/// What a stream's own source repository is shown as when there is no integrated registry: without tag and digest.
#[must_use]
pub fn own_repository(source: &str) -> String {
    match source.parse::<crate::PullSpec>() {
        Ok(spec) => spec.repository().to_string(),
        Err(_) => source.to_owned(),
    }
}

/// Puts the repository fields of the status to what the configuration says.
///
/// Without an integrated registry the stream's own source repository is repeated. A value that carries a tag or a digest is
/// trimmed to its repository.
pub fn set_repositories(stream: &mut ImageStream, internal_host: Option<&str>, external_host: Option<&str>) {
    let repository = |host: &str| {
        crate::PullSpec::of_stream(host, &stream.metadata.namespace, &stream.metadata.name).to_string()
    };
    let internal = match internal_host {
        Some(host) => repository(host),
        None => own_repository(&stream.spec.docker_image_repository),
    };
    let public = external_host.map(repository).unwrap_or_default();
    stream.status.docker_image_repository = internal;
    stream.status.public_docker_image_repository = public;
}

#[cfg(test)]
mod tests {
    use berth_api::{NamedTagEventList, TagEvent};

    use super::*;

    fn from(kind: &str, namespace: &str, name: &str) -> Option<ObjectReference> {
        Some(ObjectReference {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..ObjectReference::default()
        })
    }

    fn tag(name: &str, from: Option<ObjectReference>) -> TagReference {
        let mut tag = TagReference {
            name: name.into(),
            from,
            ..TagReference::default()
        };
        default_tag(&mut tag, ImportMode::Legacy);
        tag
    }

    fn stream(tags: impl IntoIterator<Item = TagReference>) -> ImageStream {
        let mut stream = ImageStream::default();
        stream.metadata.name = "app".into();
        stream.metadata.namespace = "ns".into();
        stream.spec.tags = tags.into_iter().map(|tag| (tag.name.clone(), tag)).collect();
        stream
    }

    #[test]
    fn what_counts_as_a_change() {
        let base = || TagReference {
            generation: Some(3),
            ..tag("t", from("DockerImage", "", "quay.io/a/b:c"))
        };
        type Change = fn(&mut TagReference);
        let cases: [(&str, Change, bool); 12] = [
            ("nothing", |_| {}, false),
            (
                "name",
                |tag| tag.from = from("DockerImage", "", "quay.io/a/b:d"),
                true,
            ),
            (
                "kind",
                |tag| tag.from = from("ImageStreamTag", "", "quay.io/a/b:c"),
                true,
            ),
            (
                "namespace",
                |tag| tag.from = from("DockerImage", "other", "quay.io/a/b:c"),
                true,
            ),
            (
                "own namespace spelled out",
                |tag| tag.from = from("DockerImage", "ns", "quay.io/a/b:c"),
                false,
            ),
            ("reference", |tag| tag.reference = true, true),
            (
                "import mode",
                |tag| tag.import_policy.import_mode = "PreserveOriginal".into(),
                true,
            ),
            ("another import", |tag| tag.generation = Some(0), true),
            ("insecure", |tag| tag.import_policy.insecure = true, false),
            ("scheduled", |tag| tag.import_policy.scheduled = true, false),
            (
                "policy",
                |tag| tag.reference_policy.policy_type = "Local".into(),
                false,
            ),
            ("source removed", |tag| tag.from = None, false),
        ];
        for (name, change, want) in cases {
            let mut new = base();
            change(&mut new);
            assert_eq!(is_changed(&base(), &new, "ns"), want, "{name}");
        }
        assert!(is_changed(&tag("t", None), &base(), "ns"), "source added");
    }

    #[test]
    fn generations_follow_changes() {
        let mut old = stream([
            tag("kept", from("DockerImage", "", "a/b:c")),
            tag("moved", from("DockerImage", "", "a/b:d")),
        ]);
        prepare_create(&mut old);
        assert_eq!(old.metadata.generation, 1);

        let mut same = old.clone();
        same.metadata.generation = 99;
        same.spec.tags.get_mut("kept").unwrap().generation = Some(77);
        prepare_update(&mut same, &old);
        assert_eq!(same, old, "clients cannot set generations");

        let mut new = old.clone();
        new.spec.tags.get_mut("moved").unwrap().from = from("DockerImage", "", "a/b:e");
        new.spec.tags.insert(
            "added".into(),
            TagReference {
                generation: Some(50),
                ..tag("added", None)
            },
        );
        prepare_update(&mut new, &old);
        let generations: Vec<_> = new
            .spec
            .tags
            .iter()
            .map(|(name, tag)| (name.as_str(), tag.generation))
            .collect();
        assert_eq!(new.metadata.generation, 2);
        assert_eq!(
            generations,
            [("added", Some(2)), ("kept", Some(1)), ("moved", Some(2))]
        );

        let mut annotated = old.clone();
        annotated
            .spec
            .tags
            .get_mut("kept")
            .unwrap()
            .annotations
            .insert("a".into(), "b".into());
        prepare_update(&mut annotated, &old);
        assert_eq!(
            (
                annotated.metadata.generation,
                annotated.spec.tags["kept"].generation
            ),
            (2, Some(1))
        );

        let mut again = old.clone();
        again.spec.tags.get_mut("kept").unwrap().generation = Some(0);
        prepare_update(&mut again, &old);
        assert_eq!(
            (again.metadata.generation, again.spec.tags["kept"].generation),
            (2, Some(2))
        );
    }

    #[test]
    fn a_status_update_writes_status_only() {
        let mut old = stream([tag("wanted", from("DockerImage", "", "a/b:c"))]);
        prepare_create(&mut old);
        old.metadata.generation = 7;
        let item = |image: &str, generation| TagEvent {
            image: image.into(),
            docker_image_reference: "r".into(),
            generation,
            ..TagEvent::default()
        };
        let list = |tag: &str, items| NamedTagEventList {
            tag: tag.into(),
            items,
            ..NamedTagEventList::default()
        };
        old.status
            .tags
            .insert("wanted".into(), list("wanted", vec![item("A", 1)]));

        let mut new = old.clone();
        new.spec = ImageStream::default().spec;
        new.spec.lookup_policy.local = true;
        new.metadata.labels.insert("l".into(), "v".into());
        new.metadata.annotations.insert("a".into(), "v".into());
        new.metadata.generation = 50;
        new.status
            .tags
            .insert("wanted".into(), list("wanted", vec![item("B", 0), item("A", 1)]));
        new.status
            .tags
            .insert("pushed".into(), list("pushed", vec![item("B", 0)]));
        prepare_status_update(&mut new, &old);

        assert_eq!((&new.spec, &new.metadata), (&old.spec, &old.metadata));
        assert_eq!(
            new.status.tags["wanted"].items[0].generation, 1,
            "that of the wanted tag"
        );
        assert_eq!(
            new.status.tags["pushed"].items[0].generation, 7,
            "that of the stream"
        );
    }

    #[test]
    fn repositories_follow_the_configuration() {
        for (source, internal, external, want) in [
            ("", Some("registry:5000"), None, ("registry:5000/ns/app", "")),
            (
                "quay.io/a/b",
                Some("registry"),
                Some("public"),
                ("registry/ns/app", "public/ns/app"),
            ),
            ("quay.io/a/b", None, None, ("quay.io/a/b", "")),
            ("quay.io/a/b:tag", None, None, ("quay.io/a/b", "")),
            ("", None, None, ("", "")),
        ] {
            let mut stream = stream([]);
            stream.spec.docker_image_repository = source.into();
            set_repositories(&mut stream, internal, external);
            let got = (
                stream.status.docker_image_repository.as_str(),
                stream.status.public_docker_image_repository.as_str(),
            );
            assert_eq!(got, want, "{source} {internal:?} {external:?}");
        }
    }
}
