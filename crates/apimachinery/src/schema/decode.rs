//! Bytes of a request to a JSON document, noticing fields that are given twice.
//!
//! `serde_json::Value` silently keeps the last of two equal keys; Kubernetes reports them to whoever asks for
//! field validation, so the document is built here, key by key.
use std::{cell::RefCell, fmt, thread};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::path::Path;

/// Nesting allowed in a YAML document, whose parser needs much stack; JSON documents are held to 128 by their parser.
pub const MAX_YAML_DEPTH: usize = 64;
/// Bytes of text in a YAML document, with what aliases repeat: somewhat more than a body may have.
pub const MAX_YAML_TEXT: usize = 4 << 20;
/// Stack of the thread that parses YAML, in bytes; it is only taken from memory as far as it is used.
const YAML_STACK: usize = 8 << 20;
/// Nodes that YAML aliases may add to a document, so that a small body cannot grow into a huge object.
pub const MAX_YAML_ALIAS_NODES: usize = 10_000;
/// Findings reported for one document; more only make the answer longer.
pub const MAX_FINDINGS: usize = 100;

/// A document, and the paths of fields that it gives more than once (the last one counts).
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The document.
    pub value: Value,
    /// Paths of duplicate fields, at most [`MAX_FINDINGS`].
    pub duplicates: Vec<String>,
}

/// The body is not a document of its format.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Not YAML, or beyond the limits of this module.
    #[error("{0}")]
    Yaml(String),
}

/// Decodes one JSON document.
///
/// # Errors
/// [`Error::Json`] when `bytes` are not exactly one JSON value nested less than 128 deep.
pub fn json(bytes: &[u8]) -> Result<Decoded, Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = Node {
        path: Path::Root,
        duplicates: &duplicates,
    }
    .deserialize(&mut parser)?;
    parser.end()?;
    Ok(Decoded {
        value,
        duplicates: duplicates.into_inner(),
    })
}

/// Decodes one YAML document, with the YAML 1.1 booleans that Kubernetes accepts.
///
/// # Errors
/// [`Error::Yaml`] when `bytes` are not exactly one YAML document within [`MAX_YAML_DEPTH`] and
/// [`MAX_YAML_ALIAS_NODES`].
pub fn yaml(bytes: &[u8]) -> Result<Decoded, Error> {
    // The parser takes up to 30 KiB of stack a level in a debug build, more than a server's threads have left. YAML
    // bodies are rare (clients translate files to JSON), so a thread for each costs little.
    let parse = || parse_yaml(bytes).map_err(|error| Error::Yaml(error.to_string()));
    thread::scope(|scope| {
        let parser = thread::Builder::new()
            .name("yaml".into())
            .stack_size(YAML_STACK)
            .spawn_scoped(scope, parse);
        let parser = parser.map_err(|error| Error::Yaml(format!("no thread to parse YAML with: {error}")))?;
        parser
            .join()
            .unwrap_or_else(|_| Err(Error::Yaml("the YAML parser gave up".into())))
    })
}

fn parse_yaml(bytes: &[u8]) -> Result<Decoded, serde_saphyr::Error> {
    let duplicates = RefCell::new(Vec::new());
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        budget: serde_saphyr::budget! { max_depth: MAX_YAML_DEPTH, max_total_scalar_bytes: MAX_YAML_TEXT },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_YAML_ALIAS_NODES },
        with_snippet: false,
    };
    let value = serde_saphyr::with_deserializer_from_slice_with_options(bytes, options, |parser| {
        Node {
            path: Path::Root,
            duplicates: &duplicates,
        }
        .deserialize(parser)
    })?;
    Ok(Decoded {
        value,
        duplicates: duplicates.into_inner(),
    })
}

struct Node<'a> {
    path: Path<'a>,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Node {
            path: Path::Index(&self.path, list.len()),
            duplicates: self.duplicates,
        })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let path = Path::Key(&self.path, &key);
            let value = fields.next_value_seed(Node {
                path,
                duplicates: self.duplicates,
            })?;
            if map.contains_key(&key) {
                let mut duplicates = self.duplicates.try_borrow_mut().map_err(A::Error::custom)?;
                if duplicates.len() < MAX_FINDINGS {
                    duplicates.push(path.to_string());
                }
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn duplicates_are_named_and_the_last_wins() {
        for (body, want, duplicates) in [
            (r#"{"a":1,"a":2}"#, json!({"a": 2}), vec!["a"]),
            (
                r#"{"a":{"b":[{"c":1,"c":null}]}}"#,
                json!({"a": {"b": [{"c": null}]}}),
                vec!["a.b[0].c"],
            ),
            (
                r#"{"a":{"b":1},"a":{"b":1,"b":2}}"#,
                json!({"a": {"b": 2}}),
                vec!["a.b", "a"],
            ),
            (r#"[1.5,true,"x",-3]"#, json!([1.5, true, "x", -3]), vec![]),
        ] {
            let decoded = json(body.as_bytes()).unwrap();
            assert_eq!(
                (decoded.value, decoded.duplicates),
                (want.clone(), duplicates.iter().map(ToString::to_string).collect()),
                "{body}"
            );
        }
    }

    #[test]
    fn yaml_becomes_json() {
        let decoded =
            yaml(b"kind: ConfigMap\ndata: {a: '1', b: x, 3: z}\non: [yes, ~, 1, 1.5]\nkind: Secret\n")
                .unwrap();
        assert_eq!(
            decoded.value,
            json!({"kind": "Secret", "data": {"a": "1", "b": "x", "3": "z"}, "on": [true, null, 1, 1.5]})
        );
        assert_eq!(decoded.duplicates, ["kind"]);
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (name, previous) in ["b", "c", "d", "e", "f", "g"]
            .iter()
            .zip(["a", "b", "c", "d", "e", "f"])
        {
            bomb.push_str(&format!(
                "{name}: &{name} [{}]\n",
                vec![format!("*{previous}"); 10].join(",")
            ));
        }
        let repeated = format!("a: &a {}\nb: [*a, *a, *a, *a, *a]", "x".repeat(1 << 20));
        assert!(yaml(repeated.as_bytes()).is_err());
        // A small stack must do for the caller, and every nesting either be read or be refused.
        let nested = |depth: usize| {
            let block: String = (0..depth)
                .map(|level| format!("{}a:\n", " ".repeat(level)))
                .collect();
            [
                block,
                format!("{{a: {}1{}}}", "{a: ".repeat(depth), "}".repeat(depth)),
                format!("{}1", "- ".repeat(depth)),
            ]
        };
        let small = thread::Builder::new().stack_size(128 << 10);
        let read = move || {
            for (depth, want) in [(60, true), (100, false), (5000, false)] {
                for body in nested(depth) {
                    assert_eq!(yaml(body.as_bytes()).is_ok(), want, "{depth}");
                }
            }
        };
        small.spawn(read).unwrap().join().unwrap();
        let nested = format!("{}1{}", "{\"a\":".repeat(120), "}".repeat(120));
        assert!(json(nested.as_bytes()).is_ok());
        for body in [deep.as_str(), "{", "", "{}{}", "nul", r#"{"a":}"#] {
            assert!(json(body.as_bytes()).is_err(), "{body}");
        }
        for body in [
            deep.as_str(),
            bomb.as_str(),
            "a: .nan",
            "a: [",
            "a: 1\n---\nb: 2\n",
        ] {
            assert!(yaml(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        /// What is written is read, in both forms, without duplicates.
        #[test]
        fn documents_round_trip(document in any_document()) {
            let text = document.to_string();
            let decoded = json(text.as_bytes()).unwrap();
            prop_assert_eq!(&decoded.value, &document);
            prop_assert!(decoded.duplicates.is_empty());
            // JSON is YAML, but for numbers that look like others there.
            prop_assert_eq!(&yaml(text.as_bytes()).unwrap().value, &document, "{}", text);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,&*a\\-\n \"']{0,60}") {
            let _ = (json(&bytes), yaml(&bytes), json(text.as_bytes()), yaml(text.as_bytes()));
        }
    }

    fn any_document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~é]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
