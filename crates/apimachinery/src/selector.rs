//! Label and field selectors.
mod fields;
mod labels;

pub use self::fields::{FieldRequirement, FieldSelector};
pub use self::labels::{LabelRequirement, LabelSelector, Operator};
