//! Patches: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch.
mod operations;

use serde_json::Value;

pub use self::operations::{COPIED_LIMIT, DEPTH_LIMIT};
use crate::object::Object;
use crate::schema_port::ObjectSchema;
use crate::status::{Reason, Status};

/// Most operations of a JSON patch.
pub const OPERATIONS_LIMIT: usize = 10_000;

/// Media types of patches that are understood.
pub const ACCEPTED: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// A parsed patch.
#[derive(Clone, Debug)]
pub enum Patch {
    /// A list of operations.
    Json(json_patch::Patch),
    /// Fields to set, and nulls for fields to remove.
    Merge(Value),
    /// The same, with lists merged as the schema says.
    Strategic(Value),
}

impl Patch {
    /// Reads a patch of a media type (without parameters).
    ///
    /// # Errors
    /// 415 for a media type that is no patch, 400 for a body that is none, 413 for too many operations.
    pub fn parse(media_type: &str, body: &[u8]) -> Result<Self, Status> {
        let unreadable =
            |error: serde_json::Error| Status::bad_request(format!("error decoding patch: {error}"));
        match media_type {
            "application/json-patch+json" => {
                let operations: json_patch::Patch = serde_json::from_slice(body).map_err(unreadable)?;
                if operations.0.len() > OPERATIONS_LIMIT {
                    let message = format!(
                        "Request entity too large: The allowed maximum operations in a JSON patch is \
                         {OPERATIONS_LIMIT}, got {}",
                        operations.0.len()
                    );
                    return Err(Status::new(413, Reason::RequestEntityTooLarge, message));
                }
                Ok(Self::Json(operations))
            }
            "application/merge-patch+json" => Ok(Self::Merge(object(body)?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(object(body)?)),
            _ => Err(Status::unsupported_media_type(&ACCEPTED)),
        }
    }

    /// The patched object. Without a schema, a strategic merge patch is refused.
    ///
    /// # Errors
    /// 422 for operations that do not fit, 413 or 400 for operations that lead to too much or too deep, 400 for a
    /// strategic merge patch that does not fit, 415 without a schema.
    pub fn apply(&self, current: &Object, schema: Option<&dyn ObjectSchema>) -> Result<Object, Status> {
        let mut value = current.to_value();
        match self {
            Self::Json(operations) => operations::apply(&mut value, &operations.0)?,
            Self::Merge(patch) => json_patch::merge(&mut value, patch),
            Self::Strategic(patch) => match schema {
                Some(schema) => value = schema.strategic_merge(value, patch)?,
                None => return Err(Status::unsupported_media_type(&ACCEPTED[..2])),
            },
        }
        Object::from_value(value).ok_or_else(|| Status::bad_request("the patch does not leave an object"))
    }
}

fn object(body: &[u8]) -> Result<Value, Status> {
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Status::bad_request(
            "error decoding patch: the patch is not an object",
        )),
        Err(error) => Err(Status::bad_request(format!("error decoding patch: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_apply() {
        let current =
            json!({"kind": "A", "metadata": {"name": "x", "labels": {"a": "1"}}, "spec": {"l": [1, 2]}});
        let current = Object::from_value(current).unwrap();
        for (media_type, patch, want) in [
            (
                ACCEPTED[0],
                r#"[{"op":"replace","path":"/spec/l/0","value":9}]"#,
                Ok(json!([9, 2])),
            ),
            (
                ACCEPTED[0],
                r#"[{"op":"test","path":"/spec/l/0","value":9}]"#,
                Err(422),
            ),
            (ACCEPTED[0], r#"[{"op":"remove","path":"/spec/none"}]"#, Err(422)),
            (ACCEPTED[0], r#"[{"op":"replace","path":"","value":1}]"#, Err(400)),
            (ACCEPTED[0], r#"{"op":"test"}"#, Err(400)),
            (ACCEPTED[1], r#"{"spec":{"l":[3]}}"#, Ok(json!([3]))),
            (ACCEPTED[1], r#"[]"#, Err(400)),
            (ACCEPTED[2], r#"{"spec":{"l":[3]}}"#, Err(415)),
            ("application/json", "{}", Err(415)),
            (ACCEPTED[1], "{", Err(400)),
        ] {
            let got =
                Patch::parse(media_type, patch.as_bytes()).and_then(|patch| patch.apply(&current, None));
            let got = got
                .map(|object| object.at(&["spec", "l"]).cloned().unwrap())
                .map_err(|status| status.code());
            assert_eq!(got, want, "{media_type} {patch}");
        }
        let many =
            serde_json::to_vec(&vec![json!({"op": "remove", "path": "/a"}); OPERATIONS_LIMIT + 1]).unwrap();
        assert_eq!(Patch::parse(ACCEPTED[0], &many).unwrap_err().code(), 413);
    }
}
