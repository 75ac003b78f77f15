//! Tags that are not names for people: `sha256-<hex>` and `sha256-<hex>.sig`, which older clients make to find the
//! signatures and other referrers of a digest. They stay out of a stream's tags and history and live in storage, beside
//! the manifests they point to.

/// Whether a tag is one of those.
///
/// Spec: OCI distribution, "Referrers Tag Schema"; cosign's `.sig`, `.att` and `.sbom`.
pub(crate) fn is_folded(tag: &str) -> bool {
    let (digest, suffix) = tag
        .split_once('.')
        .map_or((tag, None), |(digest, suffix)| (digest, Some(suffix)));
    let Some((algorithm, hex)) = digest.split_once('-') else {
        return false;
    };
    // The tag schema cuts a hash after 64 digits, so that one of sha512 looks no longer.
    let is_hash = hex.len() == 64
        && hex
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let is_suffix = suffix.is_none_or(|suffix| matches!(suffix, "sig" | "att" | "sbom"));
    matches!(algorithm, "sha256" | "sha512") && is_hash && is_suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_tags_are_folded() {
        let hex = "0123456789abcdef".repeat(4);
        for (tag, want) in [
            (format!("sha256-{hex}"), true),
            (format!("sha512-{hex}"), true),
            (format!("sha256-{hex}.sig"), true),
            (format!("sha256-{hex}.att"), true),
            (format!("sha256-{hex}.sbom"), true),
            (format!("sha256-{hex}.old"), false),
            (format!("sha256-{hex}.sig.sig"), false),
            (format!("sha256-{}", &hex[1..]), false),
            (format!("sha256-{}", hex.to_uppercase()), false),
            (format!("md5-{hex}"), false),
            ("v1.0".to_owned(), false),
            ("latest".to_owned(), false),
        ] {
            assert_eq!(is_folded(&tag), want, "{tag}");
        }
    }
}
