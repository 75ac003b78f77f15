//! Rules for the metadata that every object shares (`k8s.io/apimachinery/pkg/api/validation`, `apiserver/registry/rest`).
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::field::{FieldError, FieldErrors};
use crate::names;
use crate::object::Object;
use crate::resource::Resource;
use crate::strategy::Strategy;

/// Most bytes of all annotations of an object, keys and values together.
pub const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// Longest prefix of a generated name; what is longer is cut to leave room for the suffix.
const GENERATED_PREFIX: usize = names::LABEL_LIMIT - SUFFIX_LENGTH;
const SUFFIX_LENGTH: usize = 5;
/// Without vowels and lookalikes, so that no words arise.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Fields of the metadata that this server does not keep. (Who may say whose fields are, the server decides before.)
const DROPPED: [&str; 1] = ["selfLink"];

/// A name that begins with `prefix` and ends at random.
pub(crate) fn generate_name(prefix: &str) -> String {
    let mut end = prefix.len().min(GENERATED_PREFIX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    // A random UUID has more than enough bits that are random for the suffix: bytes 0 to 5.
    for byte in &uuid::Uuid::new_v4().as_bytes()[..SUFFIX_LENGTH] {
        name.push(char::from(
            SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()],
        ));
    }
    name
}

/// Sets what the system sets on a new object.
pub(crate) fn begin(object: &mut Object, now: Timestamp) {
    let metadata = object.metadata_mut();
    for field in DROPPED.into_iter().chain([
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ]) {
        metadata.remove(field);
    }
    drop_empty(metadata);
    object.set_uid(&uuid::Uuid::new_v4().to_string());
    object.set_creation_timestamp(now);
    object.set_generation(0);
}

/// Restores what the system set on an object that a client sends back.
pub(crate) fn restore(object: &mut Object, old: &Object) {
    const KEPT: [&str; 5] = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ];
    let held = old.metadata();
    let metadata = object.metadata_mut();
    for field in DROPPED {
        metadata.remove(field);
    }
    for field in KEPT {
        match held.and_then(|held| held.get(field)) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    for field in ["name", "namespace", "generateName"] {
        if !metadata.contains_key(field)
            && let Some(value) = held.and_then(|held| held.get(field))
        {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    drop_empty(metadata);
}

/// Drops empty lists and maps of the metadata, which mean the same as none.
fn drop_empty(metadata: &mut Map<String, Value>) {
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

/// Field errors of an object's metadata.
pub(crate) fn validate(object: &Object, resource: &Resource, strategy: &dyn Strategy) -> FieldErrors {
    let mut errors = Vec::new();
    let name = object.name();
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if let Err(detail) = names::path_segment(name).and_then(|()| strategy.validate_name(name)) {
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    let namespace = object.namespace();
    if resource.is_namespaced() {
        if namespace.is_empty() {
            errors.push(FieldError::required("metadata.namespace", ""));
        } else if let Err(detail) = names::dns_label(namespace) {
            errors.push(FieldError::invalid("metadata.namespace", namespace, detail));
        }
    } else if !namespace.is_empty() {
        errors.push(FieldError::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    labels(object, &mut errors);
    annotations(object, &mut errors);
    for finalizer in object.finalizers() {
        if let Err(detail) = names::qualified_name(&finalizer) {
            errors.push(FieldError::invalid(
                "metadata.finalizers",
                finalizer.as_str(),
                detail,
            ));
        } else if !finalizer.contains('/')
            && !["orphan", "foregroundDeletion", "kubernetes"].contains(&finalizer.as_str())
        {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(
                "metadata.finalizers",
                finalizer.as_str(),
                detail,
            ));
        }
    }
    owners(object, &mut errors);
    errors
}

/// Field errors of changed metadata.
pub(crate) fn validate_update(object: &Object, old: &Object) -> FieldErrors {
    let mut errors = Vec::new();
    for (field, new, held) in [
        ("metadata.name", object.name(), old.name()),
        ("metadata.namespace", object.namespace(), old.namespace()),
    ] {
        if new != held {
            errors.push(FieldError::invalid(field, new, "field is immutable"));
        }
    }
    if old.is_deleting() {
        let held = old.finalizers();
        let added: Vec<String> = object
            .finalizers()
            .into_iter()
            .filter(|finalizer| !held.contains(finalizer))
            .collect();
        if !added.is_empty() {
            let list: Vec<String> = added
                .iter()
                .map(|finalizer| crate::field::quote(finalizer))
                .collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", detail));
        }
    }
    errors
}

fn labels(object: &Object, errors: &mut FieldErrors) {
    for (key, value) in object.labels().into_iter().flatten() {
        if let Err(detail) = names::qualified_name(key) {
            errors.push(FieldError::invalid("metadata.labels", key.as_str(), detail));
        }
        match value.as_str() {
            Some(value) => {
                if let Err(detail) = names::label_value(value) {
                    errors.push(FieldError::invalid("metadata.labels", value, detail));
                }
            }
            None => errors.push(FieldError::type_invalid(
                "metadata.labels",
                value.clone(),
                "must be a string",
            )),
        }
    }
}

fn annotations(object: &Object, errors: &mut FieldErrors) {
    let mut size = 0;
    for (key, value) in object.annotations().into_iter().flatten() {
        if let Err(detail) = names::qualified_name(&key.to_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", key.as_str(), detail));
        }
        match value.as_str() {
            Some(value) => size += key.len() + value.len(),
            None => {
                errors.push(FieldError::type_invalid(
                    "metadata.annotations",
                    value.clone(),
                    "must be a string",
                ));
            }
        }
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
}

fn owners(object: &Object, errors: &mut FieldErrors) {
    let Some(owners) = object.at(&["metadata", "ownerReferences"]) else {
        return;
    };
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            let value = owner.get(field).and_then(Value::as_str).unwrap_or_default();
            if value.is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::invalid(
                    path,
                    "",
                    format!("{field} must not be empty"),
                ));
            }
        }
    }
    let controllers = object
        .owner_references()
        .iter()
        .filter(|owner| owner.controller == Some(true))
        .count();
    if controllers > 1 {
        errors.push(FieldError::invalid(
            "metadata.ownerReferences",
            owners.clone(),
            "Only one reference can have Controller set to true",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_a_label() {
        for prefix in ["a-", "", &"é".repeat(60), &"x".repeat(300)] {
            let name = generate_name(prefix);
            assert!(name.len() <= names::LABEL_LIMIT, "{name}");
            assert_eq!(name.len(), generate_name(prefix).len());
            assert!(prefix.starts_with(&name[..name.len() - SUFFIX_LENGTH]));
        }
    }
}
