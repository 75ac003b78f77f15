//! Headers of a front proxy that has authenticated the user already.
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, request::Parts};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::certificate::{PeerCertificates, Subject, Trust, TrustError};
use crate::{
    identity::{Authenticator, UserInfo},
    status::Status,
};

const USER: &str = "x-remote-user";
const UID: &str = "x-remote-uid";
const GROUP: &str = "x-remote-group";
const EXTRA: &str = "x-remote-extra-";

/// Believes `X-Remote-User`, `X-Remote-Uid`, `X-Remote-Group` and `X-Remote-Extra-…`, but only from a proxy that
/// shows a certificate of the proxies' own authority.
///
/// Source: Kubernetes documentation, "Authenticating", section "Authenticating Proxy".
#[derive(Clone)]
pub struct FrontProxy {
    trust: Trust,
    names: Vec<String>,
}

impl FrontProxy {
    /// Believes holders of certificates that `authorities_pem` signed, with one of the common `names`; an empty list
    /// of names stands for any.
    ///
    /// # Errors
    /// [`TrustError`] if these are not certificate authorities.
    pub fn new(authorities_pem: &[u8], names: Vec<String>) -> Result<Self, TrustError> {
        Ok(Self {
            trust: Trust::new(authorities_pem)?,
            names,
        })
    }

    fn trusts(&self, request: &Parts) -> bool {
        let now = Timestamp::now();
        let Some(PeerCertificates(chain)) = request.extensions.get() else {
            return false;
        };
        let Some(subject) = chain.first().and_then(|own| Subject::read(own, now)) else {
            return false;
        };
        (self.names.is_empty() || self.names.contains(&subject.common_name)) && self.trust.holds(chain, now)
    }
}

#[async_trait]
impl Authenticator for FrontProxy {
    async fn authenticate(&self, request: &Parts) -> Result<Option<Arc<UserInfo>>, Status> {
        let name = text(&request.headers, USER);
        if name.is_empty() || !self.trusts(request) {
            return Ok(None);
        }
        let mut user = UserInfo {
            name,
            uid: text(&request.headers, UID),
            ..UserInfo::default()
        };
        user.groups = all(&request.headers, GROUP);
        user.extra = extra(&request.headers, EXTRA);
        Ok(Some(Arc::new(user)))
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// All values of a header that are not empty.
fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Headers that begin with `prefix`, by the rest of their (lower-case) name, percent-decoded.
fn extra(headers: &HeaderMap, prefix: &str) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut extra = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        let (Some(key), Ok(value)) = (name.as_str().strip_prefix(prefix), value.to_str()) else {
            continue;
        };
        let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
        extra.entry(key).or_default().push(value.to_owned());
    }
    extra
}
