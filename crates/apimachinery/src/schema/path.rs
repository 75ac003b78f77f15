//! Where in a document a finding was made, without allocating until one is.
use std::fmt;

/// One step of a path, linked to its parent on the stack.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The document itself.
    Root,
    /// A field or map key.
    Key(&'a Path<'a>, &'a str),
    /// An element of a list.
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The path without list positions, which is how field names are written in type errors.
    pub(super) fn fields(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Index(parent, _) => parent.fields(),
            Path::Key(parent, key) => {
                let mut text = parent.fields();
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
                text
            }
        }
    }
}

/// Written as Kubernetes does: `spec.tags[0].name`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
