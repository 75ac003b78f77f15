//! Promises about `get` and `list`.

use super::*;
use crate::{Error, PAGE_BYTES, PAGE_ITEMS, VALUE_LIMIT};

/// An empty store has a revision, which can be read at and watched from.
pub async fn an_empty_store_is_at_the_first_revision(store: Tested) {
    assert_eq!(revision(&store).await, Revision::FIRST);
    let page = store
        .list(&Key::root(), None, 10, None)
        .await
        .expect("an empty store can be listed");
    assert_eq!(
        (page.items.len(), page.revision, page.more),
        (0, Revision::FIRST, false)
    );
    assert_eq!(get(&store, "/a").await, None);
    let mut stream = watch(&store, "/", Revision::FIRST).await;
    nothing_comes(&mut stream).await;
}

/// Each commit, whatever its key, takes the revision that follows the last one.
pub async fn revisions_are_store_wide_and_without_gaps(store: Tested) {
    let changes = [
        put("/a", "1"),
        put("/b", "1"),
        put("/a", "2"),
        delete("/b"),
        put("/a", "2"),
        put("/b", "3"),
    ];
    let mut last = Revision::FIRST;
    for change in changes {
        let taken = commit(&store, change).await;
        assert_eq!(taken, last.next());
        assert_eq!(revision(&store).await, taken);
        last = taken;
    }
}

/// A value comes back with its key and the revisions that created and modified it.
pub async fn get_returns_what_was_put(store: Tested) {
    let created = commit(&store, put("/a/b", "one")).await;
    let want = Versioned {
        key: key("/a/b"),
        value: "one".into(),
        created,
        modified: created,
    };
    assert_eq!(get(&store, "/a/b").await, Some(want));
    commit(&store, put("/other", "x")).await;
    let modified = commit(&store, put("/a/b", "two")).await;
    let want = Versioned {
        key: key("/a/b"),
        value: "two".into(),
        created,
        modified,
    };
    assert_eq!(get(&store, "/a/b").await, Some(want));
    assert_eq!(get(&store, "/a").await, None, "a prefix of a key is not the key");
    assert_eq!(get(&store, "/a/b/c").await, None);
}

/// A read at a revision answers what a read then would have answered.
pub async fn get_at_a_revision_returns_the_past(store: Tested) {
    let before = commit(&store, put("/other", "x")).await;
    let first = commit(&store, put("/a", "one")).await;
    let second = commit(&store, put("/a", "two")).await;
    let between = commit(&store, put("/other", "y")).await;
    let deleted = commit(&store, delete("/a")).await;
    let again = commit(&store, put("/a", "three")).await;
    for (at, want) in [
        (Revision::FIRST, None),
        (before, None),
        (first, Some(("one", first, first))),
        (second, Some(("two", first, second))),
        (between, Some(("two", first, second))),
        (deleted, None),
        (again, Some(("three", again, again))),
    ] {
        let got = store
            .get(&key("/a"), Some(at))
            .await
            .expect("the past can be read");
        let want = want.map(|(value, created, modified)| Versioned {
            key: key("/a"),
            value: value.into(),
            created,
            modified,
        });
        assert_eq!(got, want, "at {at}");
    }
}

/// Deletion ends a key's life: the next put begins another.
pub async fn a_key_put_again_after_deletion_is_created_again(store: Tested) {
    commit(&store, put("/a", "1")).await;
    commit(&store, delete("/a")).await;
    assert_eq!(get(&store, "/a").await, None);
    let again = commit(&store, put("/a", "2")).await;
    let value = get(&store, "/a").await.expect("the key exists again");
    assert_eq!((value.created, value.modified), (again, again));
}

/// Lists are sorted by the bytes of the keys, not by segments, letters or time.
pub async fn lists_are_in_bytewise_order(store: Tested) {
    for text in [
        "/a/b", "/a-b", "/a", "/Z", "/ü", "/a.b", "/a/B", "/10", "/9", "/a0", "/z",
    ] {
        commit(&store, put(text, text.to_owned())).await;
    }
    let want = [
        "/10", "/9", "/Z", "/a", "/a-b", "/a.b", "/a/B", "/a/b", "/a0", "/z", "/ü",
    ];
    for limit in [1, 2, 3, 100] {
        assert_eq!(names(&list(&store, "/", limit, None).await), want, "by {limit}");
    }
}

/// A prefix covers itself and what lies below it, and nothing that merely starts with the same letters.
pub async fn lists_end_at_segment_boundaries(store: Tested) {
    for text in [
        "/a", "/a/x", "/a/x/y", "/a/z", "/a-", "/a.x", "/a0", "/ab", "/ab/x", "/b/a", "/",
    ] {
        commit(&store, put(text, "1")).await;
    }
    for (prefix, want) in [
        ("/a", vec!["/a", "/a/x", "/a/x/y", "/a/z"]),
        ("/a/x", vec!["/a/x", "/a/x/y"]),
        ("/a/x/y", vec!["/a/x/y"]),
        ("/ab", vec!["/ab", "/ab/x"]),
        ("/b", vec!["/b/a"]),
        ("/c", vec![]),
        (
            "/",
            vec![
                "/", "/a", "/a-", "/a.x", "/a/x", "/a/x/y", "/a/z", "/a0", "/ab", "/ab/x", "/b/a",
            ],
        ),
    ] {
        for limit in [1, 2, 100] {
            assert_eq!(
                names(&list(&store, prefix, limit, None).await),
                want,
                "{prefix} by {limit}"
            );
        }
    }
}

/// A page starts behind the key it is given, whether that key exists, and lies inside the prefix, or not.
pub async fn pages_continue_where_the_last_one_ended(store: Tested) {
    for text in ["/p", "/p/a", "/p/b", "/p/c", "/q"] {
        commit(&store, put(text, "1")).await;
    }
    for (after, limit, want, more) in [
        (None, 2, vec!["/p", "/p/a"], true),
        (None, 4, vec!["/p", "/p/a", "/p/b", "/p/c"], false),
        (None, 0, vec!["/p"], true),
        (Some("/p"), 2, vec!["/p/a", "/p/b"], true),
        (Some("/p/a"), 2, vec!["/p/b", "/p/c"], false),
        (Some("/p/aa"), 1, vec!["/p/b"], true),
        (Some("/p/c"), 9, vec![], false),
        (Some("/a"), 1, vec!["/p"], true),
        (Some("/p-"), 1, vec!["/p/a"], true),
        (Some("/p0"), 9, vec![], false),
        (Some("/z"), 9, vec![], false),
    ] {
        let after = after.map(key);
        let page = store
            .list(&key("/p"), after.as_ref(), limit, None)
            .await
            .expect("the page can be read");
        assert_eq!(
            (names(&page.items), page.more),
            (want, more),
            "after {after:?} by {limit}"
        );
        assert_eq!(page.revision, revision(&store).await);
    }
}

/// However many items are asked for and however large they are, a page is bounded, and the list complete.
pub async fn pages_are_bounded(store: Tested) {
    let large = Bytes::from(vec![7; VALUE_LIMIT]);
    let count = PAGE_BYTES / VALUE_LIMIT + 2;
    for number in 0..count {
        commit(&store, put(&format!("/large/{number}"), large.clone())).await;
    }
    let page = store
        .list(&key("/large"), None, usize::MAX, None)
        .await
        .expect("the page can be read");
    assert!(
        page.more && page.items.len() < count,
        "{} items",
        page.items.len()
    );
    assert_eq!(list(&store, "/large", usize::MAX, None).await.len(), count);
    for number in 0..=PAGE_ITEMS {
        commit(&store, put(&format!("/many/{number:05}"), "x")).await;
    }
    let page = store
        .list(&key("/many"), None, usize::MAX, None)
        .await
        .expect("the page can be read");
    assert!(
        page.more && page.items.len() <= PAGE_ITEMS,
        "{} items",
        page.items.len()
    );
    assert_eq!(
        list(&store, "/many", usize::MAX, None).await.len(),
        PAGE_ITEMS + 1
    );
}

/// Pages asked for at one revision show that revision, whatever is committed between them.
pub async fn pages_of_a_revision_are_consistent(store: Tested) {
    for number in 0..9 {
        commit(&store, put(&format!("/p/{number}"), "old")).await;
    }
    let want = list(&store, "/p", 100, None).await;
    let mut got = Vec::new();
    let mut at = None;
    loop {
        let after = got.last().map(|item: &Versioned| item.key.clone());
        let page = store
            .list(&key("/p"), after.as_ref(), 2, at)
            .await
            .expect("the page can be read");
        at = Some(page.revision);
        let step = got.len();
        got.extend(page.items);
        if !page.more {
            break;
        }
        // Behind the reader and ahead of it: change, remove, and add.
        commit(&store, put(&format!("/p/{step}"), "new")).await;
        commit(&store, delete(&format!("/p/{}", 8 - step / 2))).await;
        commit(&store, put(&format!("/p/{step}-"), "new")).await;
    }
    assert_eq!(got, want);
}

/// A list at a revision shows what is changed or deleted since as it was, and not what was added.
pub async fn lists_at_a_revision_show_the_past(store: Tested) {
    let one = commit(&store, put("/p/a", "a1")).await;
    let two = commit(&store, put("/p/b", "b1")).await;
    let three = commit(&store, put("/p/a", "a2")).await;
    let four = commit(&store, delete("/p/b")).await;
    let five = commit(&store, put("/p/b", "b2")).await;
    for (at, want) in [
        (Revision::FIRST, vec![]),
        (one, vec![("/p/a", "a1", one, one)]),
        (two, vec![("/p/a", "a1", one, one), ("/p/b", "b1", two, two)]),
        (three, vec![("/p/a", "a2", one, three), ("/p/b", "b1", two, two)]),
        (four, vec![("/p/a", "a2", one, three)]),
        (five, vec![("/p/a", "a2", one, three), ("/p/b", "b2", five, five)]),
    ] {
        let want: Vec<_> = want
            .into_iter()
            .map(|(text, value, created, modified)| Versioned {
                key: key(text),
                value: value.into(),
                created,
                modified,
            })
            .collect();
        for limit in [1, 100] {
            assert_eq!(
                list(&store, "/p", limit, Some(at)).await,
                want,
                "at {at} by {limit}"
            );
        }
        let page = store
            .list(&key("/p"), None, 100, Some(at))
            .await
            .expect("the past can be listed");
        assert_eq!(page.revision, at);
    }
}

/// A revision that has not happened is an error, and not the present.
pub async fn the_future_cannot_be_read(store: Tested) {
    let current = commit(&store, put("/a", "1")).await;
    let asked = current.next();
    let got = store.get(&key("/a"), Some(asked)).await;
    assert!(
        matches!(got, Err(Error::Future { asked: a, current: c }) if (a, c) == (asked, current)),
        "{got:?}"
    );
    let got = store.list(&key("/"), None, 1, Some(asked)).await;
    assert!(matches!(got, Err(Error::Future { .. })), "{got:?}");
}

/// No character of a key is a wildcard, and letters keep their case.
pub async fn keys_are_taken_literally(store: Tested) {
    let texts = [
        "/p%/x", "/p_/x", "/p*/x", "/p?/x", "/[p]/x", "/p'/x", "/p\"/x", "/P/x", "/p/x", "/p\\/x", "/é/x",
    ];
    for text in texts {
        commit(&store, put(text, text.to_owned())).await;
    }
    for text in texts {
        let prefix = &text[..text.len() - 2];
        assert_eq!(names(&list(&store, prefix, 100, None).await), [text]);
        assert_eq!(
            get(&store, text).await.map(|item| item.value),
            Some(Bytes::from(text))
        );
    }
}
