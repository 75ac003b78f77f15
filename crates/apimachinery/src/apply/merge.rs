//! Values merged field by field, and fields taken away again.
use serde_json::Value;

use super::fields::{FieldSet, Walk, position};
use super::object_of;
use crate::schema_port::Topology;

/// `live` with everything that `wanted` sets.
pub(super) fn merge(walk: Walk<'_>, path: &mut Vec<String>, live: Option<Value>, wanted: &Value) -> Value {
    match (live, wanted, walk.at(path)) {
        (_, wanted, Topology::Atomic) => wanted.clone(),
        (live, Value::Object(wanted), _) => {
            let mut merged = match live {
                Some(Value::Object(map)) => map,
                _ => serde_json::Map::new(),
            };
            for (name, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
                path.push(name.clone());
                let value = merge(walk, path, merged.remove(name), value);
                path.pop();
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Some(Value::Array(mut items)), Value::Array(wanted), Topology::Keyed(key)) => {
            for item in wanted {
                let held = items.iter().position(|held| held.get(&key) == item.get(&key));
                match held {
                    Some(index) => {
                        let held = std::mem::take(&mut items[index]);
                        items[index] = merge(walk, path, Some(held), item);
                    }
                    None => items.push(item.clone()),
                }
            }
            Value::Array(items)
        }
        (Some(Value::Array(mut items)), Value::Array(wanted), Topology::Set) => {
            for item in wanted {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
            Value::Array(items)
        }
        (_, wanted, _) => wanted.clone(),
    }
}

/// Removes from `value` the fields of `gone` that none of `keep` owns.
pub(super) fn prune(
    walk: Walk<'_>,
    path: &mut Vec<String>,
    value: &mut Value,
    gone: &FieldSet,
    keep: &[&FieldSet],
) {
    for (step, inside) in gone {
        let Some(inside) = inside.as_object().filter(|_| step != ".") else {
            continue;
        };
        let kept: Vec<&FieldSet> = keep.iter().filter_map(|set| set.get(step)?.as_object()).collect();
        if let Some(name) = step.strip_prefix("f:") {
            let Some(map) = object_of(value) else { continue };
            let Some(field) = map.get_mut(name) else { continue };
            path.push(name.to_owned());
            let parts = walk.has_parts(path, field);
            if parts {
                prune(walk, path, field, inside, &kept);
            }
            path.pop();
            if kept.is_empty() && (!parts || is_empty(field)) {
                map.remove(name);
            }
        } else if let Some(items) = value.as_array_mut()
            && let Some(index) = position(items, step)
        {
            if kept.is_empty() {
                items.remove(index);
            } else {
                prune(walk, path, &mut items[index], inside, &kept);
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
