//! The Kubernetes API as Berth's roles use it: identities and access reviews, image streams, images, mappings.
//!
//! What it is: a thin layer over HTTP that knows paths and kinds, keeps the server's [`Status`] in its errors and
//! makes it impossible to mix up identities: every call is made through a [`Session`], and a session is either the
//! role's own ([`Client::own`]), a caller's ([`Client::with_token`]) or nobody's ([`Client::anonymous`]).
//! What it is not: a cache or a retry policy; those belong to whoever knows what staleness and repetition mean.
//!
//! ```text
//! Session::whoami / can / review / image_stream / create_mapping …  (paths, kinds)
//!        └─► Session::send  (identity, limits, errors)
//!               └─► Transport: kube::Client over TLS, or any tower service in this process
//! ```
mod client;
mod error;
mod image;
mod page;
mod path;
mod review;
mod token;
mod transport;

pub use self::{
    client::{Client, Session},
    error::{Error, Result},
    page::{NamesPage, NamespacedName},
    review::{Attributes, Decision, User},
    token::{Token, TokenSource},
    transport::{InProcess, Network, Transport},
};
pub use kube::core::{Status, response::StatusDetails};

/// The largest answer that is read into memory, in bytes. An image stream with a very long history is some MiB.
pub const MAX_RESPONSE_BYTES: usize = 32 << 20;

/// How long one request to the API server may take before it counts as unreachable.
pub const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
