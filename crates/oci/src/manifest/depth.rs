//! How deep JSON is nested, without parsing it.

/// Whether arrays and objects are nested more than `most` levels deep. Input that is not JSON may give either answer.
///
/// The JSON parser has a limit of its own; this one is known and ours, and it holds for every later reader of the bytes.
pub(super) fn exceeds(json: &[u8], most: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::exceeds;

    #[test]
    fn counts_levels_outside_of_strings() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            ("[[],[]]", 2),
            (r#"{"a":[{"b":1}]}"#, 3),
            (r#"{"[[[":"{{{\"[[[\\"}"#, 1),
            ("]]]]", 0),
        ] {
            assert!(!exceeds(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || exceeds(json.as_bytes(), depth - 1), "{json}");
        }
    }
}
