//! The registry over Berth's own API server: streams, catalogue, signatures, metrics.

use std::{io::Write as _, process::Stdio};

use berth_oci::Digest;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{As, cluster::Cluster, config, image};

const ACCEPT: [(&str, &str); 1] = [(
    "accept",
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
)];

/// A cluster with the project `demo`, and the tokens of its builder and of an administrator.
async fn world() -> (Cluster, String, String) {
    let cluster = Cluster::start(config()).await;
    cluster.namespace("demo").await;
    let builder = cluster.account("demo", "pusher").await;
    cluster
        .bind("system:image-builder", ("demo", "pusher"), Some("demo"))
        .await;
    let admin = cluster.account("demo", "root").await;
    cluster.bind("cluster-admin", ("demo", "root"), None).await;
    (cluster, builder, admin)
}

async fn push(
    cluster: &Cluster,
    who: As<'_>,
    repository: &str,
    reference: &str,
    name: &str,
) -> image::Manifest {
    let (config, layer) = (image::config(name), format!("layer {name}").into_bytes());
    for blob in [&config, &layer] {
        assert_eq!(
            cluster.registry.push_blob(who, repository, blob).await.status,
            StatusCode::CREATED
        );
    }
    let manifest = image::manifest(&config, &layer);
    let answer = cluster
        .registry
        .push_manifest(who, repository, reference, &manifest)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    manifest
}

async fn stream(cluster: &Cluster, namespace: &str, name: &str) -> Value {
    let path = format!("/apis/image.openshift.io/v1/namespaces/{namespace}/imagestreams/{name}");
    cluster.admin(Method::GET, &path, &Value::Null).await
}

#[tokio::test]
async fn a_push_is_an_image_stream() {
    let (cluster, builder, _) = world().await;
    let builder = As::Basic(&builder);
    let one = push(&cluster, builder, "demo/app", "v1", "one").await;
    let two = push(&cluster, builder, "demo/app", "v1", "two").await;
    let tags = stream(&cluster, "demo", "app").await["status"]["tags"].clone();
    assert_eq!(tags[0]["tag"], "v1");
    let history: Vec<&str> = tags[0]["items"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["image"].as_str())
        .collect();
    assert_eq!(history, [two.digest().to_string(), one.digest().to_string()]);
    let image = cluster
        .admin(
            Method::GET,
            &format!("/apis/image.openshift.io/v1/images/{}", one.digest()),
            &Value::Null,
        )
        .await;
    assert_eq!(image["dockerImageMetadata"]["Architecture"], "amd64");
    assert_eq!(
        image["dockerImageReference"],
        format!("registry.svc:5000/demo/app@{}", one.digest())
    );
    // Both stay pullable: by tag the newest, by digest each.
    for (reference, want) in [
        ("v1".to_owned(), &two),
        (one.digest().to_string(), &one),
        (two.digest().to_string(), &two),
    ] {
        let path = format!("/v2/demo/app/manifests/{reference}");
        let answer = cluster
            .registry
            .send(builder, Method::GET, &path, &ACCEPT, b"")
            .await;
        assert_eq!(answer.body, want.bytes, "{reference}");
    }
}

#[tokio::test]
async fn what_is_tagged_over_belongs_to_both() {
    let (cluster, builder, admin) = world().await;
    cluster.namespace("prod").await;
    let manifest = push(&cluster, As::Basic(&builder), "demo/app", "v1", "one").await;
    let tag = json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStreamTag", "metadata": {"name": "app:live"},
        "tag": {"name": "live", "from": {"kind": "ImageStreamTag", "namespace": "demo", "name": "app:v1"}}});
    cluster
        .admin(
            Method::POST,
            "/apis/image.openshift.io/v1/namespaces/prod/imagestreamtags",
            &tag,
        )
        .await;
    let admin = As::Basic(&admin);
    let path = "/v2/prod/app/manifests/live";
    assert_eq!(
        cluster
            .registry
            .send(admin, Method::GET, path, &ACCEPT, b"")
            .await
            .body,
        manifest.bytes
    );
    for blob in [image::config("one"), b"layer one".to_vec()] {
        let path = format!("/v2/prod/app/blobs/{}", Digest::sha256(&blob));
        assert_eq!(cluster.registry.get(admin, &path).await.body, blob);
    }
    let other = cluster
        .registry
        .push_blob(As::Basic(&builder), "demo/app", b"not of the image")
        .await;
    assert_eq!(other.status, StatusCode::CREATED);
    let path = format!("/v2/prod/app/blobs/{}", Digest::sha256(b"not of the image"));
    assert_eq!(
        cluster.registry.get(admin, &path).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn indexes_artifacts_and_large_manifests_are_images_too() {
    let (cluster, builder, _) = world().await;
    let builder = As::Basic(&builder);
    let registry = &cluster.registry;
    let child = push(&cluster, builder, "demo/app", &image_digest("one"), "one").await;
    let index = image::index(&child);
    assert_eq!(
        registry
            .push_manifest(builder, "demo/app", "list", &index)
            .await
            .status,
        StatusCode::CREATED
    );
    // An artifact without a configuration, a referrer by digest, a configuration that is no JSON.
    assert_eq!(
        registry.push_blob(builder, "demo/app", b"{}").await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        registry.push_blob(builder, "demo/app", b"chart").await.status,
        StatusCode::CREATED
    );
    let empty = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::sha256(b"{}").to_string(), "size": 2});
    let chart = json!({"mediaType": "application/vnd.example+octets", "digest": Digest::sha256(b"chart").to_string(), "size": 5});
    let subject = json!({"mediaType": child.media_type, "digest": child.digest().to_string(), "size": child.bytes.len()});
    let base = json!({"schemaVersion": 2, "mediaType": berth_oci::media_type::OCI_MANIFEST, "config": empty, "layers": [chart]});
    let with = |key: &str, value: Value| {
        let mut manifest = base.clone();
        manifest[key] = value;
        image::Manifest {
            bytes: manifest.to_string().into_bytes(),
            media_type: berth_oci::media_type::OCI_MANIFEST,
        }
    };
    let many: serde_json::Map<String, Value> = (0..390)
        .map(|at| (format!("annotation-{at}"), Value::String("A".repeat(10_000))))
        .collect();
    for (reference, manifest) in [
        (
            Some("artifact"),
            with("artifactType", json!("application/vnd.example")),
        ),
        (Some("chart"), with("config", chart.clone())),
        (Some("layerless"), with("layers", json!([]))),
        (Some("large"), with("annotations", Value::Object(many))),
        (None, with("subject", subject)),
    ] {
        let reference = reference.map_or_else(|| manifest.digest().to_string(), str::to_owned);
        let answer = registry
            .push_manifest(builder, "demo/app", &reference, &manifest)
            .await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{reference}: {:?}",
            String::from_utf8_lossy(&answer.body)
        );
        let path = format!("/v2/demo/app/manifests/{reference}");
        assert!(
            registry
                .send(builder, Method::GET, &path, &ACCEPT, b"")
                .await
                .body
                == manifest.bytes,
            "{reference}"
        );
    }
    // The same content by its other digest.
    let other = berth_oci::Algorithm::Sha512.digest(&index.bytes);
    let answer = registry
        .push_manifest(builder, "demo/app", &other.to_string(), &index)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.header("docker-content-digest"), Some(&*other.to_string()));
    let path = format!("/v2/demo/app/manifests/{other}");
    assert!(
        registry
            .send(builder, Method::GET, &path, &ACCEPT, b"")
            .await
            .body
            == index.bytes
    );
    let referrers = registry
        .get(builder, &format!("/v2/demo/app/referrers/{}", child.digest()))
        .await;
    assert_eq!(referrers.json()["manifests"].as_array().map(Vec::len), Some(1));
    let tags = registry.get(builder, "/v2/demo/app/tags/list").await;
    assert_eq!(
        tags.json()["tags"],
        json!(["artifact", "chart", "large", "layerless", "list"])
    );
}

fn image_digest(name: &str) -> String {
    image::manifest(&image::config(name), format!("layer {name}").as_bytes())
        .digest()
        .to_string()
}

#[tokio::test]
async fn a_push_to_a_missing_project_says_so() {
    let (cluster, builder, admin) = world().await;
    let upload = cluster
        .registry
        .push_blob(As::Basic(&builder), "nowhere/app", b"x")
        .await;
    assert_eq!(upload.status, StatusCode::FORBIDDEN);
    assert!(
        upload
            .message()
            .contains("the project \"nowhere\", which must exist"),
        "{}",
        upload.message()
    );
    let admin = As::Basic(&admin);
    for reference in ["v1".to_owned(), image_digest("one")] {
        let (config, layer) = (image::config("one"), b"layer one");
        for blob in [&config[..], layer] {
            assert_eq!(
                cluster
                    .registry
                    .push_blob(admin, "nowhere/app", blob)
                    .await
                    .status,
                StatusCode::CREATED
            );
        }
        let answer = cluster
            .registry
            .push_manifest(admin, "nowhere/app", &reference, &image::manifest(&config, layer))
            .await;
        assert_eq!(
            (answer.status, answer.codes().expect("a body")[0].as_str()),
            (StatusCode::FORBIDDEN, "DENIED")
        );
        assert!(
            answer
                .message()
                .contains("the project \"nowhere\" does not exist"),
            "{}",
            answer.message()
        );
        assert!(
            answer.message().contains("kubectl create namespace nowhere"),
            "{}",
            answer.message()
        );
    }
}

#[tokio::test]
async fn quotas_and_limits_give_their_reason() {
    let (cluster, builder, _) = world().await;
    let limits = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [
        {"type": "openshift.io/Image", "max": {"storage": "10"}}]}});
    cluster
        .admin(Method::POST, "/api/v1/namespaces/demo/limitranges", &limits)
        .await;
    let builder = As::Basic(&builder);
    let (config, layer) = (image::config("one"), b"layer one");
    for blob in [&config[..], layer] {
        assert_eq!(
            cluster.registry.push_blob(builder, "demo/app", blob).await.status,
            StatusCode::CREATED
        );
    }
    let manifest = image::manifest(&config, layer);
    let answer = cluster
        .registry
        .push_manifest(builder, "demo/app", "v1", &manifest)
        .await;
    assert_eq!(answer.codes().expect("a body"), ["DENIED"], "{answer:?}");
    assert!(
        answer.message().contains("exceeds the maximum limit"),
        "{}",
        answer.message()
    );
    let path = format!("/v2/demo/app/manifests/{}", manifest.digest());
    assert_eq!(
        cluster
            .registry
            .send(builder, Method::GET, &path, &ACCEPT, b"")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_catalogue_is_sorted_and_paged() {
    let (cluster, _, admin) = world().await;
    let mut want = Vec::new();
    for namespace in ["demo", "a", "a-b", "z"] {
        if namespace != "demo" {
            cluster.namespace(namespace).await;
        }
        for name in ["app", "b.c", "tool-9"] {
            let body = json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": name}});
            let path = format!("/apis/image.openshift.io/v1/namespaces/{namespace}/imagestreams");
            cluster.admin(Method::POST, &path, &body).await;
            want.push(format!("{namespace}/{name}"));
        }
    }
    want.sort();
    let admin = As::Basic(&admin);
    let list = |answer: &crate::support::Answer| -> Vec<String> {
        serde_json::from_value(answer.json()["repositories"].clone()).expect("names")
    };
    assert_eq!(list(&cluster.registry.get(admin, "/v2/_catalog").await), want);
    for n in [1, 2, 5, 12] {
        let (mut seen, mut last) = (Vec::new(), None::<String>);
        loop {
            let after = last
                .as_ref()
                .map(|last| format!("&last={last}"))
                .unwrap_or_default();
            let page = cluster
                .registry
                .get(admin, &format!("/v2/_catalog?n={n}{after}"))
                .await;
            let names = list(&page);
            last = names.last().cloned();
            seen.extend(names);
            if page.header("link").is_none() {
                break;
            }
        }
        assert_eq!(seen, want, "pages of {n}");
    }
    // A page that nobody began: names after one that is none.
    assert_eq!(
        list(&cluster.registry.get(admin, "/v2/_catalog?n=2&last=a/zzz").await),
        want[6..8]
    );
    assert_eq!(
        list(&cluster.registry.get(admin, "/v2/_catalog?last=zz").await),
        [""; 0]
    );
}

#[tokio::test]
async fn signatures_are_kept_with_the_image() {
    let (cluster, builder, admin) = world().await;
    let manifest = push(&cluster, As::Basic(&builder), "demo/app", "v1", "one").await;
    let digest = manifest.digest();
    let path = format!("/extensions/v2/demo/app/signatures/{digest}");
    let signature = |name: &str| {
        let content = if name == "one" { "c2ln" } else { "c2lnMg==" };
        json!({"schemaVersion": 2, "name": format!("{digest}@{name}"), "type": "atomic", "content": content})
            .to_string()
    };
    let registry = &cluster.registry;
    let put = async |who, body: String| registry.send(who, Method::PUT, &path, &[], body.as_bytes()).await;
    let admin = As::Basic(&admin);
    for (who, body, want) in [
        (As::Basic(&builder), signature("one"), StatusCode::FORBIDDEN),
        (admin, signature("one"), StatusCode::CREATED),
        (admin, signature("one"), StatusCode::CONFLICT),
        (admin, signature("two"), StatusCode::CREATED),
        (admin, "{}".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let answer = put(who, body.clone()).await;
        assert_eq!(answer.status, want, "{body}: {answer:?}");
    }
    let listed = registry.get(As::Basic(&builder), &path).await.json();
    let names: Vec<&Value> = listed["signatures"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(
        names,
        [&json!(format!("{digest}@one")), &json!(format!("{digest}@two"))]
    );
    assert_eq!(listed["signatures"][0]["content"], "c2ln");
    assert_eq!(listed["signatures"][0]["schemaVersion"], 2);
    // A manifest that the repository holds without a tag, and without an Image once that was deleted, has no signatures.
    let untagged = push(
        &cluster,
        As::Basic(&builder),
        "demo/app",
        &image_digest("two"),
        "two",
    )
    .await
    .digest();
    cluster
        .admin(
            Method::DELETE,
            &format!("/apis/image.openshift.io/v1/images/{untagged}"),
            &Value::Null,
        )
        .await;
    let none = registry
        .get(
            As::Basic(&builder),
            &format!("/extensions/v2/demo/app/signatures/{untagged}"),
        )
        .await;
    assert_eq!(
        (none.status, none.json()),
        (StatusCode::OK, json!({"signatures": []}))
    );
    let missing = format!("/extensions/v2/demo/app/signatures/{}", Digest::sha256(b"none"));
    assert_eq!(registry.get(admin, &missing).await.status, StatusCode::NOT_FOUND);
}

/// `promtool`, from Debian's package prometheus, reads what a Prometheus would.
#[tokio::test]
async fn metrics_are_what_prometheus_expects() {
    let (cluster, builder, admin) = world().await;
    push(&cluster, As::Basic(&builder), "demo/app", "v1", "one").await;
    let admin = As::Basic(&admin);
    assert_eq!(
        cluster
            .registry
            .get(admin, "/v2/demo/none/tags/list")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    let answer = cluster.registry.get(admin, "/extensions/v2/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    for family in [
        "imageregistry_build_info{",
        "imageregistry_request_duration_seconds_count{operation=\"ManifestService.Put\"} 1",
        "imageregistry_http_in_flight_requests 1",
        "imageregistry_http_requests_total{code=\"404\",method=\"get\"} 1",
        "imageregistry_http_request_duration_seconds_bucket{",
        "imageregistry_http_request_size_bytes_sum",
        "imageregistry_http_response_size_bytes_sum",
        "imageregistry_http_time_to_write_header_seconds_count",
        "imageregistry_storage_duration_seconds_count{operation=\"StorageDriver.",
        "imageregistry_digest_cache_requests_total{type=\"Hit\"}",
        "imageregistry_digest_cache_scoped_requests_total{type=\"Miss\"}",
        "imageregistry_auth_cache_requests_total{cache=\"decision\",type=\"Hit\"}",
        "registry_storage_action_seconds_count{driver=\"",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(text.contains(family), "{family} is missing from\n{text}");
    }
    let mut promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by `make test`");
    promtool
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    let open = [("accept", "application/openmetrics-text; version=1.0.0")];
    let answer = cluster
        .registry
        .send(admin, Method::GET, "/extensions/v2/metrics", &open, b"")
        .await;
    assert!(
        answer
            .header("content-type")
            .expect("a type")
            .starts_with("application/openmetrics-text")
    );
    assert!(answer.body.ends_with(b"# EOF\n"));
}

/// A manifest may name content that its repository lacks. That must not open what another project pushed.
#[tokio::test]
async fn naming_foreign_content_opens_nothing() {
    let (cluster, builder, _) = world().await;
    let builder = As::Basic(&builder);
    let foreign = push(&cluster, builder, "demo/app", "v1", "secret").await;
    cluster.namespace("evil").await;
    let evil = cluster.account("evil", "mallory").await;
    cluster.bind("admin", ("evil", "mallory"), Some("evil")).await;
    let evil = As::Basic(&evil);

    // An image that lacks a layer, and an index that lacks its only manifest.
    let (config, own) = (image::config("own"), b"layer own".to_vec());
    for blob in [&config, &own] {
        assert_eq!(
            cluster.registry.push_blob(evil, "evil/app", blob).await.status,
            StatusCode::CREATED
        );
    }
    let secret = Digest::sha256(b"layer secret");
    let mut sparse: Value = serde_json::from_slice(&image::manifest(&config, &own).bytes).expect("JSON");
    let mut layer = sparse["layers"][0].clone();
    layer["digest"] = secret.to_string().into();
    sparse["layers"].as_array_mut().expect("layers").push(layer);
    let sparse = image::Manifest {
        bytes: sparse.to_string().into_bytes(),
        media_type: berth_oci::media_type::OCI_MANIFEST,
    };
    let index = image::index(&foreign);
    for (tag, manifest) in [("sparse", &sparse), ("index", &index)] {
        for reference in [tag, &manifest.digest().to_string()] {
            let answer = cluster
                .registry
                .push_manifest(evil, "evil/app", reference, manifest)
                .await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        }
    }
    let path = "/apis/image.openshift.io/v1/namespaces/evil";
    let tag = json!({"metadata": {"name": "copy:index", "namespace": "evil"},
        "tag": {"name": "index", "from": {"kind": "ImageStreamTag", "name": "app:index"}}});
    cluster
        .admin(Method::POST, &format!("{path}/imagestreamtags"), &tag)
        .await;
    for repository in ["evil/app", "evil/copy"] {
        for what in [
            format!("blobs/{secret}"),
            format!("blobs/{}", Digest::sha256(&image::config("secret"))),
            format!("blobs/{}", foreign.digest()),
            format!("manifests/{}", foreign.digest()),
        ] {
            let path = format!("/v2/{repository}/{what}");
            let answer = cluster
                .registry
                .send(evil, Method::GET, &path, &ACCEPT, b"")
                .await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
        }
    }
    let layers = format!("{path}/imagestreams/app/layers");
    let layers = cluster
        .admin(Method::GET, &layers, &Value::Null)
        .await
        .to_string();
    assert!(!layers.contains(&secret.to_string()), "{layers}");
    assert!(!layers.contains(&foreign.digest().to_string()), "{layers}");
    let child = format!("{path}/imagestreamimages/app@{}", foreign.digest());
    assert_eq!(cluster.try_admin(Method::GET, &child, &Value::Null).await.0, 404);
    // What is there is served, as it was pushed.
    for path in [
        "/v2/evil/app/manifests/sparse".to_owned(),
        "/v2/evil/copy/manifests/index".to_owned(),
        format!("/v2/evil/app/blobs/{}", Digest::sha256(&own)),
    ] {
        let answer = cluster
            .registry
            .send(evil, Method::GET, &path, &ACCEPT, b"")
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }

    // Whoever has all of the index makes its Image whole, and then nobody joins it with less.
    let answer = cluster
        .registry
        .push_manifest(builder, "demo/app", "index", &index)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let stored = format!("/apis/image.openshift.io/v1/images/{}", index.digest());
    let stored = cluster.admin(Method::GET, &stored, &Value::Null).await;
    assert_eq!(
        stored["dockerImageManifests"][0]["digest"],
        foreign.digest().to_string()
    );
    for reference in ["again", &index.digest().to_string()] {
        let answer = cluster
            .registry
            .push_manifest(evil, "evil/other", reference, &index)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert_eq!(answer.codes().expect("an error body")[0], "MANIFEST_BLOB_UNKNOWN");
    }
}
