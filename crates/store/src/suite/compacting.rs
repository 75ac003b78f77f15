//! Promises about `compact`.

use tokio::task::JoinSet;

use super::*;
use crate::Error;

/// The state at the revision, everything after it, and the latest values stay.
pub async fn compaction_keeps_what_was_asked_for(store: Tested) {
    for change in [
        put("/p/stays", "old"),
        put("/p/changes", "1"),
        put("/p/changes", "2"),
        put("/p/goes", "1"),
        put("/p/gone", "1"),
        delete("/p/gone"),
    ] {
        commit(&store, change).await;
    }
    let before = revision(&store).await;
    commit(&store, put("/p/changes", "3")).await;
    commit(&store, delete("/p/goes")).await;
    commit(&store, put("/p/comes", "1")).await;
    let last = revision(&store).await;
    let mut pasts = Vec::new();
    for at in before.get()..=last.get() {
        pasts.push(list(&store, "/p", 100, Some(Revision::new(at))).await);
    }
    let mut stream = watch(&store, "/", before).await;
    let events = take(&mut stream, 3).await;
    store.compact(before).await.expect("history can be compacted");
    assert_eq!(revision(&store).await, last, "compaction is no commit");
    for (at, past) in (before.get()..=last.get()).zip(&pasts) {
        let at = Some(Revision::new(at));
        assert_eq!(&list(&store, "/p", 2, at).await, past, "at {at:?}");
        for item in past {
            assert_eq!(
                store.get(&item.key, at).await.expect("kept"),
                Some(item.clone()),
                "at {at:?}"
            );
        }
    }
    assert_eq!(
        &list(&store, "/p", 2, None).await,
        pasts.last().expect("there is a present")
    );
    let mut again = watch(&store, "/", before).await;
    assert_eq!(take(&mut again, 3).await, events);
    // To the very present, too.
    store.compact(last).await.expect("history can be compacted");
    assert_eq!(
        &list(&store, "/p", 2, Some(last)).await,
        pasts.last().expect("there is a present")
    );
    assert_eq!(commit(&store, put("/p/changes", "4")).await, last.next());
    assert_eq!(
        revisions(&take(&mut watch(&store, "/", last).await, 1).await),
        [last.next().get()]
    );
}

/// What is older can neither be read nor watched from, and the error says since when.
pub async fn compaction_forgets_the_rest(store: Tested) {
    for number in 0..5 {
        commit(&store, put("/a", number.to_string())).await;
    }
    let oldest = Revision::new(4);
    store.compact(oldest).await.expect("history can be compacted");
    for asked in [Revision::ZERO, Revision::FIRST, Revision::new(3)] {
        let errors = [
            store.get(&key("/a"), Some(asked)).await.err(),
            store.get(&key("/missing"), Some(asked)).await.err(),
            store.list(&key("/"), None, 1, Some(asked)).await.err(),
            store.watch(&key("/"), asked).await.err(),
        ];
        for error in errors {
            match error {
                Some(Error::Compacted { asked: a, oldest: o }) => assert_eq!((a, o), (asked, oldest)),
                other => panic!("at {asked}: {other:?}"),
            }
        }
    }
}

/// Compacting again, or to where it is compacted already, changes nothing; the future cannot be compacted.
pub async fn compaction_may_be_repeated(store: Tested) {
    for number in 0..5 {
        commit(&store, put("/a", number.to_string())).await;
    }
    let current = revision(&store).await;
    let oldest = Revision::new(4);
    for before in [oldest, oldest, Revision::FIRST, Revision::ZERO] {
        store.compact(before).await.expect("history can be compacted");
        assert!(store.get(&key("/a"), Some(oldest)).await.expect("kept").is_some());
        assert!(matches!(
            store.get(&key("/a"), Some(Revision::new(3))).await,
            Err(Error::Compacted { .. })
        ));
    }
    let refused = store.compact(current.next()).await;
    assert!(matches!(refused, Err(Error::Future { .. })), "{refused:?}");
}

/// A watcher that has seen everything, or of keys that nothing happened to, goes on.
pub async fn compaction_does_not_disturb_an_idle_watch(store: Tested) {
    let mut seen = watch(&store, "/busy", Revision::FIRST).await;
    let mut quiet = watch(&store, "/quiet", Revision::FIRST).await;
    for number in 0..300 {
        commit(&store, put("/busy", number.to_string())).await;
    }
    take(&mut seen, 300).await;
    store
        .compact(revision(&store).await)
        .await
        .expect("history can be compacted");
    let one = commit(&store, put("/quiet", "1")).await;
    let two = commit(&store, put("/busy", "1")).await;
    assert_eq!(next(&mut quiet).await.revision, one);
    assert_eq!(next(&mut seen).await.revision, two);
}

/// A watcher that has not read yet gets every event or the error, and nothing after the error.
pub async fn compaction_ends_a_watch_that_is_behind(store: Tested) {
    let mut behind = watch(&store, "/", Revision::FIRST).await;
    for number in 0..300 {
        commit(&store, put("/a", number.to_string())).await;
    }
    store
        .compact(revision(&store).await)
        .await
        .expect("history can be compacted");
    let mut last = Revision::FIRST;
    while last < revision(&store).await {
        match next_result(&mut behind).await {
            Ok(event) => {
                assert_eq!(event.revision, last.next(), "no event is left out silently");
                last = event.revision;
            }
            Err(Error::Compacted { .. }) => {
                commit(&store, put("/a", "more")).await;
                assert!(behind.next().await.is_none(), "a stream ends after an error");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writers, readers, watchers and compaction do not get into each other's way.
pub async fn compaction_and_commits_run_together(store: Tested) {
    const COMMITS: u64 = 200;
    let mut tasks = JoinSet::new();
    for writer in 0..4 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for step in 0..COMMITS / 4 {
                let text = format!("/w/{writer}/{}", step % 5);
                commit(&store, put(&text, step.to_string())).await;
            }
        });
    }
    let compactor = Arc::clone(&store);
    tasks.spawn(async move {
        for _ in 0..20 {
            let now = revision(&compactor).await;
            compactor.compact(now).await.expect("history can be compacted");
            // In one page, because a page of its revision may be compacted before the next one is asked for.
            let page = compactor
                .list(&key("/w"), None, 100, None)
                .await
                .expect("the present can always be read");
            assert!(
                page.items.iter().all(|item| item.modified <= page.revision),
                "{page:?}"
            );
            tokio::task::yield_now().await;
        }
    });
    while let Some(task) = tasks.join_next().await {
        task.expect("a task finishes");
    }
    assert_eq!(revision(&store).await.get(), Revision::FIRST.get() + COMMITS);
    let items = list(&store, "/w", 100, None).await;
    assert_eq!(items.len(), 20);
    for item in items {
        let step: u64 = std::str::from_utf8(&item.value)
            .expect("text")
            .parse()
            .expect("a number");
        assert!(
            step >= COMMITS / 4 - 5,
            "{} holds its latest value, not {step}",
            item.key
        );
    }
}
