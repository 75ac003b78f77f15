//! Paths of objects.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest path, in bytes: what Linux takes in one system call is 4096, and the storage root comes on top.
pub(crate) const PATH_MAX_BYTES: usize = 2048;
/// Longest component, in bytes, as on every common filesystem.
pub(crate) const COMPONENT_MAX_BYTES: usize = 255;

/// The absolute path of an object within a driver: `(/[A-Za-z0-9._-]+)+`, no component being `.` or `..`.
///
/// Such a path means the same to a filesystem, an object store and a URL, and it cannot lead out of the root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobPath(Arc<str>);

/// The text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a storage path")]
pub struct PathError(String);

impl BlobPath {
    /// The path with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash, as object stores and directory handles want it.
    #[must_use]
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path above, unless this is directly under the root.
    #[must_use]
    pub fn parent(&self) -> Option<BlobPath> {
        let (parent, _) = self.0.rsplit_once('/')?;
        (!parent.is_empty()).then(|| BlobPath(parent.into()))
    }

    /// This path with `more` components, separated by slashes, below it.
    ///
    /// # Errors
    /// [`PathError`] when the result is not a path.
    pub fn join(&self, more: &str) -> Result<BlobPath, PathError> {
        format!("{}/{more}", self.0).parse()
    }

    /// Whether `other` is this path or lies below it.
    #[must_use]
    pub fn contains(&self, other: &BlobPath) -> bool {
        other
            .0
            .strip_prefix(&*self.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn is_component(component: &str) -> bool {
    !matches!(component, "" | "." | "..")
        && component.len() <= COMPONENT_MAX_BYTES
        && component
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl FromStr for BlobPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let good = text.len() <= PATH_MAX_BYTES
            && text
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(is_component));
        if good {
            Ok(BlobPath(text.into()))
        } else {
            Err(PathError(text.chars().take(256).collect()))
        }
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_only_paths_that_stay_inside() {
        let long = format!("/{}", "a".repeat(256));
        let longer = "/abc".repeat(513);
        for (text, good) in [
            ("/a", true),
            ("/docker/registry/v2/blobs/sha256/ab/abcd/data", true),
            ("/a/..b/.c/-/_", true),
            ("", false),
            ("/", false),
            ("a", false),
            ("a/b", false),
            ("/a/", false),
            ("//a", false),
            ("/a//b", false),
            ("/.", false),
            ("/a/../b", false),
            ("/a b", false),
            ("/a\0b", false),
            ("/a\\b", false),
            ("/ä", false),
            (long.as_str(), false),
            (longer.as_str(), false),
        ] {
            assert_eq!(text.parse::<BlobPath>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn takes_itself_apart() {
        let path: BlobPath = "/a/b/c".parse().unwrap();
        assert_eq!((path.name(), path.relative()), ("c", "a/b/c"));
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_str(), "/a/b");
        assert_eq!(parent.join("c").unwrap(), path);
        assert!(parent.join("../c").is_err() && parent.join("").is_err());
        assert_eq!(parent.parent().unwrap().parent(), None);
        assert!(parent.contains(&path) && parent.contains(&parent) && !path.contains(&parent));
        assert!(
            !"/a/b/c"
                .parse::<BlobPath>()
                .unwrap()
                .contains(&"/a/b/cd".parse().unwrap())
        );
    }

    proptest! {
        #[test]
        fn round_trips(text in "(/[A-Za-z0-9_-]{1,8}){1,6}|.{0,40}") {
            if let Ok(path) = text.parse::<BlobPath>() {
                prop_assert_eq!(path.as_str(), text);
            }
        }
    }
}
