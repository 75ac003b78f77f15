//! [`Entry`]: an object with its serialized form, shared by everybody who reads it.
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};

use crate::object::Object;
use crate::strategy::Strategy;

/// An object and its JSON. One of them exists from the start, or the stored bytes that both are made of; the rest is made
/// when somebody asks, once.
///
/// An entry never changes. Cloning the `Arc` around it is all that a read from memory costs.
pub struct Entry {
    object: OnceLock<Object>,
    json: OnceLock<Bytes>,
    /// What the store holds, for an entry that is made of it on demand.
    source: Option<Source>,
    revision: u64,
}

/// Bytes of the store, without resource version and decoration, and who decorates them.
struct Source {
    stored: Bytes,
    decorator: Option<Arc<dyn Strategy>>,
    /// The JSON, once made, if memory keeps it for other entries of the same object.
    json: Option<Arc<OnceLock<Bytes>>>,
}

impl Source {
    /// The object as it is stored, with its resource version.
    fn plain(&self, revision: u64) -> Object {
        let mut object = parse(&self.stored);
        object.set_resource_version(&revision.to_string());
        object
    }

    fn decorated(&self, revision: u64) -> Object {
        let mut object = self.plain(revision);
        if let Some(decorator) = &self.decorator {
            decorator.decorate(&mut object);
        }
        object
    }
}

impl Entry {
    fn empty(revision: u64) -> Self {
        Self {
            object: OnceLock::new(),
            json: OnceLock::new(),
            source: None,
            revision,
        }
    }

    /// An entry for an object that was made, not stored.
    #[must_use]
    pub fn new(object: Object) -> Self {
        let revision = object.resource_version().parse().unwrap_or(0);
        Self {
            object: OnceLock::from(object),
            ..Self::empty(revision)
        }
    }

    /// An entry for what the store holds: `stored` is an object as [`Object`] serializes, without resource version. Its JSON
    /// is made at once.
    pub(crate) fn from_store(stored: &Bytes, revision: u64) -> Self {
        Self {
            json: OnceLock::from(with_revision(stored, revision)),
            ..Self::empty(revision)
        }
    }

    /// The same, but nothing is made before somebody asks: the bytes are shared with whoever else holds them, and so is
    /// `json`.
    pub(crate) fn on_demand(
        stored: &Bytes,
        revision: u64,
        decorator: Option<Arc<dyn Strategy>>,
        json: Option<Arc<OnceLock<Bytes>>>,
    ) -> Self {
        let source = Source {
            stored: stored.clone(),
            decorator,
            json,
        };
        Self {
            source: Some(source),
            ..Self::empty(revision)
        }
    }

    /// The same object with another resource version, as the event of its deletion shows it.
    pub(crate) fn at_revision(&self, revision: u64) -> Self {
        match &self.source {
            Some(source) => Self::on_demand(&source.stored, revision, source.decorator.clone(), None),
            None => Self::from_store(self.json(), revision),
        }
    }

    /// Keeps an object that was just serialized to this entry, so that nobody has to parse it again.
    pub(crate) fn keep(&self, mut object: Object) {
        let decorated = self
            .source
            .as_ref()
            .is_some_and(|source| source.decorator.is_some());
        if !decorated && self.object.get().is_none() {
            object.set_resource_version(&self.revision.to_string());
            // A racing reader may have parsed it meanwhile: then both are equal.
            drop(self.object.set(object));
        }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        self.object.get_or_init(|| match &self.source {
            Some(source) => source.decorated(self.revision),
            None => self.json.get().map(|json| parse(json)).unwrap_or_default(),
        })
    }

    /// The object as it is stored, without decoration.
    #[must_use]
    pub fn stored(&self) -> Object {
        match &self.source {
            Some(source) => source.plain(self.revision),
            None => self.object().clone(),
        }
    }

    /// The object as JSON.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        let shared = self.source.as_ref().and_then(|source| source.json.as_ref());
        shared
            .map_or(&self.json, |json| json)
            .get_or_init(|| self.make_json())
    }

    fn make_json(&self) -> Bytes {
        match (&self.source, self.object.get()) {
            (Some(source), _) if source.decorator.is_none() => with_revision(&source.stored, self.revision),
            // The parsed object takes several times the memory of its text: it is not kept for the text alone.
            (Some(source), None) => to_json(&source.decorated(self.revision)),
            _ => to_json(self.object()),
        }
    }

    /// The JSON from `"metadata"` on, without the leading brace, kind and API version, as items of lists are printed;
    /// none if the object does not begin so.
    pub(crate) fn json_item(&self) -> Option<Bytes> {
        let json = self.json();
        let start = metadata_at(json)?;
        Some(json.slice(start..))
    }

    /// The JSON of the metadata alone; none if the object does not begin with it.
    pub(crate) fn json_metadata(&self) -> Option<Bytes> {
        let json = self.json();
        let start = metadata_at(json)? + METADATA.len() - 1;
        let end = start + object_length(&json[start..])?;
        Some(json.slice(start..end))
    }

    /// Whether the metadata as stored contains a word, without parsing anything; may say yes too often, never too rarely.
    #[must_use]
    pub fn metadata_mentions(&self, word: &str) -> bool {
        let json: &[u8] = match &self.source {
            Some(source) => &source.stored,
            None => self.json(),
        };
        let metadata = metadata_at(json).and_then(|start| {
            let start = start + METADATA.len() - 1;
            let end = start + object_length(&json[start..])?;
            Some(&json[start..end])
        });
        metadata
            .unwrap_or(json)
            .windows(word.len().max(1))
            .any(|window| window == word.as_bytes())
    }

    /// The revision that wrote the object, its `resourceVersion`; 0 for an object that is not stored.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Bytes of JSON that the entry holds, as a measure of its memory.
    pub(crate) fn weight(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.stored.len()) + self.json.get().map_or(0, Bytes::len)
    }
}

fn to_json(object: &Object) -> Bytes {
    serde_json::to_vec(object).unwrap_or_default().into()
}

fn parse(json: &[u8]) -> Object {
    serde_json::from_slice(json).unwrap_or_default()
}

const METADATA: &[u8] = br#""metadata":{"#;
const VERSION: &[u8] = br#""resourceVersion":""#;

/// Where `"metadata":{` begins, if kind and API version alone are before it. Both are plain words, hence without escapes.
fn metadata_at(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    for key in [br#""kind":""#.as_slice(), br#""apiVersion":""#.as_slice()] {
        if let Some(rest) = json.get(at..)?.strip_prefix(key) {
            let end = rest.iter().position(|&byte| byte == b'"')?;
            at += key.len() + end + 1;
            if json.get(at) == Some(&b',') {
                at += 1;
            }
        }
    }
    json.get(at..)?.starts_with(METADATA).then_some(at)
}

/// Length of the JSON object that the bytes begin with.
fn object_length(json: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The same JSON with this resource version as the first field of the metadata.
fn with_revision(json: &Bytes, revision: u64) -> Bytes {
    let Some(start) = metadata_at(json) else {
        // Not written by this code; nothing says that it is wrong.
        let mut object = parse(json);
        object.set_resource_version(&revision.to_string());
        return serde_json::to_vec(&object).unwrap_or_default().into();
    };
    let inside = start + METADATA.len();
    let mut rest = &json[inside..];
    if let Some(value) = rest.strip_prefix(VERSION) {
        let end = value
            .iter()
            .position(|&byte| byte == b'"')
            .map_or(0, |end| end + 1);
        rest = &value[end..];
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
    let number = revision.to_string();
    let mut out = BytesMut::with_capacity(json.len() + VERSION.len() + number.len() + 2);
    out.put_slice(&json[..inside]);
    out.put_slice(VERSION);
    out.put_slice(number.as_bytes());
    out.put_slice(if rest.starts_with(b"}") { b"\"" } else { b"\"," });
    out.put_slice(rest);
    out.freeze()
}

impl From<Object> for Entry {
    fn from(object: Object) -> Self {
        Self::new(object)
    }
}

impl From<Object> for Arc<Entry> {
    fn from(object: Object) -> Self {
        Self::new(Entry::new(object))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(self.object()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_versions_are_spliced() {
        for (json, want) in [
            (
                r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"x"},"z":1}"#,
                r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"x"},"z":1}"#,
            ),
            (
                r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"123","name":"x"}}"#,
                r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"x"}}"#,
            ),
            (r#"{"metadata":{}}"#, r#"{"metadata":{"resourceVersion":"7"}}"#),
            (
                r#"{"metadata":{"resourceVersion":"1"}}"#,
                r#"{"metadata":{"resourceVersion":"7"}}"#,
            ),
            (
                r#"{"data":"\"metadata\":{","metadata":{"name":"x"}}"#,
                r#"{"metadata":{"name":"x","resourceVersion":"7"},"data":"\"metadata\":{"}"#,
            ),
        ] {
            assert_eq!(
                with_revision(&Bytes::from_static(json.as_bytes()), 7),
                want,
                "{json}"
            );
        }
    }

    #[test]
    fn objects_end_where_their_brace_closes() {
        for (object, rest) in [
            ("{}", ","),
            (r#"{"a":"}\\\"}","b":{"c":{}}}"#, ",{}"),
            (r#"{"a":"{"}"#, ""),
        ] {
            let json = format!("{object}{rest}");
            assert_eq!(object_length(json.as_bytes()), Some(object.len()), "{json}");
        }
        for json in [r#"{"a":"}"#, "", "}"] {
            assert_eq!(object_length(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn items_begin_with_metadata() {
        let entry = Entry::from_store(
            &Bytes::from_static(br#"{"kind":"A","apiVersion":"g/v1","metadata":{"name":"x"}}"#),
            3,
        );
        assert_eq!(
            entry.json_item().unwrap(),
            r#""metadata":{"resourceVersion":"3","name":"x"}}"#
        );
        assert_eq!(
            entry.json_metadata().unwrap(),
            r#"{"resourceVersion":"3","name":"x"}"#
        );
        assert_eq!(entry.object().resource_version(), "3");
        assert_eq!(entry.at_revision(9).object().resource_version(), "9");
        let stored = Bytes::from_static(br#"{"kind":"A","apiVersion":"g/v1","metadata":{"name":"x"}}"#);
        let lazy = Entry::on_demand(&stored, 3, None, None);
        assert_eq!(lazy.json(), entry.json());
        assert_eq!(lazy.object(), entry.object());
        assert_eq!(lazy.at_revision(9).object().resource_version(), "9");
    }
}
