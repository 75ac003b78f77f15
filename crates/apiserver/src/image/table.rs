//! The columns that `kubectl get` shows of image kinds.

use berth_api::{ImageTag, Time};
use berth_apimachinery::{
    object::Object,
    table::{Column, Table},
};
use jiff::Timestamp;
use serde_json::Value;

/// Characters that the tags of a stream should take up; the list may end a quarter wider.
const TAGS_WIDTH: usize = 40;

const REFERENCE: Column = Column::new("Image Reference", "Where the image may be pulled.");
const UPDATED: Column = Column::new("Updated", "Last update time.");
const IMAGE_NAME: Column = Column::new("Image Name", "The digest of the image's manifest.").wide();

/// Name, Image Reference.
pub(super) fn images() -> Table {
    Table::new(vec![Column::name(), REFERENCE], |image, _now| {
        vec![
            image.name().into(),
            image.str_at(&["dockerImageReference"]).into(),
        ]
    })
}

/// Name, Image Repository, Tags, Updated.
pub(super) fn image_streams() -> Table {
    let columns = vec![
        Column::name(),
        Column::new(
            "Image Repository",
            "Where the repository is reached; from outside, if it can be.",
        ),
        Column::new("Tags", "Human readable list of tags."),
        UPDATED,
    ];
    Table::new(columns, |stream, now| {
        let repository = [
            stream.str_at(&["status", "publicDockerImageRepository"]),
            stream.str_at(&["spec", "dockerImageRepository"]),
            stream.str_at(&["status", "dockerImageRepository"]),
        ];
        let repository = repository
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        let tags = newest_first(stream);
        let newest = tags.first().and_then(|(time, _)| *time);
        let names: Vec<&str> = tags.iter().map(|(_, tag)| *tag).collect();
        let updated = newest.map(|time| ago(time, now)).unwrap_or_default();
        vec![
            stream.name().into(),
            repository.into(),
            fit(&names, TAGS_WIDTH).into(),
            updated.into(),
        ]
    })
}

/// Name, Image Reference, Updated, (Image Name).
pub(super) fn image_stream_tags() -> Table {
    Table::new(
        vec![Column::name(), REFERENCE, UPDATED, IMAGE_NAME],
        |tag, now| {
            vec![
                tag.name().into(),
                tag.str_at(&["image", "dockerImageReference"]).into(),
                created(tag, now).into(),
                tag.str_at(&["image", "metadata", "name"]).into(),
            ]
        },
    )
}

/// Name, Updated, (Image Reference, Image Name).
pub(super) fn image_stream_images() -> Table {
    Table::new(
        vec![Column::name(), UPDATED, REFERENCE.wide(), IMAGE_NAME],
        |image, now| {
            vec![
                image.name().into(),
                created(image, now).into(),
                image.str_at(&["image", "dockerImageReference"]).into(),
                image.str_at(&["image", "metadata", "name"]).into(),
            ]
        },
    )
}

/// Name, Spec, Status, History, Updated.
pub(super) fn image_tags() -> Table {
    let columns = vec![
        Column::name(),
        Column::new("Spec", "How the tag comes about."),
        Column::new("Status", "What the tag points to, or why it does not."),
        Column::new("History", "Number of images that the tag has pointed to.").of("number"),
        UPDATED,
    ];
    Table::new(columns, |object, now| match object.to_typed::<ImageTag>() {
        Ok(tag) => image_tag_row(&tag, now),
        Err(_) => vec![object.name().into(), "".into(), "".into(), Value::Null, "".into()],
    })
}

fn image_tag_row(tag: &ImageTag, now: Timestamp) -> Vec<Value> {
    let mut kind = "";
    let mut status = String::new();
    let mut source = String::new();
    let mut generation = 0;
    if let Some(spec) = &tag.spec {
        generation = spec.generation.unwrap_or(0);
        if let Some(from) = &spec.from {
            kind = match (spec.reference, spec.import_policy.scheduled) {
                (_, true) => "Scheduled",
                (true, false) => "Ref",
                (false, false) => "Tag",
            };
            match from.kind.as_str() {
                "DockerImage" => source.clone_from(&from.name),
                "ImageStreamImage" => match berth_imagestream::name::split_image(&from.name) {
                    Some((_, id)) => source = format!("image/{id}"),
                    None => status = "InvalidRefName".to_owned(),
                },
                "ImageStreamTag" => {
                    source = match from.namespace.as_str() {
                        "" => format!("istag/{}", from.name),
                        namespace => format!("istag {namespace}/{}", from.name),
                    };
                    if berth_imagestream::name::split_tag(&from.name).is_none() {
                        kind = "Track";
                    }
                }
                _ => status = "InvalidRefKind".to_owned(),
            }
        }
    }
    let items = tag
        .status
        .as_ref()
        .map(|list| list.items.as_slice())
        .unwrap_or_default();
    let conditions = tag
        .status
        .as_ref()
        .map(|list| list.conditions.as_slice())
        .unwrap_or_default();
    let mut updated: Option<Time> = None;
    if let Some(newest) = items.first() {
        updated = newest.created;
        let known = generation > 0 && newest.generation > 0;
        if known && newest.generation < generation {
            status = "Importing".to_owned();
        } else if !newest.image.is_empty() {
            source = format!("image/{}", newest.image);
        } else if !newest.docker_image_reference.is_empty() {
            source.clone_from(&newest.docker_image_reference);
        }
        let pushed_since = known && newest.generation > generation && kind != "Track";
        if (kind.is_empty() && !source.is_empty()) || pushed_since {
            kind = "Push";
        }
    }
    for condition in conditions {
        if condition.condition_type == "ImportSuccess" && condition.status == "False" {
            status = format!("ImportFailed ({})", condition.reason);
        }
        updated = updated.max(condition.last_transition_time);
    }
    if status.is_empty() {
        status = source;
    }
    let history = if items.is_empty() {
        Value::Null
    } else {
        items.len().into()
    };
    let updated = updated.map(|time| ago(time.timestamp(), now)).unwrap_or_default();
    vec![
        tag.metadata.name.clone().into(),
        kind.into(),
        status.into(),
        history,
        updated.into(),
    ]
}

/// Tags with a history, by the time of their newest event, then by name.
fn newest_first(stream: &Object) -> Vec<(Option<Timestamp>, &str)> {
    let tags = stream
        .at(&["status", "tags"])
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut tags: Vec<(Option<Timestamp>, &str)> = tags
        .iter()
        .filter_map(|list| {
            let time = list
                .pointer("/items/0/created")
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok());
            Some((time, list.get("tag")?.as_str()?))
        })
        .collect();
    tags.sort_by(|(a_time, a), (b_time, b)| b_time.cmp(a_time).then(a.cmp(b)));
    tags
}

/// As many names as fit, at least one, and how many did not. To keep edges even, a name that would end at most a quarter
/// beyond the width is taken if more than a quarter would stay empty without it.
fn fit(names: &[&str], width: usize) -> String {
    let margin = width / 4;
    let mut shown = 0;
    let mut used = 0;
    for name in names {
        let next = used + name.len() + 1;
        let ragged = next > width && (next - width > margin || width.saturating_sub(used) <= margin + 1);
        if shown > 0 && ragged {
            break;
        }
        used = next;
        shown += 1;
        if next > width {
            break;
        }
    }
    let text = names[..shown].join(",");
    match names.len() - shown {
        0 => text,
        hidden => format!("{text} + {hidden} more..."),
    }
}

/// When a view's object came about.
fn created(object: &Object, now: Timestamp) -> String {
    object
        .creation_timestamp()
        .map(|time| ago(time, now))
        .unwrap_or_default()
}

/// `3 days ago`, worded as Docker's tools word it.
fn ago(time: Timestamp, now: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24;
    let seconds = (now.as_second() - time.as_second()).max(0);
    let hours = (seconds + HOUR / 2) / HOUR;
    let text = match (seconds, hours) {
        (0, _) => "Less than a second".to_owned(),
        (1, _) => "1 second".to_owned(),
        (..MINUTE, _) => format!("{seconds} seconds"),
        (MINUTE..120, _) => "About a minute".to_owned(),
        (..HOUR, _) => format!("{} minutes", seconds / MINUTE),
        (_, ..=1) => "About an hour".to_owned(),
        (_, ..48) => format!("{hours} hours"),
        (_, ..336) => format!("{} days", hours / DAY),
        (_, ..1440) => format!("{} weeks", hours / DAY / 7),
        (_, ..17_520) => format!("{} months", hours / DAY / 30),
        _ => format!("{} years", hours / DAY / 365),
    };
    format!("{text} ago")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().expect("a time")
    }

    fn row(table: &Table, object: Value) -> Value {
        let object = Object::from_value(object).expect("an object");
        let cells = (table.row)(&object, now());
        assert_eq!(cells.len(), table.columns.len());
        cells.into()
    }

    #[test]
    fn streams_show_repository_tags_and_time() {
        let item = |time: &str| json!([{"created": time}]);
        let stream = json!({
            "metadata": {"name": "app"},
            "status": {"dockerImageRepository": "in/ns/app", "tags": [
                {"tag": "a", "items": item("2026-01-01T00:00:00Z")},
                {"tag": "b", "items": item("2026-01-01T23:59:30Z")},
                {"tag": "c", "items": null},
            ]},
        });
        assert_eq!(
            row(&image_streams(), stream.clone()),
            json!(["app", "in/ns/app", "b,a,c", "30 seconds ago"])
        );
        let mut public = stream;
        public["status"]["publicDockerImageRepository"] = "out/ns/app".into();
        public["status"]["tags"] = json!([]);
        assert_eq!(
            row(&image_streams(), public),
            json!(["app", "out/ns/app", "", ""])
        );
    }

    #[test]
    fn tags_fill_the_width() {
        let long = "x".repeat(60);
        let seven = ["abcdefghi"; 7];
        for (names, want) in [
            (vec![], String::new()),
            (vec!["a", "b"], "a,b".to_owned()),
            (vec![&long, "b"], format!("{long} + 1 more...")),
            (seven.to_vec(), format!("{} + 3 more...", seven[..4].join(","))),
            (
                vec!["abcdefghij", "abcdefghijklmnopqrst0123456", "z"],
                "abcdefghij,abcdefghijklmnopqrst0123456 + 1 more...".to_owned(),
            ),
            (
                vec!["abcdefghij", "abcdefghijklmnopqrst0123456789012345", "z"],
                "abcdefghij,abcdefghijklmnopqrst0123456789012345 + 1 more...".to_owned(),
            ),
        ] {
            assert_eq!(fit(&names, TAGS_WIDTH), want, "{names:?}");
        }
    }

    #[test]
    fn image_tags_say_where_they_come_from_and_what_they_point_to() {
        let from = |kind: &str, name: &str| json!({"kind": kind, "name": name});
        let items = |generation: i64, image: &str| json!([{"created": "2026-01-01T00:00:00Z", "dockerImageReference": "ref", "image": image, "generation": generation}]);
        let failed = json!([{"type": "ImportSuccess", "status": "False", "reason": "NotFound", "lastTransitionTime": "2026-01-01T12:00:00Z"}]);
        for (spec, status, want) in [
            (
                Value::Null,
                json!({"items": items(1, "i")}),
                json!(["Push", "image/i", 1, "24 hours ago"]),
            ),
            (
                json!({"from": from("DockerImage", "q/a")}),
                Value::Null,
                json!(["Tag", "q/a", null, ""]),
            ),
            (
                json!({"from": from("DockerImage", "q/a"), "reference": true}),
                json!({"items": items(1, "")}),
                json!(["Ref", "ref", 1, "24 hours ago"]),
            ),
            (
                json!({"from": from("DockerImage", "q/a"), "importPolicy": {"scheduled": true}}),
                Value::Null,
                json!(["Scheduled", "q/a", null, ""]),
            ),
            (
                json!({"from": from("ImageStreamTag", "v1")}),
                json!({"items": items(1, "i")}),
                json!(["Track", "image/i", 1, "24 hours ago"]),
            ),
            (
                json!({"from": from("ImageStreamTag", "app:v1")}),
                Value::Null,
                json!(["Tag", "istag/app:v1", null, ""]),
            ),
            (
                json!({"from": {"kind": "ImageStreamTag", "name": "app:v1", "namespace": "ns"}}),
                Value::Null,
                json!(["Tag", "istag ns/app:v1", null, ""]),
            ),
            (
                json!({"from": from("ImageStreamImage", "app@sha256:1")}),
                Value::Null,
                json!(["Tag", "image/sha256:1", null, ""]),
            ),
            (
                json!({"from": from("ImageStreamImage", "sha256:1")}),
                Value::Null,
                json!(["Tag", "InvalidRefName", null, ""]),
            ),
            (
                json!({"from": from("Pod", "x")}),
                Value::Null,
                json!(["Tag", "InvalidRefKind", null, ""]),
            ),
            (
                json!({"annotations": {"a": "b"}}),
                Value::Null,
                json!(["", "", null, ""]),
            ),
            (
                json!({"from": from("DockerImage", "q/a"), "generation": 5}),
                json!({"items": items(4, "i")}),
                json!(["Tag", "Importing", 1, "24 hours ago"]),
            ),
            (
                json!({"from": from("DockerImage", "q/a"), "generation": 5}),
                json!({"items": items(6, "i")}),
                json!(["Push", "image/i", 1, "24 hours ago"]),
            ),
            (
                json!({"from": from("DockerImage", "q/a"), "generation": 5}),
                json!({"items": items(5, "i"), "conditions": failed}),
                json!(["Tag", "ImportFailed (NotFound)", 1, "12 hours ago"]),
            ),
        ] {
            let tag = json!({"metadata": {"name": "app:t"}, "spec": spec, "status": status});
            let got = row(&image_tags(), tag);
            assert_eq!(got[0], "app:t");
            assert_eq!(
                got.as_array().unwrap()[1..],
                want.as_array().unwrap()[..],
                "{spec} {status}"
            );
        }
    }

    #[test]
    fn times_read_like_docker_prints_them() {
        for (seconds, want) in [
            (-5, "Less than a second ago"),
            (0, "Less than a second ago"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (60, "About a minute ago"),
            (120, "2 minutes ago"),
            (3599, "59 minutes ago"),
            (3600, "About an hour ago"),
            (2 * 3600, "2 hours ago"),
            (47 * 3600, "47 hours ago"),
            (48 * 3600, "2 days ago"),
            (14 * 86_400, "2 weeks ago"),
            (60 * 86_400, "2 months ago"),
            (730 * 86_400, "2 years ago"),
        ] {
            let time = Timestamp::from_second(now().as_second() - seconds).unwrap();
            assert_eq!(ago(time, now()), want, "{seconds}");
        }
    }
}
