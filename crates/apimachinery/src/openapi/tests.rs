use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode, header};
use prost::Message as _;
use serde_json::{Value, json};

use super::{OpenApi, PROTOBUF, gnostic};
use crate::{
    resource::{Endpoint, Gvk, Resource, Subresource},
    rest::{Rest, Verbs},
    schema::Definitions,
};

const FILE: &str = "
demo.v1.Thing:
  description: A thing.
  x-kubernetes-group-version-kind: [{group: demo.io, version: v1, kind: Thing}]
  properties:
    spec: {$ref: demo.v1.Spec, description: Wanted., default: {}}
demo.v1.Spec:
  description: What is wanted.
  type: object
  required: [size]
  properties:
    size: {$ref: io.k8s.apimachinery.pkg.api.resource.Quantity, x-protobuf: 1}
    port: {x-kubernetes-int-or-string: true}
    mode: {type: string, enum: [a, b], default: a}
    list: {type: array, items: {type: string, default: ''}, x-kubernetes-patch-strategy: merge}
    free: {type: object, additionalProperties: true}
    map: {type: object, additionalProperties: {$ref: demo.v1.Spec}}
demo.v1.Review:
  description: A review.
  x-kubernetes-group-version-kind: [{group: demo.io, version: v1, kind: Review}]
";

struct Only(Verbs);

#[async_trait]
impl Rest for Only {
    fn verbs(&self) -> Verbs {
        self.0
    }
}

fn api() -> OpenApi {
    let definitions = Arc::new(Definitions::new(&[FILE]).unwrap());
    let gvk = Gvk::new("demo.io", "v1", "Thing");
    let thing = Endpoint::new(
        Resource::namespaced("demo.io", "v1", "Thing", "things"),
        Arc::new(Only(Verbs::ALL)),
    )
    .with_subresource(Subresource::new("status", gvk, Arc::new(Only(Verbs::STATUS))));
    let review = Endpoint::new(
        Resource::cluster("demo.io", "v1", "Review", "reviews"),
        Arc::new(Only(Verbs::CREATE)),
    );
    let core = Endpoint::new(
        Resource::cluster("", "v1", "Status", "statuses"),
        Arc::new(Only(Verbs::GET)),
    );
    OpenApi::new(definitions, &[thing, review, core])
}

fn get(api: &OpenApi, path: &str, accept: &str) -> http::Response<bytes::Bytes> {
    let mut headers = HeaderMap::new();
    if !accept.is_empty() {
        headers.insert(header::ACCEPT, accept.parse().unwrap());
    }
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    api.respond(path, query, &headers).unwrap()
}

fn json_of(api: &OpenApi, path: &str) -> Value {
    serde_json::from_slice(get(api, path, "application/json").body()).unwrap()
}

/// Every reference of a document must lead somewhere in it.
fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            map.values().for_each(|value| check_references(document, value));
        }
        Value::Array(list) => list.iter().for_each(|value| check_references(document, value)),
        _ => {}
    }
}

#[test]
fn version_2_describes_every_operation() {
    let document = json_of(&api(), "/openapi/v2");
    check_references(&document, &document);
    let paths: Vec<(&str, Vec<&str>)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, item)| {
            let methods = item
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .filter(|key| *key != "parameters");
            (path.as_str(), methods.collect())
        })
        .collect();
    assert_eq!(
        paths,
        [
            ("/api/v1/statuses/{name}", vec!["get"]),
            (
                "/apis/demo.io/v1/namespaces/{namespace}/things",
                vec!["delete", "get", "post"]
            ),
            (
                "/apis/demo.io/v1/namespaces/{namespace}/things/{name}",
                vec!["delete", "get", "patch", "put"]
            ),
            (
                "/apis/demo.io/v1/namespaces/{namespace}/things/{name}/status",
                vec!["get", "patch", "put"]
            ),
            ("/apis/demo.io/v1/reviews", vec!["post"]),
            ("/apis/demo.io/v1/things", vec!["get"]),
        ]
    );
    let patch = &document["paths"]["/apis/demo.io/v1/namespaces/{namespace}/things/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "demo.io", "version": "v1", "kind": "Thing"})
    );
    assert_eq!(patch["x-kubernetes-action"], json!("patch"));
    assert_eq!(patch["operationId"], json!("patchDemoIoV1NamespacedThing"));
    let names: Vec<&str> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["body", "dryRun", "fieldManager", "fieldValidation", "force"]
    );
    assert_eq!(
        document["definitions"]["demo.v1.Spec"]["properties"],
        json!({
            "size": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"},
            "port": {"type": "string", "format": "int-or-string"},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "list": {"type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": "merge"},
            "free": {"type": "object", "additionalProperties": true},
            "map": {"type": "object", "additionalProperties": {"$ref": "#/definitions/demo.v1.Spec"}},
        })
    );
    let list = &document["definitions"]["demo.v1.ThingList"];
    assert_eq!(
        list["x-kubernetes-group-version-kind"],
        json!([{"group": "demo.io", "version": "v1", "kind": "ThingList"}])
    );
}

#[test]
fn the_protobuf_form_says_the_same() {
    let api = api();
    let json = json_of(&api, "/openapi/v2");
    for accept in [
        PROTOBUF,
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf, */*",
    ] {
        let answer = get(&api, "/openapi/v2", accept);
        assert!(
            answer.headers()[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .ends_with("+protobuf")
        );
        let document = gnostic::Document::decode(answer.body().as_ref()).unwrap();
        assert_eq!(document.swagger, "2.0");
        assert_eq!(
            document.paths.as_ref().unwrap().path.len(),
            json["paths"].as_object().unwrap().len()
        );
        let definitions = document.definitions.unwrap().additional_properties;
        assert_eq!(definitions.len(), json["definitions"].as_object().unwrap().len());
        let thing = definitions
            .iter()
            .find(|schema| schema.name == "demo.v1.Thing")
            .unwrap()
            .value
            .as_ref()
            .unwrap();
        assert_eq!(thing.vendor_extension[0].name, "x-kubernetes-group-version-kind");
        assert_eq!(
            thing.vendor_extension[0].value.as_ref().unwrap().yaml,
            "[{\"group\":\"demo.io\",\"kind\":\"Thing\",\"version\":\"v1\"}]\n"
        );
        let patch = document
            .paths
            .unwrap()
            .path
            .into_iter()
            .find_map(|path| path.value.unwrap().patch)
            .unwrap();
        assert_eq!(patch.parameters.len(), 5);
    }
}

#[test]
fn version_3_has_a_document_for_each_group() {
    let api = api();
    let index = json_of(&api, "/openapi/v3");
    let names: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["api/v1", "apis/demo.io/v1"]);
    let address = index["paths"]["apis/demo.io/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let answer = get(&api, address, "application/json");
    assert!(
        answer.headers()[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    check_references(&document, &document);
    let schemas = &document["components"]["schemas"];
    assert!(
        schemas["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"].is_null(),
        "unused definitions are left out"
    );
    assert_eq!(
        schemas["demo.v1.Thing"]["properties"]["spec"],
        json!({"allOf": [{"$ref": "#/components/schemas/demo.v1.Spec"}], "description": "Wanted.", "default": {}})
    );
    assert_eq!(
        schemas["demo.v1.Spec"]["properties"]["port"],
        json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
    );
    let patch = &document["paths"]["/apis/demo.io/v1/namespaces/{namespace}/things/{name}"]["patch"];
    let validation = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "fieldValidation")
        .unwrap();
    assert_eq!(
        (&validation["in"], &validation["schema"]["type"]),
        (&json!("query"), &json!("string"))
    );
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
}

#[test]
fn caches_are_served() {
    let api = api();
    let tag = get(&api, "/openapi/v2", "").headers()[header::ETAG].clone();
    for (path, known, want) in [
        (
            "/openapi/v2",
            tag.to_str().unwrap().to_owned(),
            StatusCode::NOT_MODIFIED,
        ),
        (
            "/openapi/v3",
            format!("\"x\", W/{}", tag.to_str().unwrap()),
            StatusCode::NOT_MODIFIED,
        ),
        ("/openapi/v3/api/v1", "\"x\"".to_owned(), StatusCode::OK),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
        let answer = api.respond(path, None, &headers).unwrap();
        assert_eq!(answer.status(), want, "{path}");
        assert_eq!(
            answer.body().is_empty(),
            want == StatusCode::NOT_MODIFIED,
            "{path}"
        );
    }
    let moved = get(&api, "/openapi/v3/api/v1?hash=old", "");
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    assert!(
        moved.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .starts_with("/openapi/v3/api/v1?hash=")
    );
    for (path, accept, want) in [
        ("/openapi/v2", "text/html", Some(StatusCode::NOT_ACCEPTABLE)),
        (
            "/openapi/v3/api/v1",
            "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
            Some(StatusCode::NOT_ACCEPTABLE),
        ),
        (
            "/openapi/v3/api/v1",
            "application/com.github.proto-openapi.spec.v3.v1.0+protobuf, application/json",
            Some(StatusCode::OK),
        ),
        ("/openapi/v3/apis/none/v1", "*/*", None),
        ("/openapi/v4", "*/*", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(
            api.respond(path, None, &headers).map(|answer| answer.status()),
            want,
            "{path} {accept}"
        );
    }
}
