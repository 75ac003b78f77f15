//! Names of streams and tags, and the compound names of views: `<stream>:<tag>` and `<stream>@<digest>`.

/// The most characters of `<namespace>/<stream>`.
pub const MAX_REPOSITORY: usize = crate::pull_spec::MAX_NAME;
/// The most characters of a tag.
pub const MAX_TAG: usize = 128;
/// What a stream's name must look like, for messages.
pub const STREAM_PATTERN: &str = "[a-z0-9]+(?:[._-][a-z0-9]+)*";
/// What a tag must look like, for messages (OCI distribution, "Pulling manifests").
pub const TAG_PATTERN: &str = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}";

/// Whether `text` is a stream's name: lower-case letters and digits, joined by single `.`, `_` or `-`.
#[must_use]
pub fn is_stream(text: &str) -> bool {
    text.split(['.', '_', '-']).all(|run| {
        !run.is_empty()
            && run
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

/// Whether `text` is a tag that a registry client can address.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Splits `<stream>:<tag>`; exactly one colon, no `@`, neither part empty.
#[must_use]
pub fn split_tag(name: &str) -> Option<(&str, &str)> {
    let (stream, tag) = name.split_once(':')?;
    (!stream.is_empty() && !tag.is_empty() && !tag.contains(':') && !name.contains('@'))
        .then_some((stream, tag))
}

/// Splits `<stream>@<digest or prefix>`; exactly one `@`, neither part empty.
#[must_use]
pub fn split_image(name: &str) -> Option<(&str, &str)> {
    let (stream, id) = name.split_once('@')?;
    (!stream.is_empty() && !id.is_empty() && !id.contains('@')).then_some((stream, id))
}

/// Whether `image`, the name of an Image, is meant by `wanted`: the whole name, a prefix of it, or a prefix of its
/// hexadecimal part.
#[must_use]
pub fn is_image_prefix(image: &str, wanted: &str) -> bool {
    if wanted.is_empty() {
        return false;
    }
    image.starts_with(wanted)
        || image
            .split_once(':')
            .is_some_and(|(_, hex)| hex.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names() {
        for (name, want) in [
            ("app", true),
            ("a.b-c_d9", true),
            ("9", true),
            ("Bad__Name", false),
            ("a__b", false),
            ("a--b", false),
            ("-a", false),
            ("a-", false),
            ("a/b", false),
            ("", false),
        ] {
            assert_eq!(is_stream(name), want, "{name}");
        }
    }

    #[test]
    fn tags() {
        let longest = "t".repeat(MAX_TAG);
        for (tag, want) in [
            ("latest", true),
            ("V1.2-rc_3", true),
            ("_x", true),
            (longest.as_str(), true),
            ("", false),
            (".x", false),
            ("-x", false),
            ("a b", false),
            ("a/b", false),
            ("ä", false),
            (&format!("{longest}t"), false),
        ] {
            assert_eq!(is_tag(tag), want, "{tag}");
        }
    }

    #[test]
    fn compound_names() {
        for (name, want) in [
            ("a:b", Some(("a", "b"))),
            ("a", None),
            ("a:", None),
            (":b", None),
            ("a:b:c", None),
            ("a:b@c", None),
            ("a@sha256:c", None),
        ] {
            assert_eq!(split_tag(name), want, "{name}");
        }
        for (name, want) in [
            ("a@sha256:b", Some(("a", "sha256:b"))),
            ("a@b", Some(("a", "b"))),
            ("a", None),
            ("a@", None),
            ("@b", None),
            ("a@b@c", None),
        ] {
            assert_eq!(split_image(name), want, "{name}");
        }
    }

    #[test]
    fn prefixes() {
        for (wanted, want) in [
            ("sha256:abcd", true),
            ("sha256:ab", true),
            ("sha256:", true),
            ("ab", true),
            ("abcd", true),
            ("bcd", false),
            ("sha256:abcde", false),
            ("", false),
        ] {
            assert_eq!(is_image_prefix("sha256:abcd", wanted), want, "{wanted}");
        }
    }
}
