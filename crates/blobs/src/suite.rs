//! Every promise of [`Driver`](crate::Driver) as a test.
//!
//! ```ignore
//! berth_blobs::suite!(MyDriver::new());
//! berth_blobs::suite!({ let directory = tempdir(); (MyDriver::new(&directory), directory) });
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "this is test code that other crates' tests run"
)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use crate::{
    Append, BlobPath, CHUNK_BYTES, Driver, DriverExt as _, Entry, EntryKind, Error, SMALL_MAX_BYTES, Step,
};

/// Runs the suite against a driver: `$fixture` is evaluated for each test and yields a driver with nothing in it, or a pair
/// of one and something to keep until the test ends.
#[macro_export]
macro_rules! suite {
    ($fixture:expr) => {
        $crate::suite!(@tests $fixture;
            what_does_not_exist_is_not_there
            put_replaces
            a_source_reads_ranges
            a_source_outlives_its_object
            large_objects_stream_in_pieces
            only_small_objects_are_read_whole
            lists_are_sorted_and_paged
            an_object_grows_by_appending
            a_released_object_can_be_appended_to
            an_append_must_begin_at_the_end
            only_one_writer_at_a_time
            a_dropped_writer_leaves_a_prefix
            publish_moves_an_upload
            publish_keeps_what_is_there
            publish_replaces_what_is_damaged
            nobody_writes_into_what_was_published
            ensure_keeps_what_is_there
            touch_needs_an_object_and_makes_it_young
            deletes_one_object
            deletes_trees
            steps_are_taken_in_order
            many_writers_of_one_object_agree
            puts_and_deletes_do_not_disturb_each_other
        );
    };
    (@tests $fixture:expr; $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                let fixture = $crate::suite::IntoFixture::into_fixture($fixture);
                $crate::suite::run($crate::suite::$promise(fixture.0.clone()));
                drop(fixture);
            }
        )*
    };
}

/// A driver, or a pair of a driver and what it needs to live.
pub trait IntoFixture {
    /// What is kept until the test ends.
    type Guard;
    /// Takes it apart.
    fn into_fixture(self) -> (Arc<dyn Driver>, Self::Guard);
}

impl<D: Driver> IntoFixture for D {
    type Guard = ();
    fn into_fixture(self) -> (Arc<dyn Driver>, ()) {
        (Arc::new(self), ())
    }
}

impl<D: Driver, G> IntoFixture for (D, G) {
    type Guard = G;
    fn into_fixture(self) -> (Arc<dyn Driver>, G) {
        (Arc::new(self.0), self.1)
    }
}

/// Runs one promise.
pub fn run(promise: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built")
        .block_on(promise);
}

type Subject = Arc<dyn Driver>;

fn path(text: &str) -> BlobPath {
    text.parse().expect("the suite uses valid paths")
}

fn put(at: &str, bytes: impl Into<Bytes>) -> Step {
    Step::Put {
        path: path(at),
        bytes: bytes.into(),
    }
}

/// Bytes that repeat in no simple way.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn content(driver: &Subject, at: &str) -> Option<Bytes> {
    let source = driver.open(&path(at)).await.expect("open")?;
    let pieces: Vec<Bytes> = source.stream(0..source.size()).try_collect().await.expect("read");
    Some(pieces.concat().into())
}

async fn write(driver: &Subject, at: &str, offset: u64, bytes: &Bytes, then: Vec<Step>) -> u64 {
    let mut writer = driver.append(&path(at), offset).await.expect("append");
    for piece in bytes.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await.expect("write");
    }
    writer.close(then).await.expect("close")
}

/// [`Driver::stat`], [`Driver::read`], [`Driver::open`], [`Driver::list`] and the deletions of nothing.
pub async fn what_does_not_exist_is_not_there(driver: Subject) {
    for at in ["/a", "/a/b/c"] {
        let at = path(at);
        assert_eq!(driver.stat(&at).await.unwrap(), None);
        assert_eq!(driver.read(&at).await.unwrap(), None);
        assert!(driver.open(&at).await.unwrap().is_none());
        assert_eq!(
            driver.list(&at, None, 10).await.unwrap(),
            crate::Listing::default()
        );
        assert!(!driver.delete(&at).await.unwrap());
        assert!(!driver.delete_tree(&at).await.unwrap());
        assert!(!driver.touch(&at).await.unwrap());
    }
    driver.commit(vec![put("/a/b", "x")]).await.unwrap();
    for at in ["/a", "/a/b/c"] {
        let at = path(at);
        assert_eq!(
            driver.stat(&at).await.unwrap(),
            None,
            "a directory, or below an object: {at}"
        );
        assert_eq!(driver.read(&at).await.unwrap(), None, "{at}");
        assert!(driver.open(&at).await.unwrap().is_none(), "{at}");
        assert!(!driver.delete(&at).await.unwrap(), "{at}");
    }
}

/// [`Step::Put`] and [`Step::Stash`].
pub async fn put_replaces(driver: Subject) {
    for (first, second) in [
        ("one", "a longer two"),
        ("a longer one", "two"),
        ("", "x"),
        ("x", ""),
    ] {
        driver.commit(vec![put("/d/e/f", first)]).await.unwrap();
        assert_eq!(driver.read(&path("/d/e/f")).await.unwrap().unwrap(), first);
        let stash = Step::Stash {
            path: path("/d/e/f"),
            bytes: second.into(),
        };
        driver.commit(vec![stash]).await.unwrap();
        assert_eq!(driver.read(&path("/d/e/f")).await.unwrap().unwrap(), second);
        let stat = driver.stat(&path("/d/e/f")).await.unwrap().unwrap();
        assert_eq!(stat.size, second.len() as u64);
        assert!(stat.modified.elapsed().unwrap_or_default() < Duration::from_secs(60));
        assert_eq!(content(&driver, "/d/e/f").await.unwrap(), second);
    }
}

/// [`Source::stream`](crate::Source::stream) and [`Source::bytes`](crate::Source::bytes).
pub async fn a_source_reads_ranges(driver: Subject) {
    driver.put(&path("/a"), "0123456789".into()).await.unwrap();
    let source = driver.open(&path("/a")).await.unwrap().unwrap();
    assert_eq!(source.size(), 10);
    for (range, want) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..7, "3456"),
        (9..10, "9"),
        (5..99, "56789"),
        (10..20, ""),
        (4..4, ""),
    ] {
        let pieces: Vec<Bytes> = source.stream(range.clone()).try_collect().await.unwrap();
        assert_eq!(pieces.concat(), want.as_bytes(), "{range:?}");
        assert_eq!(source.bytes(range.clone()).await.unwrap(), want, "{range:?}");
    }
}

/// [`Driver::open`].
pub async fn a_source_outlives_its_object(driver: Subject) {
    driver.put(&path("/a/b"), "first".into()).await.unwrap();
    let source = driver.open(&path("/a/b")).await.unwrap().unwrap();
    driver.put(&path("/a/b"), "second".into()).await.unwrap();
    assert_eq!(source.bytes(0..5).await.unwrap(), "first");
    assert!(driver.delete_tree(&path("/a")).await.unwrap());
    assert_eq!(source.clone().bytes(0..5).await.unwrap(), "first");
}

/// [`Source::stream`](crate::Source::stream).
pub async fn large_objects_stream_in_pieces(driver: Subject) {
    let whole = noise(3 * CHUNK_BYTES + 12_345);
    assert_eq!(
        write(&driver, "/u/data", 0, &whole, vec![]).await,
        whole.len() as u64
    );
    let source = driver.open(&path("/u/data")).await.unwrap().unwrap();
    for start in [0, 1, CHUNK_BYTES - 1, 2 * CHUNK_BYTES + 7] {
        let pieces: Vec<Bytes> = source
            .stream(start as u64..source.size())
            .try_collect()
            .await
            .unwrap();
        assert!(
            pieces
                .iter()
                .all(|piece| !piece.is_empty() && piece.len() <= CHUNK_BYTES)
        );
        assert_eq!(pieces.concat(), whole[start..], "from {start}");
    }
    // Read by read, the pieces given back before the next one is asked for.
    let mut stream = source.stream(0..source.size());
    let mut at = 0;
    while let Some(piece) = stream.try_next().await.unwrap() {
        assert_eq!(piece, whole[at..at + piece.len()]);
        at += piece.len();
    }
    assert_eq!(at, whole.len());
}

/// [`Driver::read`] and [`SMALL_MAX_BYTES`].
pub async fn only_small_objects_are_read_whole(driver: Subject) {
    let small = noise(usize::try_from(SMALL_MAX_BYTES).unwrap());
    driver.put(&path("/a"), small.clone()).await.unwrap();
    assert_eq!(driver.read(&path("/a")).await.unwrap().unwrap(), small);
    write(&driver, "/b", 0, &noise(small.len() + 1), vec![]).await;
    let got = driver.read(&path("/b")).await;
    assert!(
        matches!(got, Err(Error::TooLarge { size, .. }) if size == SMALL_MAX_BYTES + 1),
        "{got:?}"
    );
}

/// [`Driver::list`].
pub async fn lists_are_sorted_and_paged(driver: Subject) {
    let names = ["B", "a", "a-b", "a.b", "a_b", "b", "ba", "z9"];
    let steps = names.iter().rev().map(|name| {
        let directory = name.starts_with('a');
        put(
            &if directory {
                format!("/l/{name}/x")
            } else {
                format!("/l/{name}")
            },
            "x",
        )
    });
    driver
        .commit(steps.chain([put("/m", "x")]).collect())
        .await
        .unwrap();
    let entry = |name: &str| Entry {
        name: name.to_owned(),
        kind: if name.starts_with('a') {
            EntryKind::Directory
        } else {
            EntryKind::Object
        },
    };
    let all: Vec<Entry> = names.iter().map(|name| entry(name)).collect();
    for limit in [1, 3, 7, 8, 100] {
        let mut got: Vec<Entry> = Vec::new();
        loop {
            let after = got.last().map(|entry| entry.name.clone());
            let page = driver.list(&path("/l"), after.as_deref(), limit).await.unwrap();
            assert!(page.entries.len() <= limit);
            assert_eq!(
                page.more,
                got.len() + page.entries.len() < all.len(),
                "limit {limit}"
            );
            got.extend(page.entries);
            if !page.more {
                break;
            }
        }
        assert_eq!(got, all, "limit {limit}");
    }
    // A name need not exist to be listed after.
    let page = driver.list(&path("/l"), Some("a0"), 2).await.unwrap();
    assert_eq!(page.entries, [entry("a_b"), entry("b")]);
    assert!(!driver.list(&path("/l"), Some("zz"), 2).await.unwrap().more);
}

/// [`Driver::append`] and [`Append`].
pub async fn an_object_grows_by_appending(driver: Subject) {
    let whole = noise(1_000_000);
    let mut offset = 0;
    for length in [0, 1, 300_000, 5, 262_144, 437_850] {
        let piece = whole.slice(offset..offset + length);
        let end = write(&driver, "/s/data", offset as u64, &piece, vec![]).await;
        offset += length;
        assert_eq!(end, offset as u64);
        assert_eq!(driver.stat(&path("/s/data")).await.unwrap().unwrap().size, end);
    }
    assert_eq!(offset, whole.len());
    assert_eq!(content(&driver, "/s/data").await.unwrap(), whole);
}

/// [`Append::release`].
pub async fn a_released_object_can_be_appended_to(driver: Subject) {
    let mut writer = driver.append(&path("/s/data"), 0).await.unwrap();
    writer.write("abc".into()).await.unwrap();
    let stash = Step::Stash {
        path: path("/s/note"),
        bytes: "x".into(),
    };
    assert_eq!(writer.release(vec![stash]).await.unwrap(), 3);
    assert_eq!(driver.read(&path("/s/note")).await.unwrap().unwrap(), "x");
    let publish = Step::Publish {
        from: path("/s/data"),
        to: path("/b/data"),
    };
    assert_eq!(
        write(&driver, "/s/data", 3, &"def".into(), vec![publish]).await,
        6
    );
    assert_eq!(content(&driver, "/b/data").await.unwrap(), "abcdef");
}

/// [`Error::Offset`] and [`Error::NotFound`].
pub async fn an_append_must_begin_at_the_end(driver: Subject) {
    let at = path("/s/data");
    assert!(matches!(
        driver.append(&at, 1).await.err(),
        Some(Error::NotFound { .. })
    ));
    write(&driver, "/s/data", 0, &"abc".into(), vec![]).await;
    for got in [0, 2, 4] {
        let error = driver.append(&at, got).await.err();
        assert!(
            matches!(error, Some(Error::Offset { held: 3, got: offset, .. }) if offset == got),
            "{error:?}"
        );
    }
    assert_eq!(driver.append(&at, 3).await.unwrap().length(), 3);
}

/// [`Error::Locked`].
pub async fn only_one_writer_at_a_time(driver: Subject) {
    let at = path("/s/data");
    let mut writer = driver.append(&at, 0).await.unwrap();
    writer.write("abc".into()).await.unwrap();
    assert_eq!(writer.length(), 3);
    for offset in [0, 3] {
        let error = driver.append(&at, offset).await.err();
        assert!(error.as_ref().is_some_and(Error::is_retryable), "{error:?}");
        assert!(matches!(error, Some(Error::Locked { .. })), "{error:?}");
    }
    drop(driver.append(&path("/t/data"), 0).await.unwrap());
    writer.close(vec![]).await.unwrap();
    assert_eq!(driver.append(&at, 3).await.unwrap().length(), 3);
}

/// Dropping an [`Append`].
pub async fn a_dropped_writer_leaves_a_prefix(driver: Subject) {
    let whole = noise(2_000_000);
    let mut writer = driver.append(&path("/s/data"), 0).await.unwrap();
    for piece in whole.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(writer);
    // What was under way when it was dropped may still be being written, and the lock is held until it is.
    let mut writer: Option<Box<dyn Append>> = None;
    for _ in 0..200 {
        let held = driver.stat(&path("/s/data")).await.unwrap().unwrap().size;
        match driver.append(&path("/s/data"), held).await {
            Ok(got) => {
                writer = Some(got);
                break;
            }
            Err(Error::Locked { .. } | Error::Offset { .. }) => {
                tokio::time::sleep(Duration::from_millis(10)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
    let writer = writer.expect("the lock goes with the writer");
    let held = usize::try_from(writer.close(vec![]).await.unwrap()).unwrap();
    assert_eq!(content(&driver, "/s/data").await.unwrap(), whole[..held]);
}

/// [`Step::Publish`].
pub async fn publish_moves_an_upload(driver: Subject) {
    let whole = noise(300_000);
    let then = vec![
        Step::Publish {
            from: path("/u/1/data"),
            to: path("/blobs/ab/abc/data"),
        },
        put("/links/abc/link", "abc"),
        Step::Discard { path: path("/u/1") },
    ];
    driver.commit(vec![put("/u/1/started", "now")]).await.unwrap();
    write(&driver, "/u/1/data", 0, &whole, then).await;
    assert_eq!(content(&driver, "/blobs/ab/abc/data").await.unwrap(), whole);
    assert_eq!(content(&driver, "/links/abc/link").await.unwrap(), "abc");
    assert_eq!(driver.stat(&path("/u/1/data")).await.unwrap(), None);
    assert_eq!(driver.stat(&path("/u/1/started")).await.unwrap(), None);
    let missing = Step::Publish {
        from: path("/u/2/data"),
        to: path("/blobs/cd/cde/data"),
    };
    let error = driver.commit(vec![missing]).await.err();
    assert!(matches!(error, Some(Error::NotFound { .. })), "{error:?}");
    assert_eq!(driver.stat(&path("/blobs/cd/cde/data")).await.unwrap(), None);
}

/// [`Step::Publish`] onto an object of the same length.
pub async fn publish_keeps_what_is_there(driver: Subject) {
    // Different bytes of one length, which real digests never have, show which of the two was kept.
    driver.commit(vec![put("/b/data", "good")]).await.unwrap();
    write(
        &driver,
        "/u/data",
        0,
        &"evil".into(),
        vec![Step::Publish {
            from: path("/u/data"),
            to: path("/b/data"),
        }],
    )
    .await;
    assert_eq!(content(&driver, "/b/data").await.unwrap(), "good");
    assert_eq!(driver.stat(&path("/u/data")).await.unwrap(), None);
}

/// [`Step::Publish`] onto an object of another length.
pub async fn publish_replaces_what_is_damaged(driver: Subject) {
    driver.commit(vec![put("/b/data", "cut o")]).await.unwrap();
    let publish = Step::Publish {
        from: path("/u/data"),
        to: path("/b/data"),
    };
    write(&driver, "/u/data", 0, &"cut off".into(), vec![publish]).await;
    assert_eq!(content(&driver, "/b/data").await.unwrap(), "cut off");
    assert_eq!(driver.stat(&path("/u/data")).await.unwrap(), None);
}

/// [`Step::Publish`] within [`Append::close`].
pub async fn nobody_writes_into_what_was_published(driver: Subject) {
    for round in 0..20 {
        let (from, to) = (format!("/u/{round}/data"), format!("/b/{round}/data"));
        write(&driver, &from, 0, &"abc".into(), vec![]).await;
        let writer = driver.append(&path(&from), 3).await.unwrap();
        let intruder = {
            let (driver, from) = (driver.clone(), path(&from));
            async move {
                for _ in 0..50 {
                    match driver.append(&from, 3).await {
                        Ok(mut writer) => {
                            writer.write("!".into()).await.unwrap();
                            writer.close(vec![]).await.unwrap();
                            return;
                        }
                        Err(Error::NotFound { .. }) => return,
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
            }
        };
        let publish = Step::Publish {
            from: path(&from),
            to: path(&to),
        };
        let (closed, ()) = tokio::join!(writer.close(vec![publish]), intruder);
        closed.unwrap();
        assert_eq!(content(&driver, &to).await.unwrap(), "abc");
    }
}

/// [`Step::Ensure`].
pub async fn ensure_keeps_what_is_there(driver: Subject) {
    let ensure = |bytes: &'static str| {
        vec![Step::Ensure {
            path: path("/m/data"),
            bytes: bytes.into(),
        }]
    };
    driver.commit(ensure("good")).await.unwrap();
    assert_eq!(content(&driver, "/m/data").await.unwrap(), "good");
    let before = driver.stat(&path("/m/data")).await.unwrap().unwrap().modified;
    tokio::time::sleep(Duration::from_millis(20)).await;
    driver.commit(ensure("good")).await.unwrap();
    assert_eq!(content(&driver, "/m/data").await.unwrap(), "good");
    assert!(driver.stat(&path("/m/data")).await.unwrap().unwrap().modified > before);
    for damaged in ["", "g", "g\0\0\0", "good and more"] {
        driver.put(&path("/m/data"), damaged.into()).await.unwrap();
        driver.commit(ensure("good")).await.unwrap();
        assert_eq!(
            content(&driver, "/m/data").await.unwrap(),
            "good",
            "after {damaged:?}"
        );
    }
}

/// [`Step::Touch`].
pub async fn touch_needs_an_object_and_makes_it_young(driver: Subject) {
    driver.put(&path("/a/b"), "x".into()).await.unwrap();
    let before = driver.stat(&path("/a/b")).await.unwrap().unwrap().modified;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(driver.touch(&path("/a/b")).await.unwrap());
    assert!(driver.stat(&path("/a/b")).await.unwrap().unwrap().modified > before);
    assert!(!driver.touch(&path("/a/c")).await.unwrap());
    // Nothing is built on what is not there.
    let steps = vec![Step::Touch { path: path("/a/c") }, put("/a/link", "c")];
    assert!(matches!(driver.commit(steps).await, Err(Error::NotFound { .. })));
    assert_eq!(driver.stat(&path("/a/link")).await.unwrap(), None);
}

/// [`Driver::delete`].
pub async fn deletes_one_object(driver: Subject) {
    driver
        .commit(vec![put("/a/b", "x"), put("/a/c", "y")])
        .await
        .unwrap();
    assert!(driver.delete(&path("/a/b")).await.unwrap());
    assert!(!driver.delete(&path("/a/b")).await.unwrap());
    assert_eq!(driver.read(&path("/a/b")).await.unwrap(), None);
    assert_eq!(driver.read(&path("/a/c")).await.unwrap().unwrap(), "y");
    driver.commit(vec![put("/a/b", "again")]).await.unwrap();
    assert_eq!(driver.read(&path("/a/b")).await.unwrap().unwrap(), "again");
}

/// [`Driver::delete_tree`] and [`Step::Discard`].
pub async fn deletes_trees(driver: Subject) {
    let steps = || {
        let mut steps = vec![put("/r/ab/x", "x"), put("/r/abc", "x")];
        steps.extend((0..30).map(|n| put(&format!("/r/a/{n}/d/e"), "x")));
        steps
    };
    driver.commit(steps()).await.unwrap();
    assert!(driver.delete_tree(&path("/r/a")).await.unwrap());
    assert!(!driver.delete_tree(&path("/r/a")).await.unwrap());
    let left = driver.list(&path("/r"), None, 10).await.unwrap();
    let names: Vec<_> = left.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["ab", "abc"], "neighbours with the same beginning stay");
    driver.commit(steps()).await.unwrap();
    driver
        .commit(vec![
            Step::Discard { path: path("/r/a") },
            Step::Discard {
                path: path("/r/nothing"),
            },
        ])
        .await
        .unwrap();
    assert_eq!(driver.stat(&path("/r/a/0/d/e")).await.unwrap(), None);
    assert!(
        driver.delete_tree(&path("/r/abc")).await.unwrap(),
        "an object is a tree of one"
    );
    assert!(driver.delete_tree(&path("/r")).await.unwrap());
    assert_eq!(
        driver.list(&path("/r"), None, 10).await.unwrap(),
        crate::Listing::default()
    );
}

/// [`Driver::commit`].
pub async fn steps_are_taken_in_order(driver: Subject) {
    driver.commit(vec![]).await.unwrap();
    driver
        .commit(vec![
            put("/o", "1"),
            put("/o", "2"),
            put("/p/q", "1"),
            Step::Discard { path: path("/p") },
        ])
        .await
        .unwrap();
    assert_eq!(driver.read(&path("/o")).await.unwrap().unwrap(), "2");
    assert_eq!(driver.read(&path("/p/q")).await.unwrap(), None);
    let ensure = Step::Ensure {
        path: path("/o"),
        bytes: "2".into(),
    };
    let publish = Step::Publish {
        from: path("/s"),
        to: path("/t"),
    };
    let touch = Step::Touch { path: path("/t") };
    let steps = vec![
        Step::Discard { path: path("/o") },
        ensure,
        put("/s", "3"),
        publish,
        touch,
    ];
    driver.commit(steps).await.unwrap();
    assert_eq!(driver.read(&path("/o")).await.unwrap().unwrap(), "2");
    assert_eq!(driver.read(&path("/t")).await.unwrap().unwrap(), "3");
    assert_eq!(driver.read(&path("/s")).await.unwrap(), None);
}

/// Uploads of the same content that are published at the same time.
pub async fn many_writers_of_one_object_agree(driver: Subject) {
    let whole = noise(200_000);
    for round in 0..4 {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (driver, whole) = (driver.clone(), whole.clone());
            tasks.spawn(async move {
                let (from, link) = (
                    format!("/u/{round}-{writer}/data"),
                    format!("/r/{writer}/{round}/link"),
                );
                let to = path(&format!("/b/{round}/x/data"));
                let then = vec![
                    Step::Publish {
                        from: path(&from),
                        to,
                    },
                    put(&link, "x"),
                    Step::Discard {
                        path: path(&format!("/u/{round}-{writer}")),
                    },
                ];
                write(&driver, &from, 0, &whole, then).await;
                assert_eq!(
                    content(&driver, &format!("/b/{round}/x/data")).await.unwrap(),
                    whole
                );
                assert_eq!(content(&driver, &link).await.unwrap(), "x");
            });
        }
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
    }
}

/// [`Driver::delete_tree`] while others write below the same path.
pub async fn puts_and_deletes_do_not_disturb_each_other(driver: Subject) {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let driver = driver.clone();
        tasks.spawn(async move {
            for round in 0..40 {
                driver
                    .commit(vec![put(&format!("/c/d/{}/{writer}", round % 3), "x")])
                    .await
                    .unwrap();
            }
        });
    }
    let deleter = driver.clone();
    tasks.spawn(async move {
        for _ in 0..40 {
            deleter.delete_tree(&path("/c")).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    driver.commit(vec![put("/c/d/e", "x")]).await.unwrap();
    assert_eq!(driver.read(&path("/c/d/e")).await.unwrap().unwrap(), "x");
}
