//! `kubeadmin`: who administrates before there are any users.
//!
//! The secret `kube-system/kubeadmin` holds the bcrypt hash of the password and is the authority: without it nobody logs
//! in as `kubeadmin`, and tokens that were given out are refused at once; a new hash refuses the older tokens too. It
//! comes into being once, at the first start, together with the file that tells the administrator the password; a mark
//! on the namespace remembers that, so that a start never brings back what was switched off.
use std::sync::Arc;

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Gvk;
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use serde_json::json;

use crate::config::PasswordKeeper;
use crate::hashing;

/// Name of the user in cluster-wide terms.
pub const USER: &str = "kube:admin";
/// What is typed as user name; also the name of the secret and of its key.
pub(crate) const LOGIN: &str = "kubeadmin";
/// The group that makes an administrator.
const GROUP: &str = "system:cluster-admins";
const NAMESPACE: &str = "kube-system";
/// Annotation of the namespace that remembers that the password was made.
const ISSUED: &str = "berth.dev/kubeadmin-issued";
/// Characters of a password: letters and digits that are not mistaken for each other.
const ALPHABET: &[u8] = b"23456789abcdefghijkmnopqrstuvwxyzABCDEFGHIJKLMNPQRSTUVWXYZ";
/// Groups of a password, and characters of each.
const SHAPE: (usize, usize) = (4, 5);

/// The built-in administrator. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Kubeadmin {
    secrets: Storage,
}

impl Kubeadmin {
    pub(crate) fn new(secrets: Storage) -> Kubeadmin {
        Kubeadmin { secrets }
    }

    /// The hash of the password; none if the user is switched off.
    fn hash(&self) -> Option<(String, String)> {
        let entry = self.secrets.get(NAMESPACE, LOGIN)?;
        let secret = entry.object();
        let hash = STANDARD.decode(secret.str_at(&["data", LOGIN])).ok()?;
        let hash = String::from_utf8(hash)
            .ok()
            .filter(|hash| !hash.trim().is_empty())?;
        Some((hash.trim().to_owned(), secret.uid().to_owned()))
    }

    /// Whether anybody can log in as this user.
    pub(crate) fn is_on(&self) -> bool {
        self.hash().is_some()
    }

    /// The user as of now: the uid changes with the password. None if switched off.
    pub(crate) fn user(&self) -> Option<UserInfo> {
        let (hash, uid) = self.hash()?;
        let mark = digest::digest(&digest::SHA256, format!("{uid}\n{hash}").as_bytes());
        let mark: String = mark
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some(UserInfo {
            name: USER.to_owned(),
            uid: mark,
            groups: vec![GROUP.to_owned()],
            ..UserInfo::default()
        })
    }

    /// The user, if `password` is the password.
    pub(crate) async fn log_in(&self, password: &str) -> Result<Option<UserInfo>, hashing::Error> {
        let Some((hash, _)) = self.hash() else {
            return Ok(None);
        };
        let right = hashing::verify(password, &hash).await?;
        Ok(self.user().filter(|_| right))
    }

    /// Makes the password and its secret at the first start, and never again.
    ///
    /// # Errors
    /// When the password cannot be kept or the objects cannot be written.
    pub(crate) async fn issue(&self, namespaces: &Storage, keep: &PasswordKeeper) -> Result<(), Status> {
        let namespace = namespaces.require("", NAMESPACE)?;
        if namespace.object().annotation(ISSUED).is_some() {
            return Ok(());
        }
        if self.secrets.get(NAMESPACE, LOGIN).is_none() {
            let (keep, offered) = (Arc::clone(keep), generate());
            let kept = tokio::task::spawn_blocking(move || keep(&offered));
            let password = kept.await.map_err(Status::internal)?.map_err(Status::internal)?;
            let hash = hashing::hash(&password).await.map_err(Status::internal)?;
            let mut secret = Object::new(&Gvk::new("", "v1", "Secret"), LOGIN);
            secret.set_namespace(NAMESPACE);
            secret.set("type", "Opaque");
            secret.set("data", json!({LOGIN: STANDARD.encode(hash)}));
            self.secrets.create(secret).await?;
        }
        let mark = |namespace: &Object| {
            let mut namespace = namespace.clone();
            namespace.set_annotation(ISSUED, "true");
            Ok(Some(namespace))
        };
        namespaces.update("", NAMESPACE, mark).await.map(drop)
    }
}

/// A password of 20 random characters in groups, about 117 bits.
fn generate() -> String {
    let (groups, length) = SHAPE;
    let mut characters = std::iter::repeat_with(random_character);
    let group = |_| characters.by_ref().take(length).collect::<String>();
    (0..groups).map(group).collect::<Vec<_>>().join("-")
}

fn random_character() -> char {
    loop {
        let mut byte = [0];
        rand::fill(&mut byte).expect("the machine has randomness");
        // Of 256 values only a multiple of the alphabet's length is used, so that every character is equally likely.
        let index = usize::from(byte[0]);
        if index < 256 - 256 % ALPHABET.len() {
            return char::from(ALPHABET[index % ALPHABET.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_the_shape_that_people_know() {
        let password = generate();
        assert_eq!(password.len(), 23);
        let groups: Vec<&str> = password.split('-').collect();
        assert_eq!(
            groups.iter().map(|group| group.len()).collect::<Vec<_>>(),
            [5, 5, 5, 5]
        );
        assert!(
            password
                .bytes()
                .all(|byte| byte == b'-' || ALPHABET.contains(&byte)),
            "{password}"
        );
        assert_ne!(password, generate());
    }
}
