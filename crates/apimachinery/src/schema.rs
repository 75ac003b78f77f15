//! Definitions of the kinds that a server stores: which fields exist, their types and how patches merge them.
//!
//! Definitions are OpenAPI v3 fragments in YAML, one file per API group, written by the crate that registers the
//! resources. Two abbreviations keep the files short:
//!
//! * `$ref` names another definition directly: `$ref: io.k8s.api.core.v1.LocalObjectReference`;
//! * a definition with `x-kubernetes-group-version-kind` gets the fields `apiVersion`, `kind` and (unless it
//!   declares its own) `metadata`. The definition of its `…List` is generated where it is needed.
//!
//! A [`Definitions`] keeps what checking and merging need in a compact form and drops the descriptions; the
//! [`openapi`](crate::openapi) documents are rendered from the sources on demand.
//!
//! The flow of a write: [`decode`] reads bytes and notices duplicate fields, [`Definitions::check`] prunes unknown
//! fields and finds type errors, [`Report`] words the findings; [`Definitions::strategic_merge`] applies patches.
mod check;
mod compact;
pub mod decode;
mod definitions;
mod kind;
mod path;
mod strategic;

pub(crate) use self::definitions::LIST_META;
pub use self::{
    check::{Mismatch, Report},
    compact::{Merge, Schema, Shape, StringFormat},
    definitions::{Definitions, Error},
    kind::Kind,
    strategic::PatchError,
};
