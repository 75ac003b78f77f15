//! The part of an OpenAPI fragment that checking and merging need, without its prose.
use serde_json::{Map, Value};

/// A type, and how a strategic merge patch treats a field of this type.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What values look like.
    pub shape: Shape,
    /// How a strategic merge patch combines them.
    pub merge: Merge,
}

/// What values of a type look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Another definition, by name.
    Ref(Box<str>),
    /// An object with the given fields, sorted by name; `open` keeps other fields too.
    Struct {
        /// Known fields.
        fields: Box<[(Box<str>, Schema)]>,
        /// Whether unknown fields are kept.
        open: bool,
    },
    /// An object with free keys.
    Map(Box<Schema>),
    /// A list.
    Array(Box<Schema>),
    /// A string.
    String(StringFormat),
    /// A whole number of the given width in bits, 32 or 64.
    Integer(u8),
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A whole number or a string.
    IntOrString,
    /// A string; a number is taken as its decimal text. Kubernetes quantities.
    Quantity,
    /// Anything, kept as it is.
    Any,
}

/// Formats of strings that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringFormat {
    /// Any text.
    Plain,
    /// Standard base64 with padding.
    Byte,
    /// RFC 3339.
    DateTime,
}

/// Patch directives of a field: `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merge {
    /// The field that identifies elements of a list of objects.
    pub key: Option<Box<str>>,
    /// Lists are merged; without it they are replaced.
    pub list: bool,
    /// A map is replaced; without it maps are merged.
    pub replace: bool,
    /// `$retainKeys` is honoured.
    pub retain_keys: bool,
}

/// Fragments nest in source files only, so this bound is about mistakes there.
const MAX_DEPTH: usize = 32;

impl Schema {
    /// Reads a fragment. The error says what is wrong with it.
    pub(super) fn parse(fragment: &Value) -> Result<Self, String> {
        parse(fragment, MAX_DEPTH)
    }

    /// The schema of field `name`, when this is an object with known fields.
    pub(super) fn field(&self, name: &str) -> Option<&Schema> {
        match &self.shape {
            Shape::Struct { fields, .. } => {
                let found = fields.binary_search_by(|(key, _)| key.as_ref().cmp(name)).ok()?;
                Some(&fields[found].1)
            }
            Shape::Map(values) => Some(values),
            _ => None,
        }
    }
}

fn parse(fragment: &Value, depth: usize) -> Result<Schema, String> {
    let Some(fragment) = fragment.as_object() else {
        return Err("a schema must be an object".into());
    };
    let depth = depth.checked_sub(1).ok_or("a schema is nested too deep")?;
    Ok(Schema {
        shape: shape(fragment, depth)?,
        merge: merge(fragment)?,
    })
}

fn shape(fragment: &Map<String, Value>, depth: usize) -> Result<Shape, String> {
    if let Some(name) = fragment.get("$ref") {
        let name = name.as_str().ok_or("$ref must be the name of a definition")?;
        return Ok(Shape::Ref(
            name.strip_prefix("#/definitions/").unwrap_or(name).into(),
        ));
    }
    if fragment.contains_key("oneOf") {
        return Ok(Shape::Quantity);
    }
    let flag = |name: &str| fragment.get(name).and_then(Value::as_bool).unwrap_or(false);
    let open = flag("x-kubernetes-preserve-unknown-fields");
    let format = fragment.get("format").and_then(Value::as_str).unwrap_or_default();
    if flag("x-kubernetes-int-or-string") || format == "int-or-string" {
        return Ok(Shape::IntOrString);
    }
    let kind = fragment.get("type").and_then(Value::as_str);
    match kind {
        Some("string") => Ok(Shape::String(match format {
            "byte" => StringFormat::Byte,
            "date-time" => StringFormat::DateTime,
            _ => StringFormat::Plain,
        })),
        Some("integer") => Ok(Shape::Integer(if format == "int32" { 32 } else { 64 })),
        Some("number") => Ok(Shape::Number),
        Some("boolean") => Ok(Shape::Boolean),
        Some("array") => {
            let items = fragment.get("items").ok_or("an array needs items")?;
            Ok(Shape::Array(Box::new(parse(items, depth)?)))
        }
        Some("object") | None => {
            let properties = fragment.get("properties").and_then(Value::as_object);
            match (properties, fragment.get("additionalProperties")) {
                (Some(properties), _) => {
                    let mut fields = Vec::with_capacity(properties.len());
                    for (name, property) in properties {
                        let schema = parse(property, depth).map_err(|error| format!("{name}: {error}"))?;
                        fields.push((name.as_str().into(), schema));
                    }
                    fields.sort_by(|a: &(Box<str>, Schema), b| a.0.cmp(&b.0));
                    Ok(Shape::Struct {
                        fields: fields.into(),
                        open,
                    })
                }
                (None, Some(values)) if values.is_object() => Ok(Shape::Map(Box::new(parse(values, depth)?))),
                // Free-form objects and values of any type are written without properties.
                (None, _) if open || kind.is_none() => Ok(Shape::Any),
                (None, _) => Ok(Shape::Struct {
                    fields: Box::default(),
                    open,
                }),
            }
        }
        Some(other) => Err(format!("unknown type {other:?}")),
    }
}

fn merge(fragment: &Map<String, Value>) -> Result<Merge, String> {
    let text = |name: &str| fragment.get(name).and_then(Value::as_str);
    let mut merge = Merge {
        key: text("x-kubernetes-patch-merge-key").map(Into::into),
        ..Merge::default()
    };
    for word in text("x-kubernetes-patch-strategy")
        .unwrap_or_default()
        .split(',')
        .filter(|word| !word.is_empty())
    {
        match word {
            "merge" => merge.list = true,
            "replace" => merge.replace = true,
            "retainKeys" => merge.retain_keys = true,
            other => return Err(format!("unknown patch strategy {other:?}")),
        }
    }
    Ok(merge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fragments_become_shapes() {
        let plain = |shape| Schema {
            shape,
            merge: Merge::default(),
        };
        for (fragment, want) in [
            (
                json!({"$ref": "a.B", "description": "x"}),
                Shape::Ref("a.B".into()),
            ),
            (json!({"type": "string"}), Shape::String(StringFormat::Plain)),
            (
                json!({"type": "string", "format": "byte"}),
                Shape::String(StringFormat::Byte),
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                Shape::String(StringFormat::DateTime),
            ),
            (
                json!({"type": "string", "format": "int-or-string"}),
                Shape::IntOrString,
            ),
            (json!({"x-kubernetes-int-or-string": true}), Shape::IntOrString),
            (
                json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
                Shape::Quantity,
            ),
            (json!({"type": "integer", "format": "int32"}), Shape::Integer(32)),
            (json!({"type": "integer", "format": "int64"}), Shape::Integer(64)),
            (json!({"type": "boolean"}), Shape::Boolean),
            (
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
                Shape::Any,
            ),
            (json!({"description": "anything"}), Shape::Any),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                Shape::Map(Box::new(plain(Shape::String(StringFormat::Plain)))),
            ),
        ] {
            assert_eq!(Schema::parse(&fragment), Ok(plain(want)), "{fragment}");
        }
        let list = json!({"type": "array", "items": {"type": "boolean"},
            "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge,retainKeys"});
        let merge = Merge {
            key: Some("name".into()),
            list: true,
            replace: false,
            retain_keys: true,
        };
        assert_eq!(
            Schema::parse(&list),
            Ok(Schema {
                shape: Shape::Array(Box::new(plain(Shape::Boolean))),
                merge
            })
        );
        for wrong in [
            json!(1),
            json!({"type": "array"}),
            json!({"type": "text"}),
            json!({"x-kubernetes-patch-strategy": "x"}),
        ] {
            assert!(Schema::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
