//! LimitRanges of the types `openshift.io/Image` and `openshift.io/ImageStream`.
//!
//! The registry and other clients tell a limit from another refusal by the words `exceeds the maximum limit`, so the wording is
//! part of the interface.

use berth_api::ImageStream;
use berth_apimachinery::storage::Storage;
use berth_imagestream::usage::Usage;
use serde_json::Value;

use crate::quantity::Quantity;

const IMAGE: &str = "openshift.io/Image";
const STREAM: &str = "openshift.io/ImageStream";
const STORAGE: &str = "storage";
const IMAGES: &str = "openshift.io/images";
const TAGS: &str = "openshift.io/image-tags";

/// The limits of all namespaces.
pub(super) struct Limits {
    ranges: Storage,
}

impl Limits {
    /// Reads them from LimitRange objects.
    pub(super) fn new(ranges: Storage) -> Self {
        Self { ranges }
    }

    /// The lowest maximum of a resource over all LimitRanges of a namespace.
    fn max(&self, namespace: &str, limit_type: &str, resource: &str) -> Option<Quantity> {
        let of_range = |range: &Value| {
            let items = range
                .get("limits")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            items
                .iter()
                .filter(|item| item.get("type").and_then(Value::as_str) == Some(limit_type))
                .filter_map(|item| Quantity::from_json(item.get("max")?.get(resource)?))
                .min()
        };
        let ranges = self.ranges.list(namespace);
        ranges
            .iter()
            .filter_map(|range| of_range(range.object().get("spec")?))
            .min()
    }

    /// Whether an image of `size` bytes may be pushed.
    ///
    /// # Errors
    /// What is exceeded, in words.
    pub(super) fn check_image(&self, namespace: &str, size: i64) -> Result<(), String> {
        match self.max(namespace, IMAGE, STORAGE) {
            Some(limit) if bytes(size) > limit => Err(exceeded(STORAGE, IMAGE, bytes(size), limit)),
            _ => Ok(()),
        }
    }

    /// Whether anything in a namespace limits its streams.
    pub(super) fn limits_streams(&self, namespace: &str) -> bool {
        [TAGS, IMAGES]
            .iter()
            .any(|resource| self.max(namespace, STREAM, resource).is_some())
    }

    /// Whether a stream may become `new`. What exceeds a limit already may stay and shrink.
    ///
    /// # Errors
    /// What is exceeded, in words.
    pub(super) fn check_stream(&self, new: &ImageStream, old: Option<&ImageStream>) -> Result<(), String> {
        let namespace = &new.metadata.namespace;
        let limits = [TAGS, IMAGES].map(|resource| (resource, self.max(namespace, STREAM, resource)));
        if limits.iter().all(|(_, limit)| limit.is_none()) {
            return Ok(());
        }
        let usage = Usage::of(new);
        if !usage.grows_from(&old.map(Usage::of).unwrap_or_default()) {
            return Ok(());
        }
        let counts =
            [usage.tags.len(), usage.images.len()].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let errors: Vec<String> = limits
            .into_iter()
            .zip(counts.map(Quantity::count))
            .filter_map(|((resource, limit), count)| {
                limit
                    .filter(|limit| count > *limit)
                    .map(|limit| exceeded(resource, STREAM, count, limit))
            })
            .collect();
        match errors.as_slice() {
            [] => Ok(()),
            [error] => Err(error.clone()),
            errors => Err(format!("[{}]", errors.join(", "))),
        }
    }
}

fn exceeded(resource: &str, limit_type: &str, requested: Quantity, limit: Quantity) -> String {
    format!(
        "requested usage of {resource} exceeds the maximum limit per {limit_type} ({requested} > {limit})"
    )
}

/// A number of bytes that prints with binary units.
fn bytes(size: i64) -> Quantity {
    const KIBI: i64 = 1024;
    let text = if size % KIBI == 0 {
        format!("{}Ki", size / KIBI)
    } else {
        size.to_string()
    };
    text.parse().unwrap_or_else(|_| Quantity::count(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_print_like_kubernetes_prints_them() {
        for (size, want) in [
            (0, "0"),
            (2463, "2463"),
            (1024, "1Ki"),
            (1 << 20, "1Mi"),
            (1536, "1536"),
        ] {
            assert_eq!(bytes(size).to_string(), want, "{size}");
        }
    }

    #[test]
    fn the_words_are_those_that_clients_look_for() {
        assert_eq!(
            exceeded(IMAGES, STREAM, Quantity::count(3), Quantity::count(2)),
            "requested usage of openshift.io/images exceeds the maximum limit per openshift.io/ImageStream (3 > 2)"
        );
    }
}
