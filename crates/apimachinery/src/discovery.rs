//! Discovery documents: which groups, versions and resources there are.
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::resource::{Endpoint, Gvk, api_version};

/// All endpoints of a server, by API version and plural.
pub(crate) struct Catalog {
    versions: BTreeMap<String, BTreeMap<String, Arc<Endpoint>>>,
    /// Groups in the order of registration, each with its versions.
    groups: Vec<(String, Vec<String>)>,
}

impl Catalog {
    pub(crate) fn new(endpoints: &[Endpoint]) -> Self {
        let mut catalog = Self {
            versions: BTreeMap::new(),
            groups: Vec::new(),
        };
        for endpoint in endpoints {
            let (group, version) = (endpoint.resource.group(), endpoint.resource.version());
            match catalog.groups.iter_mut().find(|(known, _)| known == group) {
                Some((_, versions)) if versions.iter().any(|known| known == version) => {}
                Some((_, versions)) => versions.push(version.to_owned()),
                None => catalog.groups.push((group.to_owned(), vec![version.to_owned()])),
            }
            let resources = catalog
                .versions
                .entry(endpoint.resource.api_version())
                .or_default();
            resources.insert(endpoint.resource.plural().to_owned(), Arc::new(endpoint.clone()));
        }
        catalog
    }

    /// What serves a resource.
    pub(crate) fn find(&self, api_version: &str, plural: &str) -> Option<&Arc<Endpoint>> {
        self.versions.get(api_version)?.get(plural)
    }

    /// Paths of the discovery documents, for the list at `/`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = vec!["/api".to_owned(), "/apis".to_owned()];
        for (group, versions) in &self.groups {
            if group.is_empty() {
                paths.extend(versions.iter().map(|version| format!("/api/{version}")));
            } else {
                paths.push(format!("/apis/{group}"));
                paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
            }
        }
        paths
    }

    /// The document of a discovery path.
    pub(crate) fn document(&self, path: &str, server_address: &str) -> Option<Value> {
        match path {
            "/api" => Some(self.core_versions(server_address)),
            "/apis" => {
                let groups: Vec<Value> = self
                    .named_groups()
                    .map(|(group, versions)| group_document(group, versions))
                    .collect();
                Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
            }
            path => {
                if let Some(version) = path.strip_prefix("/api/") {
                    return (!version.contains('/'))
                        .then(|| self.resource_list(version))
                        .flatten();
                }
                let rest = path.strip_prefix("/apis/")?;
                if rest.contains('/') {
                    return self.resource_list(rest);
                }
                let (group, versions) = self.named_groups().find(|(group, _)| group == rest)?;
                let mut document = group_document(group, versions);
                document["kind"] = "APIGroup".into();
                document["apiVersion"] = "v1".into();
                Some(document)
            }
        }
    }

    fn named_groups(&self) -> impl Iterator<Item = &(String, Vec<String>)> {
        self.groups.iter().filter(|(group, _)| !group.is_empty())
    }

    fn core_versions(&self, server_address: &str) -> Value {
        let versions: Vec<&String> = self
            .groups
            .iter()
            .filter(|(group, _)| group.is_empty())
            .flat_map(|(_, versions)| versions)
            .collect();
        json!({
            "kind": "APIVersions",
            "versions": versions,
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
        })
    }

    fn resource_list(&self, api_version: &str) -> Option<Value> {
        let endpoints = self.versions.get(api_version)?;
        let mut resources = Vec::new();
        for endpoint in endpoints.values() {
            let resource = &endpoint.resource;
            let mut entry = json!({
                "name": resource.plural(),
                "singularName": resource.singular(),
                "namespaced": resource.is_namespaced(),
                "kind": resource.kind(),
                "verbs": endpoint.rest.verbs().names(),
            });
            if !resource.short_names().is_empty() {
                entry["shortNames"] = resource.short_names().into();
            }
            if !resource.categories().is_empty() {
                entry["categories"] = resource.categories().into();
            }
            // What can be watched is stored.
            if endpoint.rest.verbs().watch {
                entry["storageVersionHash"] = storage_version_hash(resource.gvk()).into();
            }
            resources.push(entry);
            for subresource in &endpoint.subresources {
                let mut entry = json!({
                    "name": format!("{}/{}", resource.plural(), subresource.name),
                    "singularName": "",
                    "namespaced": resource.is_namespaced(),
                    "kind": subresource.gvk.kind,
                    "verbs": subresource.rest.verbs().names(),
                });
                if subresource.gvk.api_version() != api_version {
                    entry["group"] = subresource.gvk.group.as_str().into();
                    entry["version"] = subresource.gvk.version.as_str().into();
                }
                resources.push(entry);
            }
        }
        Some(json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": api_version,
            "resources": resources,
        }))
    }

    /// The aggregated document of `/api` or `/apis`, in `v2` or `v2beta1` of `apidiscovery.k8s.io`.
    pub(crate) fn aggregated(&self, core: bool, version: &str) -> Value {
        let items: Vec<Value> = self
            .groups
            .iter()
            .filter(|(group, _)| group.is_empty() == core)
            .map(|(group, versions)| {
                let versions: Vec<Value> = versions
                    .iter()
                    .map(|version| self.aggregated_version(group, version))
                    .collect();
                let metadata = if core { json!({}) } else { json!({"name": group}) };
                json!({"metadata": metadata, "versions": versions})
            })
            .collect();
        json!({
            "kind": "APIGroupDiscoveryList",
            "apiVersion": format!("apidiscovery.k8s.io/{version}"),
            "metadata": {},
            "items": items,
        })
    }

    fn aggregated_version(&self, group: &str, version: &str) -> Value {
        let endpoints = self.versions.get(&api_version(group, version));
        let resources: Vec<Value> = endpoints
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|endpoint| aggregated_resource(endpoint))
            .collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    }
}

/// Identifies the kind that objects are stored as, so that clients notice when it changes.
fn storage_version_hash(gvk: &Gvk) -> String {
    let text = format!("{}/{}/{}", gvk.group, gvk.version, gvk.kind);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    STANDARD.encode(&digest.as_ref()[..8])
}

fn kind(gvk: &Gvk) -> Value {
    json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind})
}

fn aggregated_resource(endpoint: &Endpoint) -> Value {
    let resource = &endpoint.resource;
    let mut entry = json!({
        "resource": resource.plural(),
        "responseKind": kind(resource.gvk()),
        "scope": if resource.is_namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular(),
        "verbs": endpoint.rest.verbs().names(),
    });
    if !resource.short_names().is_empty() {
        entry["shortNames"] = resource.short_names().into();
    }
    if !resource.categories().is_empty() {
        entry["categories"] = resource.categories().into();
    }
    if !endpoint.subresources.is_empty() {
        let describe = |subresource: &crate::resource::Subresource| {
            json!({
                "subresource": subresource.name,
                "responseKind": kind(&subresource.gvk),
                "verbs": subresource.rest.verbs().names(),
            })
        };
        entry["subresources"] = endpoint.subresources.iter().map(describe).collect();
    }
    entry
}

fn group_document(group: &str, versions: &[String]) -> Value {
    let describe =
        |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(describe).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}
