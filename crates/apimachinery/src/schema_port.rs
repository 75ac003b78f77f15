//! What the machinery asks of a schema: [`ObjectSchema`] and [`MergeRules`]. The `schema` module implements them.
use crate::object::Object;
use crate::status::Status;

/// How a strategic merge patch treats the value at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Objects are merged field by field; lists and scalars are replaced. The default.
    Default,
    /// The value is replaced whole, even an object.
    Replace,
    /// A list of objects is merged item by item; this field tells items apart.
    Keyed(String),
    /// A list of scalars is merged as a set.
    Set,
    /// Objects are merged, and fields that the patch's `$retainKeys` does not name are removed.
    RetainKeys,
}

/// The merge rules of a kind.
pub trait MergeRules: Send + Sync {
    /// The rule at a path of field names from the object's root. Items of a list are not part of the path:
    /// the rules inside `spec.tags[]` are asked at `["spec", "tags", "from"]`.
    fn merge_at(&self, path: &[&str]) -> Merge;
}

/// The schema of a kind.
pub trait ObjectSchema: MergeRules + 'static {
    /// Brings a decoded object into shape: removes nulls that mean "absent" and fields the kind does not have.
    ///
    /// Returns the paths of the removed unknown fields, as in `spec.tags[0].form`.
    ///
    /// # Errors
    /// 400 when a field has the wrong type, worded as Kubernetes' decoder words it.
    fn conform(&self, object: &mut Object) -> Result<Vec<String>, Status>;
}
