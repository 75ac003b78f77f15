//! The set of definitions of one server.
use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::compact::{Schema, Shape};

/// Definition of `metadata` of objects.
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Definition of `metadata` of lists.
pub(crate) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// Definitions that every server has.
const BUILTIN: &str = include_str!("builtin.yaml");

/// Something is wrong with a file of definitions; such files are part of the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a YAML map of definitions.
    #[error("a file of definitions cannot be read: {0}")]
    Syntax(String),
    /// One definition is not understood.
    #[error("definition {name}: {problem}")]
    Definition {
        /// Name of the definition.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two files define the same name.
    #[error("definition {0} is given twice")]
    Duplicate(String),
    /// A `$ref` leads nowhere.
    #[error("definition {name} refers to {missing}, which is not defined")]
    Missing {
        /// Name of the definition.
        name: String,
        /// What it names.
        missing: String,
    },
}

/// All definitions of a server, by name (`io.k8s.api.core.v1.ConfigMap`).
#[derive(Debug, Default)]
pub struct Definitions {
    schemas: HashMap<Box<str>, Schema>,
    sources: Vec<&'static str>,
}

impl Definitions {
    /// The definitions of `builtin.yaml` (object metadata, status, delete options and their like) and of `files`.
    ///
    /// # Errors
    /// Any [`Error`]: a file that cannot be read, a definition that is not understood, given twice, or that refers
    /// to one that is missing.
    pub fn new(files: &[&'static str]) -> Result<Self, Error> {
        let mut all = Self::default();
        for file in std::iter::once(BUILTIN).chain(files.iter().copied()) {
            all.add(file)?;
        }
        for (name, schema) in &all.schemas {
            if let Some(missing) = all.missing(schema) {
                return Err(Error::Missing {
                    name: name.to_string(),
                    missing: missing.to_owned(),
                });
            }
        }
        Ok(all)
    }

    fn add(&mut self, file: &'static str) -> Result<(), Error> {
        for (name, fragment) in read(file)? {
            let schema = Schema::parse(&fragment).map_err(|problem| Error::Definition {
                name: name.clone(),
                problem,
            })?;
            if self.schemas.insert(name.as_str().into(), schema).is_some() {
                return Err(Error::Duplicate(name));
            }
        }
        self.sources.push(file);
        Ok(())
    }

    fn missing<'a>(&self, schema: &'a Schema) -> Option<&'a str> {
        match &schema.shape {
            Shape::Ref(name) => (!self.schemas.contains_key(name)).then_some(name),
            Shape::Struct { fields, .. } => fields.iter().find_map(|(_, field)| self.missing(field)),
            Shape::Map(inner) | Shape::Array(inner) => self.missing(inner),
            _ => None,
        }
    }

    /// The schema of a definition.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Schema> {
        self.schemas.get(name)
    }

    /// Follows references to a schema that is not one; the merge directives of the first hop are the field's.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Schema) -> &'a Schema {
        let mut schema = schema;
        // A chain of references is as short as its authors made it; a circle of them means nothing at all.
        for _ in 0..8 {
            let Shape::Ref(name) = &schema.shape else { break };
            match self.schemas.get(name) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// The full fragments with their descriptions, read again from the sources: they are needed when a document is
    /// rendered, and too large to keep.
    pub(crate) fn fragments(&self) -> BTreeMap<String, Value> {
        // The sources were read by `new`, so they can be read.
        self.sources
            .iter()
            .filter_map(|file| read(file).ok())
            .flatten()
            .collect()
    }

    /// The source files, in the order they were given.
    pub(crate) fn sources(&self) -> &[&'static str] {
        &self.sources
    }
}

/// Reads a file, completing what the abbreviations of [`super`] leave out.
fn read(file: &str) -> Result<BTreeMap<String, Value>, Error> {
    let document = super::decode::yaml(file.as_bytes()).map_err(|error| Error::Syntax(error.to_string()))?;
    if let Some(name) = document.duplicates.first() {
        return Err(Error::Duplicate(name.clone()));
    }
    let Value::Object(definitions) = document.value else {
        return Err(Error::Syntax("definitions must be a map by name".into()));
    };
    let mut all = BTreeMap::new();
    for (name, mut fragment) in definitions {
        complete(&mut fragment).map_err(|problem| Error::Definition {
            name: name.clone(),
            problem,
        })?;
        all.insert(name, fragment);
    }
    Ok(all)
}

fn complete(fragment: &mut Value) -> Result<(), String> {
    if !fragment.is_object() {
        return Err("a definition must be an object".into());
    }
    if fragment.get("x-kubernetes-group-version-kind").is_none() {
        return Ok(());
    }
    if fragment.get("type").is_none() {
        fragment["type"] = json!("object");
    }
    let properties = &mut fragment["properties"];
    if properties.is_null() {
        *properties = json!({});
    }
    let Some(properties) = properties.as_object_mut() else {
        return Err("properties must be an object".into());
    };
    properties.entry("apiVersion").or_insert_with(|| {
        json!({"type": "string", "description": "Group and version of this representation, such as image.openshift.io/v1."})
    });
    properties.entry("kind").or_insert_with(|| {
        json!({"type": "string", "description": "Kind of this object, in CamelCase. It cannot be changed."})
    });
    properties.entry("metadata").or_insert_with(|| {
        json!({"$ref": OBJECT_META, "default": {}, "description": "Name, namespace, labels and what else every object has."})
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_definitions_are_complete() {
        let definitions = Definitions::new(&[]).unwrap();
        for name in [
            OBJECT_META,
            LIST_META,
            "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
        ] {
            assert!(definitions.get(name).is_some(), "{name}");
        }
        for (name, fragment) in definitions.fragments() {
            assert!(fragment["description"].is_string(), "{name} has no description");
        }
    }

    #[test]
    fn abbreviations_are_completed() {
        let definitions = Definitions::new(&["a.Thing:\n  x-kubernetes-group-version-kind: [{group: a, version: v1, kind: Thing}]\n  properties:\n    spec: {type: string}\n"]).unwrap();
        let thing = definitions.get("a.Thing").unwrap();
        for field in ["apiVersion", "kind", "metadata", "spec"] {
            assert!(thing.field(field).is_some(), "{field}");
        }
        assert!(
            matches!(&thing.field("metadata").unwrap().shape, Shape::Ref(name) if name.as_ref() == OBJECT_META)
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (file, want) in [
            ("a: {$ref: b}", "definition a refers to b, which is not defined"),
            ("a: {type: array}", "definition a: an array needs items"),
            (
                "a: {type: object, properties: {b: {type: list}}}",
                "definition a: b: unknown type \"list\"",
            ),
            (
                "a: {type: string}\na: {type: string}",
                "definition a is given twice",
            ),
            (
                "[]",
                "a file of definitions cannot be read: definitions must be a map by name",
            ),
        ] {
            assert_eq!(Definitions::new(&[file]).unwrap_err().to_string(), want, "{file}");
        }
    }
}
