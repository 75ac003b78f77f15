//! Merged lists: sets of scalars and maps of objects by a merge key.
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{super::compact::Schema, Merger, PATCH, PatchError, without_directives};

/// Elements of a list of objects.
type Elements<'a> = Vec<&'a Map<String, Value>>;

/// Removes every element of `list` that equals one of `gone`.
pub(super) fn delete_scalars(list: &mut Vec<Value>, gone: &[Value]) {
    list.retain(|item| !gone.contains(item));
}

/// `old` after `patch`. Elements that the patch names come in the patch's order (or `order`'s); those that only the
/// server knows keep their places among them.
pub(super) fn merge_list(
    merger: Merger<'_>,
    field: &str,
    old: Vec<Value>,
    patch: &[Value],
    order: Option<&Value>,
    key: Option<&str>,
    items: Option<&Schema>,
) -> Result<Vec<Value>, PatchError> {
    let objects = patch.iter().filter(|item| item.is_object()).count();
    if objects != 0 && objects != patch.len() {
        return Err(PatchError::MixedList(field.to_owned()));
    }
    let order = order.map(|order| Order::parse(field, order, key)).transpose()?;
    let server = old.clone();
    let mut merged = old;
    let named = if objects == 0 {
        merge_scalars(&mut merged, patch);
        Order {
            identities: patch.to_vec(),
            key: None,
        }
    } else {
        let key = key.ok_or_else(|| PatchError::NoMergeKey {
            field: field.to_owned(),
            key: String::new(),
        })?;
        let (elements, replaced) = special_elements(field, &mut merged, patch, key)?;
        if replaced {
            return Ok(elements
                .iter()
                .filter_map(|element| without_directives(&Value::Object((*element).clone())))
                .collect());
        }
        merge_objects(merger, field, &mut merged, &elements, key, items)?;
        let identities = elements
            .iter()
            .filter_map(|element| element.get(key).cloned())
            .collect();
        Order {
            identities,
            key: Some(key.to_owned()),
        }
    };
    match order {
        Some(order) => {
            order.check(field, &named)?;
            reorder(&mut merged, &order, &server);
        }
        None => reorder(&mut merged, &named, &server),
    }
    Ok(merged)
}

fn merge_scalars(list: &mut Vec<Value>, patch: &[Value]) {
    for item in patch {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
    let mut seen: Vec<Value> = Vec::with_capacity(list.len());
    list.retain(|item| {
        let new = !seen.contains(item);
        if new {
            seen.push(item.clone());
        }
        new
    });
}

/// Applies `$patch` of elements to `list`; returns the other elements, and whether they replace the list.
fn special_elements<'a>(
    field: &str,
    list: &mut Vec<Value>,
    patch: &'a [Value],
    key: &str,
) -> Result<(Elements<'a>, bool), PatchError> {
    let mut elements = Vec::with_capacity(patch.len());
    let mut replaced = false;
    for element in patch.iter().filter_map(Value::as_object) {
        match element.get(PATCH) {
            None => elements.push(element),
            Some(Value::String(kind)) if kind == "replace" => {
                replaced = true;
                // A replacement may also be an ordinary element that carries the directive.
                if element.len() > 1 {
                    elements.push(element);
                }
            }
            Some(Value::String(kind)) if kind == "delete" => {
                let identity = identity(field, element, key)?;
                list.retain(|item| item.get(key) != Some(identity));
            }
            Some(Value::String(kind)) if kind == "merge" => elements.push(element),
            Some(other) => return Err(PatchError::UnknownType(other.to_string())),
        }
    }
    Ok((elements, replaced))
}

fn merge_objects(
    merger: Merger<'_>,
    field: &str,
    list: &mut Vec<Value>,
    elements: &Elements<'_>,
    key: &str,
    items: Option<&Schema>,
) -> Result<(), PatchError> {
    for element in elements {
        let identity = identity(field, element, key)?;
        match list.iter_mut().find(|item| item.get(key) == Some(identity)) {
            Some(item) => {
                let old = match item.take() {
                    Value::Object(map) => map,
                    _ => Map::new(),
                };
                *item = Value::Object(merger.map(old, element, items)?);
            }
            None => list.extend(without_directives(&Value::Object((*element).clone()))),
        }
    }
    Ok(())
}

fn identity<'a>(field: &str, element: &'a Map<String, Value>, key: &str) -> Result<&'a Value, PatchError> {
    element
        .get(key)
        .filter(|value| !value.is_null())
        .ok_or_else(|| PatchError::NoMergeKey {
            field: field.to_owned(),
            key: key.to_owned(),
        })
}

/// The order that a patch wants for elements of a list, by identity.
pub(super) struct Order {
    identities: Vec<Value>,
    key: Option<String>,
}

impl Order {
    /// Reads a `$setElementOrder` list: scalars, or objects that hold only the merge key.
    pub(super) fn parse(field: &str, order: &Value, key: Option<&str>) -> Result<Self, PatchError> {
        let Value::Array(items) = order else {
            return Err(PatchError::Directive(format!("{}{field}", super::SET_ORDER)));
        };
        if items.iter().all(|item| !item.is_object()) {
            return Ok(Self {
                identities: items.clone(),
                key: None,
            });
        }
        let key = key.ok_or_else(|| PatchError::NoMergeKey {
            field: field.to_owned(),
            key: String::new(),
        })?;
        let mut identities = Vec::with_capacity(items.len());
        for item in items {
            let Value::Object(item) = item else {
                return Err(PatchError::MixedList(field.to_owned()));
            };
            identities.push(identity(field, item, key)?.clone());
        }
        Ok(Self {
            identities,
            key: Some(key.to_owned()),
        })
    }

    fn position(&self, item: &Value) -> Option<usize> {
        let identity = match &self.key {
            Some(key) => item.get(key)?,
            None => item,
        };
        self.identities.iter().position(|known| known == identity)
    }

    /// Elements that a patch gives must appear in the order that it gives.
    fn check(&self, field: &str, given: &Order) -> Result<(), PatchError> {
        let mut rest = self.identities.iter();
        let in_order = given
            .identities
            .iter()
            .all(|identity| rest.any(|known| known == identity));
        if in_order {
            Ok(())
        } else {
            Err(PatchError::Inconsistent(field.to_owned()))
        }
    }
}

/// Sorts the elements that `order` names by it. The others keep the order and, as far as possible, the places that
/// they had in `server`.
pub(super) fn reorder(list: &mut Vec<Value>, order: &Order, server: &[Value]) {
    let place = |item: &Value| {
        server.iter().position(|known| match &order.key {
            Some(key) => known.get(key).is_some() && known.get(key) == item.get(key),
            None => known == item,
        })
    };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = std::mem::take(list)
        .into_iter()
        .partition(|item| order.position(item).is_some());
    named.sort_by_key(|item| order.position(item));
    others.sort_by(|a, b| match (place(a), place(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    });
    let mut named = named.into_iter().peekable();
    let mut others = others.into_iter().peekable();
    while let (Some(wanted), Some(other)) = (named.peek(), others.peek()) {
        // A named element goes first only where the server already had it first.
        let first = matches!((place(wanted), place(other)), (Some(wanted), Some(other)) if wanted < other);
        list.extend(if first { named.next() } else { others.next() });
    }
    list.extend(named.chain(others));
}
