//! What a resource is called and how it is shown: [`Resource`], [`Endpoint`] and [`Subresource`].
use std::fmt;
use std::sync::Arc;

use crate::rest::Rest;
use crate::schema_port::ObjectSchema;
use crate::table::Table;

/// Largest body of a request to most resources, in bytes.
pub const BODY_LIMIT: usize = 3 << 20;

/// Group, version and kind. The core group is the empty string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind, as in `ImageStream`.
    pub kind: String,
}

impl Gvk {
    /// From its parts.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// `group/version`, or `version` for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Group and kind.
    #[must_use]
    pub fn group_kind(&self) -> GroupKind {
        GroupKind {
            group: self.group.clone(),
            kind: self.kind.clone(),
        }
    }
}

/// `group/version`, or `version` for the core group.
#[must_use]
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// Group and kind, displayed as `ImageStream.image.openshift.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.kind, &self.group)
    }
}

/// Group and plural, displayed as `imagestreams.image.openshift.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name in lower case.
    pub resource: String,
}

impl GroupResource {
    /// From its parts.
    #[must_use]
    pub fn new(group: &str, resource: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.resource, &self.group)
    }
}

fn dotted(f: &mut fmt::Formatter<'_>, name: &str, group: &str) -> fmt::Result {
    if group.is_empty() {
        f.write_str(name)
    } else {
        write!(f, "{name}.{group}")
    }
}

/// A resource: its names, its scope, its columns and its schema. Cheap to clone.
#[derive(Clone)]
pub struct Resource(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    gvk: Gvk,
    list_kind: String,
    plural: String,
    singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    namespaced: bool,
    table: Table,
    schema: Option<Arc<dyn ObjectSchema>>,
    returns_deleted: bool,
    is_namespace: bool,
    body_limit: usize,
}

impl Resource {
    /// A namespaced resource with the default columns (Name, Age); refine it with the `with_…` methods.
    #[must_use]
    pub fn namespaced(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(group, version, kind, plural, true)
    }

    /// A cluster-scoped resource with the default columns (Name, Age); refine it with the `with_…` methods.
    #[must_use]
    pub fn cluster(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(group, version, kind, plural, false)
    }

    fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        Self(Arc::new(Inner {
            gvk: Gvk::new(group, version, kind),
            list_kind: format!("{kind}List"),
            plural: plural.into(),
            singular: kind.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced,
            table: Table::default(),
            schema: None,
            returns_deleted: false,
            body_limit: BODY_LIMIT,
            is_namespace: false,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// With short names, as in `is`.
    #[must_use]
    pub fn with_short_names(self, names: &[&str]) -> Self {
        self.with(|inner| inner.short_names = names.iter().map(|&name| name.to_owned()).collect())
    }

    /// With categories, as in `all`.
    #[must_use]
    pub fn with_categories(self, names: &[&str]) -> Self {
        self.with(|inner| inner.categories = names.iter().map(|&name| name.to_owned()).collect())
    }

    /// With a singular name other than the kind in lower case.
    #[must_use]
    pub fn with_singular(self, singular: &str) -> Self {
        self.with(|inner| inner.singular = singular.to_owned())
    }

    /// With a list kind other than the kind and `List`.
    #[must_use]
    pub fn with_list_kind(self, kind: &str) -> Self {
        self.with(|inner| inner.list_kind = kind.to_owned())
    }

    /// With the columns that `kubectl get` shows.
    #[must_use]
    pub fn with_table(self, table: Table) -> Self {
        self.with(|inner| inner.table = table)
    }

    /// With a schema for decoding, defaulting and strategic merge patches.
    #[must_use]
    pub fn with_schema(self, schema: Arc<dyn ObjectSchema>) -> Self {
        self.with(|inner| inner.schema = Some(schema))
    }

    /// A deletion that removes the object answers with the object instead of a Status.
    #[must_use]
    pub fn returning_deleted(self) -> Self {
        self.with(|inner| inner.returns_deleted = true)
    }

    /// Each object stands for the namespace of its name, so that roles bound in that namespace apply to it.
    #[must_use]
    pub fn as_namespace(self) -> Self {
        self.with(|inner| inner.is_namespace = true)
    }

    /// Whether each object stands for the namespace of its name.
    #[must_use]
    pub fn is_namespace(&self) -> bool {
        self.0.is_namespace
    }

    /// Takes bodies of up to this many bytes, other than the usual [`BODY_LIMIT`].
    #[must_use]
    pub fn with_body_limit(self, bytes: usize) -> Self {
        self.with(|inner| inner.body_limit = bytes)
    }

    /// Largest body of a request, in bytes.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.0.body_limit
    }

    /// Group, version and kind of an item.
    #[must_use]
    pub fn gvk(&self) -> &Gvk {
        &self.0.gvk
    }

    /// API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.0.gvk.group
    }

    /// Version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.gvk.version
    }

    /// Kind of an item.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.gvk.kind
    }

    /// Kind of a list.
    #[must_use]
    pub fn list_kind(&self) -> &str {
        &self.0.list_kind
    }

    /// Plural name in lower case: the path segment.
    #[must_use]
    pub fn plural(&self) -> &str {
        &self.0.plural
    }

    /// Singular name in lower case.
    #[must_use]
    pub fn singular(&self) -> &str {
        &self.0.singular
    }

    /// Short names.
    #[must_use]
    pub fn short_names(&self) -> &[String] {
        &self.0.short_names
    }

    /// Categories.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.0.categories
    }

    /// Whether objects live in a namespace.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        self.0.namespaced
    }

    /// Columns.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.0.table
    }

    /// Schema, if one was given.
    #[must_use]
    pub fn schema(&self) -> Option<&Arc<dyn ObjectSchema>> {
        self.0.schema.as_ref()
    }

    /// Whether a deletion answers with the object.
    #[must_use]
    pub fn returns_deleted(&self) -> bool {
        self.0.returns_deleted
    }

    /// `group/version`, or `version` for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        self.0.gvk.api_version()
    }

    /// Group and plural, as messages name the resource.
    #[must_use]
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.group(), self.plural())
    }

    /// Group and kind, as messages name an object.
    #[must_use]
    pub fn group_kind(&self) -> GroupKind {
        self.0.gvk.group_kind()
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Resource({}.{}/{})",
            self.plural(),
            self.version(),
            self.group()
        )
    }
}

/// A subresource: what is served at `…/<plural>/<name>/<subresource>`.
#[derive(Clone)]
pub struct Subresource {
    /// Last path segment, as in `status`.
    pub name: String,
    /// Kind of the objects it takes and returns.
    pub gvk: Gvk,
    /// What serves it. `create` receives the parent's name.
    pub rest: Arc<dyn Rest>,
    /// Schema of the objects it takes; the parent's, if it takes the parent's kind and this is none.
    pub schema: Option<Arc<dyn ObjectSchema>>,
    /// Columns of its objects.
    pub table: Table,
}

impl Subresource {
    /// A subresource with default columns and without a schema of its own.
    #[must_use]
    pub fn new(name: &str, gvk: Gvk, rest: Arc<dyn Rest>) -> Self {
        Self {
            name: name.into(),
            gvk,
            rest,
            schema: None,
            table: Table::default(),
        }
    }

    /// The same with a schema.
    #[must_use]
    pub fn with_schema(mut self, schema: Arc<dyn ObjectSchema>) -> Self {
        self.schema = Some(schema);
        self
    }
}

/// A resource and what serves it.
#[derive(Clone)]
pub struct Endpoint {
    /// Names, scope, columns, schema.
    pub resource: Resource,
    /// What serves the objects.
    pub rest: Arc<dyn Rest>,
    /// What serves paths below an object.
    pub subresources: Vec<Subresource>,
}

impl Endpoint {
    /// An endpoint without subresources.
    #[must_use]
    pub fn new(resource: Resource, rest: Arc<dyn Rest>) -> Self {
        Self {
            resource,
            rest,
            subresources: Vec::new(),
        }
    }

    /// The same with a subresource.
    #[must_use]
    pub fn with_subresource(mut self, subresource: Subresource) -> Self {
        self.subresources.push(subresource);
        self
    }
}
