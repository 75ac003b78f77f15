//! [`Kinds`]: where each group registers what it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_apimachinery::database::Database;
use berth_apimachinery::resource::{Endpoint, GroupResource, Gvk, Resource, Subresource};
use berth_apimachinery::rest::Rest;
use berth_apimachinery::schema::Definitions;
use berth_apimachinery::schema_port::ObjectSchema;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;
use berth_apimachinery::strategy::Strategy;

/// Everything that the server will serve, while it is put together.
pub(crate) struct Kinds<'a> {
    database: &'a Database,
    definitions: &'a Arc<Definitions>,
    endpoints: Vec<Endpoint>,
    storages: BTreeMap<GroupResource, Storage>,
}

impl<'a> Kinds<'a> {
    /// Nothing yet.
    pub(crate) fn new(database: &'a Database, definitions: &'a Arc<Definitions>) -> Kinds<'a> {
        Kinds {
            database,
            definitions,
            endpoints: Vec::new(),
            storages: BTreeMap::new(),
        }
    }

    /// The schema of a kind, if it is defined.
    pub(crate) fn schema(&self, kind: &Gvk) -> Option<Arc<dyn ObjectSchema>> {
        let name = definition_name(kind);
        self.definitions.get(&name).map(|_| self.definitions.kind(&name))
    }

    fn with_schema(&self, resource: Resource) -> Resource {
        match self.schema(resource.gvk()) {
            Some(schema) => resource.with_schema(schema),
            None => resource,
        }
    }

    /// Stores a resource, without serving it yet.
    pub(crate) fn storage(&mut self, resource: Resource, strategy: Arc<dyn Strategy>) -> Storage {
        let storage = Storage::new(self.database, self.with_schema(resource), strategy);
        self.storages
            .insert(storage.resource().group_resource(), storage.clone());
        storage
    }

    /// Stores a resource with many or large objects, of which memory keeps only the bytes; without serving it yet.
    pub(crate) fn lean_storage(&mut self, resource: Resource, strategy: Arc<dyn Strategy>) -> Storage {
        let storage = Storage::lean(self.database, self.with_schema(resource), strategy);
        self.storages
            .insert(storage.resource().group_resource(), storage.clone());
        storage
    }

    /// Stores and serves a resource.
    pub(crate) fn stored(&mut self, resource: Resource, strategy: Arc<dyn Strategy>) -> Storage {
        let storage = self.storage(resource, strategy);
        let rest = Arc::new(StoredRest::new(storage.clone()));
        self.endpoint(storage.resource().clone(), rest, Vec::new());
        storage
    }

    /// Serves a resource that has no subresources.
    pub(crate) fn serve(&mut self, resource: Resource, rest: Arc<dyn Rest>) {
        self.endpoint(resource, rest, Vec::new());
    }

    /// Serves a resource.
    pub(crate) fn endpoint(
        &mut self,
        resource: Resource,
        rest: Arc<dyn Rest>,
        subresources: Vec<Subresource>,
    ) {
        let mut endpoint = Endpoint::new(self.with_schema(resource), rest);
        for subresource in subresources {
            let schema = subresource
                .schema
                .clone()
                .or_else(|| self.schema(&subresource.gvk));
            endpoint = endpoint.with_subresource(Subresource {
                schema,
                ..subresource
            });
        }
        self.endpoints.push(endpoint);
    }

    /// A stored resource that was registered before.
    pub(crate) fn get(&self, group: &str, plural: &str) -> Option<Storage> {
        self.storages.get(&GroupResource::new(group, plural)).cloned()
    }

    /// What was registered.
    pub(crate) fn finish(self) -> (Vec<Endpoint>, BTreeMap<GroupResource, Storage>) {
        (self.endpoints, self.storages)
    }
}

/// The name under which a kind is defined in `schemas/`: as in the OpenAPI documents of Kubernetes and OpenShift.
fn definition_name(kind: &Gvk) -> String {
    if kind.group == "apiextensions.k8s.io" {
        return format!(
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{}.{}",
            kind.version, kind.kind
        );
    }
    let (first, owner) = match kind.group.split_once('.') {
        None => (
            if kind.group.is_empty() {
                "core"
            } else {
                kind.group.as_str()
            },
            "io.k8s.api",
        ),
        Some((first, "openshift.io")) => (first, "com.github.openshift.api"),
        Some((first, _)) => (first, "io.k8s.api"),
    };
    format!("{owner}.{first}.{}.{}", kind.version, kind.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_as_in_openapi() {
        for (group, kind, want) in [
            ("", "Secret", "io.k8s.api.core.v1.Secret"),
            ("rbac.authorization.k8s.io", "Role", "io.k8s.api.rbac.v1.Role"),
            (
                "authentication.k8s.io",
                "TokenReview",
                "io.k8s.api.authentication.v1.TokenReview",
            ),
            (
                "project.openshift.io",
                "Project",
                "com.github.openshift.api.project.v1.Project",
            ),
        ] {
            assert_eq!(definition_name(&Gvk::new(group, "v1", kind)), want);
        }
    }
}
