//! Which numbers the fields of each message have, read from `kinds.txt`.
use std::collections::BTreeMap;

/// The kinds of Kubernetes.
pub(super) const KINDS: &str = include_str!("kinds.txt");

/// Type of a field.
#[derive(Debug)]
pub(super) enum Kind {
    String,
    Bytes,
    /// Whether zero is kept.
    Int {
        zero: bool,
    },
    /// Whether false is kept.
    Bool {
        zero: bool,
    },
    Time,
    MicroTime,
    /// A message of one string, which is a string in JSON.
    Quantity,
    /// A message of strings, which is a list in JSON.
    Strings,
    /// A message of bytes that are JSON themselves.
    Json,
    /// Another message, by its position.
    Message(usize),
    List(Box<Kind>),
    Map(Box<Kind>),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// All messages.
#[derive(Debug)]
pub(super) struct Messages {
    names: BTreeMap<&'static str, usize>,
    fields: Vec<BTreeMap<u64, Field>>,
}

impl Messages {
    /// The message of a kind.
    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<usize> {
        let exact = self.names.get(format!("{api_version}/{kind}").as_str());
        exact
            .or_else(|| self.names.get(format!("*/{kind}").as_str()))
            .copied()
    }

    pub(super) fn field(&self, message: usize, number: u64) -> Option<&Field> {
        self.fields.get(message)?.get(&number)
    }

    /// Reads files; a later one may use the messages of those before it.
    pub(super) fn parse(files: &[&'static str]) -> Result<Self, String> {
        let lines = || {
            let lines = files.iter().flat_map(|file| file.lines());
            lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
        };
        let mut messages = Self {
            names: BTreeMap::new(),
            fields: Vec::new(),
        };
        for (index, line) in lines().enumerate() {
            let name = line.split(": ").next().unwrap_or(line);
            if messages.names.insert(name, index).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        for line in lines() {
            let fields = line.split_once(": ").ok_or_else(|| line.to_owned())?.1;
            let mut parsed = BTreeMap::new();
            for field in fields.split(", ") {
                let mut words = field.split(' ');
                let number = words.next().and_then(|number| number.parse().ok());
                let (Some(number), Some(name)) = (number, words.next()) else {
                    return Err(field.to_owned());
                };
                let kind = messages
                    .kind(words.next().unwrap_or("string"))
                    .ok_or_else(|| field.to_owned())?;
                parsed.insert(number, Field { name, kind });
            }
            messages.fields.push(parsed);
        }
        Ok(messages)
    }

    fn kind(&self, text: &str) -> Option<Kind> {
        Some(match text {
            "string" => Kind::String,
            "bytes" => Kind::Bytes,
            "int" | "int?" => Kind::Int {
                zero: text.ends_with('?'),
            },
            "bool" | "bool?" => Kind::Bool {
                zero: text.ends_with('?'),
            },
            "Time" => Kind::Time,
            "MicroTime" => Kind::MicroTime,
            "Quantity" => Kind::Quantity,
            "ExtraValue" => Kind::Strings,
            "RawExtension" => Kind::Json,
            _ => {
                if let Some(item) = text.strip_prefix("[]") {
                    Kind::List(Box::new(self.kind(item)?))
                } else if let Some(item) = text.strip_prefix("{}") {
                    Kind::Map(Box::new(self.kind(item)?))
                } else {
                    Kind::Message(*self.names.get(text)?)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_parses() {
        let messages = Messages::parse(&[KINDS]).unwrap();
        assert!(messages.of_kind("v1", "Namespace").is_some());
        assert!(
            messages
                .of_kind("rbac.authorization.k8s.io/v1", "DeleteOptions")
                .is_some()
        );
        assert!(messages.of_kind("v1", "ObjectMeta").is_none());
        let more = Messages::parse(&[KINDS, "example.com/v1/A: 1 metadata ObjectMeta"]).unwrap();
        assert!(more.of_kind("example.com/v1", "A").is_some() && more.of_kind("v1", "Namespace").is_some());
        for bad in ["A: x name", "A: 1", "A: 1 name Nothing", "A", "RoleRef: 1 name"] {
            assert!(Messages::parse(&[KINDS, bad]).is_err(), "{bad}");
        }
    }
}
