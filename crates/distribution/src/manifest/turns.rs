//! Taking turns at the tags of a repository within this process.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use berth_oci::RepositoryName;
use tokio::sync::{Mutex, MutexGuard};

/// Locks that all repositories share. Two that fall on the same one only wait a little longer.
const STRIPES: usize = 64;

/// Locks by repository, bounded in number.
pub(super) struct Turns([Mutex<()>; STRIPES]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    /// The right to change the tags of a repository.
    pub(super) async fn turn(&self, name: &RepositoryName) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or(0);
        self.0[stripe].lock().await
    }
}
