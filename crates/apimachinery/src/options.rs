//! Options of the verbs, as clients send them in the query or in a body.
use crate::selector::{FieldSelector, LabelSelector};

/// `resourceVersionMatch` of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// The state of exactly this resource version.
    Exact,
    /// A state at least as new.
    NotOlderThan,
}

/// Options of a list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which labels.
    pub labels: LabelSelector,
    /// Which fields.
    pub fields: FieldSelector,
    /// Items per page; 0 for all.
    pub limit: usize,
    /// Where to go on; empty for the beginning.
    pub continue_token: String,
    /// `resourceVersion`; none if not sent.
    pub resource_version: Option<u64>,
    /// `resourceVersionMatch`; none if not sent.
    pub version_match: Option<VersionMatch>,
}

/// Options of a watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// Which labels.
    pub labels: LabelSelector,
    /// Which fields.
    pub fields: FieldSelector,
    /// Where to start: after this one; none or 0 begins with the present state as `ADDED` events.
    pub resource_version: Option<u64>,
    /// Whether to send bookmarks.
    pub bookmarks: bool,
    /// `sendInitialEvents`: begin with the present state and mark its end with a bookmark.
    pub send_initial_events: Option<bool>,
}

/// Finalizer of an object that waits until its dependents are deleted.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object whose dependents are to forget it before it goes.
pub const ORPHAN: &str = "orphan";

/// `propagationPolicy` of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents stay.
    Orphan,
    /// Dependents are deleted later.
    Background,
    /// Dependents are deleted first.
    Foreground,
}

/// Conditions that a write demands of the object it finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The uid it must have.
    pub uid: Option<String>,
    /// The resource version it must have.
    pub resource_version: Option<String>,
}

/// Options of a deletion.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// What the object must be.
    pub preconditions: Preconditions,
    /// What happens to dependents.
    pub propagation: Option<Propagation>,
    /// `gracePeriodSeconds`; accepted, and nothing here takes time to stop.
    pub grace_period_seconds: Option<i64>,
}
