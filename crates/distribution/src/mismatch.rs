//! Content that is not what its name says.

use std::fmt;

use berth_oci::Digest;

/// Content has another digest than it was announced with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The digest the client named.
    pub(crate) want: Digest,
    /// The digest of what arrived.
    pub(crate) got: Digest,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the content has the digest {}, not {}", self.got, self.want)
    }
}
