//! Protobuf bodies, which typed clients such as `kubectl create` send, into the JSON that everything else works on.
//!
//! Only requests are decoded. Answers are JSON, which every client of protobuf accepts as well.
mod message;
mod wire;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use self::message::{Kind, Messages};
use self::wire::{Reader, Wire};
use crate::object::{format_micro_time, format_time};

/// Media type of the encoding.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with, so that nobody takes it for something else.
const MAGIC: &[u8] = b"k8s\0";

/// Name of a field whose message's fields stand beside it.
const INLINE: &str = ".";

/// Nesting of messages; the deepest kind needs a handful.
const DEPTH_LIMIT: usize = 16;

/// Why a body cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no such encoding.
    #[error("the body is not in the protobuf encoding of Kubernetes")]
    Malformed,
    /// The encoding is right, the kind unknown.
    #[error("{kind} of {api_version} cannot be read as protobuf, send it as application/json")]
    Unknown {
        /// API version in the envelope.
        api_version: String,
        /// Kind in the envelope.
        kind: String,
    },
}

/// The kinds that can be decoded: those of Kubernetes, and what a server adds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kinds(Arc<Messages>);

impl Kinds {
    /// Kubernetes' kinds and those of `files`, each in the form of `kinds.txt`. A file may use the messages of
    /// Kubernetes and those of the files before it.
    ///
    /// # Errors
    /// The line or field that is not in that form.
    pub fn with(files: &[&'static str]) -> Result<Kinds, String> {
        let files: Vec<&'static str> = std::iter::once(message::KINDS)
            .chain(files.iter().copied())
            .collect();
        Messages::parse(&files).map(|messages| Kinds(Arc::new(messages)))
    }

    /// Decodes a body: the envelope, and in it an object of a known kind.
    ///
    /// # Errors
    /// [`Error`] says what is wrong.
    pub fn decode(&self, body: &[u8]) -> Result<Value, Error> {
        decode(&self.0, body)
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self::with(&[]).expect("the file is part of the program, and a test reads it")
    }
}

fn decode(messages: &Messages, body: &[u8]) -> Result<Value, Error> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Error::Malformed)?;
    let (mut api_version, mut kind, mut raw, mut content_type) =
        (String::new(), String::new(), &[][..], String::new());
    let mut fields = Reader::new(envelope);
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let mut types = Reader::new(bytes);
                while let Some((number, wire)) = types.next()? {
                    match (number, wire) {
                        (1, wire) => api_version = text(wire)?,
                        (2, wire) => kind = text(wire)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (3, Wire::Bytes(encoding)) if !encoding.is_empty() => return Err(Error::Malformed),
            (4, wire) => content_type = text(wire)?,
            _ => {}
        }
    }
    if content_type == "application/json" {
        return serde_json::from_slice(raw).map_err(|_| Error::Malformed);
    }
    let Some(message) = messages.of_kind(&api_version, &kind) else {
        return Err(Error::Unknown { api_version, kind });
    };
    let mut object = messages.decode(message, raw, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

fn text(wire: Wire<'_>) -> Result<String, Error> {
    let bytes = wire.bytes()?;
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Error::Malformed)
}

impl Messages {
    fn decode(&self, message: usize, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, Error> {
        if depth > DEPTH_LIMIT {
            return Err(Error::Malformed);
        }
        let mut object = Map::new();
        let mut fields = Reader::new(bytes);
        while let Some((number, wire)) = fields.next()? {
            let Some(field) = self.field(message, number) else {
                continue;
            };
            match &field.kind {
                Kind::List(item) => {
                    let value = self.value(item, wire, depth)?.unwrap_or_else(|| empty(item));
                    let list = object
                        .entry(field.name)
                        .or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(items) = list {
                        items.push(value);
                    }
                }
                Kind::Map(item) => {
                    let (key, value) = self.entry(item, wire.bytes()?, depth)?;
                    let map = object
                        .entry(field.name)
                        .or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(map) = map {
                        map.insert(key, value);
                    }
                }
                Kind::Message(inline) if field.name == INLINE => {
                    object.extend(self.decode(*inline, wire.bytes()?, depth + 1)?);
                }
                kind => {
                    if let Some(value) = self.value(kind, wire, depth)? {
                        object.insert(field.name.to_owned(), value);
                    }
                }
            }
        }
        Ok(object)
    }

    fn entry(&self, item: &Kind, bytes: &[u8], depth: usize) -> Result<(String, Value), Error> {
        let (mut key, mut value) = (String::new(), None);
        let mut fields = Reader::new(bytes);
        while let Some((number, wire)) = fields.next()? {
            match number {
                1 => key = text(wire)?,
                2 => value = self.value(item, wire, depth)?,
                _ => {}
            }
        }
        Ok((key, value.unwrap_or_else(|| empty(item))))
    }

    /// A value; none if it is the zero that the encoding writes where JSON has nothing.
    fn value(&self, kind: &Kind, wire: Wire<'_>, depth: usize) -> Result<Option<Value>, Error> {
        Ok(match kind {
            Kind::String => Some(text(wire)?).filter(|text| !text.is_empty()).map(Value::from),
            Kind::Bytes => Some(STANDARD.encode(wire.bytes()?))
                .filter(|text| !text.is_empty())
                .map(Value::from),
            Kind::Int { zero } => Some(wire.int()?)
                .filter(|number| *zero || *number != 0)
                .map(Value::from),
            Kind::Bool { zero } => Some(wire.int()? != 0)
                .filter(|flag| *zero || *flag)
                .map(Value::from),
            Kind::Message(message) => Some(self.decode(*message, wire.bytes()?, depth + 1)?.into()),
            Kind::Quantity => Some(Value::from(one_text(wire.bytes()?)?)),
            Kind::Strings => {
                let mut items = Vec::new();
                let mut fields = Reader::new(wire.bytes()?);
                while let Some((number, wire)) = fields.next()? {
                    if number == 1 {
                        items.push(Value::from(text(wire)?));
                    }
                }
                Some(items.into())
            }
            Kind::Json => {
                let mut found = None;
                let mut fields = Reader::new(wire.bytes()?);
                while let Some((number, wire)) = fields.next()? {
                    let bytes = wire.bytes()?;
                    if number == 1 && !bytes.is_empty() {
                        found = Some(serde_json::from_slice(bytes).map_err(|_| Error::Malformed)?);
                    }
                }
                found
            }
            Kind::Time => time(wire.bytes()?)?.map(|time| format_time(time).into()),
            Kind::MicroTime => time(wire.bytes()?)?.map(|time| format_micro_time(time).into()),
            // A list of lists does not exist in the encoding.
            Kind::List(_) | Kind::Map(_) => return Err(Error::Malformed),
        })
    }
}

/// A value that is none where it stands in a message, and must be something in a list or a map.
fn empty(kind: &Kind) -> Value {
    match kind {
        Kind::Int { .. } => 0.into(),
        Kind::Bool { .. } => false.into(),
        Kind::Message(_) => Value::Object(Map::new()),
        Kind::Strings | Kind::List(_) => Value::Array(Vec::new()),
        Kind::Time | Kind::MicroTime | Kind::Json => Value::Null,
        Kind::String | Kind::Bytes | Kind::Quantity | Kind::Map(_) => "".into(),
    }
}

fn one_text(bytes: &[u8]) -> Result<String, Error> {
    let mut found = String::new();
    let mut fields = Reader::new(bytes);
    while let Some((number, wire)) = fields.next()? {
        if number == 1 {
            found = text(wire)?;
        }
    }
    Ok(found)
}

/// Seconds and nanoseconds; none for the empty message, which is Go's zero time.
fn time(bytes: &[u8]) -> Result<Option<Timestamp>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (mut seconds, mut nanoseconds) = (0, 0);
    let mut fields = Reader::new(bytes);
    while let Some((number, wire)) = fields.next()? {
        match number {
            1 => seconds = wire.int()?,
            2 => nanoseconds = wire.int()?,
            _ => {}
        }
    }
    let nanoseconds = i32::try_from(nanoseconds).map_err(|_| Error::Malformed)?;
    Timestamp::new(seconds, nanoseconds)
        .map(Some)
        .map_err(|_| Error::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Kinds of another server.
    const OTHERS: &str = "authorization.openshift.io/v1/LocalResourceAccessReview: 1 . Action\n\
                          Action: 1 namespace, 2 verb, 3 resourceAPIGroup, 5 resource\n\
                          project.openshift.io/v1/ProjectRequest: 1 metadata ObjectMeta, 2 displayName\n";

    #[test]
    fn decodes_what_kubectl_sends() {
        let kinds = Kinds::with(&[OTHERS]).unwrap();
        for (body, want) in [
            (
                // kubectl create namespace default
                b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x1f\n\x17\n\x07default\x12\x00\x1a\x00\"\x00*\x002\x008\
                  \x00B\x00\x12\x00\x1a\x02\n\x00\x1a\x00\"\x00"
                    .as_slice(),
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}, "spec": {}, "status": {}}),
            ),
            (
                // kubectl create configmap x --from-literal=a=b
                b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x1b\n\x11\n\x01x\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\
                  \x00\x12\x06\n\x01a\x12\x01b\x1a\x00\"\x00",
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}),
            ),
            (
                // kubectl create token x
                b"k8s\0\n(\n\x18authentication.k8s.io/v1\x12\x0cTokenRequest\x12\x1a\n\x10\n\x00\x12\x00\x1a\x00\"\
                  \x00*\x002\x008\x00B\x00\x12\x00\x1a\x04\n\x00\x12\x00\x1a\x00\"\x00",
                json!({
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {},
                }),
            ),
            (
                // kubectl auth can-i get pods
                b"k8s\0\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview\x12<\n\x10\n\x00\x12\x00\x1a\
                  \x00\"\x00*\x002\x008\x00B\x00\x12\x1e\n\x1c\n\x07default\x12\x03get\x1a\x00\"\x00*\x04pods2\x00:\
                  \x00\x1a\x08\x08\x00\x12\x00\x1a\x00 \x00\x1a\x00\"\x00",
                json!({
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
                    "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
                }),
            ),
            (
                // oc policy who-can get imagestreams/layers: the question stands beside kind and API version.
                b"k8s\0\n:\n\x1dauthorization.openshift.io/v1\x12\x19LocalResourceAccessReview\x12*\n(\n\x00\x12\
                  \x03get\x1a\x00\"\x00*\x13imagestreams/layers2\x00:\x00B\x00H\x00\x1a\x00\"\x00",
                json!({
                    "apiVersion": "authorization.openshift.io/v1", "kind": "LocalResourceAccessReview",
                    "verb": "get", "resource": "imagestreams/layers",
                }),
            ),
            (
                // oc new-project demo
                b"k8s\0\n)\n\x17project.openshift.io/v1\x12\x0eProjectRequest\x12\x1a\n\x14\n\x04demo\x12\x00\x1a\
                  \x00\"\x00*\x002\x008\x00B\x00\x12\x00\x1a\x00\x1a\x00\"\x00",
                json!({
                    "apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest", "metadata": {"name": "demo"},
                }),
            ),
            (
                // Times, flags, bytes.
                b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12\x13\n\x06B\x04\x08\x80\xa3\x05\x12\x07\n\x01k\x12\x02\xff\
                  \x00(\x00",
                json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"creationTimestamp": "1970-01-02T00:00:00Z"},
                    "data": {"k": "/wA="}, "immutable": false,
                }),
            ),
        ] {
            assert_eq!(kinds.decode(body), Ok(want));
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let unknown = Error::Unknown {
            api_version: "v1".into(),
            kind: "Pod".into(),
        };
        assert_eq!(
            Kinds::default().decode(b"k8s\0\n\t\n\x02v1\x12\x03Pod\x12\x00"),
            Err(unknown)
        );
        for body in [
            b"".as_slice(),
            b"{}",
            b"k8s\0\n",
            b"k8s\0\x0a\xff\xff\xff\xff\x0f",
            b"k8s\0\x12\x05a",
        ] {
            assert!(Kinds::default().decode(body).is_err(), "{body:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let mut body = b"k8s\0\n\x10\n\x02v1\x12\x0aLimitRange\x12".to_vec();
            body.push(u8::try_from(raw.len()).unwrap());
            body.extend(raw);
            drop(Kinds::default().decode(&body));
        }
    }
}
