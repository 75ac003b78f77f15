//! `v1 Secret`: typed confidential data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{self, Column, Table};
use serde_json::{Map, Value};

use super::data::{MAX_DATA_BYTES, check_immutable, check_keys};

/// A secret without a type of its own.
pub(crate) const OPAQUE: &str = "Opaque";
/// A secret that the server fills with a token of a service account.
pub(crate) const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
/// Annotation of a token secret: name of its service account.
pub(crate) const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
/// Annotation of a token secret: UID of its service account.
pub(crate) const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

const DOCKERCFG: &str = "kubernetes.io/dockercfg";
const DOCKERCONFIGJSON: &str = "kubernetes.io/dockerconfigjson";
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
const SSH_AUTH: &str = "kubernetes.io/ssh-auth";
const TLS: &str = "kubernetes.io/tls";

/// Type of a secret; empty when it states none.
pub(crate) fn type_of(secret: &Object) -> &str {
    secret.str_at(&["type"])
}

/// Gives the type its default and moves `stringData` into `data`.
pub(super) fn normalize(secret: &mut Object) {
    if let Some(Value::Object(plain)) = secret.remove("stringData")
        && !plain.is_empty()
    {
        let data = secret
            .fields_mut()
            .entry("data")
            .or_insert_with(|| Value::Object(Map::new()));
        if !data.is_object() {
            *data = Value::Object(Map::new());
        }
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            data[key] = Value::String(STANDARD.encode(text));
        }
    }
    if type_of(secret).is_empty() {
        secret.set("type", OPAQUE);
    }
}

/// Everything that is wrong with a secret, in Kubernetes' words; never with a value of the data.
pub(super) fn validate(secret: &Object, old: Option<&Object>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut size = 0;
    check_keys(secret, "data", true, &mut size, &mut errors);
    if size > MAX_DATA_BYTES {
        errors.push(FieldError::too_long("data", MAX_DATA_BYTES));
    }
    validate_type(secret, &mut errors);
    if let Some(old) = old {
        if type_of(secret) != type_of(old) {
            errors.push(FieldError::invalid("type", type_of(secret), "field is immutable"));
        }
        check_immutable(secret, old, &["data"], &mut errors);
    }
    errors
}

fn validate_type(secret: &Object, errors: &mut FieldErrors) {
    let value = |key: &str| {
        secret
            .get("data")
            .and_then(|data| data.get(key))
            .and_then(Value::as_str)
    };
    let mut require = |key: &str| {
        if value(key).is_none() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    };
    match type_of(secret) {
        SERVICE_ACCOUNT_TOKEN if secret.annotation(ACCOUNT_NAME).unwrap_or_default().is_empty() => {
            errors.push(FieldError::required(
                format!("metadata.annotations[{ACCOUNT_NAME}]"),
                "",
            ));
        }
        DOCKERCFG => validate_json(".dockercfg", value(".dockercfg"), errors),
        DOCKERCONFIGJSON => validate_json(".dockerconfigjson", value(".dockerconfigjson"), errors),
        BASIC_AUTH if value("username").is_none() => require("password"),
        SSH_AUTH if value("ssh-privatekey").unwrap_or_default().is_empty() => {
            errors.push(FieldError::required("data[ssh-privatekey]", ""));
        }
        TLS => {
            require("tls.crt");
            require("tls.key");
        }
        _ => {}
    }
}

fn validate_json(key: &str, value: Option<&str>, errors: &mut FieldErrors) {
    let path = format!("data[{key}]");
    let Some(value) = value else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let bytes = STANDARD.decode(value).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<Map<String, Value>>(&bytes) {
        errors.push(FieldError::invalid(
            path,
            "<secret contents redacted>",
            error.to_string(),
        ));
    }
}

/// Names and columns.
pub(super) fn resource() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Type", "Used to facilitate programmatic handling of secret data."),
        Column::new("Data", "Number of keys."),
        Column::age(),
    ];
    Resource::namespaced("", "v1", "Secret", "secrets").with_table(Table::new(columns, |secret, now| {
        vec![
            secret.name().into(),
            type_of(secret).into(),
            super::data::count(secret, &["data"]).into(),
            table::age(secret, now).into(),
        ]
    }))
}

/// The rules of secrets.
#[derive(Debug)]
pub(super) struct SecretStrategy;

impl Strategy for SecretStrategy {
    fn defaults(&self, object: &mut Object) {
        normalize(object);
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        validate(object, old)
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        vec![("type", type_of(object).to_owned())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["type"]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(value: Value) -> Object {
        let mut secret = Object::from_value(value).unwrap();
        normalize(&mut secret);
        secret
    }

    fn texts(errors: &FieldErrors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn string_data_wins_over_data_and_is_not_kept() {
        let secret = secret(json!({"data": {"a": "eA==", "b": "eA=="}, "stringData": {"a": "yy"}}));
        assert_eq!(secret.get("data"), Some(&json!({"a": "eXk=", "b": "eA=="})));
        assert_eq!(secret.get("stringData"), None);
        assert_eq!(type_of(&secret), OPAQUE);
    }

    #[test]
    fn each_type_requires_its_keys() {
        let config = STANDARD.encode(r#"{"auths":{}}"#);
        for (object, want) in [
            (json!({}), None),
            (
                json!({"data": {"a b": "eA=="}}),
                Some("data[a b]: Invalid value: \"a b\": a valid config key must"),
            ),
            (
                json!({"data": {"..": "eA=="}}),
                Some("data[..]: Invalid value: \"..\": must not be '..'"),
            ),
            (
                json!({"data": {"a": "%"}}),
                Some("data[a]: Invalid value: \"\": must be data in base64"),
            ),
            (
                json!({"type": SERVICE_ACCOUNT_TOKEN}),
                Some("metadata.annotations[kubernetes.io/service-account.name]: Required value"),
            ),
            (
                json!({"type": SERVICE_ACCOUNT_TOKEN, "metadata": {"annotations": {ACCOUNT_NAME: "builder"}}}),
                None,
            ),
            (
                json!({"type": DOCKERCFG}),
                Some("data[.dockercfg]: Required value"),
            ),
            (
                json!({"type": DOCKERCFG, "stringData": {".dockercfg": "x"}}),
                Some("data[.dockercfg]: Invalid value: \"<secret contents redacted>\""),
            ),
            (
                json!({"type": DOCKERCONFIGJSON, "data": {".dockerconfigjson": config}}),
                None,
            ),
            (
                json!({"type": BASIC_AUTH}),
                Some("data[password]: Required value"),
            ),
            (json!({"type": BASIC_AUTH, "stringData": {"username": "u"}}), None),
            (
                json!({"type": SSH_AUTH, "stringData": {"ssh-privatekey": ""}}),
                Some("data[ssh-privatekey]: Required value"),
            ),
            (
                json!({"type": TLS, "stringData": {"tls.crt": ""}}),
                Some("data[tls.key]: Required value"),
            ),
            (json!({"type": "example.com/mine"}), None),
        ] {
            let got = texts(&validate(&secret(object.clone()), None));
            match want {
                None => assert!(got.is_empty(), "{object}: {got:?}"),
                Some(want) => assert!(got.iter().any(|text| text.starts_with(want)), "{object}: {got:?}"),
            }
        }
    }

    #[test]
    fn size_is_limited() {
        let fits = secret(json!({"stringData": {"a": "x".repeat(MAX_DATA_BYTES)}}));
        assert_eq!(texts(&validate(&fits, None)), Vec::<String>::new());
        let over = secret(json!({"stringData": {"a": "x".repeat(MAX_DATA_BYTES), "b": "x"}}));
        assert_eq!(
            texts(&validate(&over, None)),
            ["data: Too long: may not be more than 1048576 bytes"]
        );
    }

    #[test]
    fn immutable_secrets_stay_as_they_are() {
        let old = secret(json!({"data": {"a": "eA=="}, "immutable": true}));
        for (new, want) in [
            (
                json!({"data": {"a": "eA=="}, "immutable": true, "metadata": {"labels": {"a": "b"}}}),
                vec![],
            ),
            (
                json!({"data": {"a": "eA=="}}),
                vec!["immutable: Forbidden: field is immutable when `immutable` is set"],
            ),
            (
                json!({"data": {"a": "eQ=="}, "immutable": true}),
                vec!["data: Forbidden: field is immutable when `immutable` is set"],
            ),
            (
                json!({"data": {"a": "eA=="}, "immutable": true, "type": "x/y"}),
                vec!["type: Invalid value: \"x/y\": field is immutable"],
            ),
        ] {
            assert_eq!(texts(&validate(&secret(new.clone()), Some(&old))), want, "{new}");
        }
    }
}
