//! Applying the operations of a JSON patch, which could otherwise make much out of little: a copy into itself doubles
//! an object, and a few dozen of them would fill any memory.
use json_patch::{PatchError, PatchOperation};
use serde_json::Value;

use crate::status::{Reason, Status};

/// Bytes that the `copy` and `move` operations of one patch may carry from one place to another, roughly as JSON.
pub const COPIED_LIMIT: usize = 3 << 20;
/// Nesting that a patch may lead to. What is stored must be read again, and parsers stop at 128.
pub const DEPTH_LIMIT: usize = 100;

/// Applies `operations` to `value`, which is useless after an error.
///
/// # Errors
/// 422 for an operation that does not fit, 413 for patches that copy more than [`COPIED_LIMIT`], 400 for one that
/// nests deeper than [`DEPTH_LIMIT`].
pub(super) fn apply(value: &mut Value, operations: &[PatchOperation]) -> Result<(), Status> {
    let mut copied = 0_usize;
    for (index, operation) in operations.iter().enumerate() {
        let depth = DEPTH_LIMIT.saturating_sub(operation.path().as_str().matches('/').count());
        let (source, carries) = match operation {
            PatchOperation::Add(add) => (Some(&add.value), false),
            PatchOperation::Replace(replace) => (Some(&replace.value), false),
            PatchOperation::Copy(copy) => (value.pointer(copy.from.as_str()), true),
            PatchOperation::Move(change) => (value.pointer(change.from.as_str()), true),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => (None, false),
        };
        if let Some(source) = source {
            let Some(size) = size(source, depth) else {
                return Err(Status::bad_request(format!(
                    "operation {index} of the patch nests the object deeper than {DEPTH_LIMIT} levels"
                )));
            };
            copied = copied.saturating_add(if carries { size } else { 0 });
        }
        if copied > COPIED_LIMIT {
            let message = format!(
                "Request entity too large: the copy and move operations of a JSON patch may carry {COPIED_LIMIT} bytes"
            );
            return Err(Status::new(413, Reason::RequestEntityTooLarge, message));
        }
        json_patch::patch_unsafe(value, std::slice::from_ref(operation))
            .map_err(|error| refused(error, index))?;
    }
    Ok(())
}

fn refused(mut error: PatchError, index: usize) -> Status {
    error.operation = index;
    let message = "the server rejected our request due to an error in our request";
    Status::new(422, Reason::Invalid, message).with_cause("UnexpectedServerResponse", &error.to_string(), "")
}

/// About the bytes of a value as JSON; `None` if it is nested deeper than `depth`.
fn size(value: &Value, depth: usize) -> Option<usize> {
    match value {
        Value::Null | Value::Bool(_) => Some(5),
        Value::Number(_) => Some(8),
        Value::String(text) => Some(text.len() + 2),
        Value::Array(list) => {
            let depth = depth.checked_sub(1)?;
            list.iter()
                .try_fold(2_usize, |sum, item| Some(sum + size(item, depth)? + 1))
        }
        Value::Object(map) => {
            let depth = depth.checked_sub(1)?;
            map.iter().try_fold(2_usize, |sum, (key, item)| {
                Some(sum + key.len() + size(item, depth)? + 4)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(start: &Value, operations: &Value) -> Result<Value, u16> {
        let operations: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
        let mut value = start.clone();
        apply(&mut value, &operations.0)
            .map(|()| value)
            .map_err(|status| status.code())
    }

    #[test]
    fn operations_apply_in_order() {
        let start = json!({"a": {"b": [1, 2]}, "c": "x"});
        for (operations, want) in [
            (
                json!([{"op": "copy", "from": "/a", "path": "/d"}, {"op": "move", "from": "/c", "path": "/a/c"}, {"op": "remove", "path": "/a/b/0"}]),
                Ok(json!({"a": {"b": [2], "c": "x"}, "d": {"b": [1, 2]}})),
            ),
            (
                json!([{"op": "add", "path": "/a/b/-", "value": {"y": 1}}]),
                Ok(json!({"a": {"b": [1, 2, {"y": 1}]}, "c": "x"})),
            ),
            (json!([{"op": "copy", "from": "/none", "path": "/d"}]), Err(422)),
            (json!([{"op": "move", "from": "/a", "path": "/a/b"}]), Err(422)),
            (json!([{"op": "test", "path": "/c", "value": "y"}]), Err(422)),
        ] {
            assert_eq!(run(&start, &operations), want, "{operations}");
        }
    }

    #[test]
    fn the_failed_operation_is_named() {
        let operations = json!([{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/none"}]);
        let operations: json_patch::Patch = serde_json::from_value(operations).unwrap();
        let status = apply(&mut json!({}), &operations.0).unwrap_err();
        assert!(
            String::from_utf8(status.to_json())
                .unwrap()
                .contains("operation '/1' failed at path '/none'")
        );
    }

    #[test]
    fn patches_cannot_grow_without_bound() {
        let mut doubling =
            vec![json!({"op": "add", "path": "/d", "value": {"text": "0123456789".repeat(100)}})];
        doubling
            .extend((0..60).map(|index| json!({"op": "copy", "from": "/d", "path": format!("/d/{index}")})));
        assert_eq!(run(&json!({}), &json!(doubling)), Err(413));
        let many: Vec<Value> = (0..9000)
            .map(|index| json!({"op": "copy", "from": "/a", "path": format!("/{index}")}))
            .collect();
        assert_eq!(
            run(&json!({"a": "0123456789".repeat(100)}), &json!(many)),
            Err(413)
        );
        // Each step alone is small, but each goes deeper.
        let deeper = |steps: usize| -> Value {
            (0..steps)
                .map(|depth| json!({"op": "add", "path": format!("{}/a", "/a".repeat(depth)), "value": {}}))
                .collect()
        };
        assert!(run(&json!({}), &deeper(DEPTH_LIMIT - 1)).is_ok());
        assert_eq!(run(&json!({}), &deeper(DEPTH_LIMIT + 1)), Err(400));
        let moved = json!([{"op": "add", "path": "/x", "value": {"y": {}}}, {"op": "copy", "from": "", "path": "/x/y/z"}]);
        assert_eq!(
            run(&json!({}), &moved),
            Ok(json!({"x": {"y": {"z": {"x": {"y": {}}}}}}))
        );
    }
}
