//! Sets of fields, as `fieldsV1` writes them: `f:` a field, `k:` an item by its key, `v:` an item by its value.
use serde_json::{Map, Value, json};

use crate::schema_port::{ObjectSchema, Topology};

/// Fields, each with the fields inside; a field without any is owned whole.
pub(super) type FieldSet = Map<String, Value>;

/// Knows the topology at every path.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    schema: Option<&'a dyn ObjectSchema>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(schema: Option<&'a dyn ObjectSchema>) -> Self {
        Self { schema }
    }

    pub(super) fn at(self, path: &[String]) -> Topology {
        match self.schema {
            None => Topology::Natural,
            Some(schema) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                schema.topology(&path)
            }
        }
    }

    /// Whether parts of a value are owned one by one, so that owning it without parts means only that it is there.
    pub(super) fn has_parts(self, path: &[String], value: &Value) -> bool {
        match (value, self.at(path)) {
            (Value::Object(_), topology) => topology != Topology::Atomic,
            (Value::Array(_), topology) => matches!(topology, Topology::Keyed(_) | Topology::Set),
            _ => false,
        }
    }

    /// Items of the longest list in a value whose items are owned one by one.
    pub(super) fn longest(self, path: &mut Vec<String>, value: &Value) -> usize {
        match value {
            Value::Object(map) => {
                let mut longest = 0;
                for (name, value) in map {
                    path.push(name.clone());
                    longest = longest.max(self.longest(path, value));
                    path.pop();
                }
                longest
            }
            Value::Array(items) if self.has_parts(path, value) => items
                .iter()
                .map(|item| self.longest(path, item))
                .fold(items.len(), usize::max),
            _ => 0,
        }
    }

    /// The fields that a value sets.
    pub(super) fn fields(self, path: &mut Vec<String>, value: &Value) -> FieldSet {
        let mut set = FieldSet::new();
        match (value, self.at(path)) {
            (Value::Object(map), Topology::Natural | Topology::Keyed(_) | Topology::Set) => {
                for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                    path.push(name.clone());
                    set.insert(format!("f:{name}"), self.fields(path, value).into());
                    path.pop();
                }
            }
            (Value::Array(items), Topology::Keyed(key)) => {
                for item in items {
                    let mut inside = self.fields(path, item);
                    inside.insert(".".into(), json!({}));
                    set.insert(item_step(&key, item), inside.into());
                }
            }
            (Value::Array(items), Topology::Set) => {
                for item in items {
                    set.insert(format!("v:{item}"), json!({}));
                }
            }
            _ => {}
        }
        set
    }
}

/// The step to an item of a keyed list.
fn item_step(key: &str, item: &Value) -> String {
    let mut found = Map::new();
    found.insert(key.to_owned(), item.get(key).cloned().unwrap_or_default());
    format!("k:{}", Value::Object(found))
}

/// The position of the item that a step leads to.
pub(super) fn position(items: &[Value], step: &str) -> Option<usize> {
    if let Some(key) = step.strip_prefix("k:") {
        let key: Map<String, Value> = serde_json::from_str(key).ok()?;
        let (name, wanted) = key.iter().next()?;
        return items
            .iter()
            .position(|item| item.get(name).unwrap_or(&Value::Null) == wanted);
    }
    let value: Value = serde_json::from_str(step.strip_prefix("v:")?).ok()?;
    items.iter().position(|item| *item == value)
}

/// The value that a step leads to.
fn follow<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match step.strip_prefix("f:") {
        Some(name) => value.get(name),
        None => {
            let items = value.as_array()?;
            items.get(position(items, step)?)
        }
    }
}

/// A step as conflicts show it: `.name` or `[key="value"]`.
fn shown(step: &str) -> String {
    if let Some(name) = step.strip_prefix("f:") {
        return format!(".{name}");
    }
    let key = step
        .strip_prefix("k:")
        .and_then(|key| serde_json::from_str::<Map<String, Value>>(key).ok());
    match key.as_ref().and_then(|key| key.iter().next()) {
        Some((name, value)) => format!("[{name}={value}]"),
        None => format!("[={}]", step.strip_prefix("v:").unwrap_or_default()),
    }
}

/// Looks for fields that two managers own and want otherwise.
pub(super) struct Contest<'a> {
    pub(super) walk: Walk<'a>,
    /// Whether what is contested is taken from the other.
    pub(super) take: bool,
    /// The contested fields, as conflicts show them.
    pub(super) found: Vec<String>,
    /// Field names down to where the search is.
    path: Vec<String>,
}

impl<'a> Contest<'a> {
    pub(super) fn new(walk: Walk<'a>, take: bool) -> Self {
        Self {
            walk,
            take,
            found: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Finds the fields that `mine` and `theirs` both own and whose wanted value is not the live one; takes them from
    /// `theirs` if that is to be.
    pub(super) fn search(
        &mut self,
        mine: &FieldSet,
        theirs: &mut FieldSet,
        (wanted, live): (&Value, &Value),
        shown_path: &str,
    ) {
        let mut taken = Vec::new();
        for (step, inside) in mine.iter().filter(|(step, _)| *step != ".") {
            let Some(other) = theirs.get_mut(step) else {
                continue;
            };
            let (Some(wanted), Some(live)) = (follow(wanted, step), follow(live, step)) else {
                continue;
            };
            let shown_path = format!("{shown_path}{}", shown(step));
            let name = step.strip_prefix("f:");
            self.path.extend(name.map(str::to_owned));
            if self.walk.has_parts(&self.path, wanted) && self.walk.has_parts(&self.path, live) {
                if let (Some(inside), Some(other)) = (inside.as_object(), other.as_object_mut()) {
                    let had_parts = !other.is_empty();
                    self.search(inside, other, (wanted, live), &shown_path);
                    if had_parts && other.keys().all(|step| step == ".") {
                        taken.push(step.clone());
                    }
                }
            } else if wanted != live {
                self.found.push(shown_path);
                taken.push(step.clone());
            }
            if name.is_some() {
                self.path.pop();
            }
        }
        if self.take {
            for step in taken {
                theirs.remove(&step);
            }
        }
    }
}
