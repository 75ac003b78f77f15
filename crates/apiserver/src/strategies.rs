//! Steps that the rules of many resources share.

use berth_apimachinery::object::Object;

/// Takes a top-level field from the stored object, whatever the client sent.
pub(crate) fn keep(object: &mut Object, old: &Object, field: &str) {
    match old.get(field) {
        Some(value) => object.set(field, value.clone()),
        None => {
            object.remove(field);
        }
    }
}
