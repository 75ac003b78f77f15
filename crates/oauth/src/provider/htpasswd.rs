//! A file of names and password hashes, as `htpasswd` writes it; read again when it changes.
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Mutex;

use crate::hashing;
use crate::mapping::Person;

/// Largest file that is read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// The users of a file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Htpasswd(Arc<Inner>);

struct Inner {
    file: PathBuf,
    read: Mutex<Option<Read>>,
}

/// The file as it was when it was read.
struct Read {
    stamp: Stamp,
    users: Arc<HashMap<String, String>>,
}

/// What tells one version of a file from another; a file that was replaced has another inode.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// Why nobody can be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("reading the file of users {}", .file.display())]
    File { file: PathBuf, source: std::io::Error },
    /// The file is larger than any such file should be.
    #[error("the file of users {} is larger than {FILE_LIMIT} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A hash could not be computed.
    #[error(transparent)]
    Hash(#[from] hashing::Error),
}

impl Htpasswd {
    pub(crate) fn new(file: PathBuf) -> Htpasswd {
        Htpasswd(Arc::new(Inner {
            file,
            read: Mutex::default(),
        }))
    }

    /// Whose name and password these are; none if nobody's.
    ///
    /// # Errors
    /// When the file cannot be read. What was read before is not used then: the file may be gone because somebody was to
    /// be kept out.
    pub(crate) async fn check(&self, name: &str, password: &str) -> Result<Option<Person>, Error> {
        let users = self.users().await?;
        let Some(hash) = users.get(name) else {
            hashing::verify_nobody(password).await?;
            return Ok(None);
        };
        let right = hashing::verify(password, hash).await?;
        Ok(right.then(|| Person {
            subject: name.to_owned(),
            preferred_username: name.to_owned(),
            ..Person::default()
        }))
    }

    async fn users(&self) -> Result<Arc<HashMap<String, String>>, Error> {
        let file = &self.0.file;
        let fail = |source| Error::File {
            file: file.clone(),
            source,
        };
        let mut read = self.0.read.lock().await;
        let stamp = Stamp::of(&tokio::fs::metadata(file).await.map_err(fail)?);
        if let Some(read) = read.as_ref().filter(|read| read.stamp == stamp) {
            return Ok(Arc::clone(&read.users));
        }
        if stamp.length > FILE_LIMIT {
            return Err(Error::TooLarge(file.clone()));
        }
        let text = tokio::fs::read(file).await.map_err(fail)?;
        let users = Arc::new(parse(&String::from_utf8_lossy(&text)));
        let unusable = users.values().filter(|hash| !hashing::is_known(hash)).count();
        if unusable > 0 {
            tracing::warn!(file = %file.display(), users = unusable, "users cannot log in: make their passwords with htpasswd -B");
        }
        *read = Some(Read {
            stamp,
            users: Arc::clone(&users),
        });
        Ok(users)
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Stamp {
        use std::os::unix::fs::MetadataExt as _;
        Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

/// Lines of `name:hash`; what follows another colon is ignored, as are comments and lines without a colon. The first line
/// of a name counts, as in Apache.
fn parse(text: &str) -> HashMap<String, String> {
    let mut users = HashMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some((name, rest)) = line.split_once(':')
            && !name.is_empty()
        {
            let hash = rest.split(':').next().unwrap_or_default();
            users.entry(name.to_owned()).or_insert_with(|| hash.to_owned());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_kinds() {
        let users = parse("# a:comment\nann:h1\n\nben:h2:more\r\n:nobody\nnothing\nann:later\n  carl:h3  \n");
        let mut found: Vec<(&str, &str)> = users
            .iter()
            .map(|(name, hash)| (name.as_str(), hash.as_str()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, [("ann", "h1"), ("ben", "h2"), ("carl", "h3")]);
    }

    #[tokio::test]
    async fn a_changed_file_counts_at_once() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("users");
        let provider = Htpasswd::new(file.clone());
        assert!(provider.check("ann", "secret").await.is_err(), "no file yet");
        std::fs::write(&file, "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
        let person = provider.check("ann", "secret").await.unwrap().unwrap();
        assert_eq!(
            (person.subject.as_str(), person.preferred_username.as_str()),
            ("ann", "ann")
        );
        assert_eq!(provider.check("ann", "wrong").await.unwrap(), None);
        assert_eq!(provider.check("ben", "secret").await.unwrap(), None);
        std::fs::write(&file, "ben:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n#\n").unwrap();
        assert_eq!(provider.check("ann", "secret").await.unwrap(), None);
        assert!(provider.check("ben", "secret").await.unwrap().is_some());
        std::fs::remove_file(&file).unwrap();
        assert!(provider.check("ben", "secret").await.is_err(), "gone");
    }

    proptest::proptest! {
        #[test]
        fn any_file_can_be_read(text in "(?s).{0,200}", password in ".{0,20}") {
            for (name, hash) in parse(&text) {
                proptest::prop_assert!(!name.is_empty() && !name.contains(':') && !hash.contains(':'));
                let _ = (hashing::is_known(&hash), password.len());
            }
        }
    }
}
