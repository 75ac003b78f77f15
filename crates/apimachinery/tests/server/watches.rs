use berth_store::{Revision, Store as _};
use serde_json::{Value, json};

use crate::support::{Toy, WIDGETS, widget};

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.into(), name.into())
}

async fn recolor(toy: &Toy, name: &str, color: &str) {
    let body = json!({"metadata": {"labels": {"color": color}}, "spec": {"color": color}});
    assert_eq!(toy.ask("PATCH", &format!("{WIDGETS}/{name}"), body).await.0, 200);
}

#[tokio::test]
async fn a_watch_begins_with_the_present_and_follows() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let mut watch = toy.watch(&format!("{WIDGETS}?watch=true")).await;
    let first = watch.next().await.unwrap();
    assert_eq!(first["type"], "ADDED");
    assert_eq!(first["object"]["kind"], "Widget");
    assert_eq!(first["object"]["status"]["shout"], "A");
    toy.widget("b", "red").await;
    recolor(&toy, "a", "green").await;
    toy.ask("DELETE", &format!("{WIDGETS}/a"), Value::Null).await;
    assert_eq!(watch.step().await, event("ADDED", "b"));
    assert_eq!(watch.step().await, event("MODIFIED", "a"));
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(gone["object"]["spec"]["color"], "green");
    let revision: u64 = gone["object"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(revision, toy.store.revision().await.unwrap().get());
}

#[tokio::test]
async fn selectors_turn_changes_into_arrivals_and_departures() {
    for selector in ["labelSelector=color%3Dgreen", "fieldSelector=spec.color%3Dgreen"] {
        let toy = Toy::new().await;
        toy.widget("a", "red").await;
        let start = toy.store.revision().await.unwrap();
        let mut watch = toy
            .watch(&format!(
                "{WIDGETS}?watch=true&resourceVersion={start}&{selector}"
            ))
            .await;
        recolor(&toy, "a", "green").await;
        let note = json!({"metadata": {"annotations": {"x": "y"}}});
        assert_eq!(toy.ask("PATCH", &format!("{WIDGETS}/a"), note).await.0, 200);
        recolor(&toy, "a", "red").await;
        recolor(&toy, "a", "grey").await;
        recolor(&toy, "a", "green").await;
        for want in ["ADDED", "MODIFIED", "DELETED", "ADDED"] {
            assert_eq!(watch.step().await, event(want, "a"), "{selector}");
        }
    }
}

#[tokio::test]
async fn watches_resume_from_memory_and_from_the_store() {
    let toy = Toy::new().await;
    let start = toy.store.revision().await.unwrap();
    // More than memory remembers.
    for index in 0..1100 {
        let mut object = widget("a", "red");
        object["metadata"]["annotations"] = json!({"n": index.to_string()});
        let (method, path) = if index == 0 {
            ("POST", WIDGETS.to_owned())
        } else {
            ("PUT", format!("{WIDGETS}/a"))
        };
        assert!(toy.ask(method, &path, object).await.0 < 300);
    }
    let mut watch = toy
        .watch(&format!("{WIDGETS}?watch=true&resourceVersion={start}"))
        .await;
    for index in 0..1100 {
        let event = watch.next().await.unwrap();
        assert_eq!(event["object"]["metadata"]["annotations"]["n"], index.to_string());
        assert_eq!(event["object"]["status"]["shout"], "A");
        assert_eq!(event["type"], if index == 0 { "ADDED" } else { "MODIFIED" });
    }
    // It goes on live.
    toy.widget("b", "red").await;
    assert_eq!(watch.step().await, event("ADDED", "b"));

    let recent = toy.store.revision().await.unwrap().get() - 1;
    let mut watch = toy
        .watch(&format!("{WIDGETS}?watch=true&resourceVersion={recent}"))
        .await;
    assert_eq!(watch.step().await, event("ADDED", "b"));

    toy.store.compact(Revision::new(recent)).await.unwrap();
    let mut watch = toy
        .watch(&format!("{WIDGETS}?watch=true&resourceVersion={start}"))
        .await;
    let error = watch.next().await.unwrap();
    assert_eq!(
        (&error["type"], &error["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(error["object"]["reason"], "Expired");
    assert!(watch.next().await.is_none(), "an error ends a watch");
    // What memory still knows is served, compacted or not.
    let mut watch = toy
        .watch(&format!("{WIDGETS}?watch=true&resourceVersion={recent}"))
        .await;
    assert_eq!(watch.step().await, event("ADDED", "b"));
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let path = format!(
        "{WIDGETS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut watch = toy.watch(&path).await;
    assert_eq!(watch.step().await, event("ADDED", "a"));
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Widget");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"],
        json!({"k8s.io/initial-events-end": "true"})
    );
    let revision = toy.store.revision().await.unwrap();
    assert_eq!(
        bookmark["object"]["metadata"]["resourceVersion"],
        revision.to_string()
    );
    let (code, body) = toy
        .get(&format!("{WIDGETS}?watch=true&sendInitialEvents=true"))
        .await;
    assert_eq!(code, 422, "{body}");
}

#[tokio::test(start_paused = true)]
async fn idle_watches_get_bookmarks_and_end() {
    let toy = Toy::new().await;
    let path = format!("{WIDGETS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=90");
    let mut watch = toy.watch(&path).await;
    // Somebody else's write moves the bookmark on.
    let namespace = json!({"metadata": {"name": "n"}});
    assert_eq!(toy.ask("POST", "/api/v1/namespaces", namespace).await.0, 201);
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let revision = toy.store.revision().await.unwrap();
    assert_eq!(
        bookmark["object"]["metadata"]["resourceVersion"],
        revision.to_string()
    );
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert!(watch.next().await.is_none());
    let mut closing = toy.watch(&format!("{WIDGETS}?watch=true")).await;
    toy.server.close();
    assert!(closing.next().await.is_none());
}

#[tokio::test]
async fn tables_are_watched() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let request = http::Request::get(format!("{WIDGETS}?watch=true&timeoutSeconds=1"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(http_body_util::Full::new(bytes::Bytes::new()))
        .unwrap();
    let response = toy.send(request).await;
    toy.widget("b", "red").await;
    let bytes = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap()
        .to_bytes();
    let events: Vec<Value> = bytes
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["object"]["kind"], "Table");
    assert_eq!(
        events[0]["object"]["columnDefinitions"].as_array().unwrap().len(),
        3
    );
    assert_eq!(events[1]["object"]["columnDefinitions"], json!([]));
    assert_eq!(events[1]["object"]["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let toy = Toy::new().await;
    let mut watch = toy.watch(&format!("{WIDGETS}?watch=true")).await;
    toy.widget("a", "red").await;
    for index in 0..1500 {
        let body = json!({"metadata": {"annotations": {"n": index.to_string()}}});
        assert_eq!(toy.ask("PATCH", &format!("{WIDGETS}/a"), body).await.0, 200);
    }
    assert_eq!(watch.step().await, event("ADDED", "a"));
    for index in 0..1500 {
        let event = watch.next().await.unwrap();
        assert_eq!(event["object"]["metadata"]["annotations"]["n"], index.to_string());
    }
}

#[tokio::test]
async fn subscriptions_tell_everything() {
    use berth_apimachinery::storage::Notice;
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let mut subscription = toy.storage.subscribe();
    let Some(Notice::Changed(change)) = subscription.next().await else {
        panic!("nothing")
    };
    assert_eq!((change.namespace(), change.name()), ("default", "a"));
    toy.ask("DELETE", &format!("{WIDGETS}/a"), Value::Null).await;
    let Some(Notice::Changed(change)) = subscription.next().await else {
        panic!("nothing")
    };
    assert!(change.entry.is_none() && change.old.is_some());
}
