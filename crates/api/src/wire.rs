//! How Go reads and writes JSON, where serde differs.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads `null` as the default.
pub(crate) fn nullable<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Writes an empty list as `null`: a Go slice that was never filled.
pub(crate) fn null_if_empty<T: Serialize, S: Serializer>(
    items: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if items.is_empty() {
        serializer.serialize_none()
    } else {
        items.serialize(serializer)
    }
}

/// Writes an empty map as `null`: a Go map that was never made.
pub(crate) fn null_if_empty_map<K: Serialize, V: Serialize, S: Serializer>(
    map: &std::collections::BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if map.is_empty() {
        serializer.serialize_none()
    } else {
        map.serialize(serializer)
    }
}

/// Whether a value is its type's default, and so left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
