//! Projects: who sees which, and how they come into being.

use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Api, Who};

const PROJECTS: &str = "/apis/project.openshift.io/v1/projects";
const REQUESTS: &str = "/apis/project.openshift.io/v1/projectrequests";
const OAUTH: &[&str] = &["system:authenticated:oauth"];

fn request(name: &str) -> Value {
    json!({
        "apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest", "metadata": {"name": name},
        "displayName": "A demo", "description": "To show",
    })
}

async fn grant(api: &Api, namespace: &str, user: &str) {
    let binding = json!({
        "metadata": {"name": "viewers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": user}],
    });
    api.create(
        &format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"),
        binding,
    )
    .await;
}

#[tokio::test]
async fn the_requester_is_the_administrator() {
    let api = Api::start().await;
    let ann = Who::Member("ann", OAUTH);
    let may = api.call(ann, "GET", REQUESTS, Value::Null).await.expect(200);
    assert_eq!(
        (&may["kind"], &may["status"]),
        (&json!("Status"), &json!("Success"))
    );
    let created = api.call(ann, "POST", REQUESTS, request("demo")).await.expect(201);
    assert_eq!(created["kind"], "Project");
    let annotations = &created["metadata"]["annotations"];
    for (key, want) in [
        ("display-name", "A demo"),
        ("description", "To show"),
        ("requester", "ann"),
    ] {
        assert_eq!(annotations[format!("openshift.io/{key}")], want, "{key}");
    }
    // At once, with nothing to wait for.
    let map = json!({"metadata": {"name": "a"}});
    api.call(ann, "POST", "/api/v1/namespaces/demo/configmaps", map)
        .await
        .expect(201);
    assert_eq!(
        api.call(
            Who::User("bob"),
            "GET",
            "/api/v1/namespaces/demo/configmaps",
            Value::Null
        )
        .await
        .code,
        403
    );
    assert_eq!(
        api.call(Who::User("bob"), "POST", REQUESTS, request("mine"))
            .await
            .code,
        403,
        "bob logged in otherwise"
    );

    let again = api.call(ann, "POST", REQUESTS, request("demo")).await;
    assert_eq!(again.code, 409);
    assert_eq!(
        again.message(),
        "project.project.openshift.io \"demo\" already exists"
    );
    assert_eq!(
        api.call(ann, "POST", REQUESTS, request("x")).await.code,
        422,
        "too short"
    );

    api.call(ann, "DELETE", &format!("{PROJECTS}/demo"), Value::Null)
        .await
        .expect(200);
    api.until("/api/v1/namespaces/demo", |answer| answer.code == 404)
        .await;
}

#[tokio::test]
async fn lists_show_what_the_caller_may_get() {
    let api = Api::start().await;
    for name in ["one", "two"] {
        api.namespace(name).await;
    }
    grant(&api, "two", "ann").await;
    let names = |who| {
        let api = &api;
        async move {
            let list = api.call(who, "GET", PROJECTS, Value::Null).await;
            list.names()
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(names(Who::User("ann")).await, ["two"]);
    assert_eq!(names(Who::User("bob")).await, Vec::<String>::new());
    assert!(names(Who::Admin).await.len() > 5);
    assert_eq!(
        api.call(Who::User("ann"), "GET", &format!("{PROJECTS}/two"), Value::Null)
            .await
            .code,
        200
    );
    assert_eq!(
        api.call(Who::User("ann"), "GET", &format!("{PROJECTS}/one"), Value::Null)
            .await
            .code,
        403
    );
    assert_eq!(
        api.call(Who::Nobody, "GET", PROJECTS, Value::Null).await.code,
        403
    );
}

#[tokio::test]
async fn watches_follow_rights() {
    let api = Api::start().await;
    for name in ["one", "two"] {
        api.namespace(name).await;
    }
    grant(&api, "one", "ann").await;
    let path = format!("{PROJECTS}?watch=true");
    let request = http::Request::get(path).header("impersonate-user", "ann");
    let response = api.server.handle(api.as_admin(request)).await;
    assert_eq!(response.status(), 200);
    let mut stream = response.into_body().into_data_stream();
    let mut next = async || -> (String, String) {
        let line = tokio::time::timeout(std::time::Duration::from_secs(10), stream.next())
            .await
            .unwrap();
        let event: Value = serde_json::from_slice(&line.unwrap().unwrap()).unwrap();
        let name = event["object"]["metadata"]["name"].as_str().unwrap().to_owned();
        assert_eq!(event["object"]["kind"], "Project");
        (event["type"].as_str().unwrap().to_owned(), name)
    };
    assert_eq!(next().await, ("ADDED".to_owned(), "one".to_owned()));
    grant(&api, "two", "ann").await;
    assert_eq!(next().await, ("ADDED".to_owned(), "two".to_owned()));
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    api.call(Who::Admin, "PATCH", "/api/v1/namespaces/two", label)
        .await
        .expect(200);
    assert_eq!(next().await, ("MODIFIED".to_owned(), "two".to_owned()));
    let binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/one/rolebindings/viewers";
    api.call(Who::Admin, "DELETE", binding, Value::Null)
        .await
        .expect(200);
    assert_eq!(next().await, ("DELETED".to_owned(), "one".to_owned()));
    // So does a role that changes while its binding stays.
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/one/roles";
    let looks = json!([{"verbs": ["get"], "apiGroups": ["project.openshift.io"], "resources": ["projects"]}]);
    let role = json!({"metadata": {"name": "looks"}, "rules": []});
    api.create(roles, role).await;
    let binding = json!({
        "metadata": {"name": "looks"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "looks"},
        "subjects": [{"kind": "User", "name": "ann"}],
    });
    api.create(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/one/rolebindings",
        binding,
    )
    .await;
    for (rules, want) in [(looks, "ADDED"), (json!([]), "DELETED")] {
        api.call(
            Who::Admin,
            "PATCH",
            &format!("{roles}/looks"),
            json!({ "rules": rules }),
        )
        .await
        .expect(200);
        assert_eq!(next().await, (want.to_owned(), "one".to_owned()));
    }
}

#[tokio::test]
async fn who_may_not_request_is_told_so() {
    let api = Api::start().await;
    let may_not = "You may not request a new project via this API.";
    let probe = api.call(Who::User("bob"), "GET", REQUESTS, Value::Null).await;
    assert_eq!((probe.code, probe.message()), (403, may_not));
    let nobody = api.call(Who::Nobody, "GET", REQUESTS, Value::Null).await;
    assert_eq!(nobody.code, 403);
    let ann = Who::Member("ann", OAUTH);
    for name in ["kube-mine", "openshift"] {
        let refused = api.call(ann, "POST", REQUESTS, request(name)).await;
        assert_eq!(refused.code, 403, "{name}");
        assert!(
            refused.message().contains("cannot request a project"),
            "{}",
            refused.message()
        );
    }
    // An administrator takes the right away from everybody, and it stays away.
    let binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/self-provisioners";
    let off = json!({
        "metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}, "subjects": null,
    });
    api.call(Who::Admin, "PATCH", binding, off).await.expect(200);
    let probe = api.call(ann, "GET", REQUESTS, Value::Null).await;
    assert_eq!((probe.code, probe.message()), (403, may_not));
    assert_eq!(api.call(ann, "POST", REQUESTS, request("mine")).await.code, 403);
    // The administrator of the cluster needs no binding.
    assert_eq!(api.call(Who::Admin, "GET", REQUESTS, Value::Null).await.code, 200);
}

#[tokio::test]
async fn a_project_is_whole_when_it_is_answered() {
    let api = Api::start().await;
    let ann = Who::Member("ann", OAUTH);
    api.call(ann, "POST", REQUESTS, request("demo")).await.expect(201);
    let bindings = api
        .call(
            ann,
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings",
            Value::Null,
        )
        .await;
    assert_eq!(
        bindings.names(),
        [
            "admin",
            "system:deployers",
            "system:image-builders",
            "system:image-pullers"
        ]
    );
    let accounts = api
        .call(ann, "GET", "/api/v1/namespaces/demo/serviceaccounts", Value::Null)
        .await;
    assert_eq!(accounts.names(), ["builder", "default", "deployer"]);
}

/// `kubectl delete project` lists the project and then watches for its end; by then its own right may be gone with it.
#[tokio::test]
async fn whoever_waits_for_the_end_of_a_project_hears_of_it() {
    let api = Api::start().await;
    api.namespace("one").await;
    grant(&api, "one", "ann").await;
    let by_name = "fieldSelector=metadata.name%3Done";
    let list = api
        .call(
            Who::User("ann"),
            "GET",
            &format!("{PROJECTS}?{by_name}"),
            Value::Null,
        )
        .await;
    assert_eq!(list.names(), ["one"]);
    let version = list.body["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/one/rolebindings/viewers";
    api.call(Who::Admin, "DELETE", binding, Value::Null)
        .await
        .expect(200);
    let path = format!("{PROJECTS}?watch=true&{by_name}&resourceVersion={version}");
    let request = http::Request::get(path).header("impersonate-user", "ann");
    let response = api.server.handle(api.as_admin(request)).await;
    let mut stream = response.into_body().into_data_stream();
    let line = tokio::time::timeout(std::time::Duration::from_secs(10), stream.next())
        .await
        .unwrap();
    let event: Value = serde_json::from_slice(&line.unwrap().unwrap()).unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["name"], "one");
    assert!(
        event["object"]["metadata"]["annotations"].is_null(),
        "nothing but the name: {event:#}"
    );
}
