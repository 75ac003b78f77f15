//! The three lists of a kubeconfig, each of named entries.
use std::path::Path;

use serde_json::{Map, Value, json};

/// A list of a kubeconfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Servers, and how to trust them.
    Clusters,
    /// Credentials.
    Users,
    /// A server, a user and a namespace together.
    Contexts,
}

impl Section {
    /// Name of the list.
    fn list(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Users => "users",
            Self::Contexts => "contexts",
        }
    }

    /// Name of the field that holds an entry's body, beside its `name`.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Clusters => "cluster",
            Self::Users => "user",
            Self::Contexts => "context",
        }
    }

    /// Fields that hold paths, relative to the file's folder.
    fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Clusters => &["certificate-authority"],
            Self::Users => &["client-certificate", "client-key", "tokenFile"],
            Self::Contexts => &[],
        }
    }

    /// Names and bodies; what has none is passed over.
    pub(super) fn entries(
        self,
        content: &Map<String, Value>,
    ) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        let list = content.get(self.list()).and_then(Value::as_array);
        let entries = list.into_iter().flatten();
        entries.filter_map(move |entry| {
            Some((
                entry.get("name")?.as_str()?,
                entry.get(self.field())?.as_object()?,
            ))
        })
    }

    /// The body of the entry `name`.
    pub(super) fn find<'c>(
        self,
        content: &'c Map<String, Value>,
        name: &str,
    ) -> Option<&'c Map<String, Value>> {
        self.entries(content)
            .find(|(known, _)| *known == name)
            .map(|(_, body)| body)
    }

    /// The body of the entry `name`, made if it is not there.
    pub(super) fn entry<'c>(
        self,
        content: &'c mut Map<String, Value>,
        name: &str,
    ) -> &'c mut Map<String, Value> {
        let list = as_array(content.entry(self.list()).or_insert(Value::Null));
        let named = |entry: &Value| entry.get("name").and_then(Value::as_str) == Some(name);
        let index = list.iter().position(named).unwrap_or_else(|| {
            list.push(json!({"name": name}));
            list.len() - 1
        });
        as_object(
            as_object(&mut list[index])
                .entry(self.field())
                .or_insert(Value::Null),
        )
    }

    /// Changes every body.
    pub(super) fn each(
        self,
        content: &mut Map<String, Value>,
        change: &mut impl FnMut(&mut Map<String, Value>),
    ) {
        let list = content.get_mut(self.list()).and_then(Value::as_array_mut);
        for entry in list.into_iter().flatten() {
            if let Some(body) = entry.get_mut(self.field()).and_then(Value::as_object_mut) {
                change(body);
            }
        }
    }

    /// Makes the paths of a body independent of the folder of its file.
    pub(super) fn anchor(self, body: &mut Map<String, Value>, folder: &Path) {
        for field in self.paths() {
            let relative = body
                .get(*field)
                .and_then(Value::as_str)
                .filter(|path| !path.is_empty());
            if let Some(path) = relative.map(|path| folder.join(path)) {
                let path = std::path::absolute(&path).unwrap_or(path);
                body.insert((*field).to_owned(), path.to_string_lossy().into());
            }
        }
        // A plugin is found like any command when its name has no slash, and beside the file otherwise.
        if let Some(command) = body.get_mut("exec").and_then(|exec| exec.get_mut("command")) {
            let relative = command.as_str().filter(|command| command.contains('/'));
            if let Some(path) = relative.map(|command| folder.join(command)) {
                *command = path.to_string_lossy().into();
            }
        }
    }
}

fn as_array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was made an array")
}

fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was made an object")
}
