//! [`Object`]: any Kubernetes object as JSON, with the metadata every object shares.
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::resource::Gvk;
use crate::status::Status;

/// A Kubernetes object: a JSON object that has a kind, an API version and metadata.
///
/// Serializes with `kind`, `apiVersion` and `metadata` first, as Kubernetes prints objects; [`crate::entry::Entry`] relies on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    fields: Map<String, Value>,
}

/// One entry of `metadata.ownerReferences`, as far as deletion needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// API version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner, in the same namespace or cluster scoped.
    pub name: String,
    /// Uid of the owner.
    pub uid: String,
    /// Whether the owner is the managing controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether a foreground deletion of the owner waits for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

impl Object {
    /// An object of this kind with a name and no namespace.
    #[must_use]
    pub fn new(gvk: &Gvk, name: &str) -> Self {
        let mut object = Self::default();
        object.set_gvk(gvk);
        object.set_name(name);
        object
    }

    /// Wraps a JSON object.
    #[must_use]
    pub fn from_map(fields: Map<String, Value>) -> Self {
        Self { fields }
    }

    /// Takes a JSON value, if it is an object.
    #[must_use]
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self { fields }),
            _ => None,
        }
    }

    /// The object as a JSON value.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(self.fields)
    }

    /// A copy of the object as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// Converts a typed object; fails only if it does not serialize to a JSON object.
    ///
    /// # Errors
    /// An internal error naming the cause.
    pub fn from_typed<T: Serialize>(typed: &T) -> Result<Self, Status> {
        match serde_json::to_value(typed) {
            Ok(Value::Object(fields)) => Ok(Self { fields }),
            Ok(other) => Err(Status::internal(format!("object serialized to {other}"))),
            Err(error) => Err(Status::internal(error)),
        }
    }

    /// Converts to a typed object without consuming this one.
    ///
    /// # Errors
    /// [`Status::bad_request`] naming the field that does not fit.
    pub fn to_typed<T: DeserializeOwned>(&self) -> Result<T, Status> {
        T::deserialize(&self.fields).map_err(|error| self.does_not_fit(&error))
    }

    /// Converts to a typed object.
    ///
    /// # Errors
    /// [`Status::bad_request`] naming the field that does not fit.
    pub fn into_typed<T: DeserializeOwned>(self) -> Result<T, Status> {
        let kind = (self.kind().to_owned(), self.version().to_owned());
        T::deserialize(Value::Object(self.fields)).map_err(|error| {
            Status::bad_request(format!(
                "{} in version {:?} cannot be handled: {error}",
                kind.0, kind.1
            ))
        })
    }

    fn does_not_fit(&self, error: &serde_json::Error) -> Status {
        Status::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {error}",
            self.kind(),
            self.version(),
            self.kind()
        ))
    }

    /// All fields.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// All fields, to change.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.fields
    }

    /// A top-level field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// Sets a top-level field.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.fields.insert(field.to_owned(), value.into());
    }

    /// Removes a top-level field and returns it.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field)
    }

    /// The value below a path of field names.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.fields.get(*first)?, |value, field| value.get(field))
    }

    /// The string below a path of field names; empty when absent.
    #[must_use]
    pub fn str_at(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// `apiVersion`; empty when absent.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.str_field("apiVersion")
    }

    /// The version part of `apiVersion`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version().rsplit('/').next().unwrap_or_default()
    }

    /// The group part of `apiVersion`; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version().rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// `kind`; empty when absent.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.str_field("kind")
    }

    /// Group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> Gvk {
        Gvk::new(self.group(), self.version(), self.kind())
    }

    /// Sets `apiVersion` and `kind`.
    pub fn set_gvk(&mut self, gvk: &Gvk) {
        self.set("apiVersion", gvk.api_version());
        self.set("kind", gvk.kind.as_str());
    }

    fn str_field(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata`, if it is an object.
    #[must_use]
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.fields.get("metadata").and_then(Value::as_object)
    }

    /// `metadata`; created (or replaced, if it is not an object) when missing.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        let value = self
            .fields
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(map) => map,
            _ => unreachable!("made an object above"),
        }
    }

    /// A string of the metadata; empty when absent.
    #[must_use]
    pub fn meta(&self, field: &str) -> &str {
        self.metadata()
            .and_then(|metadata| metadata.get(field))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Sets a string of the metadata; an empty one is removed.
    pub fn set_meta(&mut self, field: &str, value: &str) {
        if value.is_empty() {
            self.metadata_mut().remove(field);
        } else {
            self.metadata_mut().insert(field.to_owned(), Value::from(value));
        }
    }

    /// `metadata.name`; empty when absent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.meta("name")
    }

    /// Sets `metadata.name`.
    pub fn set_name(&mut self, name: &str) {
        self.set_meta("name", name);
    }

    /// `metadata.generateName`; empty when absent.
    #[must_use]
    pub fn generate_name(&self) -> &str {
        self.meta("generateName")
    }

    /// `metadata.namespace`; empty when absent.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.meta("namespace")
    }

    /// Sets `metadata.namespace`; empty removes it.
    pub fn set_namespace(&mut self, namespace: &str) {
        self.set_meta("namespace", namespace);
    }

    /// `metadata.uid`; empty when absent.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.meta("uid")
    }

    /// Sets `metadata.uid`.
    pub fn set_uid(&mut self, uid: &str) {
        self.set_meta("uid", uid);
    }

    /// `metadata.resourceVersion`; empty when absent.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.meta("resourceVersion")
    }

    /// Sets `metadata.resourceVersion`; empty removes it.
    pub fn set_resource_version(&mut self, version: &str) {
        self.set_meta("resourceVersion", version);
    }

    /// `metadata.generation`; 0 when absent.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.metadata()
            .and_then(|metadata| metadata.get("generation"))
            .and_then(Value::as_i64)
            .unwrap_or(0)
    }

    /// Sets `metadata.generation`; 0 removes it.
    pub fn set_generation(&mut self, generation: i64) {
        if generation == 0 {
            self.metadata_mut().remove("generation");
        } else {
            self.metadata_mut().insert("generation".into(), generation.into());
        }
    }

    /// `metadata.creationTimestamp`, if it is a time.
    #[must_use]
    pub fn creation_timestamp(&self) -> Option<Timestamp> {
        self.meta("creationTimestamp").parse().ok()
    }

    /// Sets `metadata.creationTimestamp`, to the second.
    pub fn set_creation_timestamp(&mut self, time: Timestamp) {
        self.set_meta("creationTimestamp", &format_time(time));
    }

    /// `metadata.deletionTimestamp`, if the object is being deleted.
    #[must_use]
    pub fn deletion_timestamp(&self) -> Option<Timestamp> {
        self.meta("deletionTimestamp").parse().ok()
    }

    /// Whether `metadata.deletionTimestamp` is set.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        !self.meta("deletionTimestamp").is_empty()
    }

    /// Sets `metadata.deletionTimestamp`, to the second.
    pub fn set_deletion_timestamp(&mut self, time: Timestamp) {
        self.set_meta("deletionTimestamp", &format_time(time));
    }

    /// `metadata.labels`, if there are any.
    #[must_use]
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.metadata()?.get("labels")?.as_object()
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key)?.as_str()
    }

    /// Sets a label.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.metadata_object_mut("labels")
            .insert(key.to_owned(), value.into());
    }

    /// `metadata.annotations`, if there are any.
    #[must_use]
    pub fn annotations(&self) -> Option<&Map<String, Value>> {
        self.metadata()?.get("annotations")?.as_object()
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations()?.get(key)?.as_str()
    }

    /// Sets an annotation.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.metadata_object_mut("annotations")
            .insert(key.to_owned(), value.into());
    }

    /// Removes an annotation.
    pub fn remove_annotation(&mut self, key: &str) {
        if let Some(Value::Object(map)) = self.metadata_mut().get_mut("annotations") {
            map.remove(key);
        }
    }

    /// The annotations as a map of strings.
    #[must_use]
    pub fn annotation_map(&self) -> BTreeMap<String, String> {
        string_map(self.annotations())
    }

    /// The labels as a map of strings.
    #[must_use]
    pub fn label_map(&self) -> BTreeMap<String, String> {
        string_map(self.labels())
    }

    /// `metadata.finalizers`.
    #[must_use]
    pub fn finalizers(&self) -> Vec<String> {
        match self.metadata().and_then(|metadata| metadata.get("finalizers")) {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Sets `metadata.finalizers`; an empty list is removed.
    pub fn set_finalizers(&mut self, finalizers: &[String]) {
        if finalizers.is_empty() {
            self.metadata_mut().remove("finalizers");
        } else {
            self.metadata_mut().insert("finalizers".into(), finalizers.into());
        }
    }

    /// `metadata.ownerReferences`, those that are complete.
    #[must_use]
    pub fn owner_references(&self) -> Vec<OwnerReference> {
        match self
            .metadata()
            .and_then(|metadata| metadata.get("ownerReferences"))
        {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| OwnerReference::deserialize(item).ok())
                .collect(),
            _ => Vec::new(),
        }
    }

    fn metadata_object_mut(&mut self, field: &str) -> &mut Map<String, Value> {
        let value = self
            .metadata_mut()
            .entry(field.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(map) => map,
            _ => unreachable!("made an object above"),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const FIRST: [&str; 3] = ["kind", "apiVersion", "metadata"];
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for key in FIRST {
            if let Some(value) = self.fields.get(key) {
                map.serialize_entry(key, value)?;
            }
        }
        for (key, value) in self
            .fields
            .iter()
            .filter(|(key, _)| !FIRST.contains(&key.as_str()))
        {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from_map)
    }
}

/// A time as Kubernetes writes it: RFC 3339 in UTC, to the second.
#[must_use]
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as Kubernetes' `MicroTime` writes it: RFC 3339 in UTC, to the microsecond.
#[must_use]
pub fn format_micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn string_map(map: Option<&Map<String, Value>>) -> BTreeMap<String, String> {
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
