//! Answers as they are asked for: JSON or YAML, whole, as tables or as metadata alone.
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::Body;
use super::negotiate::{Format, MetaVersion, Output, Shape};
use crate::entry::Entry;
use crate::resource::api_version;
use crate::rest::List;
use crate::status::Status;
use crate::table::Table;

/// Lists of more items are written as they are made, without a `Content-Length`.
const EXACT_ITEMS: usize = 100;

/// `includeObject` of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// What rendering needs to know besides the objects.
pub(crate) struct Renderer<'a> {
    pub(crate) output: Output,
    pub(crate) table: &'a Table,
    pub(crate) include: Include,
    pub(crate) now: Timestamp,
}

/// An answer of this media type.
pub(crate) fn respond(code: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}

/// A JSON document, as JSON or YAML.
pub(crate) fn document(code: StatusCode, output: Output, json: Bytes) -> Response<Body> {
    match (output.format, output.pretty) {
        (Format::Json, false) => respond(code, "application/json", json),
        (format, _) => match serde_json::from_slice::<Value>(&json) {
            Ok(value) if format == Format::Yaml => match serde_saphyr::to_string(&value) {
                Ok(text) => respond(code, "application/yaml", text),
                Err(error) => status(Output::JSON, &Status::internal(error)),
            },
            Ok(value) => {
                let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
                text.push(b'\n');
                respond(code, "application/json", text)
            }
            Err(error) => status(Output::JSON, &Status::internal(error)),
        },
    }
}

/// A Status as an answer.
pub(crate) fn status(output: Output, status: &Status) -> Response<Body> {
    let mut response = document(status.http(), output, status.to_json().into());
    if let Some(details) = status.details()
        && details.retry_after_seconds > 0
    {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, details.retry_after_seconds.into());
    }
    response
}

impl Renderer<'_> {
    /// One object as an answer.
    pub(crate) fn object(&self, code: StatusCode, entry: &Entry) -> Response<Body> {
        document(code, self.output, self.shaped(entry, true))
    }

    /// One object in the shape that was asked for; a table may go without its columns.
    pub(crate) fn shaped(&self, entry: &Entry, columns: bool) -> Bytes {
        // A Status that a resource returns stays what it is.
        match self.output.shape {
            Shape::Table(version) if !is_status(entry) => {
                let mut table = self.table_head(version, columns);
                table["metadata"] = json!({});
                if entry.revision() > 0 {
                    table["metadata"]["resourceVersion"] = entry.revision().to_string().into();
                }
                table["rows"] = vec![self.row(version, entry)].into();
                to_json(&table)
            }
            Shape::Metadata(version) if !is_status(entry) => metadata_only(version, entry).into(),
            _ => entry.json().clone(),
        }
    }

    /// A list as an answer.
    pub(crate) fn list(&self, group: &str, version: &str, kind: &str, list: List) -> Response<Body> {
        match self.output.shape {
            Shape::Table(meta) => {
                let mut table = self.table_head(meta, true);
                table["metadata"] = list_metadata(&list);
                table["rows"] = list.items.iter().map(|entry| self.row(meta, entry)).collect();
                document(StatusCode::OK, self.output, to_json(&table))
            }
            Shape::MetadataList(meta) => {
                let head = list_head("PartialObjectMetadataList", meta.api_version(), &list);
                self.parts(head, list.items, move |entry| {
                    Bytes::from(metadata_only(meta, entry)).slice(1..)
                })
            }
            _ => {
                let head = list_head(kind, &api_version(group, version), &list);
                self.parts(head, list.items, |entry| match entry.json_item() {
                    Some(item) => item,
                    None => entry.json().slice(entry.json().len().min(1)..),
                })
            }
        }
    }

    /// A list of items, each made by `make` without its opening brace.
    fn parts(
        &self,
        head: String,
        items: Vec<Arc<Entry>>,
        make: impl Fn(&Entry) -> Bytes + Send + 'static,
    ) -> Response<Body> {
        let many = items.len() > EXACT_ITEMS;
        let items = items.into_iter().enumerate().flat_map(move |(index, entry)| {
            let separator: &'static [u8] = if index == 0 { b"{" } else { b",{" };
            [Bytes::from_static(separator), make(&entry)]
        });
        let mut parts = std::iter::once(Bytes::from(head))
            .chain(items)
            .chain(std::iter::once(Bytes::from_static(b"]}")));
        match (self.output.format, self.output.pretty) {
            (Format::Json, false) if many => respond(StatusCode::OK, "application/json", Body::lazy(parts)),
            (Format::Json, false) => {
                respond(StatusCode::OK, "application/json", Body::parts(parts.collect()))
            }
            _ => {
                let whole = parts.by_ref().fold(BytesMut::new(), |mut whole, part| {
                    whole.extend_from_slice(&part);
                    whole
                });
                document(StatusCode::OK, self.output, whole.freeze())
            }
        }
    }

    fn table_head(&self, version: MetaVersion, columns: bool) -> Value {
        let definitions: Vec<Value> = if columns {
            let describe = |column: &crate::table::Column| {
                json!({
                    "name": column.name,
                    "type": column.kind,
                    "format": column.format,
                    "description": column.description,
                    "priority": column.priority,
                })
            };
            self.table.columns.iter().map(describe).collect()
        } else {
            Vec::new()
        };
        json!({"kind": "Table", "apiVersion": version.api_version(), "columnDefinitions": definitions})
    }

    fn row(&self, version: MetaVersion, entry: &Entry) -> Value {
        let object = entry.object();
        let cells = (self.table.row)(object, self.now);
        match self.include {
            Include::None => json!({"cells": cells, "object": null}),
            Include::Object => json!({"cells": cells, "object": object.to_value()}),
            Include::Metadata => json!({"cells": cells, "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": version.api_version(),
                "metadata": object.get("metadata"),
            }}),
        }
    }

    /// A bookmark in the shape that was asked for.
    pub(crate) fn bookmark(&self, group: &str, version: &str, kind: &str, revision: u64, end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let value = match self.output.shape {
            Shape::Table(meta) => {
                let object = json!({
                    "kind": "PartialObjectMetadata",
                    "apiVersion": meta.api_version(),
                    "metadata": metadata,
                });
                let mut table = self.table_head(meta, false);
                table["metadata"] = json!({"resourceVersion": revision.to_string()});
                let cells: Vec<Value> = self.table.columns.iter().map(|_| Value::from("")).collect();
                table["rows"] = json!([{"cells": cells, "object": object}]);
                table
            }
            Shape::Metadata(meta) => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": meta.api_version(),
                "metadata": metadata,
            }),
            _ => json!({"kind": kind, "apiVersion": api_version(group, version), "metadata": metadata}),
        };
        to_json(&value)
    }
}

/// Whether a resource answers with a Status in place of an object.
pub(crate) fn is_status(entry: &Entry) -> bool {
    entry.object().kind() == "Status" && entry.object().api_version() == "v1"
}

fn to_json(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn metadata_only(version: MetaVersion, entry: &Entry) -> Vec<u8> {
    let head = format!(
        r#"{{"kind":"PartialObjectMetadata","apiVersion":"{}","metadata":"#,
        version.api_version()
    );
    let mut json = head.into_bytes();
    match entry.json_metadata() {
        Some(metadata) => json.extend_from_slice(&metadata),
        None => {
            let metadata = entry
                .object()
                .get("metadata")
                .cloned()
                .unwrap_or_else(|| json!({}));
            json.extend_from_slice(&to_json(&metadata));
        }
    }
    json.push(b'}');
    json
}

fn list_metadata(list: &List) -> Value {
    let mut metadata = json!({});
    if !list.resource_version.is_empty() {
        metadata["resourceVersion"] = list.resource_version.as_str().into();
    }
    if !list.continue_token.is_empty() {
        metadata["continue"] = list.continue_token.as_str().into();
    }
    if let Some(remaining) = list.remaining.filter(|_| !list.continue_token.is_empty()) {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

fn list_head(kind: &str, api_version: &str, list: &List) -> String {
    format!(
        r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{},"items":["#,
        list_metadata(list)
    )
}
