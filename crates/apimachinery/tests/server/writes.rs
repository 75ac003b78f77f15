use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{ALL_WIDGETS, Toy, WIDGETS, widget};

const RESOURCE: &str = "widgets.toys.example.com";

fn message(body: &Value) -> &str {
    body["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn objects_live() {
    let toy = Toy::new().await;
    let created = toy.widget("a", "red").await;
    let metadata = &created["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(created["status"], json!({"shout": "A"}));

    let path = format!("{WIDGETS}/a");
    assert_eq!(toy.get(&path).await, (200, created.clone()));

    let mut wanted = created.clone();
    wanted["spec"]["color"] = "green".into();
    wanted["status"] = json!({"ready": true});
    let (code, updated) = toy.ask("PUT", &path, wanted.clone()).await;
    assert_eq!(code, 200, "{updated}");
    assert_eq!(updated["metadata"]["generation"], 2);
    assert_eq!(updated["status"], json!({"shout": "A"}));
    assert_ne!(
        updated["metadata"]["resourceVersion"],
        metadata["resourceVersion"]
    );

    // The first object is stale now.
    let (code, body) = toy.ask("PUT", &path, wanted).await;
    assert_eq!(code, 409);
    assert_eq!(
        message(&body),
        format!(
            "Operation cannot be fulfilled on {RESOURCE} \"a\": the object has been modified; please apply your \
             changes to the latest version and try again"
        )
    );

    // An update that changes nothing is no write.
    let (code, same) = toy.ask("PUT", &path, updated.clone()).await;
    assert_eq!((code, &same), (200, &updated));

    let (code, status) = toy
        .ask(
            "PATCH",
            &format!("{path}/status"),
            json!({"status": {"ready": true}}),
        )
        .await;
    assert_eq!(
        (code, &status["status"]),
        (200, &json!({"ready": true, "shout": "A"}))
    );
    assert_eq!(status["metadata"]["generation"], 2);
    assert_eq!(
        toy.storage.get("default", "a").unwrap().stored().get("status"),
        Some(&json!({"ready": true}))
    );

    let (code, body) = toy.ask("DELETE", &path, Value::Null).await;
    let want = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "a", "group": "toys.example.com", "kind": "widgets", "uid": metadata["uid"]},
    });
    assert_eq!((code, body), (200, want));
    let (code, body) = toy.get(&path).await;
    assert_eq!(
        (code, message(&body)),
        (404, "widgets.toys.example.com \"a\" not found")
    );
    assert_eq!(
        body["details"],
        json!({"name": "a", "group": "toys.example.com", "kind": "widgets"})
    );
}

#[tokio::test]
async fn refusals_read_as_kubernetes_words_them() {
    let toy = Toy::new().await;
    let held = toy.widget("a", "red").await;
    let item = format!("{WIDGETS}/a");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut object = widget("b", "red");
        change(&mut object);
        object
    };
    let stored = |change: &dyn Fn(&mut Value)| {
        let mut object = held.clone();
        change(&mut object);
        object
    };
    for (method, path, body, code, reason, want) in [
        (
            "POST",
            WIDGETS,
            widget("a", "red"),
            409,
            "AlreadyExists",
            "widgets.toys.example.com \"a\" already exists",
        ),
        (
            "POST",
            WIDGETS,
            widget("B", "blue"),
            422,
            "Invalid",
            "Widget.toys.example.com \"B\" is invalid: [metadata.name: Invalid value: \"B\": a lowercase RFC 1123 \
             subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
             alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), spec.color: Unsupported value: \
             \"blue\": supported values: \"red\", \"green\", \"grey\"]",
        ),
        (
            "POST",
            WIDGETS,
            with(&|object| object["metadata"]["name"] = "".into()),
            422,
            "Invalid",
            "Widget.toys.example.com \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (
            "POST",
            WIDGETS,
            with(&|object| object["metadata"]["namespace"] = "other".into()),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "POST",
            WIDGETS,
            with(&|object| object["metadata"]["resourceVersion"] = "5".into()),
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ),
        (
            "POST",
            WIDGETS,
            with(&|object| object["apiVersion"] = "v1".into()),
            400,
            "BadRequest",
            "the API version in the data (v1) does not match the expected API version (toys.example.com/v1)",
        ),
        (
            "POST",
            WIDGETS,
            with(&|object| object["kind"] = "Gadget".into()),
            400,
            "BadRequest",
            "Gadget in version \"v1\" cannot be handled as a Widget: the kinds differ",
        ),
        (
            "POST",
            WIDGETS,
            json!([]),
            400,
            "BadRequest",
            "the body of the request is not an object",
        ),
        (
            "POST",
            ALL_WIDGETS,
            widget("b", "red"),
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        (
            "PUT",
            &format!("{WIDGETS}/b"),
            with(&|_| ()),
            404,
            "NotFound",
            "widgets.toys.example.com \"b\" not found",
        ),
        (
            "PUT",
            &item,
            with(&|_| ()),
            400,
            "BadRequest",
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            "PUT",
            &item,
            stored(&|object| object["metadata"]["uid"] = "u".into()),
            409,
            "Conflict",
            &format!(
                "Operation cannot be fulfilled on {RESOURCE} \"a\": Precondition failed: UID in precondition: u, \
                 UID in object meta: {}",
                held["metadata"]["uid"].as_str().unwrap()
            ),
        ),
        (
            "PATCH",
            &item,
            json!({"metadata": {"labels": {"-": "x"}}}),
            422,
            "Invalid",
            "Widget.toys.example.com \"a\" is invalid: metadata.labels: Invalid value: \"-\": name part must consist \
             of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
             'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            "DELETE",
            &item,
            json!({"preconditions": {"uid": "u"}}),
            409,
            "Conflict",
            &format!(
                "Operation cannot be fulfilled on {RESOURCE} \"a\": Precondition failed: UID in precondition: u, \
                 UID in object meta: {}",
                held["metadata"]["uid"].as_str().unwrap()
            ),
        ),
        (
            "POST",
            &format!("{WIDGETS}?dryRun=Some"),
            widget("b", "red"),
            422,
            "Invalid",
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        (
            "GET",
            "/apis/toys.example.com/v1/gadgets",
            Value::Null,
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            "GET",
            "/nope",
            Value::Null,
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            "PUT",
            WIDGETS,
            widget("b", "red"),
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        (
            "GET",
            "/apis/toys.example.com/v1/namespaces/default/echoes?watch=true",
            Value::Null,
            405,
            "MethodNotAllowed",
            "watch is not supported on resources of kind \"echoes.toys.example.com\"",
        ),
    ] {
        let (got, answer) = toy.ask(method, path, body.clone()).await;
        assert_eq!(
            (
                got,
                answer["reason"].as_str().unwrap_or_default(),
                message(&answer)
            ),
            (code, reason, want),
            "{method} {path} {body}"
        );
        assert_eq!(answer["code"], code, "{method} {path}");
    }
    assert_eq!(
        toy.get(&item).await.1,
        held,
        "nothing of this has changed anything"
    );
}

#[tokio::test]
async fn names_are_generated() {
    let toy = Toy::new().await;
    let mut object = widget("", "red");
    object["metadata"] = json!({"generateName": "w-"});
    let (code, body) = toy.ask("POST", WIDGETS, object).await;
    assert_eq!(code, 201);
    let name = body["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("w-") && name.len() == 7, "{name}");
}

#[tokio::test]
async fn patches_of_all_types() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let path = format!("{WIDGETS}/a");
    for (media_type, patch, code, color) in [
        (
            "application/merge-patch+json",
            r#"{"spec":{"color":"green"}}"#,
            200,
            "green",
        ),
        (
            "application/json-patch+json",
            r#"[{"op":"replace","path":"/spec/color","value":"red"}]"#,
            200,
            "red",
        ),
        (
            "application/json-patch+json",
            r#"[{"op":"test","path":"/spec/color","value":"x"}]"#,
            422,
            "red",
        ),
        (
            "application/merge-patch+json",
            r#"{"metadata":{"name":"b"}}"#,
            400,
            "red",
        ),
        (
            "application/merge-patch+json",
            r#"{"metadata":{"resourceVersion":"1"}}"#,
            409,
            "red",
        ),
        (
            "application/merge-patch+json",
            r#"{"spec":{"color":null}}"#,
            200,
            "grey",
        ),
        // There is no schema to merge by.
        (
            "application/strategic-merge-patch+json",
            r#"{"spec":{"color":"red"}}"#,
            415,
            "grey",
        ),
        ("application/vnd.kubernetes.protobuf", "", 415, "grey"),
    ] {
        let (got, body) = toy.ask_as("PATCH", &path, media_type, patch).await;
        assert_eq!(got, code, "{media_type} {patch}: {body}");
        assert_eq!(
            toy.get(&path).await.1["spec"]["color"],
            color,
            "{media_type} {patch}"
        );
    }
}

#[tokio::test]
async fn dry_runs_change_nothing() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let item = format!("{WIDGETS}/a");
    let before = toy.get(ALL_WIDGETS).await;
    for (method, path, body, code) in [
        ("POST", format!("{WIDGETS}?dryRun=All"), widget("b", "red"), 201),
        ("POST", format!("{WIDGETS}?dryRun=All"), widget("a", "red"), 409),
        (
            "PATCH",
            format!("{item}?dryRun=All"),
            json!({"spec": {"color": "green"}}),
            200,
        ),
        ("DELETE", format!("{item}?dryRun=All"), Value::Null, 200),
        (
            "DELETE",
            item.clone(),
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
            200,
        ),
        ("DELETE", format!("{WIDGETS}?dryRun=All"), Value::Null, 200),
    ] {
        let (got, answer) = toy.ask(method, &path, body).await;
        assert_eq!(got, code, "{method} {path}: {answer}");
        if method == "PATCH" {
            assert_eq!(answer["spec"]["color"], "green");
        }
    }
    assert_eq!(toy.get(ALL_WIDGETS).await, before);
}

#[tokio::test]
async fn finalizers_hold_objects() {
    let toy = Toy::new().await;
    let mut object = widget("a", "red");
    object["metadata"]["finalizers"] = json!(["example.com/one", "example.com/two"]);
    assert_eq!(toy.ask("POST", WIDGETS, object).await.0, 201);
    let item = format!("{WIDGETS}/a");
    let (code, body) = toy
        .ask("DELETE", &item, json!({"propagationPolicy": "Background"}))
        .await;
    assert_eq!((code, &body["kind"]), (200, &json!("Widget")));
    assert!(body["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(body["metadata"]["generation"], 2);
    let again = toy.ask("DELETE", &item, Value::Null).await.1;
    assert_eq!(
        again["metadata"]["resourceVersion"],
        body["metadata"]["resourceVersion"]
    );
    let (code, refused) = toy
        .ask(
            "PATCH",
            &item,
            json!({"metadata": {"finalizers": ["example.com/one", "example.com/new"]}}),
        )
        .await;
    assert_eq!(code, 422);
    assert!(
        message(&refused).contains("no new finalizers can be added"),
        "{refused}"
    );
    assert_eq!(
        toy.ask(
            "PATCH",
            &item,
            json!({"metadata": {"finalizers": ["example.com/two"]}})
        )
        .await
        .0,
        200
    );
    assert_eq!(toy.get(&item).await.0, 200);
    assert_eq!(
        toy.ask("PATCH", &item, json!({"metadata": {"finalizers": null}}))
            .await
            .0,
        200
    );
    assert_eq!(toy.get(&item).await.0, 404);
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let toy = Toy::new().await;
    for (name, color) in [("a", "red"), ("b", "green"), ("c", "red")] {
        toy.widget(name, color).await;
    }
    let (code, body) = toy
        .ask(
            "DELETE",
            &format!("{WIDGETS}?labelSelector=color%3Dred"),
            Value::Null,
        )
        .await;
    assert_eq!((code, body["items"].as_array().unwrap().len()), (200, 2));
    assert_eq!(body["kind"], "WidgetList");
    let left = toy.get(WIDGETS).await.1;
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn races_are_lost_once_and_won_by_retrying() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let item = format!("{WIDGETS}/a");
    // Blind patches never conflict, whoever else writes.
    let patches = (0..32).map(|index| {
        let body = json!({"metadata": {"annotations": {format!("n{index}"): "x"}}});
        toy.ask("PATCH", &item, body)
    });
    for (code, body) in futures_util::future::join_all(patches).await {
        assert_eq!(code, 200, "{body}");
    }
    let held = toy.get(&item).await.1;
    assert_eq!(held["metadata"]["annotations"].as_object().unwrap().len(), 32);
    // Of updates that name what they saw, one wins.
    let puts = (0..8).map(|index| {
        let mut object = held.clone();
        object["metadata"]["annotations"] = json!({"winner": index.to_string()});
        toy.ask("PUT", &item, object)
    });
    let codes: Vec<u16> = futures_util::future::join_all(puts)
        .await
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    assert_eq!(codes.iter().filter(|&&code| code == 200).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|&&code| code == 409).count(), 7, "{codes:?}");
}

#[tokio::test]
async fn yaml_comes_in_and_goes_out() {
    let toy = Toy::new().await;
    let yaml = "apiVersion: toys.example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec:\n  color: red\n";
    let (code, body) = toy.ask_as("POST", WIDGETS, "application/yaml", yaml).await;
    assert_eq!((code, &body["spec"]["color"]), (201, &json!("red")));
    let (code, media_type, text) = toy
        .get_accepting(&format!("{WIDGETS}/a"), "application/yaml")
        .await;
    assert_eq!((code, media_type.as_str()), (200, "application/yaml"));
    assert!(text.contains("color: red"), "{text}");
    let (code, _, _) = toy
        .get_accepting(&format!("{WIDGETS}/a"), "application/vnd.kubernetes.protobuf")
        .await;
    assert_eq!(code, 406);
}

#[tokio::test]
async fn bodies_are_limited_and_checked() {
    let toy = Toy::new().await;
    let huge = format!("{{\"data\":\"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(
        toy.ask_as("POST", WIDGETS, "application/json", &huge).await.0,
        413
    );
    assert_eq!(
        toy.ask_as("POST", WIDGETS, "application/vnd.kubernetes.protobuf", "k8s\0")
            .await
            .0,
        415
    );
    assert_eq!(toy.ask_as("POST", WIDGETS, "application/json", "{").await.0, 400);
    assert_eq!(
        toy.ask_as("POST", WIDGETS, "application/json", &"[".repeat(200_000))
            .await
            .0,
        400
    );
    let twice = r#"{"metadata":{"name":"a","name":"b"},"spec":{"color":"red"}}"#;
    let (code, body) = toy
        .ask_as(
            "POST",
            &format!("{WIDGETS}?fieldValidation=Strict"),
            "application/json",
            twice,
        )
        .await;
    assert_eq!(code, 400);
    assert!(
        message(&body).contains("strict decoding error: duplicate field \"metadata.name\""),
        "{body}"
    );
    let request = Request::builder()
        .method("POST")
        .uri(WIDGETS)
        .body(Full::new(bytes::Bytes::from_static(twice.as_bytes())))
        .unwrap();
    let response = toy.send(request).await;
    assert_eq!(response.status(), 201);
    assert_eq!(
        response.headers()["warning"],
        r#"299 - "duplicate field \"metadata.name\"""#
    );
}

#[tokio::test]
async fn a_status_answers_a_creation_with_its_code() {
    let toy = Toy::new().await;
    let body = json!({"kind": "Echo", "apiVersion": "toys.example.com/v1"});
    let (code, body) = toy
        .ask(
            "POST",
            "/apis/toys.example.com/v1/namespaces/default/echoes",
            body,
        )
        .await;
    assert_eq!((code, &body["code"]), (201, &json!(201)));
}

#[tokio::test]
async fn head_answers_without_a_body() {
    let toy = Toy::new().await;
    toy.widget("a", "red").await;
    let length = toy.get_accepting(&format!("{WIDGETS}/a"), "*/*").await.2.len();
    let request = Request::head(format!("{WIDGETS}/a"))
        .body(Full::new(bytes::Bytes::new()))
        .unwrap();
    let response = toy.send(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-length"], length.to_string());
    assert!(response.headers().contains_key("audit-id"));
    assert!(http_body::Body::is_end_stream(response.body()));
}

#[tokio::test]
async fn configurations_are_applied() {
    let toy = Toy::new().await;
    let item = format!("{WIDGETS}/a");
    let apply = async |manager: &str, query: &str, body: &str| {
        let path = format!("{item}?fieldManager={manager}{query}");
        toy.ask_as("PATCH", &path, "application/apply-patch+yaml", body)
            .await
    };
    let yaml = |labels: &str| {
        format!(
            "apiVersion: toys.example.com/v1\nkind: Widget\nmetadata: {{name: a, labels: {{{labels}}}}}\n"
        )
    };
    assert_eq!(apply("", "", &yaml("")).await.0, 422);
    assert_eq!(apply("m", "", "kind: Widget").await.0, 400);
    let (code, created) = apply("m", "", &yaml("x: one, z: w")).await;
    assert_eq!(code, 201, "{created}");
    let owned = &created["metadata"]["managedFields"][0];
    assert_eq!(
        owned["fieldsV1"],
        json!({"f:metadata": {"f:labels": {"f:x": {}, "f:z": {}}}})
    );
    // Applied again, nothing happens; a client that sends the object back does not change whose fields are.
    assert_eq!(
        apply("m", "", &yaml("x: one, z: w")).await,
        (200, created.clone())
    );
    let mut returned = created.clone();
    returned["metadata"]["managedFields"] = json!([]);
    assert_eq!(toy.ask("PUT", &item, returned).await, (200, created.clone()));
    let (code, refused) = apply("other", "", &yaml("x: two")).await;
    assert_eq!(code, 409);
    assert_eq!(
        message(&refused),
        "Apply failed with 1 conflict: conflict with \"m\" using toys.example.com/v1: .metadata.labels.x"
    );
    assert_eq!(refused["details"]["causes"][0]["reason"], "FieldManagerConflict");
    assert_eq!(
        apply("other", "&force=true&dryRun=All", &yaml("x: two")).await.0,
        200
    );
    assert_eq!(toy.get(&item).await.1, created);
    assert_eq!(
        apply("other", "&force=true", &yaml("x: two")).await.1["metadata"]["labels"],
        json!({"x": "two", "z": "w"})
    );
    assert_eq!(
        apply("m", "", &yaml("")).await.1["metadata"]["labels"],
        json!({"x": "two"})
    );
    assert_eq!(
        toy.ask("PATCH", &format!("{item}?force=true"), json!({})).await.0,
        422
    );
    let (code, body) = toy
        .ask_as(
            "PATCH",
            &format!("{WIDGETS}/none/status?fieldManager=m"),
            "application/apply-patch+yaml",
            &yaml(""),
        )
        .await;
    assert_eq!(code, 400, "{body}");
}
