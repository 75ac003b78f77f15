//! [`Entry`]: an object with its serialized form, shared by everybody who reads it.
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::object::Object;

/// An object and its JSON. At least one of the two exists from the start; the other is made when somebody asks, once.
///
/// An entry never changes. Cloning the `Arc` around it is all that a read from memory costs.
pub struct Entry {
    object: OnceLock<Object>,
    json: OnceLock<Bytes>,
    revision: u64,
}

impl Entry {
    /// An entry for an object that was made, not stored.
    #[must_use]
    pub fn new(object: Object) -> Self {
        let revision = object.resource_version().parse().unwrap_or(0);
        Self { object: OnceLock::from(object), json: OnceLock::new(), revision }
    }

    /// An entry for serialized bytes, which must be an object as [`Object`] serializes, resource version included.
    #[must_use]
    pub(crate) fn from_json(json: Bytes, revision: u64) -> Self {
        Self { object: OnceLock::new(), json: OnceLock::from(json), revision }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        self.object.get_or_init(|| {
            let json = self.json.get().map(Bytes::as_ref).unwrap_or_default();
            serde_json::from_slice(json).unwrap_or_default()
        })
    }

    /// The object as JSON.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        self.json.get_or_init(|| {
            let object = self.object.get();
            object.and_then(|object| serde_json::to_vec(object).ok()).unwrap_or_default().into()
        })
    }

    /// The revision that wrote the object, its `resourceVersion`; 0 for an object that is not stored.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

impl From<Object> for Entry {
    fn from(object: Object) -> Self {
        Self::new(object)
    }
}

impl From<Object> for Arc<Entry> {
    fn from(object: Object) -> Self {
        Self::new(Entry::new(object))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(self.object()).finish()
    }
}
