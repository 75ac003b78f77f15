//! Rules for names and labels, with Kubernetes' wording (`k8s.io/apimachinery/pkg/util/validation`).

/// Longest DNS label, in bytes.
pub const LABEL_LIMIT: usize = 63;

/// Longest DNS subdomain, in bytes.
pub const SUBDOMAIN_LIMIT: usize = 253;

const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
    and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
    '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const QUALIFIED_MESSAGE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const LABEL_VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
    '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
    regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(&first), Some(&last)) if inner(first) && inner(last))
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
}

fn is_qualified_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()),
        (Some(first), Some(last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A DNS label (RFC 1123).
///
/// # Errors
/// What is wrong with it.
pub fn dns_label(name: &str) -> Result<(), String> {
    if name.len() > LABEL_LIMIT {
        return Err(too_long(LABEL_LIMIT));
    }
    if is_label(name) {
        Ok(())
    } else {
        Err(LABEL_MESSAGE.into())
    }
}

/// A DNS subdomain (RFC 1123): labels with dots between them.
///
/// # Errors
/// What is wrong with it.
pub fn dns_subdomain(name: &str) -> Result<(), String> {
    if name.len() > SUBDOMAIN_LIMIT {
        return Err(too_long(SUBDOMAIN_LIMIT));
    }
    if name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(SUBDOMAIN_MESSAGE.into())
    }
}

/// Any path segment, as names of RBAC objects and images are.
///
/// # Errors
/// What is wrong with it.
pub fn path_segment(name: &str) -> Result<(), String> {
    if matches!(name, "." | "..") {
        return Err(format!("may not be '{name}'"));
    }
    for bad in ['/', '%'] {
        if name.contains(bad) {
            return Err(format!("may not contain '{bad}'"));
        }
    }
    Ok(())
}

/// A label or annotation key: `[prefix/]name`.
///
/// # Errors
/// What is wrong with it.
pub fn qualified_name(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                return Err("prefix part must be non-empty".into());
            }
            dns_subdomain(prefix).map_err(|error| format!("prefix part {error}"))?;
            name
        }
        Some(_) => {
            return Err("a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start \
                and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and \
                '/' (e.g. 'example.com/MyName')"
                .into());
        }
    };
    if name.is_empty() {
        return Err("name part must be non-empty".into());
    }
    if name.len() > LABEL_LIMIT {
        return Err(format!("name part {}", too_long(LABEL_LIMIT)));
    }
    if is_qualified_part(name) {
        Ok(())
    } else {
        Err(QUALIFIED_MESSAGE.into())
    }
}

/// A label value.
///
/// # Errors
/// What is wrong with it.
pub fn label_value(value: &str) -> Result<(), String> {
    if value.len() > LABEL_LIMIT {
        return Err(too_long(LABEL_LIMIT));
    }
    if value.is_empty() || is_qualified_part(value) {
        Ok(())
    } else {
        Err(LABEL_VALUE_MESSAGE.into())
    }
}
