//! The document of OpenAPI version 2, for all groups at once.
use serde_json::{Map, Value, json};

use super::{
    operation::{Action, Operation, PATCH_TYPES, PathItem, Served},
    render::Fragments,
};

const PRODUCES: &[&str] = &["application/json", "application/yaml"];

pub(super) fn document(fragments: &mut Fragments, served: &[Served]) -> Value {
    let mut paths = Map::new();
    for served in served {
        for (path, item) in served.operations() {
            paths.insert(path, path_item(fragments, &item));
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Berth", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "definitions": fragments.v2(),
    })
}

fn path_item(fragments: &mut Fragments, item: &PathItem<'_>) -> Value {
    let parameters: Vec<Value> = item.parameters.iter().map(|parameter| parameter.v2()).collect();
    let mut value = json!({ "parameters": parameters });
    for one in &item.operations {
        value[one.action.method()] = operation(fragments, one);
    }
    value
}

fn operation(fragments: &mut Fragments, operation: &Operation) -> Value {
    let Operation { action, id, tag, gvk } = operation;
    let (takes, answers) = fragments.of(*action, gvk);
    let mut parameters = Vec::new();
    if let Some(takes) = takes {
        let required = !matches!(action, Action::Delete | Action::DeleteCollection);
        let mut body = json!({"name": "body", "in": "body", "schema": reference(&takes)});
        if required {
            body["required"] = json!(true);
        }
        parameters.push(body);
    }
    parameters.extend(action.parameters().into_iter().map(|parameter| parameter.v2()));
    let consumes: &[&str] = if *action == Action::Patch {
        PATCH_TYPES
    } else {
        &["*/*"]
    };
    let schema = answers.map_or_else(|| json!({"type": "object"}), |answers| reference(&answers));
    let mut responses =
        json!({"200": {"description": "OK", "schema": schema}, "401": {"description": "Unauthorized"}});
    if *action == Action::Post {
        responses["201"] = json!({"description": "Created", "schema": responses["200"]["schema"]});
    }
    json!({
        "description": action.description(&gvk.kind),
        "operationId": id,
        "tags": [tag],
        "schemes": ["https"],
        "consumes": consumes,
        "produces": PRODUCES,
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": action.word(),
        "x-kubernetes-group-version-kind": {"group": gvk.group, "version": gvk.version, "kind": gvk.kind},
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}
