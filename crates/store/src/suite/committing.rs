//! Promises about `commit`.

use tokio::task::JoinSet;

use super::*;
use crate::{Error, VALUE_LIMIT};

/// A commit happens exactly when the key is as expected; a conflict says how the key is.
pub async fn commits_demand_what_they_expect(store: Tested) {
    let old = commit(&store, put("/there", "1")).await;
    let now = commit(&store, put("/there", "2")).await;
    let never = now.next().next();
    let gone = commit(&store, put("/gone", "1")).await;
    commit(&store, delete("/gone")).await;
    for (text, removes, expect, happens) in [
        ("/there", false, Expect::Absent, false),
        ("/there", false, Expect::At(old), false),
        ("/there", false, Expect::At(never), false),
        ("/there", false, Expect::At(Revision::ZERO), false),
        ("/there", true, Expect::Absent, false),
        ("/there", true, Expect::At(old), false),
        ("/missing", false, Expect::Present, false),
        ("/missing", false, Expect::At(Revision::ZERO), false),
        ("/missing", true, Expect::Any, false),
        ("/missing", true, Expect::Absent, false),
        ("/missing", true, Expect::Present, false),
        ("/gone", false, Expect::Present, false),
        ("/gone", false, Expect::At(gone), false),
        ("/gone", true, Expect::Any, false),
        ("/there", false, Expect::Any, true),
        ("/there", false, Expect::Present, true),
        ("/there", true, Expect::Present, true),
        ("/there", false, Expect::Absent, true),
        ("/there", true, Expect::Any, true),
        ("/gone", false, Expect::Absent, true),
        ("/missing", false, Expect::Any, true),
    ] {
        let case = format!("{text} removes={removes} {expect:?}");
        let before = get(&store, text).await;
        let change = if removes { delete(text) } else { put(text, "new") };
        let result = store.commit(change, expect).await;
        if happens {
            let taken = result.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(
                get(&store, text).await.map(|item| item.modified),
                (!removes).then_some(taken),
                "{case}"
            );
        } else {
            match result {
                Err(Error::Conflict { key: at, current }) => {
                    assert_eq!(
                        (at, current),
                        (key(text), before.as_ref().map(|item| item.modified)),
                        "{case}"
                    );
                }
                other => panic!("{case}: {other:?}"),
            }
            assert_eq!(get(&store, text).await, before, "{case}");
        }
    }
    let current = commit(&store, put("/there", "3")).await;
    let next = store
        .commit(put("/there", "4"), Expect::At(current))
        .await
        .expect("the revision is right");
    let gone = store
        .commit(delete("/there"), Expect::At(next))
        .await
        .expect("the revision is right");
    assert_eq!(gone, next.next());
}

/// A refused commit takes no revision, changes no value and is no event.
pub async fn a_conflict_leaves_nothing(store: Tested) {
    let before = commit(&store, put("/a", "1")).await;
    let mut stream = watch(&store, "/", Revision::FIRST).await;
    for _ in 0..5 {
        let refused = store.commit(put("/a", "2"), Expect::Absent).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        let refused = store.commit(delete("/b"), Expect::Any).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(revision(&store).await, before);
    assert_eq!(commit(&store, put("/b", "3")).await, before.next());
    assert_eq!(
        revisions(&take(&mut stream, 2).await),
        [before.get(), before.next().get()]
    );
    nothing_comes(&mut stream).await;
}

/// Of commits with one expectation that race, one happens.
pub async fn one_of_many_racing_commits_wins(store: Tested) {
    for round in 0..5 {
        let text = format!("/race/{round}");
        let mut racers = JoinSet::new();
        for racer in 0..16 {
            let (store, change) = (Arc::clone(&store), put(&text, format!("{racer}")));
            racers.spawn(async move { (racer, store.commit(change, Expect::Absent).await) });
        }
        let mut winners = Vec::new();
        let mut told = Vec::new();
        while let Some(racer) = racers.join_next().await {
            match racer.expect("a racer finishes") {
                (racer, Ok(taken)) => winners.push((racer, taken)),
                (_, Err(Error::Conflict { current, .. })) => told.push(current),
                (_, Err(error)) => panic!("{error}"),
            }
        }
        let [(winner, taken)] = winners[..] else {
            panic!("{winners:?}")
        };
        assert!(told.iter().all(|current| *current == Some(taken)), "{told:?}");
        let value = get(&store, &text).await.expect("the winner's value is there");
        assert_eq!(
            (&value.value[..], value.modified),
            (winner.to_string().as_bytes(), taken)
        );
    }
}

/// Compare-and-swap in a loop counts right, however many count.
pub async fn no_update_is_lost(store: Tested) {
    const TASKS: u64 = 8;
    const STEPS: u64 = 10;
    commit(&store, put("/count", "0")).await;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut done = 0;
            while done < STEPS {
                let now = get(&store, "/count").await.expect("the counter exists");
                let count: u64 = std::str::from_utf8(&now.value)
                    .expect("text")
                    .parse()
                    .expect("a number");
                match store
                    .commit(put("/count", (count + 1).to_string()), Expect::At(now.modified))
                    .await
                {
                    Ok(_) => done += 1,
                    Err(Error::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a task finishes");
    }
    let value = get(&store, "/count").await.expect("the counter exists").value;
    assert_eq!(value, Bytes::from((TASKS * STEPS).to_string()));
    assert_eq!(
        revision(&store).await.get(),
        Revision::FIRST.get() + 1 + TASKS * STEPS
    );
}

/// Whoever reads after an acknowledgement sees what was acknowledged, by every kind of read.
pub async fn acknowledged_commits_are_read(store: Tested) {
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for step in 0..10 {
                let text = format!("/w{writer}/{step}");
                let taken = commit(&store, put(&text, "x")).await;
                assert!(revision(&store).await >= taken);
                assert_eq!(get(&store, &text).await.map(|item| item.modified), Some(taken));
                assert_eq!(
                    list(&store, &format!("/w{writer}"), 100, None).await.len(),
                    step + 1
                );
                let at = store
                    .get(&key(&text), Some(taken))
                    .await
                    .expect("the revision has happened");
                assert_eq!(at.map(|item| item.modified), Some(taken));
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer finishes");
    }
}

/// Empty is a value, and any byte may be in one.
pub async fn values_may_be_empty_or_binary(store: Tested) {
    let all: Vec<u8> = (0..=255).collect();
    let mut stream = watch(&store, "/", Revision::FIRST).await;
    for value in [
        Bytes::new(),
        Bytes::from(all),
        Bytes::from_static(b"\0"),
        Bytes::new(),
    ] {
        commit(&store, put("/a", value.clone())).await;
        assert_eq!(
            get(&store, "/a").await.map(|item| item.value),
            Some(value.clone())
        );
        assert_eq!(list(&store, "/a", 1, None).await[0].value, value);
        assert!(matches!(next(&mut stream).await.change, Changed::Put(item) if item.value == value));
    }
}

/// The largest value is taken, a larger one is refused and leaves nothing.
pub async fn values_have_a_limit(store: Tested) {
    let largest = Bytes::from(vec![b'x'; VALUE_LIMIT]);
    let taken = commit(&store, put("/a", largest.clone())).await;
    assert_eq!(get(&store, "/a").await.map(|item| item.value), Some(largest));
    let refused = store
        .commit(put("/a", vec![b'y'; VALUE_LIMIT + 1]), Expect::Any)
        .await;
    match refused {
        Err(Error::TooLarge { size, limit }) => assert_eq!((size, limit), (VALUE_LIMIT + 1, VALUE_LIMIT)),
        other => panic!("{other:?}"),
    }
    assert_eq!(revision(&store).await, taken);
}

/// A caller that goes away mid-commit leaves a whole commit or none.
pub async fn an_abandoned_commit_happens_whole_or_not_at_all(store: Tested) {
    let mut stream = watch(&store, "/", Revision::FIRST).await;
    for number in 0..20 {
        let (store, change) = (Arc::clone(&store), put(&format!("/a/{number}"), "x"));
        let mut task = JoinSet::new();
        task.spawn(async move { store.commit(change, Expect::Absent).await });
        if number % 2 == 0 {
            tokio::task::yield_now().await;
        }
        task.shutdown().await;
    }
    // Nothing is in flight any more once a later commit has been acknowledged.
    let last = commit(&store, put("/z", "x")).await;
    let happened = list(&store, "/a", 100, None).await;
    assert_eq!(last.get(), Revision::FIRST.get() + happened.len() as u64 + 1);
    let events = take(&mut stream, happened.len() + 1).await;
    let mut told: Vec<_> = events.iter().map(|event| event.key.as_str()).collect();
    assert_eq!(told.pop(), Some("/z"));
    told.sort_unstable();
    assert_eq!(told, names(&happened));
}
