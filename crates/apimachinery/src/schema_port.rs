//! What the machinery asks of a schema: [`ObjectSchema`]. The [`schema`](crate::schema) module implements it.
use serde_json::Value;

use crate::object::Object;
use crate::status::Status;

/// How server-side apply merges the value at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Objects field by field, lists and scalars whole.
    Natural,
    /// Whole, even an object.
    Atomic,
    /// A list of objects, item by item; this field tells them apart.
    Keyed(String),
    /// A list of scalars without order and repetition.
    Set,
}

/// The schema of a kind.
pub trait ObjectSchema: Send + Sync + 'static {
    /// Brings a decoded object into shape: removes nulls that mean "absent" and fields the kind does not have.
    ///
    /// Returns what was found, worded as a warning, as in `unknown field "spec.tags[0].form"`.
    ///
    /// # Errors
    /// 400 when a field has the wrong type, worded as Kubernetes' decoder words it.
    fn conform(&self, object: &mut Object) -> Result<Vec<String>, Status>;

    /// Applies a strategic merge patch.
    ///
    /// # Errors
    /// 400 for a patch that does not fit.
    fn strategic_merge(&self, current: Value, patch: &Value) -> Result<Value, Status>;

    /// How the value at a path of field names is merged; items of lists are not part of the path, so that fields inside
    /// `spec.tags[]` are at `["spec", "tags", "from"]`.
    fn topology(&self, _path: &[&str]) -> Topology {
        Topology::Natural
    }
}
