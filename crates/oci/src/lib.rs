//! The words of the OCI image and distribution specifications as types that cannot be wrong: a value that parsed is
//! valid, and it prints as it was read.
//!
//! Nothing here does I/O or awaits, and no input makes it panic; the fuzz targets in `fuzz/` hold it to that.
//!
//! * names: [`RepositoryName`], [`Tag`], [`Reference`], [`Digest`] (and [`Hasher`], whose state other registries resume)
//! * content: [`MediaType`], [`Descriptor`], [`Manifest`]
//! * wire: [`ErrorCode`] and its envelope, [`ContentRange`], [`range`], [`Accept`], [`Challenge`]

pub mod accept;
pub mod challenge;
pub mod content_range;
pub mod descriptor;
pub mod digest;
pub mod error_code;
pub mod hasher;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod range;
pub mod reference;
pub mod tag;

pub use self::{
    accept::Accept,
    challenge::Challenge,
    content_range::ContentRange,
    descriptor::{Descriptor, Platform},
    digest::{Algorithm, Digest, DigestError},
    error_code::{ErrorBody, ErrorCode, ErrorEntry},
    hasher::Hasher,
    manifest::{Kind, Manifest, ManifestError},
    media_type::MediaType,
    name::RepositoryName,
    reference::Reference,
    tag::Tag,
};
