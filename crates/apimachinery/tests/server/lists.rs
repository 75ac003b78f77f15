use berth_store::{Revision, Store as _};
use serde_json::{Value, json};

use crate::support::{ALL_WIDGETS, Toy, WIDGETS};

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

async fn toy() -> Toy {
    let toy = Toy::new().await;
    for (name, color) in [
        ("a", "red"),
        ("b", "green"),
        ("c", "red"),
        ("d", "grey"),
        ("e", "red"),
    ] {
        toy.widget(name, color).await;
    }
    toy
}

#[tokio::test]
async fn lists_are_selected() {
    let toy = toy().await;
    for (query, want) in [
        ("", "a b c d e"),
        ("?labelSelector=color%3Dred", "a c e"),
        ("?labelSelector=color+notin+(red,green)", "d"),
        ("?fieldSelector=metadata.name%3Db", "b"),
        ("?fieldSelector=metadata.name%3Db,metadata.namespace%3Dother", ""),
        ("?fieldSelector=spec.color%21%3Dred", "b d"),
        ("?fieldSelector=spec.color%3Dred&labelSelector=color%3Dgreen", ""),
        ("?resourceVersion=0", "a b c d e"),
    ] {
        for base in [WIDGETS, ALL_WIDGETS] {
            let (code, list) = toy.get(&format!("{base}{query}")).await;
            assert_eq!(
                (code, names(&list).join(" ").as_str()),
                (200, want),
                "{base}{query}"
            );
        }
    }
    let (code, body) = toy.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D1")).await;
    assert_eq!(
        (code, &body["message"]),
        (400, &json!("field label not supported: spec.size"))
    );
    let other = "/apis/toys.example.com/v1/namespaces/other/widgets";
    assert_eq!(toy.get(other).await.1["items"], json!([]));
}

#[tokio::test]
async fn items_go_without_kind_and_are_decorated() {
    let toy = toy().await;
    let list = toy.get(WIDGETS).await.1;
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("WidgetList"), &json!("toys.example.com/v1"))
    );
    assert_eq!(list["items"][0]["kind"], Value::Null);
    assert_eq!(list["items"][0]["status"]["shout"], "A");
    let revision: u64 = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(revision, toy.store.revision().await.unwrap().get());
}

#[tokio::test]
async fn pages_are_of_one_revision() {
    let toy = toy().await;
    let first = toy.get(&format!("{WIDGETS}?limit=2")).await.1;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    // What happens between the pages is not seen by the second.
    toy.widget("bb", "red").await;
    toy.ask("DELETE", &format!("{WIDGETS}/d"), Value::Null).await;
    let second = toy.get(&format!("{WIDGETS}?limit=2&continue={token}")).await.1;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    let next = second["metadata"]["continue"].as_str().unwrap().to_owned();
    let third = toy.get(&format!("{WIDGETS}?limit=2&continue={next}")).await.1;
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["metadata"].get("continue"), None);

    // Once that revision is compacted, the client may go on with the present or begin anew.
    toy.store
        .compact(toy.store.revision().await.unwrap())
        .await
        .unwrap();
    let (code, body) = toy.get(&format!("{WIDGETS}?limit=2&continue={token}")).await;
    assert_eq!((code, &body["reason"]), (410, &json!("Expired")));
    let fresh = body["metadata"]["continue"].as_str().unwrap();
    let rest = toy.get(&format!("{WIDGETS}?limit=2&continue={fresh}")).await.1;
    assert_eq!(names(&rest), ["bb", "c"]);
}

#[tokio::test]
async fn pages_of_selections_hold_what_was_asked_for() {
    let toy = toy().await;
    let first = toy
        .get(&format!("{WIDGETS}?limit=2&labelSelector=color%3Dred"))
        .await
        .1;
    assert_eq!(names(&first), ["a", "c"]);
    assert_eq!(first["metadata"].get("remainingItemCount"), None);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = toy
        .get(&format!(
            "{WIDGETS}?limit=2&labelSelector=color%3Dred&continue={token}"
        ))
        .await
        .1;
    assert_eq!(names(&second), ["e"]);
    for query in [
        "continue=nonsense",
        &format!("continue={token}&resourceVersion=5"),
    ] {
        assert_eq!(toy.get(&format!("{WIDGETS}?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn resource_versions_mean_what_they_say() {
    let toy = toy().await;
    let now = toy.store.revision().await.unwrap().get();
    let past = toy.storage.get("default", "b").unwrap().revision();
    let exact = toy
        .get(&format!(
            "{WIDGETS}?resourceVersion={past}&resourceVersionMatch=Exact"
        ))
        .await
        .1;
    assert_eq!(names(&exact), ["a", "b"]);
    assert_eq!(exact["metadata"]["resourceVersion"], past.to_string());
    let newer = toy
        .get(&format!(
            "{WIDGETS}?resourceVersion={past}&resourceVersionMatch=NotOlderThan"
        ))
        .await
        .1;
    assert_eq!(names(&newer).len(), 5);
    let (code, body) = toy.get(&format!("{WIDGETS}?resourceVersion={}", now + 1)).await;
    assert_eq!((code, &body["reason"]), (504, &json!("Timeout")));
    assert_eq!(body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    toy.store.compact(Revision::new(now)).await.unwrap();
    let (code, body) = toy
        .get(&format!(
            "{WIDGETS}?resourceVersion={past}&resourceVersionMatch=Exact"
        ))
        .await;
    assert_eq!((code, &body["reason"]), (410, &json!("Expired")));
}

#[tokio::test]
async fn tables_and_metadata_are_rendered() {
    let toy = toy().await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, _, text) = toy.get_accepting(&format!("{WIDGETS}?limit=1"), table).await;
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(list["columnDefinitions"][2]["priority"], 1);
    assert_eq!(list["rows"][0]["cells"][1], "red");
    assert_eq!(list["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(list["rows"][0]["object"]["metadata"]["name"], "a");
    assert!(list["metadata"]["continue"].is_string());
    for (include, want) in [("None", Value::Null), ("Object", json!("Widget"))] {
        let (_, _, text) = toy
            .get_accepting(&format!("{WIDGETS}/a?includeObject={include}"), table)
            .await;
        let one: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            one["rows"][0]["object"].get("kind").cloned().unwrap_or_default(),
            want,
            "{include}"
        );
    }
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (code, _, text) = toy.get_accepting(WIDGETS, partial).await;
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &list["kind"]), (200, &json!("PartialObjectMetadataList")));
    assert_eq!(list["items"][4]["metadata"]["name"], "e");
    assert_eq!(list["items"][4]["kind"], "PartialObjectMetadata");
    assert_eq!(list["items"][4].get("spec"), None);
    let (_, media_type, text) = toy.get_accepting(WIDGETS, "application/yaml").await;
    assert_eq!(media_type, "application/yaml");
    assert!(text.contains("shout: E"), "{text}");
}

#[tokio::test]
async fn a_lean_resource_reads_the_same() {
    let toy = Toy::new().await;
    let path = "/api/v1/namespaces/default/configmaps";
    for name in ["a", "b"] {
        let body = json!({"metadata": {"name": name, "labels": {"n": name}}, "data": {"k": name}});
        assert_eq!(toy.ask("POST", path, body).await.0, 201);
    }
    let list = toy.get(&format!("{path}?labelSelector=n%3Db")).await.1;
    assert_eq!(list["items"][0]["data"], json!({"k": "b"}));
    let one = toy.get(&format!("{path}/b")).await.1;
    assert_eq!(
        (&one["kind"], &one["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    assert_eq!(one["metadata"], list["items"][0]["metadata"]);
}

#[tokio::test]
async fn memory_is_rebuilt_from_the_store() {
    let toy = toy().await;
    let before = toy.get(ALL_WIDGETS).await;
    let again = Toy::on(std::sync::Arc::clone(&toy.store)).await;
    assert_eq!(again.get(ALL_WIDGETS).await, before);
    // What another server writes to the same store arrives here.
    toy.widget("f", "red").await;
    let mut watch = again
        .watch(&format!("{ALL_WIDGETS}?watch=true&resourceVersion=1"))
        .await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(watch.step().await, ("ADDED".into(), name.into()));
    }
}

#[tokio::test]
async fn long_lists_are_whole() {
    use berth_apimachinery::cache::PARSED_OBJECTS;
    let toy = Toy::new().await;
    let count = PARSED_OBJECTS + 50;
    for index in 0..count {
        toy.widget(&format!("w{index:03}"), "red").await;
    }
    let list = toy.get(WIDGETS).await.1;
    assert_eq!(names(&list).len(), count);
    assert_eq!(
        list["items"][count - 1]["status"]["shout"],
        format!("W{}", count - 1)
    );
    let (_, _, text) = toy.get_accepting(WIDGETS, "application/yaml").await;
    assert_eq!(text.matches("shout:").count(), count);
    // What is only text in memory is made into JSON once.
    let last = toy.storage.get("default", &format!("w{}", count - 1)).unwrap();
    assert_eq!(
        last.json().as_ptr(),
        toy.storage
            .get("default", last.object().name())
            .unwrap()
            .json()
            .as_ptr()
    );
    assert_eq!(last.stored().get("status"), None);
}
