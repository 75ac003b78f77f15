//! What Secrets and ConfigMaps have in common: keys with small values, and the promise not to change them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use serde_json::{Map, Value};

/// Bytes that all values of one object may have together (Kubernetes' `MaxSecretSize`).
pub(crate) const MAX_DATA_BYTES: usize = 1024 * 1024;
/// Characters of a key.
const MAX_KEY_LENGTH: usize = 253;

/// The entries of a map field.
pub(super) fn entries<'a>(object: &'a Object, field: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    object
        .get(field)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

/// What is wrong with a key, in Kubernetes' words.
pub(super) fn key_problems(key: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if key.len() > MAX_KEY_LENGTH {
        problems.push(format!("must be no more than {MAX_KEY_LENGTH} characters"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() || !key.bytes().all(fits) {
        problems.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    match key {
        "." | ".." => problems.push(format!("must not be '{key}'")),
        _ if key.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// Checks the keys of `field` and adds the decoded sizes of its values to `size`.
pub(super) fn check_keys(
    object: &Object,
    field: &str,
    encoded: bool,
    size: &mut usize,
    errors: &mut FieldErrors,
) {
    for (key, value) in entries(object, field) {
        let path = format!("{field}[{key}]");
        for problem in key_problems(key) {
            errors.push(FieldError::invalid(&path, key.as_str(), problem));
        }
        if !encoded {
            *size += value.len();
        } else if let Ok(bytes) = STANDARD.decode(value) {
            *size += bytes.len();
        } else {
            errors.push(FieldError::invalid(&path, "", "must be data in base64"));
        }
    }
}

/// Checks that an object once marked immutable stays as it is, in `immutable` and in `fields`.
pub(super) fn check_immutable(object: &Object, old: &Object, fields: &[&str], errors: &mut FieldErrors) {
    const WHY: &str = "field is immutable when `immutable` is set";
    if old.get("immutable") != Some(&Value::Bool(true)) {
        return;
    }
    if object.get("immutable") != Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden("immutable", WHY));
    }
    let value = |object: &Object, field: &str| -> Map<String, Value> {
        object
            .get(field)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    for field in fields
        .iter()
        .filter(|field| value(object, field) != value(old, field))
    {
        errors.push(FieldError::forbidden(*field, WHY));
    }
}

/// Number of keys in the given map fields.
pub(super) fn count(object: &Object, fields: &[&str]) -> usize {
    fields.iter().map(|field| entries(object, field).count()).sum()
}
