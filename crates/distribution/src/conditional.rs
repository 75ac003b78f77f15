//! Conditional requests. The entity tag of everything here is its digest, so every comparison is a strong one.

use berth_oci::Digest;
use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};

/// The entity tag of content, as the value of an `ETag` header.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether the client says it has the content already.
///
/// Some clients leave out the quotes, which no other content could be meant by.
///
/// Spec: RFC 9110, section 13.1.2.
pub(crate) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    let mut buffer = [0; Digest::MAX_TEXT];
    let digest = digest.encode(&mut buffer);
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == "*" || tag == digest)
}

/// The value of the `Range` header, unless `If-Range` says that the client has part of something else.
///
/// Spec: RFC 9110, sections 13.1.5 and 14.2.
pub(crate) fn range<'a>(headers: &'a HeaderMap, digest: &Digest) -> Option<&'a str> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    if let Some(condition) = headers.get(IF_RANGE)
        && condition.to_str().ok()?.trim() != etag(digest)
    {
        return None;
    }
    Some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::sha256(b"")
    }

    #[test]
    fn none_match() {
        let tag = etag(&digest());
        let bare = digest().to_string();
        for (value, want) in [
            (tag.as_str(), true),
            (bare.as_str(), true),
            ("*", true),
            (&format!("\"other\", {tag}"), true),
            (&format!("W/{tag}"), true),
            ("\"other\"", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            assert_eq!(not_modified(&headers, &digest()), want, "{value}");
        }
        assert!(!not_modified(&HeaderMap::new(), &digest()));
    }

    #[test]
    fn ranges() {
        let tag = etag(&digest());
        for (condition, want) in [
            (None, Some("bytes=0-1")),
            (Some(tag.as_str()), Some("bytes=0-1")),
            (Some("\"other\""), None),
            (Some("Fri, 20 Nov 2026 13:00:00 GMT"), None),
        ] {
            let mut headers = HeaderMap::from_iter([(RANGE, "bytes=0-1".parse().unwrap())]);
            if let Some(condition) = condition {
                headers.insert(IF_RANGE, condition.parse().unwrap());
            }
            assert_eq!(range(&headers, &digest()), want, "{condition:?}");
        }
    }
}
