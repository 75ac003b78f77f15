//! The document of OpenAPI version 3 of one group and version.
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    operation::{Action, Operation, PATCH_TYPES, PathItem, Served},
    render::Fragments,
};

/// The document of the group and version at `root`, such as `apis/image.openshift.io/v1`.
pub(super) fn document(fragments: &mut Fragments, served: &[Served], root: &str) -> Value {
    let mut paths = Map::new();
    let mut used = BTreeSet::new();
    for served in served.iter().filter(|served| served.root == root) {
        for (path, item) in served.operations() {
            paths.insert(path, path_item(fragments, &item, &mut used));
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Berth", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": fragments.v3(used)},
    })
}

fn path_item(fragments: &mut Fragments, item: &PathItem<'_>, used: &mut BTreeSet<String>) -> Value {
    let parameters: Vec<Value> = item.parameters.iter().map(|parameter| parameter.v3()).collect();
    let mut value = json!({ "parameters": parameters });
    for one in &item.operations {
        value[one.action.method()] = operation(fragments, one, used);
    }
    value
}

fn operation(fragments: &mut Fragments, operation: &Operation, used: &mut BTreeSet<String>) -> Value {
    let Operation { action, id, tag, gvk } = operation;
    let (takes, answers) = fragments.of(*action, gvk);
    used.extend(takes.iter().chain(&answers).cloned());
    let parameters: Vec<Value> = action
        .parameters()
        .into_iter()
        .map(|parameter| parameter.v3())
        .collect();
    let schema = answers.map_or_else(|| json!({"type": "object"}), |answers| reference(&answers));
    let answer = |description: &str| {
        json!({"description": description, "content": {
            "application/json": {"schema": schema}, "application/yaml": {"schema": schema},
        }})
    };
    let mut responses = json!({"200": answer("OK"), "401": {"description": "Unauthorized"}});
    if *action == Action::Post {
        responses["201"] = answer("Created");
    }
    let mut value = json!({
        "description": action.description(&gvk.kind),
        "operationId": id,
        "tags": [tag],
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": action.word(),
        "x-kubernetes-group-version-kind": {"group": gvk.group, "version": gvk.version, "kind": gvk.kind},
    });
    if let Some(takes) = takes {
        let kinds: &[&str] = if *action == Action::Patch {
            PATCH_TYPES
        } else {
            &["*/*"]
        };
        let content: Map<String, Value> = kinds
            .iter()
            .map(|kind| ((*kind).to_owned(), json!({"schema": reference(&takes)})))
            .collect();
        value["requestBody"] = json!({ "content": content });
        if !matches!(action, Action::Delete | Action::DeleteCollection) {
            value["requestBody"]["required"] = json!(true);
        }
    }
    value
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
