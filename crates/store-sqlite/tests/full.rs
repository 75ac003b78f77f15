//! A disk without space: commits fail cleanly, reads go on, and everything works again when there is space.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use berth_store::{Change, Error, Expect, Key, Revision, Store};
use berth_store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A small file system in memory, unmounted at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where mounting is not allowed.
    fn new(bytes: usize) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={bytes},mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a tmpfs cannot be mounted here");
            return None;
        }
        Some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the space that is left, but for `spare` bytes.
    fn fill(&self, spare: usize) {
        let path = self.path().join("ballast");
        let mut size = 16 << 20;
        let mut bytes = Vec::new();
        while size >= 4096 {
            bytes.resize(bytes.len() + size, 0_u8);
            if fs::write(&path, &bytes).is_err() {
                bytes.truncate(bytes.len() - size);
                size /= 2;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(spare));
        fs::write(&path, &bytes).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn put(key: &str, size: usize) -> Change {
    Change::Put {
        key: Key::new(key).unwrap(),
        value: vec![b'x'; size].into(),
    }
}

/// Many commit at once until all of them are refused; returns what was acknowledged.
async fn commit_until_full(store: &Arc<SqliteStore>, round: usize) -> Vec<(String, Revision)> {
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..10_000 {
                let key = format!("/r{round}/w{writer}/{number}");
                match store.commit(put(&key, 1000 + 700 * writer), Expect::Absent).await {
                    Ok(revision) => acknowledged.push((key, revision)),
                    Err(error) => {
                        assert!(matches!(error, Error::Full { .. }), "{error:?}");
                        assert!(error.retryable());
                        return acknowledged;
                    }
                }
            }
            panic!("the disk is never full");
        });
    }
    let mut acknowledged = Vec::new();
    while let Some(writer) = writers.join_next().await {
        acknowledged.extend(writer.unwrap());
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_and_invents_nothing() {
    let Some(disk) = SmallDisk::new(24 << 20) else {
        return;
    };
    let path = disk.path().join("store.db");
    let mut store = Arc::new(SqliteStore::open(&path).unwrap());
    let mut all = Vec::new();
    for (round, spare) in [0, 4096, 100_000, 600_000, 2_000_000].into_iter().enumerate() {
        store.commit(put("/before", 100), Expect::Any).await.unwrap();
        disk.fill(spare);
        all.extend(commit_until_full(&store, round).await);
        // Refused commits leave nothing, reads go on.
        let refused = store.commit(put("/large", 1 << 20), Expect::Any).await;
        assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
        assert_eq!(store.get(&Key::new("/large").unwrap(), None).await.unwrap(), None);
        check(&store, round, &all).await;
        disk.free();
        // As soon as there is space.
        store.commit(put("/after", 100_000), Expect::Any).await.unwrap();
        check(&store, round, &all).await;
        // And what is on the disk is what was promised.
        drop(store);
        store = Arc::new(SqliteStore::open(&path).unwrap());
        check(&store, round, &all).await;
        // Makes room for the next round, which has to find a disk that can be filled again.
        store.compact(store.revision().await.unwrap()).await.unwrap();
    }
    assert!(all.len() > 100, "{} commits", all.len());
}

/// The store holds exactly the commits that were acknowledged, and has given out no other revision.
async fn check(store: &SqliteStore, round: usize, acknowledged: &[(String, Revision)]) {
    for round in 0..=round {
        let prefix = Key::new(&format!("/r{round}")).unwrap();
        let mut want: Vec<_> = acknowledged
            .iter()
            .filter(|(key, _)| key.starts_with(&format!("{prefix}/")))
            .cloned()
            .collect();
        want.sort();
        let mut got: Vec<(String, Revision)> = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(&prefix, after.as_ref(), 1000, None).await.unwrap();
            got.extend(
                page.items
                    .iter()
                    .map(|item| (item.key.to_string(), item.modified)),
            );
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(got, want, "round {round}");
    }
}

#[tokio::test]
async fn opening_on_a_full_disk_says_why() {
    let Some(disk) = SmallDisk::new(4 << 20) else {
        return;
    };
    disk.fill(0);
    let error = SqliteStore::open(disk.path().join("store.db")).err().unwrap();
    let source = std::error::Error::source(&error)
        .map(ToString::to_string)
        .unwrap_or_default();
    let text = format!("{error}: {source}");
    assert!(text.contains("store.db") && text.contains("full"), "{text}");
    disk.free();
    SqliteStore::open(disk.path().join("store.db")).unwrap();
}
