//! Definitions in the form of each version of OpenAPI.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::operation::Action;
use crate::{
    resource::Gvk,
    schema::{Definitions, LIST_META},
};

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const GVK: &str = "x-kubernetes-group-version-kind";
/// The field's number in protobuf bodies, which is between the definitions and our decoder.
const PROTOBUF_NUMBER: &str = "x-protobuf";

/// The full definitions, for as long as a document is being rendered.
pub(super) struct Fragments {
    fragments: BTreeMap<String, Value>,
    kinds: BTreeMap<(String, String, String), String>,
}

impl Fragments {
    pub(super) fn new(definitions: &Definitions) -> Self {
        let fragments = definitions.fragments();
        let mut kinds = BTreeMap::new();
        for (name, fragment) in &fragments {
            for kind in fragment.get(GVK).and_then(Value::as_array).into_iter().flatten() {
                let text = |field: &str| kind[field].as_str().unwrap_or_default().to_owned();
                kinds.insert((text("group"), text("version"), text("kind")), name.clone());
            }
        }
        Self { fragments, kinds }
    }

    /// The definition of a kind.
    fn kind(&self, gvk: &Gvk) -> Option<String> {
        self.kinds
            .get(&(gvk.group.clone(), gvk.version.clone(), gvk.kind.clone()))
            .cloned()
    }

    /// The definition of a list of a kind, made if nobody wrote one.
    fn list(&mut self, gvk: &Gvk) -> Option<String> {
        let item = self.kind(gvk)?;
        let name = format!("{item}List");
        if !self.fragments.contains_key(&name) {
            let kind = &gvk.kind;
            let list = json!({
                "description": format!("{kind}List is a list of objects of kind {kind}."),
                "type": "object",
                "required": ["items"],
                "properties": {
                    "apiVersion": {"type": "string", "description": "Group and version of this representation."},
                    "kind": {"type": "string", "description": format!("Always {kind}List.")},
                    "metadata": {"$ref": LIST_META, "default": {}, "description": "Version and paging of the list."},
                    "items": {"type": "array", "items": {"$ref": item, "default": {}}, "description": "The objects."},
                },
                GVK: [{"group": gvk.group, "version": gvk.version, "kind": format!("{kind}List")}],
            });
            self.fragments.insert(name.clone(), list);
        }
        Some(name)
    }

    /// Definitions of what an operation takes and answers.
    pub(super) fn of(&mut self, action: Action, gvk: &Gvk) -> (Option<String>, Option<String>) {
        match action {
            Action::Get => (None, self.kind(gvk)),
            Action::List => (None, self.list(gvk)),
            Action::Post | Action::Put => (self.kind(gvk), self.kind(gvk)),
            Action::Patch => (Some(PATCH.to_owned()), self.kind(gvk)),
            Action::Delete | Action::DeleteCollection => {
                (Some(DELETE_OPTIONS.to_owned()), Some(STATUS.to_owned()))
            }
        }
    }

    /// All definitions for version 2.
    pub(super) fn v2(&self) -> Map<String, Value> {
        self.fragments
            .iter()
            .map(|(name, fragment)| (name.clone(), v2(fragment)))
            .collect()
    }

    /// The definitions that `roots` need, themselves included, for version 3.
    pub(super) fn v3(&self, roots: BTreeSet<String>) -> Map<String, Value> {
        let mut wanted: Vec<String> = roots.into_iter().collect();
        let mut rendered = Map::new();
        while let Some(name) = wanted.pop() {
            if rendered.contains_key(&name) {
                continue;
            }
            if let Some(fragment) = self.fragments.get(&name) {
                references(fragment, &mut wanted);
                rendered.insert(name, v3(fragment));
            }
        }
        rendered
    }
}

fn bare(reference: &str) -> &str {
    reference.strip_prefix("#/definitions/").unwrap_or(reference)
}

fn references(fragment: &Value, found: &mut Vec<String>) {
    match fragment {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.get("$ref") {
                found.push(bare(name).to_owned());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Applies `render` to the schemas directly inside a schema.
fn inner(map: &mut Map<String, Value>, render: fn(&Value) -> Value) {
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties
            .values_mut()
            .for_each(|property| *property = render(property));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(value) = map.get_mut(key).filter(|value| value.is_object()) {
            *value = render(value);
        }
    }
}

fn is_int_or_string(map: &Map<String, Value>) -> bool {
    map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
        || map.get("format").is_some_and(|format| format == "int-or-string")
}

fn v2(fragment: &Value) -> Value {
    let Value::Object(map) = fragment else {
        return fragment.clone();
    };
    let mut map = map.clone();
    map.remove(PROTOBUF_NUMBER);
    // Old clients refuse a reference that has a default beside it, and no client needs defaults here.
    map.remove("default");
    if map.remove("oneOf").is_some() {
        map.insert("type".into(), json!("string"));
    }
    if is_int_or_string(&map) {
        map.remove("x-kubernetes-int-or-string");
        map.insert("type".into(), json!("string"));
        map.insert("format".into(), json!("int-or-string"));
    }
    if let Some(Value::String(name)) = map.get("$ref") {
        let reference = format!("#/definitions/{}", bare(name));
        map.insert("$ref".into(), json!(reference));
    }
    inner(&mut map, v2);
    Value::Object(map)
}

fn v3(fragment: &Value) -> Value {
    let Value::Object(map) = fragment else {
        return fragment.clone();
    };
    let mut map = map.clone();
    map.remove(PROTOBUF_NUMBER);
    if is_int_or_string(&map) {
        map.remove("x-kubernetes-int-or-string");
        map.remove("type");
        map.insert("format".into(), json!("int-or-string"));
        map.insert("oneOf".into(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    if let Some(Value::String(name)) = map.remove("$ref") {
        let reference = json!({"$ref": format!("#/components/schemas/{}", bare(&name))});
        if map.is_empty() {
            return reference;
        }
        // Nothing may stand beside a reference in version 3.
        map.insert("allOf".into(), json!([reference]));
    }
    inner(&mut map, v3);
    Value::Object(map)
}
