//! Holds a document against its definition: drops unknown fields, and finds values of a wrong type.
//!
//! Like Kubernetes, a `null` field counts as absent, a `null` map value as the empty value of its type.
use std::mem;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    compact::{Schema, Shape, StringFormat},
    decode::MAX_FINDINGS,
    definitions::Definitions,
    path::Path,
};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Paths of fields that the definition does not know, at most [`MAX_FINDINGS`]. They have been removed.
    pub unknown: Vec<String>,
    /// Paths of fields that were given twice; filled from [`Decoded`](super::decode::Decoded).
    pub duplicate: Vec<String>,
    /// The first value of a wrong type. The document must be refused.
    pub mismatch: Option<Mismatch>,
}

/// A value that its definition does not allow.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// The sentence, such as `json: cannot unmarshal number into Go struct field ConfigMap.data of type string`
    /// (clients show it as it is, so it has the words that they know).
    pub message: String,
    /// Path of the value, such as `data.key`.
    pub path: String,
}

impl Report {
    /// The findings that a strict client wants as errors and a warning one as `Warning` headers:
    /// `unknown field "spec.foo"`, `duplicate field "spec.bar"`.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let duplicate = self
            .duplicate
            .iter()
            .map(|path| format!("duplicate field {path:?}"));
        let unknown = self.unknown.iter().map(|path| format!("unknown field {path:?}"));
        duplicate.chain(unknown).take(MAX_FINDINGS).collect()
    }

    /// The message of the `BadRequest` that refuses a document because of a strict check; `None` when it is clean.
    #[must_use]
    pub fn strict_error(&self, kind: &str, version: &str) -> Option<String> {
        let findings = self.findings();
        (!findings.is_empty()).then(|| {
            let findings = findings.join(", ");
            format!("{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {findings}")
        })
    }

    /// The message of the `BadRequest` that refuses a document with a wrong type, under any validation level.
    #[must_use]
    pub fn type_error(&self, kind: &str, version: &str) -> Option<String> {
        let mismatch = self.mismatch.as_ref()?;
        Some(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {}",
            mismatch.message
        ))
    }
}

impl Definitions {
    /// Prunes what definition `name` does not know from `document` and reports it, with the first wrong type.
    /// A document without a definition is left as it is.
    pub fn check(&self, name: &str, document: &mut Value) -> Report {
        let mut check = Check {
            definitions: self,
            report: Report::default(),
        };
        if let Some(schema) = self.get(name) {
            check.value(schema, type_name(name), name, document, &Path::Root);
        }
        check.report
    }
}

/// `io.k8s.api.core.v1.ConfigMap` is `ConfigMap` to those who read messages.
fn type_name(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}

struct Check<'a> {
    definitions: &'a Definitions,
    report: Report,
}

impl Check<'_> {
    /// `owner` names the innermost struct, `definition` the last definition that was entered.
    fn value(&mut self, schema: &Schema, owner: &str, definition: &str, value: &mut Value, path: &Path<'_>) {
        let whole = whole(value);
        match (&schema.shape, &mut *value) {
            (Shape::Ref(name), _) => {
                if let Some(target) = self.definitions.get(name) {
                    let owner = if value.is_object() { type_name(name) } else { owner };
                    self.value(target, owner, name, value, path);
                }
            }
            (Shape::Any, _) | (Shape::Boolean, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => {}
            (Shape::Struct { fields, open }, Value::Object(map)) => {
                map.retain(|key, value| {
                    let Ok(found) = fields.binary_search_by(|(name, _)| name.as_ref().cmp(key)) else {
                        if !open && self.report.unknown.len() < MAX_FINDINGS {
                            self.report.unknown.push(Path::Key(path, key).to_string());
                        }
                        return *open;
                    };
                    let schema = &fields[found].1;
                    if value.is_null() {
                        return matches!(schema.shape, Shape::Any);
                    }
                    self.value(schema, owner, definition, value, &Path::Key(path, key));
                    true
                });
            }
            (Shape::Map(values), Value::Object(map)) => {
                for (key, value) in map.iter_mut() {
                    self.element(values, owner, definition, value, &Path::Key(path, key));
                }
            }
            (Shape::Array(items), Value::Array(list)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    self.element(items, owner, definition, item, &Path::Index(path, index));
                }
            }
            (Shape::String(format), Value::String(text)) => {
                if let Some(problem) = malformed(*format, text) {
                    self.mismatch(problem, path);
                }
            }
            (Shape::IntOrString | Shape::Quantity, Value::String(_)) => {}
            (Shape::Quantity, Value::Number(number)) => *value = Value::String(number.to_string()),
            (Shape::Integer(bits), Value::Number(_)) => match whole {
                Some(number) if *bits == 64 || i32::try_from(number).is_ok() => *value = number.into(),
                _ => {
                    let message = format!(
                        "json: cannot unmarshal number {value} into Go struct field {owner}.{} of type int{bits}",
                        path.fields()
                    );
                    self.mismatch(message, path);
                }
            },
            (Shape::IntOrString, Value::Number(_))
                if whole.is_some_and(|number| i32::try_from(number).is_ok()) => {}
            (shape, value) => {
                let wanted = self.go_type(shape, definition);
                let given = given(value);
                let message = if matches!(path, Path::Root) {
                    format!("json: cannot unmarshal {given} into Go value of type {wanted}")
                } else {
                    let field = path.fields();
                    format!(
                        "json: cannot unmarshal {given} into Go struct field {owner}.{field} of type {wanted}"
                    )
                };
                self.mismatch(message, path);
            }
        }
    }

    /// Elements of maps and lists stay when they are `null`, as the empty value of their type.
    fn element(
        &mut self,
        schema: &Schema,
        owner: &str,
        definition: &str,
        value: &mut Value,
        path: &Path<'_>,
    ) {
        if value.is_null() {
            *value = match &self.definitions.resolve(schema).shape {
                Shape::Struct { .. } => json!({}),
                Shape::String(_) => json!(""),
                Shape::Quantity => json!("0"),
                Shape::Integer(_) | Shape::Number | Shape::IntOrString => json!(0),
                Shape::Boolean => json!(false),
                Shape::Map(_) | Shape::Array(_) | Shape::Any | Shape::Ref(_) => Value::Null,
            };
        } else {
            self.value(schema, owner, definition, value, path);
        }
    }

    fn mismatch(&mut self, message: String, path: &Path<'_>) {
        if self.report.mismatch.is_none() {
            self.report.mismatch = Some(Mismatch {
                message,
                path: path.to_string(),
            });
        }
    }

    fn go_type(&self, shape: &Shape, definition: &str) -> String {
        match shape {
            Shape::Ref(name) => match self.definitions.get(name) {
                Some(Schema {
                    shape: Shape::Struct { .. },
                    ..
                })
                | None => versioned(name),
                Some(Schema { shape, .. }) => self.go_type(shape, name),
            },
            Shape::Struct { .. } => versioned(definition),
            Shape::Map(values) => format!("map[string]{}", self.go_type(&values.shape, definition)),
            Shape::Array(items) => format!("[]{}", self.go_type(&items.shape, definition)),
            Shape::String(StringFormat::DateTime) => "time.Time".into(),
            Shape::String(StringFormat::Byte) => "[]uint8".into(),
            Shape::String(StringFormat::Plain) => "string".into(),
            Shape::Integer(bits) => format!("int{bits}"),
            Shape::Number => "float64".into(),
            Shape::Boolean => "bool".into(),
            Shape::IntOrString => "intstr.IntOrString".into(),
            Shape::Quantity => "resource.Quantity".into(),
            Shape::Any => "interface {}".into(),
        }
    }
}

/// `io.k8s.api.core.v1.ConfigMap` is `v1.ConfigMap`.
fn versioned(definition: &str) -> String {
    let mut words = definition.rsplit('.');
    match (words.next(), words.next()) {
        (Some(name), Some(version)) => format!("{version}.{name}"),
        _ => definition.to_owned(),
    }
}

fn given(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The whole number that `value` is, also when it is written as `1.0`.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        // Beyond 2^53 a float does not say which whole number was meant.
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0)
            .then(|| format!("{number:.0}").parse().ok())?
    })
}

fn malformed(format: StringFormat, text: &str) -> Option<String> {
    match format {
        StringFormat::Plain => None,
        StringFormat::Byte => match STANDARD.decode(text.as_bytes()) {
            Ok(_) => None,
            Err(
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol { offset: at, .. },
            ) => Some(format!("illegal base64 data at input byte {at}")),
            Err(_) => Some(format!("illegal base64 data at input byte {}", text.len())),
        },
        StringFormat::DateTime => {
            let parsed: Result<jiff::Timestamp, _> = text.parse();
            parsed
                .is_err()
                .then(|| format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse it"))
        }
    }
}

impl Report {
    /// Adds the duplicates that decoding found.
    #[must_use]
    pub fn with_duplicates(mut self, duplicates: &mut Vec<String>) -> Self {
        self.duplicate = mem::take(duplicates);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r"
demo.v1.Thing:
  x-kubernetes-group-version-kind: [{group: demo, version: v1, kind: Thing}]
  properties:
    spec: {$ref: demo.v1.ThingSpec}
    data: {type: object, additionalProperties: {type: string}}
demo.v1.ThingSpec:
  type: object
  properties:
    count: {type: integer, format: int32}
    blob: {type: string, format: byte}
    at: {type: string, format: date-time}
    size: {oneOf: [{type: string}, {type: number}]}
    port: {x-kubernetes-int-or-string: true}
    raw: {type: object, x-kubernetes-preserve-unknown-fields: true}
    items: {type: array, items: {$ref: demo.v1.Item}}
    labels: {type: array, items: {type: string}}
demo.v1.Item:
  type: object
  properties: {name: {type: string}, on: {type: boolean}}
";

    fn check(document: Value) -> (Value, Report) {
        let definitions = Definitions::new(&[FILE]).unwrap();
        let mut document = document;
        let report = definitions.check("demo.v1.Thing", &mut document);
        (document, report)
    }

    #[test]
    fn unknown_fields_are_pruned_and_named() {
        let (document, report) = check(json!({
            "kind": "Thing", "foo": 1, "metadata": {"name": "a", "bar": {}, "labels": {"x": "y"}},
            "spec": {"items": [{"name": "a"}, {"nome": "b", "on": true}], "raw": {"any": {"thing": null}}},
        }));
        assert_eq!(report.unknown, ["foo", "metadata.bar", "spec.items[1].nome"]);
        assert_eq!(report.mismatch, None);
        assert_eq!(
            document,
            json!({
                "kind": "Thing", "metadata": {"name": "a", "labels": {"x": "y"}},
                "spec": {"items": [{"name": "a"}, {"on": true}], "raw": {"any": {"thing": null}}},
            })
        );
        assert_eq!(
            report.strict_error("Thing", "v1").unwrap(),
            "Thing in version \"v1\" cannot be handled as a Thing: strict decoding error: unknown field \"foo\", \
             unknown field \"metadata.bar\", unknown field \"spec.items[1].nome\""
        );
    }

    #[test]
    fn values_are_normalized() {
        let (document, report) = check(json!({
            "metadata": {"creationTimestamp": null},
            "spec": {"count": 3.0, "size": 5, "port": 80, "at": "2026-01-02T03:04:05Z", "blob": "aGk=", "labels": ["a", null]},
            "data": {"a": null, "b": "x"},
        }));
        assert_eq!(report, Report::default());
        assert_eq!(
            document,
            json!({
                "metadata": {},
                "spec": {"count": 3, "size": "5", "port": 80, "at": "2026-01-02T03:04:05Z", "blob": "aGk=", "labels": ["a", ""]},
                "data": {"a": "", "b": "x"},
            })
        );
    }

    #[test]
    fn wrong_types_are_named() {
        for (document, path, want) in [
            (
                json!({"data": {"a": 1}}),
                "data.a",
                "json: cannot unmarshal number into Go struct field Thing.data.a of type string",
            ),
            (
                json!({"data": []}),
                "data",
                "json: cannot unmarshal array into Go struct field Thing.data of type map[string]string",
            ),
            (
                json!({"spec": "x"}),
                "spec",
                "json: cannot unmarshal string into Go struct field Thing.spec of type v1.ThingSpec",
            ),
            (
                json!({"spec": {"items": {}}}),
                "spec.items",
                "json: cannot unmarshal object into Go struct field ThingSpec.spec.items of type []v1.Item",
            ),
            (
                json!({"spec": {"items": [{"on": "yes"}]}}),
                "spec.items[0].on",
                "json: cannot unmarshal string into Go struct field Item.spec.items.on of type bool",
            ),
            (
                json!({"spec": {"count": 3_000_000_000_u32}}),
                "spec.count",
                "json: cannot unmarshal number 3000000000 into Go struct field ThingSpec.spec.count of type int32",
            ),
            (
                json!({"spec": {"blob": "a*"}}),
                "spec.blob",
                "illegal base64 data at input byte 1",
            ),
            (
                json!({"spec": {"at": "noon"}}),
                "spec.at",
                "parsing time \"noon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse it",
            ),
            (
                json!(["x"]),
                "",
                "json: cannot unmarshal array into Go value of type v1.Thing",
            ),
        ] {
            let (_, report) = check(document.clone());
            assert_eq!(
                report.mismatch,
                Some(Mismatch {
                    message: want.into(),
                    path: path.into()
                }),
                "{document}"
            );
        }
    }

    proptest! {
        /// A document that was brought into shape stays as it is, and nothing panics on the way there.
        #[test]
        fn checking_again_changes_nothing(document in any_thing()) {
            let (once, report) = check(document);
            if report.mismatch.is_none() {
                let (twice, report) = check(once.clone());
                prop_assert_eq!(report, Report::default());
                prop_assert_eq!(twice, once);
            }
        }
    }

    fn any_thing() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(json!("2026-01-02T03:04:05Z")),
            Just(json!("aGk=")),
            any::<i8>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ];
        let inner = leaf.prop_recursive(3, 24, 4, |inner| {
            let key = prop_oneof![
                Just("spec"),
                Just("data"),
                Just("items"),
                Just("labels"),
                Just("raw"),
                Just("count"),
                Just("size"),
                Just("port"),
                Just("blob"),
                Just("at"),
                Just("name"),
                Just("on"),
                Just("metadata"),
                Just("other"),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map(
            prop_oneof![
                Just("spec".to_owned()),
                Just("data".to_owned()),
                Just("x".to_owned())
            ],
            inner,
            0..3,
        )
        .prop_map(|map| Value::Object(map.into_iter().collect()))
    }
}
