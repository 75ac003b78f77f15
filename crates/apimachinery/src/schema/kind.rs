//! One definition as the schema of a resource.
use std::sync::Arc;

use serde_json::Value;

use super::{compact::Shape, definitions::Definitions};
use crate::{
    object::Object,
    schema_port::{ObjectSchema, Topology},
    status::Status,
};

/// A definition by name, with the set that it belongs to.
#[derive(Debug, Clone)]
pub struct Kind {
    definitions: Arc<Definitions>,
    name: Box<str>,
}

impl Kind {
    /// Name of the definition.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Definitions {
    /// The schema that definition `name` gives to a resource.
    ///
    /// # Panics
    /// If there is no such definition: the name is part of the program, as the definition is.
    #[must_use]
    pub fn kind(self: &Arc<Self>, name: &str) -> Arc<dyn ObjectSchema> {
        assert!(self.get(name).is_some(), "definition {name} is missing");
        Arc::new(Kind {
            definitions: self.clone(),
            name: name.into(),
        })
    }
}

impl ObjectSchema for Kind {
    fn conform(&self, object: &mut Object) -> Result<Vec<String>, Status> {
        let (kind, version) = (object.kind().to_owned(), object.version().to_owned());
        let mut document = Value::Object(std::mem::take(object.fields_mut()));
        let report = self.definitions.check(&self.name, &mut document);
        if let Value::Object(fields) = document {
            *object.fields_mut() = fields;
        }
        match report.type_error(&kind, &version) {
            Some(message) => Err(Status::bad_request(message)),
            None => Ok(report.findings()),
        }
    }

    fn strategic_merge(&self, current: Value, patch: &Value) -> Result<Value, Status> {
        self.definitions
            .strategic_merge(&self.name, current, patch)
            .map_err(|error| Status::bad_request(error.to_string()))
    }

    fn topology(&self, path: &[&str]) -> Topology {
        let mut field = self.definitions.get(&self.name);
        for name in path {
            let mut schema = field.map(|field| self.definitions.resolve(field));
            while let Some(Shape::Array(items)) = schema.map(|schema| &schema.shape) {
                schema = Some(self.definitions.resolve(items));
            }
            field = schema.and_then(|schema| schema.field(name));
        }
        let Some(field) = field else {
            return Topology::Natural;
        };
        match (&field.merge.key, &self.definitions.resolve(field).shape) {
            (Some(key), Shape::Array(_)) if field.merge.list => Topology::Keyed(key.to_string()),
            (None, Shape::Array(_)) if field.merge.list => Topology::Set,
            (_, Shape::Any) => Topology::Atomic,
            _ if field.merge.replace => Topology::Atomic,
            _ => Topology::Natural,
        }
    }
}
