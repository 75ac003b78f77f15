//! What a server serves, as a list of operations by path.
use std::collections::BTreeMap;

use super::parameter::{self, Parameter};
use crate::{
    resource::{Endpoint, Gvk},
    rest::Verbs,
};

/// A resource, as far as documents are concerned.
#[derive(Debug)]
pub(super) struct Served {
    /// `api/v1` or `apis/GROUP/VERSION`.
    pub(super) root: String,
    gvk: Gvk,
    plural: String,
    namespaced: bool,
    verbs: Verbs,
    subresources: Vec<(String, Gvk, Verbs)>,
}

impl Served {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let resource = &endpoint.resource;
        let gvk = resource.gvk().clone();
        let root = if gvk.group.is_empty() {
            format!("api/{}", gvk.version)
        } else {
            format!("apis/{}/{}", gvk.group, gvk.version)
        };
        let subresources = endpoint.subresources.iter();
        Self {
            root,
            gvk,
            plural: resource.plural().to_owned(),
            namespaced: resource.is_namespaced(),
            verbs: endpoint.rest.verbs(),
            subresources: subresources
                .map(|sub| (sub.name.clone(), sub.gvk.clone(), sub.rest.verbs()))
                .collect(),
        }
    }

    /// The operations of the resource and its subresources, by path.
    pub(super) fn operations(&self) -> BTreeMap<String, PathItem<'_>> {
        let mut paths = BTreeMap::new();
        let root = format!("/{}", self.root);
        let all = format!("{root}/{}", self.plural);
        let collection = if self.namespaced {
            format!("{root}/namespaces/{{namespace}}/{}", self.plural)
        } else {
            all.clone()
        };
        let scope = if self.namespaced { "Namespaced" } else { "" };
        let title = self.title();
        let make = |action: Action, kind: &'_ Gvk, scope: &str, suffix: &str| Operation {
            action,
            id: format!("{}{title}{scope}{}{suffix}", action.prefix(), kind.kind),
            tag: title_tag(&self.gvk),
            gvk: Gvk::clone(kind),
        };

        let mut item = PathItem::new(self.namespaced, false);
        let verbs = self.verbs;
        for (present, action) in [
            (verbs.list, Action::List),
            (verbs.create, Action::Post),
            (verbs.delete_collection, Action::DeleteCollection),
        ] {
            if present {
                item.operations.push(make(action, &self.gvk, scope, ""));
            }
        }
        paths.insert(collection.clone(), item);
        if self.namespaced && (verbs.list || verbs.create) {
            let mut item = PathItem::new(false, false);
            if verbs.list {
                item.operations
                    .push(make(Action::List, &self.gvk, "", "ForAllNamespaces"));
            }
            // Reviews and their like are posted without a namespace of their own.
            paths.insert(all, item);
        }
        let mut item = PathItem::new(self.namespaced, true);
        item.operations
            .extend(object_actions(verbs).map(|action| make(action, &self.gvk, scope, "")));
        paths.insert(format!("{collection}/{{name}}"), item);
        for (name, gvk, verbs) in &self.subresources {
            let suffix = camel(name);
            let mut item = PathItem::new(self.namespaced, true);
            let create = verbs.create.then_some(Action::Post);
            for action in object_actions(*verbs).chain(create) {
                let mut operation = make(action, gvk, scope, "");
                operation.id = format!("{}{title}{scope}{}{suffix}", action.prefix(), self.gvk.kind);
                item.operations.push(operation);
            }
            paths.insert(format!("{collection}/{{name}}/{name}"), item);
        }
        paths.retain(|_, item| !item.operations.is_empty());
        paths
    }

    /// `ImageOpenshiftIoV1`, as operation identifiers have it.
    fn title(&self) -> String {
        let group = if self.gvk.group.is_empty() {
            "core".to_owned()
        } else {
            self.gvk.group.replace(".k8s.io", "")
        };
        format!("{}{}", camel(&group), camel(&self.gvk.version))
    }
}

fn title_tag(gvk: &Gvk) -> String {
    let group = if gvk.group.is_empty() { "core" } else { &gvk.group };
    format!("{}_{}", group.replace(['.', '-'], "_"), gvk.version)
}

fn object_actions(verbs: Verbs) -> impl Iterator<Item = Action> {
    [
        (verbs.get, Action::Get),
        (verbs.update, Action::Put),
        (verbs.patch, Action::Patch),
        (verbs.delete, Action::Delete),
    ]
    .into_iter()
    .filter_map(|(present, action)| present.then_some(action))
}

/// `image.openshift.io` is `ImageOpenshiftIo`.
fn camel(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
        })
        .collect()
}

/// What is served at one path.
pub(super) struct PathItem<'a> {
    /// Parameters of all operations.
    pub(super) parameters: Vec<&'a Parameter>,
    pub(super) operations: Vec<Operation>,
}

impl PathItem<'_> {
    fn new(namespace: bool, name: bool) -> Self {
        let parameters = [
            (name, parameter::NAME),
            (namespace, parameter::NAMESPACE),
            (true, parameter::PRETTY),
        ];
        Self {
            parameters: parameters
                .into_iter()
                .filter_map(|(has, parameter)| has.then_some(parameter))
                .collect(),
            operations: Vec::new(),
        }
    }
}

/// One operation.
pub(super) struct Operation {
    pub(super) action: Action,
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) gvk: Gvk,
}

/// `x-kubernetes-action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    List,
    Post,
    Put,
    Patch,
    Delete,
    DeleteCollection,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Get | Self::List => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete | Self::DeleteCollection => "delete",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Get => "read",
            Self::List => "list",
            Self::Post => "create",
            Self::Put => "replace",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    pub(super) fn description(self, kind: &str) -> String {
        match self {
            Self::Get => format!("Reads one {kind}."),
            Self::List => format!("Lists or watches objects of kind {kind}."),
            Self::Post => format!("Creates a {kind}."),
            Self::Put => format!("Replaces a {kind}."),
            Self::Patch => format!("Changes some fields of a {kind}."),
            Self::Delete => format!("Deletes a {kind}."),
            Self::DeleteCollection => format!("Deletes objects of kind {kind}."),
        }
    }

    pub(super) fn parameters(self) -> Vec<&'static Parameter> {
        match self {
            Self::Get => Vec::new(),
            Self::List => parameter::LIST.to_vec(),
            Self::Post | Self::Put => parameter::WRITE.to_vec(),
            Self::Patch => parameter::PATCH.to_vec(),
            Self::Delete => parameter::DELETE.to_vec(),
            Self::DeleteCollection => [parameter::DELETE, parameter::LIST].concat(),
        }
    }
}

/// Media types of patches.
pub(super) const PATCH_TYPES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
