//! Parsers of `berth_distribution`.

use std::str::from_utf8;

use berth_distribution::{
    Needs, Route, SessionId,
    fuzz::{UploadState, read_upload_state, sign_upload_state},
    route,
};
use berth_oci::{Algorithm, Hasher};
use http::Method;

/// A request path.
pub fn route(data: &[u8]) {
    let Ok(path) = from_utf8(data) else { return };
    let Ok(route) = route::parse(path) else { return };
    // What is left of a path after decoding may hold what has to be encoded again to mean the same.
    let encode = |text: &str| text.replace('%', "%25");
    let again = match &route {
        Route::Base => "/v2/".to_owned(),
        Route::Catalog => "/v2/_catalog".to_owned(),
        Route::Tags { name } => format!("/v2/{name}/tags/list"),
        Route::Manifest { name, reference } => format!("/v2/{name}/manifests/{}", encode(reference)),
        Route::Blob { name, digest } => format!("/v2/{name}/blobs/{}", encode(digest)),
        Route::Uploads { name } => format!("/v2/{name}/blobs/uploads/"),
        Route::Upload { name, session } => format!("/v2/{name}/blobs/uploads/{}", encode(session)),
        Route::Referrers { name, digest } => format!("/v2/{name}/referrers/{}", encode(digest)),
    };
    assert_eq!(route::parse(&again).as_ref(), Ok(&route), "{again}");
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        let needs = route.needs(&method);
        let reads = matches!(needs, Needs::Identity | Needs::Catalog | Needs::Pull(_));
        let writes = matches!(
            method,
            Method::PUT | Method::POST | Method::PATCH | Method::DELETE
        );
        assert!(
            !(reads && writes && route.allows(&method)),
            "{method} {again} is a write that only needs to read"
        );
    }
}

/// What an upload session is resumed from: its id, the state in its URL, and the hash state in storage.
pub fn upload_state(data: &[u8]) {
    const SECRET: &[u8] = b"shared by the replicas";
    // Hash states: the first byte chooses the algorithm.
    if let Some((choice, state)) = data.split_first() {
        let algorithm = Algorithm::ALL[usize::from(choice % 2)];
        if let Ok(mut hasher) = Hasher::resume(algorithm, state) {
            assert_eq!(hasher.state(), state);
            let before = hasher.length();
            hasher.update(state);
            assert_eq!(hasher.length(), before.wrapping_add(state.len() as u64));
            let resumed = Hasher::resume(algorithm, &hasher.state()).expect("what was written reads");
            assert_eq!(resumed.finish(), hasher.finish());
        }
    }
    let Ok(text) = from_utf8(data) else { return };
    if let Ok(session) = text.parse::<SessionId>() {
        assert_eq!(session.as_str(), text);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }
    assert_eq!(
        read_upload_state(SECRET, text),
        None,
        "a token nobody signed is never read"
    );
    // Behind a good signature anything may stand, since older replicas may have put it there.
    let token = sign_upload_state(SECRET, data);
    if let Some(state) = read_upload_state(SECRET, &token) {
        let json = serde_json::to_vec(&state_json(&state)).expect("strings and a number serialize");
        assert_eq!(
            read_upload_state(SECRET, &sign_upload_state(SECRET, &json)),
            Some(state)
        );
    }
    assert_eq!(read_upload_state(b"another secret", &token), None);
}

fn state_json(state: &UploadState) -> serde_json::Value {
    serde_json::json!({
        "Name": state.name,
        "UUID": state.session,
        "Offset": state.offset,
        "StartedAt": state.started_at,
    })
}
