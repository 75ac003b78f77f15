//! Promises about `watch`.

use tokio::task::JoinSet;

use super::*;
use crate::Error;

/// A watch from the past first tells what happened since, then what happens.
pub async fn a_watch_tells_history_and_then_news(store: Tested) {
    commit(&store, put("/a", "1")).await;
    commit(&store, put("/b", "2")).await;
    let mut stream = watch(&store, "/", Revision::FIRST).await;
    commit(&store, put("/a", "3")).await;
    assert_eq!(revisions(&take(&mut stream, 3).await), [2, 3, 4]);
    nothing_comes(&mut stream).await;
    commit(&store, delete("/b")).await;
    let event = next(&mut stream).await;
    assert_eq!(
        (event.revision.get(), event.key.as_str(), value(&event)),
        (5, "/b", None)
    );
    nothing_comes(&mut stream).await;
}

/// A watch that begins where another one stopped continues it.
pub async fn a_watch_begins_anywhere(store: Tested) {
    for number in 0..10 {
        commit(&store, put(&format!("/k{}", number % 3), format!("{number}"))).await;
    }
    let last = revision(&store).await;
    for from in Revision::FIRST.get()..=last.get() {
        let mut stream = watch(&store, "/", Revision::new(from)).await;
        let want: Vec<_> = (from + 1..=last.get()).collect();
        assert_eq!(
            revisions(&take(&mut stream, want.len()).await),
            want,
            "from {from}"
        );
        nothing_comes(&mut stream).await;
    }
}

/// A prefix covers the same keys in a watch as in a list.
pub async fn a_watch_ends_at_segment_boundaries(store: Tested) {
    let texts = ["/a", "/a/x", "/ab", "/a-", "/a0", "/a/x/y", "/b/a", "/"];
    let start = revision(&store).await;
    let mut live = watch(&store, "/a", start).await;
    for text in texts {
        commit(&store, put(text, "1")).await;
    }
    let mut history = watch(&store, "/a", start).await;
    for stream in [&mut live, &mut history] {
        let events = take(stream, 3).await;
        let got: Vec<_> = events.iter().map(|event| event.key.as_str()).collect();
        assert_eq!(got, ["/a", "/a/x", "/a/x/y"]);
        nothing_comes(stream).await;
    }
}

/// A whole key is a prefix too.
pub async fn a_watch_of_one_key_sees_that_key(store: Tested) {
    let mut stream = watch(&store, "/a/x", Revision::FIRST).await;
    for change in [
        put("/a", "1"),
        put("/a/x", "2"),
        put("/a/y", "3"),
        delete("/a"),
        delete("/a/x"),
    ] {
        commit(&store, change).await;
    }
    let events = take(&mut stream, 2).await;
    assert_eq!(
        events.iter().map(value).collect::<Vec<_>>(),
        [Some(&b"2"[..]), None]
    );
    nothing_comes(&mut stream).await;
}

/// An event says what the key was before, so that a watcher can tell entering a selection from leaving it.
pub async fn events_carry_the_previous_value(store: Tested) {
    let mut live = watch(&store, "/", Revision::FIRST).await;
    let one = commit(&store, put("/a", "1")).await;
    commit(&store, put("/b", "x")).await;
    let two = commit(&store, put("/a", "2")).await;
    commit(&store, delete("/a")).await;
    let again = commit(&store, put("/a", "3")).await;
    let mut history = watch(&store, "/", Revision::FIRST).await;
    let versioned = |value: &'static str, created, modified| Versioned {
        key: key("/a"),
        value: value.into(),
        created,
        modified,
    };
    let want = [
        (Changed::Put(versioned("1", one, one)), None),
        (
            Changed::Put(versioned("2", one, two)),
            Some(versioned("1", one, one)),
        ),
        (Changed::Delete, Some(versioned("2", one, two))),
        (Changed::Put(versioned("3", again, again)), None),
    ];
    for stream in [&mut live, &mut history] {
        let events = take(stream, 5).await;
        let got: Vec<_> = events
            .into_iter()
            .filter(|event| event.key == key("/a"))
            .map(|event| (event.change, event.previous))
            .collect();
        assert_eq!(got, want);
    }
}

/// Watchers that begin at any moment while many write see the same events, none twice, none missing.
pub async fn watchers_see_concurrent_commits_once_and_in_order(store: Tested) {
    const WRITERS: usize = 8;
    const STEPS: usize = 25;
    let start = revision(&store).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for step in 0..STEPS {
                commit(&store, put(&format!("/w/{writer}"), format!("{step}"))).await;
            }
        });
    }
    let mut watchers = JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&store);
        watchers.spawn(async move {
            for _ in 0..number * 3 {
                tokio::task::yield_now().await;
            }
            let from = if number % 2 == 0 {
                start
            } else {
                revision(&store).await
            };
            let prefix = if number % 4 < 2 { "/w" } else { "/" };
            let mut stream = watch(&store, prefix, from).await;
            let count = WRITERS * STEPS - usize::try_from(from.get() - start.get()).expect("few");
            (from, take(&mut stream, count).await)
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer finishes");
    }
    let mut full = watch(&store, "/", start).await;
    let all = take(&mut full, WRITERS * STEPS).await;
    let want: Vec<_> = (start.get() + 1..=start.get() + all.len() as u64).collect();
    assert_eq!(revisions(&all), want);
    for writer in 0..WRITERS {
        let of_writer = key(&format!("/w/{writer}"));
        let steps = all
            .iter()
            .filter(|event| event.key == of_writer)
            .map(|event| value(event).map(Vec::from));
        let want = (0..STEPS).map(|step| Some(step.to_string().into_bytes()));
        assert!(steps.eq(want), "the steps of writer {writer} are in order");
    }
    while let Some(watcher) = watchers.join_next().await {
        let (from, events) = watcher.expect("a watcher finishes");
        let skip = usize::try_from(from.get() - start.get()).expect("few");
        assert_eq!(events, all[skip..], "from {from}");
    }
}

/// A list, and a watch from its revision, together are the state at any later time.
pub async fn list_and_watch_lose_nothing(store: Tested) {
    const COMMITS: u32 = 200;
    let writer = Arc::clone(&store);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for number in 0..COMMITS {
            let text = format!("/p/{}", number % 7);
            let removes = number % 3 == 0 && get(&writer, &text).await.is_some();
            let change = if removes {
                delete(&text)
            } else {
                put(&text, number.to_string())
            };
            commit(&writer, change).await;
        }
    });
    let mut mirrors = Vec::new();
    while mirrors.len() < 5 {
        let page = store
            .list(&key("/p"), None, 100, None)
            .await
            .expect("the list can be read");
        let stream = watch(&store, "/p", page.revision).await;
        mirrors.push((page, stream));
        tokio::task::yield_now().await;
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("the writer finishes");
    }
    let end = revision(&store).await;
    let want = list(&store, "/p", 100, None).await;
    for (page, mut stream) in mirrors {
        let mut state: std::collections::BTreeMap<_, _> = page
            .items
            .into_iter()
            .map(|item| (item.key.clone(), item))
            .collect();
        let mut at = page.revision;
        while at < end {
            let event = next(&mut stream).await;
            at = event.revision;
            let before = match event.change {
                Changed::Put(item) => state.insert(event.key, item),
                Changed::Delete => state.remove(&event.key),
            };
            assert_eq!(before, event.previous, "at {at}");
        }
        assert_eq!(state.into_values().collect::<Vec<_>>(), want);
    }
}

/// A watcher that does not read delays nobody, and later gets everything or is told that it cannot.
pub async fn a_slow_watcher_neither_blocks_nor_misses(store: Tested) {
    const COMMITS: usize = 3000;
    let mut slow = watch(&store, "/", Revision::FIRST).await;
    let mut never = watch(&store, "/", Revision::FIRST).await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for step in 0..COMMITS / 8 {
                commit(&store, put(&format!("/w/{writer}"), step.to_string())).await;
            }
        });
    }
    let written = async {
        while let Some(writer) = writers.join_next().await {
            writer.expect("a writer finishes");
        }
    };
    tokio::time::timeout(PATIENCE, written)
        .await
        .expect("a watcher that does not read blocks nobody");
    let mut last = Revision::FIRST;
    while last < revision(&store).await {
        match next_result(&mut slow).await {
            Ok(event) => {
                assert_eq!(event.revision, last.next(), "no event is left out silently");
                last = event.revision;
            }
            Err(Error::Compacted { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
    let first = next_result(&mut never).await;
    assert!(
        matches!(&first, Ok(event) if event.revision == Revision::FIRST.next()),
        "{first:?}"
    );
}

/// A watch from a revision that has not happened would silently skip events, so it is refused.
pub async fn the_future_cannot_be_watched(store: Tested) {
    let current = commit(&store, put("/a", "1")).await;
    let refused = store.watch(&key("/"), current.next()).await.err();
    assert!(matches!(refused, Some(Error::Future { .. })), "{refused:?}");
}

/// Streams that were dropped, read or unread, leave the store as it was.
pub async fn dropped_watches_cost_nothing(store: Tested) {
    for round in 0..20 {
        let mut streams = Vec::new();
        for _ in 0..50 {
            streams.push(watch(&store, "/", Revision::FIRST).await);
        }
        commit(&store, put("/a", round.to_string())).await;
        assert_eq!(next(&mut streams[0]).await.revision, Revision::FIRST.next());
        drop(streams);
    }
    let from = revision(&store).await;
    let mut stream = watch(&store, "/", from).await;
    commit(&store, put("/a", "last")).await;
    assert_eq!(next(&mut stream).await.revision, from.next());
}
