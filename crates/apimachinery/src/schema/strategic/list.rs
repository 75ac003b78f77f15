//! Merged lists: sets of scalars and maps of objects by a merge key.
//!
//! Lists are as long as a body allows, so every lookup goes through a hash index.
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{super::compact::Schema, Merger, PATCH, PatchError, without_directives};

/// Elements of a list of objects.
type Elements<'a> = Vec<&'a Map<String, Value>>;

/// Removes every element of `list` that equals one of `gone`.
pub(super) fn delete_scalars(list: &mut Vec<Value>, gone: &[Value]) {
    let gone: HashSet<&Value> = gone.iter().collect();
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
    let (merged, named, server) = if objects == 0 {
        let places = places(&old, None);
        (
            merge_scalars(old, patch),
            Order {
                identities: patch.to_vec(),
                key: None,
            },
            places,
        )
    } else {
        let key = key.ok_or_else(|| PatchError::NoMergeKey {
            field: field.to_owned(),
            key: String::new(),
        })?;
        let places = places(&old, Some(key));
        let special = Special::read(field, patch, key)?;
        if special.replaces {
            let elements = special.elements.into_iter();
            return Ok(elements
                .filter_map(|element| without_directives(&Value::Object(element.clone())))
                .collect());
        }
        let identities = special
            .elements
            .iter()
            .filter_map(|element| element.get(key).cloned())
            .collect();
        let merged = merge_objects(merger, field, old, &special, key, items)?;
        (
            merged,
            Order {
                identities,
                key: Some(key.to_owned()),
            },
            places,
        )
    };
    match order {
        Some(order) => {
            order.check(field, &named)?;
            Ok(reorder(merged, &order, &server))
        }
        None => Ok(reorder(merged, &named, &server)),
    }
}

fn merge_scalars(mut list: Vec<Value>, patch: &[Value]) -> Vec<Value> {
    list.extend_from_slice(patch);
    let mut seen = HashSet::with_capacity(list.len());
    list.retain(|item| seen.insert(item.clone()));
    list
}

/// The elements of a patch by what they ask for.
struct Special<'a> {
    /// Elements to merge.
    elements: Elements<'a>,
    /// Identities of elements to delete.
    deleted: HashSet<&'a Value>,
    /// The elements replace the list.
    replaces: bool,
}

impl<'a> Special<'a> {
    fn read(field: &str, patch: &'a [Value], key: &str) -> Result<Self, PatchError> {
        let mut special = Self {
            elements: Vec::with_capacity(patch.len()),
            deleted: HashSet::new(),
            replaces: false,
        };
        for element in patch.iter().filter_map(Value::as_object) {
            match element.get(PATCH) {
                None => special.elements.push(element),
                Some(Value::String(kind)) if kind == "replace" => {
                    special.replaces = true;
                    // A replacement may also be an ordinary element that carries the directive.
                    if element.len() > 1 {
                        special.elements.push(element);
                    }
                }
                Some(Value::String(kind)) if kind == "delete" => {
                    special.deleted.insert(identity(field, element, key)?);
                }
                Some(Value::String(kind)) if kind == "merge" => special.elements.push(element),
                Some(other) => return Err(PatchError::UnknownType(other.to_string())),
            }
        }
        Ok(special)
    }
}

fn merge_objects(
    merger: Merger<'_>,
    field: &str,
    mut list: Vec<Value>,
    special: &Special<'_>,
    key: &str,
    items: Option<&Schema>,
) -> Result<Vec<Value>, PatchError> {
    list.retain(|item| {
        item.get(key)
            .is_none_or(|identity| !special.deleted.contains(identity))
    });
    let mut known = places(&list, Some(key));
    for element in &special.elements {
        let identity = identity(field, element, key)?;
        match known.get(identity).and_then(|place| list.get_mut(*place)) {
            Some(item) => {
                let old = match item.take() {
                    Value::Object(map) => map,
                    _ => Map::new(),
                };
                *item = Value::Object(merger.map(old, element, items)?);
            }
            None => {
                known.insert(identity.clone(), list.len());
                list.extend(without_directives(&Value::Object((*element).clone())));
            }
        }
    }
    Ok(list)
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

/// Where the elements of a list are, by identity; the first of equal ones counts.
pub(super) fn places(list: &[Value], key: Option<&str>) -> HashMap<Value, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (place, item) in list.iter().enumerate() {
        let identity = match key {
            Some(key) => item.get(key),
            None => Some(item),
        };
        if let Some(identity) = identity {
            places.entry(identity.clone()).or_insert(place);
        }
    }
    places
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

    /// The field that identifies elements; none for scalars.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn identity<'a>(&self, item: &'a Value) -> Option<&'a Value> {
        match &self.key {
            Some(key) => item.get(key),
            None => Some(item),
        }
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

/// `list` with the elements that `order` names sorted by it. The others keep the order and, as far as possible, the
/// places that they had on the `server`.
pub(super) fn reorder(list: Vec<Value>, order: &Order, server: &HashMap<Value, usize>) -> Vec<Value> {
    let positions = places(&order.identities, None);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in list {
        let identity = order.identity(&item);
        let place = identity.and_then(|identity| server.get(identity)).copied();
        match identity.and_then(|identity| positions.get(identity)) {
            Some(position) => named.push((*position, place, item)),
            None => others.push((place, item)),
        }
    }
    named.sort_by_key(|(position, ..)| *position);
    // Elements that only the server knows all have a place; without identity they stay where they are.
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().map(|(_, place, item)| (place, item)).peekable();
    let mut others = others.into_iter().peekable();
    while let (Some((wanted, _)), Some((other, _))) = (named.peek(), others.peek()) {
        // A named element goes first only where the server already had it first.
        let first = matches!((wanted, other), (Some(wanted), Some(other)) if wanted < other);
        sorted.extend(if first { named.next() } else { others.next() });
    }
    sorted.extend(named.chain(others));
    sorted.into_iter().map(|(_, item)| item).collect()
}
