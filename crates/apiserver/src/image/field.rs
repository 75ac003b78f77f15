//! What is wrong with the fields of an image kind. Paths and words are those of OpenShift where it has an opinion.

use berth_api::{Image, ImageStream, ImportMode, ReferencePolicyType, TagReference};
use berth_apimachinery::field::{FieldError, FieldErrorKind, FieldErrors};
use berth_imagestream::{PullSpec, name};

/// Longest type or subtype of a media type, in characters (RFC 6838, section 4.2).
const MEDIA_TYPE_PART: usize = 127;

/// A check that failed for a reason that is itself a message, as OpenShift reports what resolving tags finds.
pub(super) fn internal(detail: String) -> FieldError {
    FieldError {
        kind: FieldErrorKind::Internal,
        field: "[]".to_owned(),
        value: None,
        detail,
    }
}

/// `spec.tags[<tag>]`
pub(super) fn spec_tag(tag: &str) -> String {
    format!("spec.tags[{tag}]")
}

/// Errors of a stream beyond its metadata. What is in `old` already is not looked at again, so that an old fault stays removable.
pub(super) fn stream(stream: &ImageStream, old: Option<&ImageStream>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if stream.metadata.namespace.len() + 1 + stream.metadata.name.len() > name::MAX_REPOSITORY {
        let detail = format!(
            "'namespace/name' cannot be longer than {} characters",
            name::MAX_REPOSITORY
        );
        errors.push(FieldError::invalid(
            "metadata.name",
            stream.metadata.name.clone(),
            detail,
        ));
    }
    let repository = &stream.spec.docker_image_repository;
    if !repository.is_empty() {
        let invalid =
            |detail: String| FieldError::invalid("spec.dockerImageRepository", repository.clone(), detail);
        match repository.parse::<PullSpec>() {
            Err(error) => errors.push(invalid(error.to_string())),
            Ok(spec) => {
                if !spec.tag.is_empty() {
                    errors.push(invalid("the repository name may not contain a tag".into()));
                }
                if !spec.id.is_empty() {
                    errors.push(invalid("the repository name may not contain an ID".into()));
                }
            }
        }
    }
    for (name, wanted) in &stream.spec.tags {
        let path = spec_tag(name);
        if !old.is_some_and(|old| old.spec.tags.contains_key(name)) {
            errors.extend(tag_name(&format!("{path}.name"), name));
        }
        errors.extend(tag(&path, wanted));
    }
    errors.extend(events(stream, old));
    errors
}

/// Errors of the events that `old` does not have.
pub(super) fn events(stream: &ImageStream, old: Option<&ImageStream>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (tag, list) in &stream.status.tags {
        let before = old
            .and_then(|old| old.status.tags.get(tag))
            .map(|list| list.items.as_slice());
        let is_new = |old: &ImageStream| before.is_none() && !old.spec.tags.contains_key(tag);
        if old.is_some_and(is_new) {
            errors.extend(tag_name(&format!("status.tags[{tag}].tag"), tag));
        }
        for (index, item) in list.items.iter().enumerate() {
            let reference = &item.docker_image_reference;
            let known =
                before.is_some_and(|items| items.iter().any(|old| old.docker_image_reference == *reference));
            if known {
                continue;
            }
            let path = format!("status.tags[{tag}].items[{index}].dockerImageReference");
            if reference.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else if let Err(error) = reference.parse::<PullSpec>() {
                errors.push(FieldError::invalid(path, reference.clone(), error.to_string()));
            }
        }
    }
    errors
}

/// A tag must be one that a registry client can ask for; OpenShift stores any text.
pub(super) fn tag_name(path: &str, tag: &str) -> Option<FieldError> {
    if tag.is_empty() {
        return Some(FieldError::required(path, ""));
    }
    let detail = format!("must match {:?}", name::TAG_PATTERN);
    (!name::is_tag(tag)).then(|| FieldError::invalid(path, tag, detail))
}

/// Errors of a wanted tag at `path`.
pub(super) fn tag(path: &str, tag: &TagReference) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(from) = &tag.from {
        let name = format!("{path}.from.name");
        if from.name.is_empty() {
            errors.push(FieldError::required(name.clone(), ""));
        }
        match from.kind.as_str() {
            "DockerImage" => {
                if let Err(error) = from.name.parse::<PullSpec>()
                    && !from.name.is_empty()
                {
                    errors.push(FieldError::invalid(name, from.name.clone(), error.to_string()));
                }
            }
            "ImageStreamImage" | "ImageStreamTag" => {
                if tag.import_policy.scheduled {
                    let detail =
                        "only tags pointing to Docker repositories may be scheduled for background import";
                    errors.push(FieldError::invalid(
                        format!("{path}.importPolicy.scheduled"),
                        true,
                        detail,
                    ));
                }
            }
            _ => {
                let detail = "valid values are 'DockerImage', 'ImageStreamImage', 'ImageStreamTag'";
                errors.push(FieldError::required(format!("{path}.from.kind"), detail));
            }
        }
    }
    let mode = &tag.import_policy.import_mode;
    let modes = [ImportMode::Legacy.as_str(), ImportMode::PreserveOriginal.as_str()];
    if !mode.is_empty() && !modes.contains(&mode.as_str()) {
        let detail = format!("valid modes are {:?}, {:?}, {:?}", "", modes[0], modes[1]);
        errors.push(FieldError::invalid(
            format!("{path}.importPolicy.importMode"),
            mode.clone(),
            detail,
        ));
    }
    let policy = &tag.reference_policy.policy_type;
    let policies = [
        ReferencePolicyType::Source.as_str(),
        ReferencePolicyType::Local.as_str(),
    ];
    if !policies.contains(&policy.as_str()) {
        let detail = format!("valid values are {:?}, {:?}", policies[0], policies[1]);
        errors.push(FieldError::invalid(
            format!("{path}.referencePolicy.type"),
            policy.clone(),
            detail,
        ));
    }
    errors
}

/// Errors of an Image beyond its metadata; `prefix` is empty or ends with a dot.
pub(super) fn image(prefix: &str, image: &Image) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let reference = &image.docker_image_reference;
    let path = format!("{prefix}dockerImageReference");
    if reference.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if let Err(error) = reference.parse::<PullSpec>() {
        errors.push(FieldError::invalid(path, reference.clone(), error.to_string()));
    }
    if !image.docker_image_manifests.is_empty() && !image.docker_image_layers.is_empty() {
        let detail = "an index has no layers of its own";
        errors.push(FieldError::forbidden(
            format!("{prefix}dockerImageLayers"),
            detail,
        ));
    }
    for (index, entry) in image.docker_image_manifests.iter().enumerate() {
        let path = format!("{prefix}dockerImageManifests[{index}]");
        if entry.digest.parse::<berth_oci::Digest>().is_err() {
            errors.push(FieldError::invalid(
                format!("{path}.digest"),
                entry.digest.clone(),
                "is not a digest",
            ));
        }
        if !is_media_type(&entry.media_type) {
            let detail = "is not a media type (RFC 6838)";
            errors.push(FieldError::invalid(
                format!("{path}.mediaType"),
                entry.media_type.clone(),
                detail,
            ));
        }
        if entry.manifest_size < 0 {
            errors.push(FieldError::invalid(
                format!("{path}.size"),
                entry.manifest_size,
                "must not be negative",
            ));
        }
        // Entries without a platform are artifacts and attestations; OpenShift refuses the whole index for them.
    }
    for (index, entry) in image.signatures.iter().enumerate() {
        errors.extend(signature(&format!("{prefix}signatures[{index}]."), entry));
    }
    errors
}

fn is_media_type(text: &str) -> bool {
    let is_part = |part: &str| {
        part.len() <= MEDIA_TYPE_PART
            && part
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_part(kind) && is_part(subtype))
}

/// Errors of a signature beyond the rules that all metadata follows; `prefix` is empty or ends with a dot.
pub(super) fn signature(prefix: &str, signature: &berth_api::ImageSignature) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let metadata = &signature.metadata;
    if !metadata.labels.is_empty() {
        errors.push(FieldError::forbidden(
            format!("{prefix}metadata.labels"),
            "signature labels cannot be set",
        ));
    }
    if !metadata.annotations.is_empty() {
        let detail = "signature annotations cannot be set";
        errors.push(FieldError::forbidden(
            format!("{prefix}metadata.annotations"),
            detail,
        ));
    }
    if name::split_image(&metadata.name).is_none() {
        let detail = "name must be of format <imageName>@<signatureName>";
        errors.push(FieldError::invalid(
            format!("{prefix}metadata.name"),
            metadata.name.clone(),
            detail,
        ));
    }
    if signature.signature_type.is_empty() {
        errors.push(FieldError::required(format!("{prefix}type"), ""));
    }
    if signature.content.is_empty() {
        errors.push(FieldError::required(format!("{prefix}content"), ""));
    }
    let newest = |kind: &str| {
        signature
            .conditions
            .iter()
            .filter(|condition| condition.condition_type == kind)
            .max_by_key(|condition| condition.last_probe_time)
    };
    let (trusted, for_image) = (newest("Trusted"), newest("ForImage"));
    let missing = match (trusted, for_image) {
        (Some(_), None) => Some("ForImage"),
        (None, Some(_)) => Some("Trusted"),
        _ => None,
    };
    if let Some(missing) = missing {
        let value = serde_json::to_value(&signature.conditions).unwrap_or_default();
        let detail = format!("missing {missing:?} condition type");
        errors.push(FieldError::invalid(format!("{prefix}conditions"), value, detail));
    }
    if trusted.is_none_or(|trusted| trusted.status == "Unknown") {
        let detail = "must be unset for unknown signature state";
        let set = [
            ("imageIdentity", !signature.image_identity.is_empty()),
            ("signedClaims", !signature.signed_claims.is_empty()),
            ("issuedBy", signature.issued_by.is_some()),
            ("issuedTo", signature.issued_to.is_some()),
        ];
        let set = set.into_iter().filter(|(_, is_set)| *is_set);
        errors.extend(set.map(|(field, _)| FieldError::forbidden(format!("{prefix}{field}"), detail)));
    }
    errors
}

#[cfg(test)]
mod tests {
    use berth_api::{ImageSignature, Kind};
    use serde_json::{Value, json};

    use super::*;

    fn read<T: Kind>(value: Value) -> T {
        serde_json::from_value(value).expect("it has the right shape")
    }

    fn texts(errors: &[FieldError]) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn streams() {
        let ok = json!({"type": "Source"});
        for (spec, want) in [
            (json!({}), vec![]),
            (json!({"dockerImageRepository": "q.io/a/b"}), vec![]),
            (
                json!({"dockerImageRepository": "q.io/a/b:c"}),
                vec![
                    r#"spec.dockerImageRepository: Invalid value: "q.io/a/b:c": the repository name may not contain a tag"#,
                ],
            ),
            (json!({"tags": [{"name": "t", "referencePolicy": ok}]}), vec![]),
            (
                json!({"tags": [{"name": "a b", "referencePolicy": ok}]}),
                vec![
                    r#"spec.tags[a b].name: Invalid value: "a b": must match "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}""#,
                ],
            ),
            (
                json!({"tags": [{"name": "t", "referencePolicy": {"type": "Near"}}]}),
                vec![
                    r#"spec.tags[t].referencePolicy.type: Invalid value: "Near": valid values are "Source", "Local""#,
                ],
            ),
            (
                json!({"tags": [{"name": "t", "referencePolicy": ok, "from": {"kind": "DockerImage", "name": "UPPER//x"}}]}),
                vec![r#"spec.tags[t].from.name: Invalid value: "UPPER//x": invalid reference format"#],
            ),
            (
                json!({"tags": [{"name": "t", "referencePolicy": ok, "from": {"kind": "Pod"}}]}),
                vec![
                    "spec.tags[t].from.name: Required value",
                    "spec.tags[t].from.kind: Required value: valid values are 'DockerImage', 'ImageStreamImage', 'ImageStreamTag'",
                ],
            ),
            (
                json!({"tags": [{"name": "t", "referencePolicy": ok, "importPolicy": {"scheduled": true, "importMode": "All"},
                    "from": {"kind": "ImageStreamTag", "name": "v1"}}]}),
                vec![
                    "spec.tags[t].importPolicy.scheduled: Invalid value: true: only tags pointing to Docker repositories may be scheduled for background import",
                    r#"spec.tags[t].importPolicy.importMode: Invalid value: "All": valid modes are "", "Legacy", "PreserveOriginal""#,
                ],
            ),
        ] {
            let object: ImageStream =
                read(json!({"metadata": {"name": "app", "namespace": "ns"}, "spec": spec}));
            assert_eq!(texts(&stream(&object, None)), want, "{spec}");
        }
        let long: ImageStream = read(json!({"metadata": {"name": "a".repeat(253), "namespace": "ns"}}));
        assert_eq!(stream(&long, None).len(), 1);
    }

    #[test]
    fn what_was_there_may_stay() {
        let old: ImageStream = read(json!({
            "spec": {"tags": [{"name": "a b", "referencePolicy": {"type": "Source"}}]},
            "status": {"tags": [{"tag": "c d", "items": [{"dockerImageReference": "NOT VALID"}]}]},
        }));
        assert_eq!(texts(&stream(&old, Some(&old))), Vec::<String>::new());
        let new: ImageStream = read(
            json!({"status": {"tags": [{"tag": "e", "items": [{"dockerImageReference": ""}, {"dockerImageReference": "A B"}]}]}}),
        );
        assert_eq!(
            texts(&stream(&new, Some(&old))),
            [
                "status.tags[e].items[0].dockerImageReference: Required value",
                r#"status.tags[e].items[1].dockerImageReference: Invalid value: "A B": invalid reference format"#,
            ]
        );
    }

    #[test]
    fn images() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (fields, want) in [
            (json!({"dockerImageReference": "a/b"}), vec![]),
            (json!({}), vec!["image.dockerImageReference: Required value"]),
            (
                json!({"dockerImageReference": "a/b", "dockerImageManifests": [{"digest": digest, "mediaType": "a/b"}]}),
                vec![],
            ),
            (
                json!({"dockerImageReference": "a/b", "dockerImageLayers": [{}], "dockerImageManifests": [{"digest": "x", "mediaType": "x", "manifestSize": -1}]}),
                vec![
                    "image.dockerImageLayers: Forbidden: an index has no layers of its own",
                    r#"image.dockerImageManifests[0].digest: Invalid value: "x": is not a digest"#,
                    r#"image.dockerImageManifests[0].mediaType: Invalid value: "x": is not a media type (RFC 6838)"#,
                    "image.dockerImageManifests[0].size: Invalid value: -1: must not be negative",
                ],
            ),
        ] {
            assert_eq!(texts(&image("image.", &read(fields.clone()))), want, "{fields}");
        }
    }

    #[test]
    fn signatures() {
        let with = |more: Value| {
            let mut value = json!({"metadata": {"name": "i@s"}, "type": "atomic", "content": "c2ln"});
            value
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            read::<ImageSignature>(value)
        };
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
        for (more, want) in [
            (json!({}), vec![]),
            (
                json!({"metadata": {"name": "i"}}),
                vec![
                    r#"metadata.name: Invalid value: "i": name must be of format <imageName>@<signatureName>"#,
                ],
            ),
            (
                json!({"type": "", "content": null}),
                vec!["type: Required value", "content: Required value"],
            ),
            (
                json!({"imageIdentity": "x"}),
                vec!["imageIdentity: Forbidden: must be unset for unknown signature state"],
            ),
            (json!({"conditions": [condition("Other", "True")]}), vec![]),
            (
                json!({"conditions": [condition("Trusted", "True"), condition("ForImage", "True")], "imageIdentity": "x"}),
                vec![],
            ),
            (
                json!({"conditions": [condition("Trusted", "True")]}),
                vec![
                    r#"conditions: Invalid value: [{"lastProbeTime":null,"lastTransitionTime":null,"status":"True","type":"Trusted"}]: missing "ForImage" condition type"#,
                ],
            ),
        ] {
            assert_eq!(texts(&signature("", &with(more.clone()))), want, "{more}");
        }
    }
}
