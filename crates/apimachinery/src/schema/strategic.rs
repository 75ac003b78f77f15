//! Strategic merge patches: a merge patch that knows which lists are sets or maps.
//!
//! Directives: `$patch` (`replace`, `delete`, `merge`) in maps and in elements of merged lists,
//! `$retainKeys`, `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD`.
//!
//! Source: Kubernetes community, "Strategic Merge Patch" (sig-api-machinery/strategic-merge-patch.md).
mod list;

use std::collections::HashSet;

use serde_json::{Map, Value};

use self::list::{Order, delete_scalars, merge_list, places, reorder};
use super::{
    compact::{Merge, Schema, Shape},
    definitions::Definitions,
};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// A patch that does not fit the schema or itself. Clients get it as `BadRequest`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A patch, or an element of a merged list of objects, is not an object.
    #[error("a strategic merge patch needs an object at {0:?}")]
    NotAnObject(String),
    /// A directive does not have the type that it needs.
    #[error("directive {0:?} has a wrong type")]
    Directive(String),
    /// A `$patch` other than `replace`, `delete` and `merge`.
    #[error("unknown patch type: {0}")]
    UnknownType(String),
    /// An element of a merged list lacks the field that identifies it.
    #[error("an element of {field:?} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The list.
        field: String,
        /// The field that is missing.
        key: String,
    },
    /// A list of objects and scalars at once.
    #[error("the elements of {0:?} are not all of one type")]
    MixedList(String),
    /// A patched field is missing from `$retainKeys`, or an element from `$setElementOrder`.
    #[error("the order in patch list for {0:?} doesn't match its directive")]
    Inconsistent(String),
}

impl Definitions {
    /// `current` after `patch`, merged as definition `name` says. `current` may be `null` for "does not exist".
    ///
    /// # Errors
    /// [`PatchError`] when the patch does not fit; nothing is applied then.
    pub fn strategic_merge(&self, name: &str, current: Value, patch: &Value) -> Result<Value, PatchError> {
        let schema = self.get(name);
        let Value::Object(patch) = patch else {
            return Err(PatchError::NotAnObject(String::new()));
        };
        let current = match current {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Merger { definitions: self }
            .map(current, patch, schema)
            .map(Value::Object)
    }
}

/// How one field is patched: its own directives and the schema behind its references.
struct FieldSchema<'a> {
    merge: Merge,
    schema: Option<&'a Schema>,
}

#[derive(Clone, Copy)]
struct Merger<'a> {
    definitions: &'a Definitions,
}

impl<'a> Merger<'a> {
    fn field(self, schema: Option<&'a Schema>, name: &str) -> FieldSchema<'a> {
        let field = schema.and_then(|schema| self.definitions.resolve(schema).field(name));
        FieldSchema {
            merge: field.map(|field| field.merge.clone()).unwrap_or_default(),
            schema: field.map(|field| self.definitions.resolve(field)),
        }
    }

    /// The schema of the elements of a list.
    fn items(self, schema: Option<&'a Schema>) -> Option<&'a Schema> {
        match &schema?.shape {
            Shape::Array(items) => Some(self.definitions.resolve(items)),
            _ => None,
        }
    }

    fn map(
        self,
        mut current: Map<String, Value>,
        patch: &Map<String, Value>,
        schema: Option<&'a Schema>,
    ) -> Result<Map<String, Value>, PatchError> {
        match patch.get(PATCH) {
            None => {}
            Some(Value::String(kind)) if kind == "replace" => {
                let mut wanted = patch.clone();
                wanted.remove(PATCH);
                return Ok(wanted);
            }
            Some(Value::String(kind)) if kind == "delete" => return Ok(Map::new()),
            Some(Value::String(kind)) if kind == "merge" => {}
            Some(other) => return Err(PatchError::UnknownType(other.to_string())),
        }
        if let Some(keys) = patch.get(RETAIN_KEYS) {
            retain_keys(&mut current, patch, keys)?;
        }
        // Deletions come before merges, so that an element both deleted and given ends up present.
        for (key, value) in patch {
            let Some(field) = key.strip_prefix(DELETE_FROM) else {
                continue;
            };
            let Value::Array(gone) = value else {
                return Err(PatchError::Directive(key.clone()));
            };
            if let Some(Value::Array(list)) = current.get_mut(field) {
                delete_scalars(list, gone);
            }
        }
        for (key, value) in patch {
            if key == PATCH
                || key == RETAIN_KEYS
                || key.starts_with(DELETE_FROM)
                || key.starts_with(SET_ORDER)
            {
                continue;
            }
            let order = patch.get(&format!("{SET_ORDER}{key}"));
            self.entry(&mut current, key, value, order, schema)?;
        }
        // An order may also be given for a list of which nothing else changes.
        for (key, order) in patch {
            let Some(field) = key.strip_prefix(SET_ORDER) else {
                continue;
            };
            if patch.contains_key(field) {
                continue;
            }
            if let Some(Value::Array(list)) = current.get_mut(field) {
                let merge = self.field(schema, field).merge;
                let order = Order::parse(field, order, merge.key.as_deref())?;
                let server = places(list, order.key());
                *list = reorder(std::mem::take(list), &order, &server);
            }
        }
        Ok(current)
    }

    fn entry(
        self,
        current: &mut Map<String, Value>,
        key: &str,
        value: &Value,
        order: Option<&Value>,
        schema: Option<&'a Schema>,
    ) -> Result<(), PatchError> {
        let field = self.field(schema, key);
        match (current.remove(key), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(old)), Value::Object(new)) if !field.merge.replace => {
                let merged = self.map(old, new, field.schema)?;
                let deleted = new.get(PATCH).is_some_and(|kind| kind == "delete");
                if !deleted {
                    current.insert(key.to_owned(), Value::Object(merged));
                }
            }
            (old, Value::Array(new)) if field.merge.list => {
                let old = match old {
                    Some(Value::Array(list)) => list,
                    _ => Vec::new(),
                };
                let list = merge_list(
                    self,
                    key,
                    old,
                    new,
                    order,
                    field.merge.key.as_deref(),
                    self.items(field.schema),
                )?;
                current.insert(key.to_owned(), Value::Array(list));
            }
            (_, new) => {
                if let Some(new) = without_directives(new) {
                    current.insert(key.to_owned(), new);
                }
            }
        }
        Ok(())
    }
}

/// What a patch adds where nothing was: its values without directives and deletions. `None` when it deletes itself.
fn without_directives(patch: &Value) -> Option<Value> {
    Some(match patch {
        Value::Object(map) => {
            if map.get(PATCH).is_some_and(|kind| kind == "delete") {
                return None;
            }
            let mut kept = Map::new();
            for (key, value) in map {
                let directive = key == PATCH
                    || key == RETAIN_KEYS
                    || key.starts_with(DELETE_FROM)
                    || key.starts_with(SET_ORDER);
                if directive || value.is_null() {
                    continue;
                }
                if let Some(value) = without_directives(value) {
                    kept.insert(key.clone(), value);
                }
            }
            Value::Object(kept)
        }
        Value::Array(list) => {
            let only_replaces = |item: &&Value| {
                item.as_object()
                    .is_some_and(|map| map.len() == 1 && map.get(PATCH).is_some_and(|kind| kind == "replace"))
            };
            list.iter()
                .filter(|item| !only_replaces(item))
                .filter_map(without_directives)
                .collect()
        }
        scalar => scalar.clone(),
    })
}

fn retain_keys(
    current: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    keys: &Value,
) -> Result<(), PatchError> {
    let wrong = || PatchError::Directive(RETAIN_KEYS.to_owned());
    let Value::Array(keys) = keys else {
        return Err(wrong());
    };
    let keys: HashSet<&str> = keys
        .iter()
        .map(Value::as_str)
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let stray = patch
        .iter()
        .find(|(key, value)| !key.starts_with('$') && !value.is_null() && !keys.contains(key.as_str()));
    if let Some((key, _)) = stray {
        return Err(PatchError::Inconsistent(key.clone()));
    }
    current.retain(|key, _| keys.contains(key.as_str()));
    Ok(())
}

#[cfg(test)]
mod tests;
