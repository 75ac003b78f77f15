//! Which image stream the links of a repository belong to.
//!
//! Links in storage say what was pushed to a repository, and they outlive its image stream: a project that is deleted and
//! made again, by somebody else perhaps, finds them all. So a push notes the uid of the stream beside the links, and links
//! beside the note of another stream open nothing. They go when the next push begins. A repository without a note, as
//! OpenShift's registry leaves it, keeps its links; the next push notes its stream.

use std::sync::Arc;

use berth_blobs::{BlobPath, Driver, Result, Step};
use berth_oci::RepositoryName;
use bytes::Bytes;
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    fresh::Fresh,
    refuse::{self, chain},
};

/// Where repositories lie.
const REPOSITORIES: &str = "/docker/registry/v2/repositories";
/// The note, below its repository. In a directory of its own: docker-registry skips directories with an underscore, but ends
/// its walk at such a file.
const NOTE: &str = "_berth/stream";
/// What belongs to the stream; uploads go on.
const CONTENT: [&str; 3] = ["_manifests", "_layers", "_referrers"];
/// How long a note is remembered.
const KNOWN_FOR: std::time::Duration = std::time::Duration::from_secs(10);
/// Notes that are remembered.
const CAPACITY: usize = 4096;

/// The uid of a stream, as noted.
pub(crate) type Uid = Arc<str>;

/// Notes of streams in storage.
pub(crate) struct Incarnations {
    driver: Arc<dyn Driver>,
    known: Fresh<RepositoryName, Option<Uid>>,
    /// One removal of stale links at a time: it is rare, and two at once would take the other's fresh links along.
    removal: Mutex<()>,
}

impl Incarnations {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            known: Fresh::new(CAPACITY),
            removal: Mutex::new(()),
        }
    }

    /// The stream that the links belong to, as noted at most ten seconds ago; none when there is no note.
    pub(crate) async fn noted(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<Uid>, berth_distribution::Refusal> {
        if let Some(uid) = self.known.get(name) {
            return Ok(uid);
        }
        let uid = self
            .read(name)
            .await
            .map_err(|error| failed("reading which image stream a repository is", &error))?;
        self.known.insert(name.clone(), uid.clone(), KNOWN_FOR);
        Ok(uid)
    }

    /// Before new content is linked: removes links that belong to another stream than `uid`, or to one that is gone.
    pub(crate) async fn begin(
        &self,
        name: &RepositoryName,
        uid: Option<&str>,
    ) -> Result<(), berth_distribution::Refusal> {
        if is_current(self.noted(name).await?.as_deref(), uid) {
            return Ok(());
        }
        let _turn = self.removal.lock().await;
        let doing = "removing the links of a deleted image stream";
        let removed = async {
            let noted = self.read(name).await?;
            // Somebody else removed them while this one waited for its turn.
            if !is_current(noted.as_deref(), uid) {
                info!(repository = %name, "{doing}");
                for content in CONTENT {
                    self.driver.delete_tree(&path(name, content)).await?;
                }
                // Last: what is left behind by a crash still belongs to the noted stream.
                self.driver.delete(&path(name, NOTE)).await?;
            }
            Ok(())
        };
        let removed: Result<()> = removed.await;
        self.known.insert(name.clone(), None, KNOWN_FOR);
        removed.map_err(|error| failed(doing, &error))
    }

    /// After a push was recorded: the links belong to the stream `uid` from now on. Without a note they are merely less
    /// guarded, so a failure is no failure of the push.
    pub(crate) async fn note(&self, name: &RepositoryName, uid: &str) {
        if uid.is_empty() || matches!(self.noted(name).await, Ok(Some(noted)) if *noted == *uid) {
            return;
        }
        let step = Step::Stash {
            path: path(name, NOTE),
            bytes: Bytes::from(uid.to_owned()),
        };
        match self.driver.commit(vec![step]).await {
            Ok(()) => self.known.insert(name.clone(), Some(uid.into()), KNOWN_FOR),
            Err(error) => {
                warn!(repository = %name, error = %chain(&error), "noting which image stream a repository is")
            }
        }
    }

    async fn read(&self, name: &RepositoryName) -> Result<Option<Uid>> {
        let bytes = self.driver.read(&path(name, NOTE)).await?;
        let text = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        // A power failure may cut a note to nothing.
        Ok(text.filter(|text| !text.is_empty()).map(Uid::from))
    }
}

/// Whether links beside the note `noted` belong to the stream `uid`.
pub(crate) fn is_current(noted: Option<&str>, uid: Option<&str>) -> bool {
    noted.is_none_or(|noted| uid == Some(noted))
}

fn failed(doing: &'static str, error: &berth_blobs::Error) -> berth_distribution::Refusal {
    tracing::error!(error = %chain(error), "{doing}");
    refuse::storage(doing)
}

fn path(name: &RepositoryName, below: &str) -> BlobPath {
    format!("{REPOSITORIES}/{name}/{below}")
        .parse()
        .expect("names of repositories make paths")
}
