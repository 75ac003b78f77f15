//! Bodies of requests: read within limits, decoded, brought into shape.
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::SemaphorePermit;

use super::limits::{Limits, SMALL_BODY};
use super::query::FieldValidation;
use crate::context::Context;
use crate::object::Object;
use crate::protobuf;
use crate::resource::Gvk;
use crate::schema::decode::{self, Decoded};
use crate::schema_port::ObjectSchema;
use crate::status::{Reason, Status};

/// Media types that bodies are read in.
pub(crate) const CONSUMED: [&str; 2] = ["application/json", "application/yaml"];

/// A body in memory, and its share of what all bodies together may take.
pub(crate) struct Held<'a> {
    bytes: Bytes,
    _share: Option<SemaphorePermit<'a>>,
}

impl std::ops::Deref for Held<'_> {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// Reads a body whole, within `limit` bytes and within what all bodies together may take.
pub(crate) async fn read<'a, B>(body: B, limit: usize, limits: &'a Limits) -> Result<Held<'a>, Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Status::too_large(limit));
    }
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut share: Option<SemaphorePermit<'a>> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            Status::bad_request(format!("the body of the request could not be read: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = first.len() + rest.len() + data.len();
        if length > limit {
            return Err(Status::too_large(limit));
        }
        if length > SMALL_BODY {
            // Nobody waits for room while holding some: that could go on for ever.
            let more = limits.room(data.len())?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
        }
        // One frame is taken as it is; only more of them are copied together.
        if !rest.is_empty() {
            rest.extend_from_slice(&data);
        } else if first.is_empty() {
            first = data;
        } else {
            rest.reserve(length);
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Held { bytes, _share: share })
}

/// The media type of a body, without parameters and in lower case; JSON if none is given.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let value = value.split(';').next().unwrap_or_default().trim();
    if value.is_empty() {
        CONSUMED[0].to_owned()
    } else {
        value.to_ascii_lowercase()
    }
}

/// Decodes a body as the media type says.
pub(crate) fn parse(kinds: &protobuf::Kinds, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, Status> {
    let decoded = match media_type(headers).as_str() {
        "application/json" | "text/json" => decode::json(body),
        "application/yaml" | "text/yaml" | "application/x-yaml" => decode::yaml(body),
        protobuf::MEDIA_TYPE => return from_protobuf(kinds, body),
        _ => return Err(Status::unsupported_media_type(&CONSUMED)),
    };
    decoded.map_err(|error| Status::bad_request(format!("couldn't decode the body of the request: {error}")))
}

fn from_protobuf(kinds: &protobuf::Kinds, body: &[u8]) -> Result<Decoded, Status> {
    match kinds.decode(body) {
        Ok(value) => Ok(Decoded {
            value,
            duplicates: Vec::new(),
        }),
        Err(error @ protobuf::Error::Malformed) => Err(Status::bad_request(error.to_string())),
        Err(error @ protobuf::Error::Unknown { .. }) => {
            Err(Status::new(415, Reason::UnsupportedMediaType, error.to_string()))
        }
    }
}

/// What is expected of an object in a body.
pub(crate) struct Expected<'a> {
    pub(crate) gvk: &'a Gvk,
    pub(crate) schema: Option<&'a dyn ObjectSchema>,
    pub(crate) validation: FieldValidation,
}

impl Expected<'_> {
    /// The object of a decoded body: of the right kind and in the shape of its schema.
    pub(crate) fn object(&self, cx: &Context, decoded: Decoded) -> Result<Object, Status> {
        let duplicates = decoded
            .duplicates
            .iter()
            .map(|path| format!("duplicate field {path:?}"))
            .collect();
        let mut object = match decoded.value {
            Value::Object(fields) => Object::from_map(fields),
            _ => return Err(Status::bad_request("the body of the request is not an object")),
        };
        self.check_kind(&mut object)?;
        self.conform(cx, &mut object, duplicates)?;
        Ok(object)
    }

    fn check_kind(&self, object: &mut Object) -> Result<(), Status> {
        let wanted = self.gvk;
        if object.api_version().is_empty() {
            object.set("apiVersion", wanted.api_version());
        }
        if object.kind().is_empty() {
            object.set("kind", wanted.kind.as_str());
        }
        if object.kind() != wanted.kind {
            return Err(Status::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: the kinds differ",
                object.kind(),
                object.version(),
                wanted.kind
            )));
        }
        if object.api_version() != wanted.api_version() {
            return Err(Status::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                object.api_version(),
                wanted.api_version()
            )));
        }
        Ok(())
    }

    /// Applies the schema; findings are errors, warnings or nothing, as the client asked.
    pub(crate) fn conform(
        &self,
        cx: &Context,
        object: &mut Object,
        mut findings: Vec<String>,
    ) -> Result<(), Status> {
        if let Some(schema) = self.schema {
            findings.extend(schema.conform(object)?);
        }
        match self.validation {
            FieldValidation::Strict if !findings.is_empty() => Err(Status::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                self.gvk.kind,
                self.gvk.version,
                self.gvk.kind,
                findings.join(", ")
            ))),
            FieldValidation::Warn => {
                for finding in findings {
                    cx.warnings.add(finding);
                }
                Ok(())
            }
            FieldValidation::Strict | FieldValidation::Ignore => Ok(()),
        }
    }
}

/// The options in the body of a deletion, if it has one.
pub(crate) fn delete_options(
    kinds: &protobuf::Kinds,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Value>, Status> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let value = parse(kinds, headers, body)?.value;
    match value.get("kind").and_then(Value::as_str) {
        None | Some("DeleteOptions" | "") if value.is_object() => Ok(Some(value)),
        _ => Err(Status::bad_request(
            "the body of a deletion must be DeleteOptions",
        )),
    }
}
