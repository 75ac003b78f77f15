//! A process that commits is killed at random moments, again and again, and nothing it was promised is lost.
//!
//! The child is this very test binary, running the ignored test [`child`] in a scratch directory.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use berth_store::{Change, Changed, Event, Expect, Key, Revision, Store};
use berth_store_sqlite::SqliteStore;
use futures_util::StreamExt;
use tokio::task::JoinSet;

/// What says to the child that it is meant.
const MARKER: &str = "commit-until-killed";

/// The child's way of compacting: to this many revisions ago.
const KEPT: u64 = 40;

const WRITERS: usize = 6;

/// The value that a writer puts as its `number`th, recognisable and of very different sizes.
fn value(round: u32, writer: usize, number: usize) -> String {
    let mut text = format!("{round}-{writer}-{number}:");
    let filler = (number * 7919 + writer * 104_729) % 9000;
    write!(text, "{:x>filler$}", "").unwrap();
    text
}

fn key(round: u32, writer: usize, number: usize) -> String {
    format!("/r{round}/w{writer}/{}", number % 5)
}

#[test]
#[ignore = "the process that the other tests kill"]
fn child() {
    let Ok(marker) = std::fs::read_to_string(MARKER) else {
        return;
    };
    let (round, compacts) = marker.split_once(' ').unwrap();
    let (round, compacts): (u32, bool) = (round.parse().unwrap(), compacts.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open("store.db").unwrap());
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                for number in 0.. {
                    let key = Key::new(&key(round, writer, number)).unwrap();
                    let change = Change::Put {
                        key,
                        value: value(round, writer, number).into(),
                    };
                    let revision = store.commit(change, Expect::Any).await.unwrap();
                    // One system call, so that a line is in the pipe whole or not at all.
                    let line = format!("\nack {revision} {round} {writer} {number}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    if compacts && writer == 0 && number % 10 == 9 {
                        let before = Revision::new(revision.get().saturating_sub(KEPT));
                        store.compact(before.max(Revision::FIRST)).await.unwrap();
                    }
                }
            });
        }
        writers.join_next().await;
    });
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Already dead unless the test failed.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// What the child was told, by revision: writer and number.
type Acknowledged = HashMap<u64, (usize, usize)>;

/// Lets a child commit for about `patience` behind its first commit and kills it; returns what it was told.
fn commit_until_killed(directory: &Path, round: u32, compacts: bool, patience: Duration) -> Acknowledged {
    std::fs::write(directory.join(MARKER), format!("{round} {compacts}")).unwrap();
    let mut child = Killed(
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let output = BufReader::new(child.0.stdout.take().unwrap());
    let begun = AtomicBool::new(false);
    let mut acknowledged = HashMap::new();
    std::thread::scope(|scope| {
        let begun = &begun;
        let reader = scope.spawn(move || {
            let mut acknowledged = HashMap::new();
            for line in output.lines() {
                let line = line.unwrap();
                let mut words = line.split(' ');
                if words.next() != Some("ack") {
                    continue;
                }
                let mut number = || words.next().unwrap().parse::<usize>().unwrap();
                let (revision, _round, writer, number) = (number(), number(), number(), number());
                acknowledged.insert(revision as u64, (writer, number));
                begun.store(true, Ordering::Release);
            }
            acknowledged
        });
        while !begun.load(Ordering::Acquire) {
            assert!(child.0.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(patience);
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        acknowledged = reader.join().unwrap();
    });
    acknowledged
}

/// The events of the log after `from`.
async fn history(store: &SqliteStore, from: Revision) -> Vec<Event> {
    let last = store.revision().await.unwrap();
    let mut stream = store.watch(&Key::root(), from).await.unwrap();
    let mut events = Vec::new();
    for _ in from.get()..last.get() {
        events.push(stream.next().await.unwrap().unwrap());
    }
    events
}

/// Each round's writers as they appear in the log: their numbers go up by one, and every value is what it has to be.
fn steps(events: &[Event], round: u32) -> HashMap<usize, Vec<usize>> {
    let mut steps: HashMap<usize, Vec<usize>> = HashMap::new();
    for event in events {
        let Changed::Put(item) = &event.change else {
            panic!("{event:?}")
        };
        let text = std::str::from_utf8(&item.value).unwrap();
        let mut numbers = text
            .split(':')
            .next()
            .unwrap()
            .split('-')
            .map(|number| number.parse::<usize>().unwrap());
        let (of, writer, number) = (
            numbers.next().unwrap(),
            numbers.next().unwrap(),
            numbers.next().unwrap(),
        );
        if of != round as usize {
            continue;
        }
        assert_eq!(text, value(round, writer, number), "at {}", event.revision);
        assert_eq!(event.key.as_str(), key(round, writer, number));
        steps.entry(writer).or_default().push(number);
    }
    steps
}

/// A cheap source of differing delays.
fn patience(round: u32) -> Duration {
    Duration::from_micros(u64::from(round * 7_919 + std::process::id() * 31) % 60_000)
}

#[tokio::test]
async fn every_acknowledged_revision_survives() {
    let directory = tempfile::tempdir().unwrap();
    let mut total = 0;
    let mut before = Revision::FIRST;
    for round in 0..12 {
        let acknowledged = commit_until_killed(directory.path(), round, false, patience(round));
        let store = SqliteStore::open(directory.path().join("store.db")).unwrap();
        // All of it, from the very beginning: later rounds must not hurt what earlier ones left.
        let events = history(&store, Revision::FIRST).await;
        let revisions: Vec<_> = events.iter().map(|event| event.revision.get()).collect();
        assert_eq!(
            revisions,
            (2..2 + events.len() as u64).collect::<Vec<_>>(),
            "the log has no gaps"
        );
        for (revision, (writer, number)) in &acknowledged {
            assert!(*revision > before.get(), "revision {revision} was taken twice");
            let at = Some(Revision::new(*revision));
            let key = Key::new(&key(round, *writer, *number)).unwrap();
            let item = store
                .get(&key, at)
                .await
                .unwrap()
                .expect("an acknowledged commit is there");
            assert_eq!(item.modified.get(), *revision);
            assert_eq!(item.value, value(round, *writer, *number));
        }
        for (writer, numbers) in steps(&events, round) {
            assert_eq!(
                numbers,
                (0..numbers.len()).collect::<Vec<_>>(),
                "writer {writer} of round {round}"
            );
            let told = acknowledged.values().filter(|(of, _)| *of == writer).count();
            // What was being committed when the kill came may be there, and nothing beyond.
            assert!(
                numbers.len() == told || numbers.len() == told + 1,
                "{} of {told}",
                numbers.len()
            );
        }
        total += acknowledged.len();
        before = store.revision().await.unwrap();
    }
    eprintln!("{total} acknowledged commits survived 12 kills");
}

#[tokio::test]
async fn compaction_survives_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut latest: HashMap<String, (u64, String)> = HashMap::new();
    for round in 0..8 {
        let acknowledged = commit_until_killed(directory.path(), round, true, patience(round));
        let store = SqliteStore::open(directory.path().join("store.db")).unwrap();
        for (revision, (writer, number)) in acknowledged {
            let (key, value) = (key(round, writer, number), value(round, writer, number));
            let entry = latest.entry(key).or_default();
            if entry.0 < revision {
                *entry = (revision, value);
            }
        }
        for (text, (revision, value)) in &latest {
            let item = store
                .get(&Key::new(text).unwrap(), None)
                .await
                .unwrap()
                .expect("the latest value is kept");
            // The last commit of a key may have happened without its answer being heard.
            if item.modified.get() == *revision {
                assert_eq!(item.value, *value);
            } else {
                assert!(item.modified.get() > *revision, "{text} went back in time");
            }
        }
        let page = store.list(&Key::root(), None, 1000, None).await.unwrap();
        assert!(page.items.len() >= latest.len());
        // What was cut off is finished when the next compaction comes.
        store.compact(page.revision).await.unwrap();
        assert_eq!(
            store.list(&Key::root(), None, 1000, None).await.unwrap().items,
            page.items
        );
    }
}
