//! What opening a database accepts, refuses and repairs, and how the writer shares its transactions.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_store::{Change, Error, Expect, Key, Revision, Store};
use berth_store_sqlite::{OpenError, SqliteStore};
use futures_util::StreamExt;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

fn scratch() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    (directory, path)
}

fn put(key: &str, value: &str) -> Change {
    Change::Put {
        key: Key::new(key).unwrap(),
        value: value.to_owned().into(),
    }
}

async fn fill(path: &Path, commits: u32) -> Revision {
    let store = SqliteStore::open(path).unwrap();
    for number in 0..commits {
        store
            .commit(put(&format!("/k/{}", number % 10), "x"), Expect::Any)
            .await
            .unwrap();
    }
    store.revision().await.unwrap()
}

fn execute(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn message(result: Result<SqliteStore, OpenError>) -> String {
    let error = result.err().unwrap();
    let source = std::error::Error::source(&error)
        .map(ToString::to_string)
        .unwrap_or_default();
    format!("{error}: {source}")
}

#[tokio::test]
async fn a_reopened_store_goes_on() {
    let (_directory, path) = scratch();
    let last = fill(&path, 20).await;
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.revision().await.unwrap(), last);
    let old = store
        .get(&Key::new("/k/3").unwrap(), Some(Revision::new(5)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(old.modified, Revision::new(5));
    let mut stream = store.watch(&Key::root(), Revision::FIRST).await.unwrap();
    assert_eq!(
        store.commit(put("/new", "x"), Expect::Absent).await.unwrap(),
        last.next()
    );
    for revision in 2..=last.get() + 1 {
        assert_eq!(stream.next().await.unwrap().unwrap().revision.get(), revision);
    }
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_and_the_lock() {
    let (directory, path) = scratch();
    fill(&path, 20).await;
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["store.db", "store.db.lock"]);
}

#[tokio::test]
async fn only_the_owner_may_read_it() {
    let (directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(put("/secret", "x"), Expect::Any).await.unwrap();
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn a_dropped_store_ends_watches_and_finishes_commits() {
    let (_directory, path) = scratch();
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let mut stream = store.watch(&Key::root(), Revision::FIRST).await.unwrap();
    assert_eq!(store.watchers(), 1);
    let mut commits = JoinSet::new();
    for number in 0..100 {
        let store = Arc::clone(&store);
        commits.spawn(async move {
            store
                .commit(put(&format!("/{number}"), "x"), Expect::Absent)
                .await
        });
    }
    drop(store);
    while let Some(commit) = commits.join_next().await {
        commit.unwrap().unwrap();
    }
    let mut events = 0;
    let end = loop {
        match stream.next().await {
            Some(Ok(_)) => events += 1,
            other => break other,
        }
    };
    assert!(matches!(end, Some(Err(Error::Closed))), "{end:?}");
    assert!(stream.next().await.is_none());
    assert!(events <= 100);
    assert_eq!(
        SqliteStore::open(&path).unwrap().revision().await.unwrap(),
        Revision::new(101)
    );
}

#[tokio::test]
async fn a_store_in_use_is_refused() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    let text = message(SqliteStore::open(&path));
    assert!(text.contains("in use by another process"), "{text}");
    drop(store);
    SqliteStore::open(&path).unwrap();
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let (_directory, path) = scratch();
    fs::write(&path, "a text that somebody would miss ".repeat(200)).unwrap();
    let before = fs::read(&path).unwrap();
    let text = message(SqliteStore::open(&path));
    assert!(
        text.contains("not a Berth metadata store: it is no SQLite database"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);

    let (_directory, path) = scratch();
    execute(&path, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    let before = fs::read(&path).unwrap();
    let text = message(SqliteStore::open(&path));
    assert!(text.contains("not a Berth metadata store"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let (_directory, path) = scratch();
    fill(&path, 1).await;
    execute(&path, "PRAGMA user_version = 99");
    let before = fs::read(&path).unwrap();
    let text = message(SqliteStore::open(&path));
    assert!(
        text.contains("has format 99, this version of Berth reads up to 1"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn damage_is_noticed() {
    // A page in the middle overwritten.
    let (_directory, path) = scratch();
    fill(&path, 2000).await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let text = message(SqliteStore::open(&path));
    assert!(
        text.contains("is damaged") && text.contains("restore it from a backup"),
        "{text}"
    );

    // A revision missing.
    let (_directory, path) = scratch();
    fill(&path, 20).await;
    execute(&path, "DELETE FROM log WHERE revision = 10");
    let text = message(SqliteStore::open(&path));
    assert!(text.contains("19 entries between revisions 1 and 21"), "{text}");
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_named() {
    let text = message(SqliteStore::open("/does/not/exist/store.db"));
    assert!(
        text.contains("/does/not/exist/store.db") && text.contains("No such file"),
        "{text}"
    );
}

#[tokio::test]
async fn a_deletion_at_the_end_does_not_take_its_revision_with_it() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(put("/a", "x"), Expect::Any).await.unwrap();
    let key = Key::new("/a").unwrap();
    let last = store
        .commit(Change::Delete { key: key.clone() }, Expect::Any)
        .await
        .unwrap();
    store.compact(last).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.revision().await.unwrap(), last);
    assert_eq!(store.get(&key, Some(last)).await.unwrap(), None);
    assert_eq!(
        store.commit(put("/a", "x"), Expect::Absent).await.unwrap(),
        last.next()
    );
}

#[tokio::test]
async fn compaction_removes_what_nobody_can_ask_for() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..1000 {
        store
            .commit(put(&format!("/k/{}", number % 10), "x"), Expect::Any)
            .await
            .unwrap();
    }
    for number in 0..5 {
        let key = Key::new(&format!("/k/{number}")).unwrap();
        store.commit(Change::Delete { key }, Expect::Any).await.unwrap();
    }
    store.compact(store.revision().await.unwrap()).await.unwrap();
    let count: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM log", (), |row| row.get(0))
        .unwrap();
    assert_eq!(count, 5);
}

#[tokio::test]
async fn a_compaction_that_was_cut_off_is_finished() {
    let (_directory, path) = scratch();
    let last = fill(&path, 1000).await;
    // As a kill after the first step leaves it: the mark is set, and some of the entries are still there.
    execute(
        &path,
        &format!("UPDATE history SET oldest = {last}, swept = 100; DELETE FROM log WHERE revision < 90"),
    );
    let store = SqliteStore::open(&path).unwrap();
    let key = Key::new("/k/1").unwrap();
    assert!(matches!(
        store.get(&key, Some(Revision::new(500))).await,
        Err(Error::Compacted { .. })
    ));
    store.compact(last).await.unwrap();
    let count: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM log", (), |row| row.get(0))
        .unwrap();
    assert_eq!(count, 10);
    assert_eq!(
        store
            .list(&Key::root(), None, 100, None)
            .await
            .unwrap()
            .items
            .len(),
        10
    );
}

#[tokio::test]
async fn concurrent_commits_share_transactions() {
    const WRITERS: u64 = 64;
    const COMMITS: u64 = 20;
    let (_directory, path) = scratch();
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for number in 0..COMMITS {
                store
                    .commit(put(&format!("/{writer}/{number}"), "x"), Expect::Absent)
                    .await
                    .unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let stats = store.stats();
    assert_eq!(stats.commits, WRITERS * COMMITS);
    // While one transaction is synced, the other 63 writers queue up for the next one.
    assert!(stats.transactions <= stats.commits / 4, "{stats:?}");
    // One writer alone has nobody to share with, and is not made to wait for company.
    let before = store.stats().transactions;
    for number in 0..10 {
        store
            .commit(put(&format!("/alone/{number}"), "x"), Expect::Absent)
            .await
            .unwrap();
    }
    assert_eq!(store.stats().transactions - before, 10);
}

#[tokio::test]
async fn conflicts_alone_write_nothing() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(put("/a", "x"), Expect::Any).await.unwrap();
    let before = store.stats();
    for _ in 0..10 {
        assert!(store.commit(put("/a", "y"), Expect::Absent).await.is_err());
    }
    assert_eq!(store.stats(), before);
}

#[tokio::test]
async fn the_write_ahead_log_stays_small() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    let large = "x".repeat(200_000);
    let mut largest = 0;
    for number in 0..300 {
        store
            .commit(put(&format!("/{}", number % 7), &large), Expect::Any)
            .await
            .unwrap();
        largest = largest.max(fs::metadata(path.with_extension("db-wal")).unwrap().len());
    }
    assert!(store.stats().checkpoints > 5, "{:?}", store.stats());
    assert!(largest < 16 << 20, "{largest} bytes");
}

#[tokio::test]
async fn a_backup_can_be_taken_while_it_is_used() {
    let (directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..100 {
        store
            .commit(put(&format!("/{number}"), "x"), Expect::Any)
            .await
            .unwrap();
    }
    let copy = directory.path().join("copy.db");
    Connection::open(&path)
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    store.commit(put("/later", "x"), Expect::Any).await.unwrap();
    let copy = SqliteStore::open(&copy).unwrap();
    assert_eq!(copy.revision().await.unwrap(), Revision::new(101));
    assert_eq!(
        copy.list(&Key::root(), None, 1000, None)
            .await
            .unwrap()
            .items
            .len(),
        100
    );
}
