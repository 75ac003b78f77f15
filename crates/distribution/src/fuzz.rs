//! Doors for the fuzz targets to parsers that are not public. Not part of the API.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use crate::upload::Signer;

/// What the state in an upload's URL says.
#[derive(Debug, PartialEq, Eq)]
pub struct UploadState {
    /// The repository.
    pub name: String,
    /// The session.
    pub session: String,
    /// Bytes the session held.
    pub offset: u64,
    /// When it began.
    pub started_at: String,
}

/// Reads the state as a request handler does.
#[must_use]
pub fn read_upload_state(secret: &[u8], token: &str) -> Option<UploadState> {
    let state = Signer::new(secret).read(token)?;
    Some(UploadState {
        name: state.name.into_owned(),
        session: state.session.into_owned(),
        offset: state.offset,
        started_at: state.started_at.into_owned(),
    })
}

/// Puts a good signature in front of any bytes.
#[must_use]
pub fn sign_upload_state(secret: &[u8], bytes: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), bytes);
    URL_SAFE.encode([tag.as_ref(), bytes].concat())
}
