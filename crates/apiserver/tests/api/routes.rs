//! Every route, as identities with few rights: what is not in a list here must be refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Api, Who};

/// What every authenticated identity may do, and nobody else.
const STRANGER: &[&str] = &[
    "create authentication.k8s.io/v1 selfsubjectreviews",
    "create authorization.k8s.io/v1 selfsubjectaccessreviews",
    "create authorization.k8s.io/v1 selfsubjectrulesreviews",
    "create authorization.openshift.io/v1 selfsubjectrulesreviews",
    // To end one's own session; another's is refused once it is found to be that.
    "delete oauth.openshift.io/v1 oauthaccesstokens",
    "get apiextensions.k8s.io/v1 customresourcedefinitions",
    "get authorization.openshift.io/v1 clusterroles",
    "get rbac.authorization.k8s.io/v1 clusterroles",
    "list authorization.openshift.io/v1 clusterroles",
    "list apiextensions.k8s.io/v1 customresourcedefinitions",
    "list project.openshift.io/v1 projects",
    "list rbac.authorization.k8s.io/v1 clusterroles",
    "watch apiextensions.k8s.io/v1 customresourcedefinitions",
    "watch project.openshift.io/v1 projects",
    "watch rbac.authorization.k8s.io/v1 clusterroles",
];

/// What the account `builder` may do in its namespace, beyond that.
const BUILDER: &[&str] = &[
    "create image.openshift.io/v1 imagestreams",
    "get image.openshift.io/v1 imagestreams/layers",
];

/// What a viewer may do in the project, beyond that.
const VIEWER: &[&str] = &[
    "get events.k8s.io/v1 events",
    "get image.openshift.io/v1 imagestreamimages",
    "get image.openshift.io/v1 imagestreams",
    "get image.openshift.io/v1 imagestreams/layers",
    "get image.openshift.io/v1 imagestreams/status",
    "get image.openshift.io/v1 imagestreamtags",
    "get image.openshift.io/v1 imagetags",
    "get v1 configmaps",
    "get v1 events",
    "get v1 limitranges",
    "get v1 resourcequotas",
    "get v1 resourcequotas/status",
    "get v1 serviceaccounts",
    "list events.k8s.io/v1 events",
    "list image.openshift.io/v1 imagestreams",
    "list image.openshift.io/v1 imagestreamtags",
    "list image.openshift.io/v1 imagetags",
    "list v1 configmaps",
    "list v1 events",
    "list v1 limitranges",
    "list v1 resourcequotas",
    "list v1 serviceaccounts",
    "watch events.k8s.io/v1 events",
    "watch image.openshift.io/v1 imagestreams",
    "watch v1 configmaps",
    "watch v1 events",
    "watch v1 limitranges",
    "watch v1 resourcequotas",
    "watch v1 serviceaccounts",
];

/// A verb of a resource that discovery names.
struct Route {
    version: String,
    resource: String,
    namespaced: bool,
    verb: String,
}

impl Route {
    fn text(&self) -> String {
        format!("{} {} {}", self.verb, self.version, self.resource)
    }

    /// A request that does no harm where it is allowed: the object does not exist, or the run is dry.
    fn request(&self) -> (&'static str, String, Value) {
        let root = if self.version == "v1" { "/api" } else { "/apis" };
        let namespace = if self.namespaced { "/namespaces/demo" } else { "" };
        let (plural, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        let collection = format!("{root}/{}{namespace}/{plural}", self.version);
        let object = match subresource {
            "" => format!("{collection}/none"),
            part => format!("{collection}/none/{part}"),
        };
        let dry = |path: &str| format!("{path}?dryRun=All");
        match self.verb.as_str() {
            "get" => ("GET", object, Value::Null),
            "list" => ("GET", collection, Value::Null),
            "watch" => (
                "GET",
                format!("{collection}?watch=true&timeoutSeconds=1"),
                Value::Null,
            ),
            "create" if subresource.is_empty() => ("POST", dry(&collection), json!({})),
            "create" => ("POST", dry(&object), json!({})),
            "update" => ("PUT", dry(&object), json!({"metadata": {"name": "none"}})),
            "patch" => ("PATCH", dry(&object), json!({})),
            "delete" => ("DELETE", dry(&object), Value::Null),
            "deletecollection" => ("DELETE", dry(&collection), Value::Null),
            other => panic!("a verb without a request: {other}"),
        }
    }
}

/// Every route that discovery names.
async fn routes(api: &Api) -> Vec<Route> {
    let groups = api.get("/apis").await.expect(200);
    let groups = groups["groups"].as_array().unwrap().iter();
    let mut versions: Vec<String> = groups
        .map(|group| {
            group["preferredVersion"]["groupVersion"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    versions.push("v1".to_owned());
    let mut routes = Vec::new();
    for version in versions {
        let root = if version == "v1" { "/api" } else { "/apis" };
        let list = api.get(&format!("{root}/{version}")).await.expect(200);
        for resource in list["resources"].as_array().unwrap() {
            for verb in resource["verbs"].as_array().unwrap() {
                routes.push(Route {
                    version: version.clone(),
                    resource: resource["name"].as_str().unwrap().to_owned(),
                    namespaced: resource["namespaced"] == true,
                    verb: verb.as_str().unwrap().to_owned(),
                });
            }
        }
    }
    assert!(routes.len() > 100, "discovery names {} routes", routes.len());
    routes
}

/// The routes that do not refuse an identity.
async fn allowed(api: &Api, routes: &[Route], who: Who<'_>) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for route in routes {
        let (method, path, body) = route.request();
        let answer = api.call(who, method, &path, body).await;
        assert!(
            answer.code < 500,
            "{who:?} {}: {} {:#}",
            route.text(),
            answer.code,
            answer.body
        );
        if answer.code != 403 {
            allowed.insert(route.text());
        }
    }
    allowed
}

fn set(lists: &[&[&str]]) -> BTreeSet<String> {
    lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|&text| text.to_owned())
        .collect()
}

#[tokio::test]
async fn nothing_is_open_that_is_not_listed() {
    let api = Api::start().await;
    api.namespace("demo").await;
    let viewers = json!({
        "metadata": {"name": "viewers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "viewer"}],
    });
    api.create(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings",
        viewers,
    )
    .await;
    let builder = api
        .tokens
        .issue("demo", "builder", jiff::SignedDuration::from_hours(1))
        .unwrap()
        .token;
    let routes = routes(&api).await;
    for (who, want) in [
        (Who::Nobody, set(&[])),
        (Who::User("stranger"), set(&[STRANGER])),
        (Who::Token(&builder), set(&[STRANGER, BUILDER])),
        (Who::User("viewer"), set(&[STRANGER, VIEWER])),
    ] {
        let got = allowed(&api, &routes, who).await;
        let open: Vec<_> = got.difference(&want).collect();
        let closed: Vec<_> = want.difference(&got).collect();
        assert!(
            open.is_empty() && closed.is_empty(),
            "{who:?}: open {open:#?}, closed {closed:#?}"
        );
    }
    // The administrator is refused nowhere, and no such request is a server's failure.
    let got = allowed(&api, &routes, Who::Admin).await;
    let refused: Vec<String> = routes
        .iter()
        .map(Route::text)
        .filter(|text| !got.contains(text))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}
