//! Plays the requests of a recording of OpenShift's own server and compares the answers.
//!
//! A third of the steps is not in the recording, so the list of requests is complete here and only what was recorded is
//! compared. Where Berth means to answer differently, [`INTENDED`] turns the recorded answer into ours and says why.

mod normal;
mod steps;

use serde_json::{Value, json};

use crate::support::{Api, Who};

/// One JSON object a line: step, request (without body), status and normalised body. Steps 60 to 79 are left out: they are
/// `imagestreamimports`, which is not served yet, and nothing later depends on them.
const RECORDED: &str = include_str!("tape.jsonl");

/// Turns a recorded answer into the one that Berth gives.
type Change = fn(&mut Value, &mut Value);

/// Where Berth differs on purpose: step, reason, difference.
const INTENDED: &[(&str, &str, Change)] = &[
    (
        "27 list istags",
        "the list has a resource version, and its items are sorted instead of in random order",
        |_, body| {
            sort(body, "/items", "/metadata/name");
            body["metadata"] = json!({"resourceVersion": "RV"});
        },
    ),
    ("28 imagetags", "the list has a resource version", |_, body| {
        body["metadata"] = json!({"resourceVersion": "RV"});
    }),
    (
        "31 table imagestreamtags",
        "rows are sorted instead of in random order",
        |_, body| {
            sort(body, "/rows", "/0");
        },
    ),
    (
        "90 planted image",
        "an Image that is not named by the digest of its manifest is refused, since whoever knows a digest could otherwise plant \
         a false Image for it",
        |status, body| {
            *status = 422.into();
            let planted = steps::digest("something else");
            let message = format!(
                "Invalid value: \"{planted}\": is not the digest of the manifest, which is {}",
                steps::digest(&steps::manifest(3))
            );
            *body = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
                "message": format!("ImageStreamMapping.image.openshift.io \"app\" is invalid: image.metadata.name: {message}"),
                "details": {
                    "group": "image.openshift.io", "kind": "ImageStreamMapping", "name": "app",
                    "causes": [{"reason": "FieldValueInvalid", "message": message, "field": "image.metadata.name"}],
                },
            });
        },
    ),
];

/// Sorts the array at one pointer by the string at another.
fn sort(body: &mut Value, array: &str, key: &str) {
    if let Some(Value::Array(items)) = body.pointer_mut(array) {
        items.sort_by_key(|item| {
            item.pointer(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        });
    }
}

#[tokio::test]
async fn answers_are_those_that_were_recorded() {
    let api = Api::start().await;
    let recorded: Vec<Value> = RECORDED
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut compared = 0;
    let mut wrong = Vec::new();
    let mut last = Value::Null;
    for step in steps::steps() {
        let body = (step.body)(&last);
        let accept = if step.table {
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        } else {
            "application/json"
        };
        let headers = [
            ("accept", accept),
            ("content-type", step.content_type),
            ("user-agent", "tape"),
        ];
        let answer = api
            .send(Who::Admin, step.method, &step.path, &headers, body)
            .await;
        last = answer.body.clone();
        let Some(record) = recorded.iter().find(|record| record["step"] == step.name) else {
            continue;
        };
        assert_eq!(
            (&record["request"]["method"], &record["request"]["path"]),
            (&json!(step.method), &json!(step.path)),
            "{} was recorded from another request",
            step.name
        );
        compared += 1;
        let mut want = (record["status"].clone(), normal::normal(&record["body"], ""));
        if let Some((_, _, change)) = INTENDED.iter().find(|(name, ..)| *name == step.name) {
            change(&mut want.0, &mut want.1);
        }
        let got = (Value::from(answer.code), normal::normal(&answer.body, ""));
        if got != want {
            wrong.push(format!(
                "{}\n  want {} {}\n  got  {} {}",
                step.name, want.0, want.1, got.0, got.1
            ));
        }
    }
    assert_eq!(compared, recorded.len(), "every recorded step is played");
    assert!(
        wrong.is_empty(),
        "{} of {compared} answers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
