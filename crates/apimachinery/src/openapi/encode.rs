//! A JSON document of version 2 as protobuf messages, so that both forms say the same.
use serde_json::{Map, Value};

use super::gnostic::{
    AdditionalProperties, AdditionalPropertiesKind, Any, BodyParameter, Document, Info, ItemsItem, NamedAny,
    NamedPathItem, NamedResponseValue, NamedSchema, NonBodyKind, NonBodyParameter, Operation, Parameter,
    ParameterKind, ParametersItem, PathItem, PathParameter, Paths, QueryParameter, Response, ResponseValue,
    Responses, Schema, SchemaItem, Schemas, TypeItem,
};

pub(super) fn document(document: &Value) -> Document {
    let info = &document["info"];
    let paths = entries(&document["paths"]);
    Document {
        swagger: text(&document["swagger"]),
        info: Some(Info {
            title: text(&info["title"]),
            version: text(&info["version"]),
        }),
        paths: Some(Paths {
            path: paths
                .map(|(name, item)| NamedPathItem {
                    name: name.clone(),
                    value: Some(path_item(item)),
                })
                .collect(),
        }),
        definitions: Some(schemas(&document["definitions"])),
    }
}

fn path_item(item: &Value) -> PathItem {
    let operation = |method: &str| item.get(method).map(operation);
    PathItem {
        get: operation("get"),
        put: operation("put"),
        post: operation("post"),
        delete: operation("delete"),
        patch: operation("patch"),
        parameters: parameters(&item["parameters"]),
    }
}

fn operation(operation: &Value) -> Operation {
    let responses = entries(&operation["responses"]).map(|(name, response)| NamedResponseValue {
        name: name.clone(),
        value: Some(ResponseValue {
            response: Some(Response {
                description: text(&response["description"]),
                schema: response.get("schema").map(|found| SchemaItem {
                    schema: Some(schema(found)),
                }),
            }),
        }),
    });
    Operation {
        tags: texts(&operation["tags"]),
        description: text(&operation["description"]),
        operation_id: text(&operation["operationId"]),
        produces: texts(&operation["produces"]),
        consumes: texts(&operation["consumes"]),
        parameters: parameters(&operation["parameters"]),
        responses: Some(Responses {
            response_code: responses.collect(),
        }),
        schemes: texts(&operation["schemes"]),
        vendor_extension: extensions(operation),
    }
}

fn parameters(parameters: &Value) -> Vec<ParametersItem> {
    let parameters = parameters.as_array().into_iter().flatten();
    parameters
        .map(|one| ParametersItem {
            parameter: Some(Parameter {
                kind: Some(parameter(one)),
            }),
        })
        .collect()
}

fn parameter(parameter: &Value) -> ParameterKind {
    let (name, place, kind) = (
        text(&parameter["name"]),
        text(&parameter["in"]),
        text(&parameter["type"]),
    );
    let flag = |field: &str| parameter[field].as_bool().unwrap_or_default();
    let (required, unique_items) = (flag("required"), flag("uniqueItems"));
    let description = text(&parameter["description"]);
    let kind = match place.as_str() {
        "body" => {
            let schema = parameter.get("schema").map(schema);
            return ParameterKind::Body(BodyParameter {
                name,
                place,
                required,
                schema,
            });
        }
        "path" => NonBodyKind::Path(PathParameter {
            required,
            place,
            description,
            name,
            kind,
            unique_items,
        }),
        _ => NonBodyKind::Query(QueryParameter {
            required,
            place,
            description,
            name,
            kind,
            unique_items,
        }),
    };
    ParameterKind::Other(NonBodyParameter { kind: Some(kind) })
}

fn schemas(schemas: &Value) -> Schemas {
    let all = entries(schemas).map(|(name, value)| NamedSchema {
        name: name.clone(),
        value: Some(schema(value)),
    });
    Schemas {
        additional_properties: all.collect(),
    }
}

fn schema(fragment: &Value) -> Schema {
    let enumerated = fragment["enum"].as_array().into_iter().flatten();
    Schema {
        reference: text(&fragment["$ref"]),
        format: text(&fragment["format"]),
        description: text(&fragment["description"]),
        required: texts(&fragment["required"]),
        values: enumerated.map(any).collect(),
        additional_properties: match fragment.get("additionalProperties") {
            Some(Value::Bool(allowed)) => Some(AdditionalPropertiesKind::Any(*allowed)),
            Some(inner) => Some(AdditionalPropertiesKind::Schema(Box::new(schema(inner)))),
            None => None,
        }
        .map(|kind| Box::new(AdditionalProperties { kind: Some(kind) })),
        kind: fragment.get("type").map(|kind| TypeItem {
            value: vec![text(kind)],
        }),
        items: fragment.get("items").map(|items| ItemsItem {
            schema: vec![schema(items)],
        }),
        properties: fragment.get("properties").map(schemas),
        vendor_extension: extensions(fragment),
    }
}

/// Fields whose name begins with `x-`.
fn extensions(value: &Value) -> Vec<NamedAny> {
    let extensions = entries(value).filter(|(name, _)| name.starts_with("x-"));
    extensions
        .map(|(name, value)| NamedAny {
            name: name.clone(),
            value: Some(any(value)),
        })
        .collect()
}

/// JSON is YAML, so the text needs no other writer.
fn any(value: &Value) -> Any {
    Any {
        yaml: format!("{value}\n"),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().map(text).collect()
}
