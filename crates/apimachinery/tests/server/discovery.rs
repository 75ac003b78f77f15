use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::Toy;

#[tokio::test]
async fn documents_describe_what_is_served() {
    let toy = Toy::new().await;
    let (_, versions) = toy.get("/api").await;
    assert_eq!(versions["versions"], json!(["v1"]));
    let (_, groups) = toy.get("/apis").await;
    assert_eq!(groups["groups"][0]["name"], "toys.example.com");
    assert_eq!(
        groups["groups"][0]["preferredVersion"]["groupVersion"],
        "toys.example.com/v1"
    );
    let (_, group) = toy.get("/apis/toys.example.com").await;
    assert_eq!(group["kind"], "APIGroup");
    let (_, list) = toy.get("/apis/toys.example.com/v1").await;
    let names: Vec<&str> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["echoes", "widgets", "widgets/status"]);
    assert_eq!(list["resources"][1]["shortNames"], json!(["wd"]));
    assert_eq!(list["resources"][0]["verbs"], json!(["create", "list"]));
    assert_eq!(toy.get("/apis/none").await.0, 404);
    assert_eq!(toy.get("/apis/toys.example.com/v2").await.0, 404);
    assert_eq!(toy.get("/api/v2").await.0, 404);
}

#[tokio::test]
async fn discovery_is_aggregated_when_asked() {
    let toy = Toy::new().await;
    for version in ["v2", "v2beta1"] {
        let accept = format!(
            "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList,application/json"
        );
        let (_, media_type, text) = toy.get_accepting("/apis", &accept).await;
        assert_eq!(
            media_type,
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")
        );
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["apiVersion"], format!("apidiscovery.k8s.io/{version}"));
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let widget = &list["items"][0]["versions"][0]["resources"][1];
        assert_eq!(widget["resource"], "widgets");
        assert_eq!(widget["subresources"][0]["subresource"], "status");
        let (_, _, text) = toy.get_accepting("/api", &accept).await;
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            list["items"][0]["versions"][0]["resources"][1]["scope"],
            "Cluster"
        );
    }
}

#[tokio::test]
async fn the_root_lists_health_version_and_metrics() {
    let toy = Toy::new().await;
    let (_, root) = toy.get("/").await;
    let paths: Vec<&str> = root["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for path in [
        "/api/v1",
        "/apis/toys.example.com/v1",
        "/livez",
        "/readyz/shutdown",
        "/version",
        "/metrics",
    ] {
        assert!(paths.contains(&path), "{path}");
    }
    assert_eq!(toy.get("/version").await.1["minor"], "32");
    assert_eq!(toy.get("/livez").await, (200, json!("ok")));
    let (code, text) = toy.get("/readyz?verbose").await;
    assert_eq!(
        (code, text),
        (200, json!("[+]ping ok\n[+]shutdown ok\nreadyz check passed\n"))
    );
    assert_eq!(toy.get("/readyz/none").await.0, 404);
    toy.get("/api/v1/namespaces").await;
    let metrics = toy.get("/metrics").await.1;
    let line = "apiserver_request_total{code=\"200\",group=\"\",resource=\"namespaces\",subresource=\"\",verb=\"LIST\",version=\"v1\"} 1";
    assert!(metrics.as_str().unwrap().contains(line), "{metrics}");
    toy.server.close();
    let (code, text) = toy.get("/readyz").await;
    assert_eq!(
        (code, text),
        (
            500,
            json!("[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n")
        )
    );
    assert_eq!(toy.get("/livez").await.0, 200);
    assert_eq!(toy.get("/readyz?exclude=shutdown").await.0, 200);
}

#[tokio::test]
async fn pretty_is_only_what_asks_for_it() {
    let toy = Toy::new().await;
    for (path, pretty) in [
        ("/api/v1/namespaces", false),
        ("/api/v1/namespaces?pretty=true", true),
        ("/version?pretty=0", false),
    ] {
        let request = http::Request::get(path)
            .body(http_body_util::Full::new(bytes::Bytes::new()))
            .unwrap();
        let bytes = toy
            .send(request)
            .await
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(bytes.contains(&b'\n'), pretty, "{path}");
    }
}
