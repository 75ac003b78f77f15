//! Many writers at once: what watches tell and what lists show is one history.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{ALL_WIDGETS, Toy, WIDGETS, widget};

const WRITERS: usize = 8;
const STEPS: usize = 60;
const NAMES: usize = 12;

/// Name to resource version.
type State = BTreeMap<String, u64>;

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Creates, changes and deletes at random, as given by a seed.
async fn write(toy: Arc<Toy>, seed: usize) {
    let mut random = seed.wrapping_mul(0x9e37_79b9).wrapping_add(1);
    for step in 0..STEPS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let name = format!("w{}", (random >> 33) % NAMES);
        let item = format!("{WIDGETS}/{name}");
        let (method, path, body) = match (random >> 50) % 4 {
            0 => ("POST", WIDGETS, widget(&name, "red")),
            1 => ("DELETE", item.as_str(), Value::Null),
            _ => (
                "PATCH",
                item.as_str(),
                json!({"metadata": {"annotations": {"step": format!("{seed}.{step}")}}}),
            ),
        };
        let (code, body) = toy.ask(method, path, body).await;
        assert!(
            matches!(code, 200 | 201 | 404 | 409),
            "{method} {path}: {code} {body}"
        );
        assert!(
            code != 409 || method == "POST",
            "a blind change lost a race: {body}"
        );
        // Everybody reads their writes.
        if code < 300 && method != "DELETE" {
            let (found, now) = toy.get(&item).await;
            assert!(found == 404 || version(&now) >= version(&body), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_lists_agree() {
    let toy = Arc::new(Toy::new().await);
    let mut watch = toy
        .watch(&format!("{ALL_WIDGETS}?watch=true&resourceVersion=1"))
        .await;
    let mut late = toy.watch(&format!("{ALL_WIDGETS}?watch=true")).await;
    let mut writers = tokio::task::JoinSet::new();
    for seed in 0..WRITERS {
        writers.spawn(write(Arc::clone(&toy), seed));
    }
    // Pages taken while everything moves.
    let reader = Arc::clone(&toy);
    let mut pages = tokio::task::JoinSet::new();
    pages.spawn(async move {
        let mut lists = Vec::new();
        for _ in 0..40 {
            let mut state = State::new();
            let mut token = String::new();
            let mut at = None;
            loop {
                let (code, list) = reader
                    .get(&format!("{ALL_WIDGETS}?limit=3&continue={token}"))
                    .await;
                assert_eq!(code, 200, "{list}");
                let revision = version(&list);
                assert_eq!(*at.get_or_insert(revision), revision, "pages are of one revision");
                state.extend(
                    list["items"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|item| (name(item), version(item))),
                );
                match list["metadata"]["continue"].as_str() {
                    Some(next) => token = next.to_owned(),
                    None => break,
                }
            }
            lists.push((at.unwrap(), state));
        }
        lists
    });
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let lists = pages.join_next().await.unwrap().unwrap();
    toy.widget("last", "red").await;

    let mut history: Vec<(u64, String, bool)> = Vec::new();
    loop {
        let event = watch.next().await.unwrap();
        let gone = event["type"] == "DELETED";
        history.push((version(&event["object"]), name(&event["object"]), gone));
        if history.last().is_some_and(|(_, name, _)| name == "last") {
            break;
        }
    }
    assert!(
        history.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "events are in order"
    );
    let state_at = |revision: u64| {
        let mut state = State::new();
        for (at, name, gone) in history.iter().take_while(|(at, _, _)| *at <= revision) {
            if *gone {
                state.remove(name)
            } else {
                state.insert(name.clone(), *at)
            };
        }
        state
    };
    for (revision, listed) in lists {
        assert_eq!(listed, state_at(revision), "the list of revision {revision}");
    }
    // A watch that began with the present tells the same story.
    let mut told = State::new();
    loop {
        let event = late.next().await.unwrap();
        let (at, name) = (version(&event["object"]), name(&event["object"]));
        if event["type"] == "DELETED" {
            told.remove(&name)
        } else {
            told.insert(name.clone(), at)
        };
        if name == "last" {
            break;
        }
    }
    assert_eq!(told, state_at(u64::MAX));
    let present = toy.get(ALL_WIDGETS).await.1;
    let present: State = present["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (name(item), version(item)))
        .collect();
    assert_eq!(present, told);
}
