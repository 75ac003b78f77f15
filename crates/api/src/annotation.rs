//! Annotations that carry meaning between the API, the registry and other controllers.

/// `"true"` on an Image whose content was pushed to the integrated registry.
pub const MANAGED: &str = "openshift.io/image.managed";
/// `"true"` on an Image whose raw manifest and configuration lie in the registry's storage; the API then drops both.
pub const MANIFEST_BLOB_STORED: &str = "image.openshift.io/manifestBlobStored";
/// The order of an Image's layers: [`LAYERS_ASCENDING`] or [`LAYERS_DESCENDING`].
pub const LAYERS_ORDER: &str = "image.openshift.io/dockerLayersOrder";
/// The base layer comes first.
pub const LAYERS_ASCENDING: &str = "ascending";
/// The base layer comes last.
pub const LAYERS_DESCENDING: &str = "descending";
/// On an ImageStream: the time of the last import attempt, in RFC 3339.
pub const REPOSITORY_CHECK: &str = "openshift.io/image.dockerRepositoryCheck";
/// `"true"` on an ImageStream whose source may be reached without verified TLS.
pub const INSECURE_REPOSITORY: &str = "openshift.io/image.insecureRepository";
/// `"true"` on a Secret that `imagestreams/secrets` hides.
pub const EXCLUDE_SECRET: &str = "openshift.io/image.excludeSecret";
/// Retired; stripped whenever an Image is written.
pub const MANAGED_SIGNATURE: &str = "image.openshift.io/managed-signature";
