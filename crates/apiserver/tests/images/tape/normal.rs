//! Takes out of an answer what differs from run to run, exactly as the recording was made.

use serde_json::{Value, json};

/// The registry's host, as the server under test was told.
const REGISTRY: &str = "registry.test:5000";

/// The normalised form of the value under `key`.
pub(super) fn normal(value: &Value, key: &str) -> Value {
    match value {
        Value::Object(map) if map.get("kind").is_some_and(|kind| kind == "Table") => table(value),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "managedFields" | "selfLink"))
            .map(|(key, value)| (key.clone(), normal(value, key)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| normal(item, key)).collect(),
        Value::String(_) if key == "uid" => "UID".into(),
        Value::String(_) if key == "resourceVersion" => "RV".into(),
        Value::String(text) => {
            let text = times(text).replace(REGISTRY, "REGISTRY");
            if key == "cell" && is_age(&text) {
                "AGE".into()
            } else {
                text.into()
            }
        }
        other => other.clone(),
    }
}

fn table(table: &Value) -> Value {
    // A recorded table is normalised already: columns instead of columnDefinitions.
    if table.get("columns").is_some() {
        return table.clone();
    }
    let definitions = table["columnDefinitions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let columns: Vec<Value> = definitions
        .iter()
        .map(|column| {
            json!([
                column["name"],
                column["type"],
                column["format"],
                column.get("priority").unwrap_or(&json!(0))
            ])
        })
        .collect();
    let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Value> = rows.iter().map(|row| normal(&row["cells"], "cell")).collect();
    json!({"kind": "Table", "columns": columns, "rows": rows})
}

/// Replaces every time in UTC.
fn times(text: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut rest = 0;
    let mut at = 0;
    while at < bytes.len() {
        let matches = bytes.len() >= at + SHAPE.len()
            && SHAPE.iter().zip(&bytes[at..]).all(|(shape, byte)| match shape {
                b'0' => byte.is_ascii_digit(),
                shape => shape == byte,
            });
        let mut end = at + SHAPE.len();
        if matches {
            if bytes.get(end) == Some(&b'.') {
                end += 1 + bytes[end + 1..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
            }
            if bytes.get(end) == Some(&b'Z') {
                out.push_str(&text[rest..at]);
                out.push_str("TIME");
                rest = end + 1;
                at = rest;
                continue;
            }
        }
        at += 1;
    }
    out.push_str(&text[rest..]);
    out
}

fn is_age(text: &str) -> bool {
    let counted = |text: &str| {
        text.split_once(' ').is_some_and(|(count, unit)| {
            count.bytes().all(|byte| byte.is_ascii_digit())
                && matches!(unit.trim_end_matches('s'), "second" | "minute" | "hour")
        })
    };
    text.strip_suffix(" ago").is_some_and(|text| {
        counted(text) || matches!(text, "Less than a second" | "About a minute" | "About an hour")
    })
}

#[test]
fn times_are_replaced() {
    for (text, want) in [
        ("2026-01-01T00:00:00Z", "TIME"),
        (
            r#"{"created": "2026-01-01T00:00:00.123Z", "x": 1}"#,
            r#"{"created": "TIME", "x": 1}"#,
        ),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("sha256:0", "sha256:0"),
    ] {
        assert_eq!(times(text), want);
    }
}
