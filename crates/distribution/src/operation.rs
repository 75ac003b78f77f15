//! What a request did, for metrics.

/// The name of what a request did, in the extensions of its response: `BlobStore.Stat`, `ManifestService.Put`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation(pub &'static str);
