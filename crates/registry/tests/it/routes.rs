//! The routes of the registry, each with a request that reaches it, in a cluster with one image.

use std::collections::BTreeMap;

use berth_oci::Digest;
use http::{Method, StatusCode};

use crate::support::{Answer, As, HOST, cluster::Cluster, config, image};

/// A cluster role and the project in which it is held; none is everywhere.
type Role = (&'static str, Option<&'static str>);

/// The accounts of the recording: whose they are, and their roles with the project where they hold them.
const ACCOUNTS: [(&str, &str, Option<Role>); 5] = [
    ("foreign", "people", None),
    ("puller", "people", Some(("system:image-puller", Some("acc")))),
    ("builder", "people", Some(("system:image-builder", Some("acc")))),
    ("pruner", "people", Some(("system:image-pruner", None))),
    ("admin", "people", Some(("cluster-admin", None))),
];

const LAYER: &[u8] = b"7 bytes";
const OCI_MANIFEST: &str = berth_oci::media_type::OCI_MANIFEST;
const DOCKER_MANIFEST: &str = berth_oci::media_type::DOCKER_MANIFEST;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// A cluster with the project `acc`, whose stream `app` has the tag `v1`, and another project `acc-x`.
pub(crate) struct World {
    cluster: Cluster,
    tokens: BTreeMap<&'static str, String>,
    config: Vec<u8>,
    manifest: image::Manifest,
}

impl World {
    pub(crate) async fn start(metrics: bool) -> Self {
        let cluster = Cluster::start(berth_registry::Config { metrics, ..config() }).await;
        for namespace in ["people", "acc", "acc-x"] {
            cluster.namespace(namespace).await;
        }
        let mut tokens = BTreeMap::new();
        for (name, home, role) in ACCOUNTS {
            tokens.insert(name, cluster.account(home, name).await);
            if let Some((role, namespace)) = role {
                cluster.bind(role, (home, name), namespace).await;
            }
        }
        let config = image::config("tape");
        let manifest = image::manifest(&config, LAYER);
        let world = Self {
            cluster,
            tokens,
            config,
            manifest,
        };
        let admin = As::Basic(&world.tokens["admin"]);
        for blob in [&world.config[..], LAYER] {
            let pushed = world.cluster.registry.push_blob(admin, "acc/app", blob).await;
            assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        }
        let pushed = world
            .cluster
            .registry
            .push_manifest(admin, "acc/app", "v1", &world.manifest)
            .await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        world
    }

    pub(crate) async fn play(&self, call: &Call, who: &str) -> Answer {
        let headers: Vec<(&str, &str)> = call
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let who = self.credentials(who);
        self.cluster
            .registry
            .send(who, call.method.clone(), &call.path, &headers, &call.body)
            .await
    }

    /// The tokens of all accounts.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.values().map(String::as_str)
    }

    /// What the recording's identities sent.
    fn credentials(&self, who: &str) -> As<'_> {
        match who {
            "none" => As::Nobody,
            "anonymous" => As::Basic("anonymous"),
            "garbage" => As::Basic("garbage"),
            known => As::Basic(&self.tokens[known]),
        }
    }

    /// The request of a route of the recording.
    pub(crate) async fn call(&self, route: &str) -> Option<Call> {
        let layer = Digest::sha256(LAYER);
        let missing = Digest::sha256(b"missing");
        let image = self.manifest.digest();
        let accept = |call: Call| call.with("accept", OCI_MANIFEST);
        let put = |reference: &str, body: &[u8]| {
            Call::new(Method::PUT, format!("/v2/acc/app/manifests/{reference}"))
                .with("content-type", OCI_MANIFEST)
                .body(body)
        };
        let delete = |path: String| Call::new(Method::DELETE, path);
        let get = |path: &str| Call::get(path);
        Some(match route {
            "base" => get("/v2/"),
            "base no slash" => get("/v2"),
            "catalog" => get("/v2/_catalog"),
            "token" => get("/openshift/token"),
            "tags" => get("/v2/acc/app/tags/list"),
            "tags missing stream" => get("/v2/acc/none/tags/list"),
            "tags missing project" => get("/v2/no-such-project/none/tags/list"),
            "manifest tag" => accept(get("/v2/acc/app/manifests/v1")),
            "manifest tag head" => accept(Call::new(Method::HEAD, "/v2/acc/app/manifests/v1")),
            "manifest digest" => accept(Call::get(format!("/v2/acc/app/manifests/{image}"))),
            "manifest missing tag" => accept(get("/v2/acc/app/manifests/none")),
            "manifest missing digest" => accept(Call::get(format!("/v2/acc/app/manifests/{missing}"))),
            "manifest not accepted" => get("/v2/acc/app/manifests/v1").with("accept", DOCKER_MANIFEST),
            "manifest of missing stream" => accept(Call::get(format!("/v2/acc/none/manifests/{image}"))),
            "blob" => Call::get(format!("/v2/acc/app/blobs/{layer}")),
            "blob head" => Call::new(Method::HEAD, format!("/v2/acc/app/blobs/{layer}")),
            "blob range" => Call::get(format!("/v2/acc/app/blobs/{layer}")).with("range", "bytes=1-3"),
            "blob missing" => Call::get(format!("/v2/acc/app/blobs/{missing}")),
            "blob of other repository" => Call::get(format!("/v2/acc-x/app/blobs/{layer}")),
            "bad digest" => get("/v2/acc/app/blobs/sha256:zz"),
            "upload start" => Call::new(Method::POST, "/v2/acc/app/blobs/uploads/"),
            "upload start missing project" => Call::new(Method::POST, "/v2/no-such-project/x/blobs/uploads/"),
            "mount" => Call::new(
                Method::POST,
                format!("/v2/acc/other/blobs/uploads/?mount={layer}&from=acc/app"),
            ),
            "one name part" => get("/v2/app/tags/list"),
            "three name parts" => get("/v2/acc/a/b/tags/list"),
            "upper case" => get("/v2/acc/App/tags/list"),
            "upload patch" => self.upload(Method::PATCH, "").await.body("bytes"),
            "upload status" => self.upload(Method::GET, "").await,
            "upload finish wrong digest" => self
                .upload(Method::PUT, &format!("digest={missing}"))
                .await
                .body("bytes"),
            "upload cancel" => self.upload(Method::DELETE, "").await,
            "manifest put" => put("v2", &self.manifest.bytes),
            "manifest put digest" => put(&image.to_string(), &self.manifest.bytes),
            "manifest put wrong digest" => put(&missing.to_string(), &self.manifest.bytes),
            "manifest put garbage" => put("g", b"garbage"),
            "manifest put unknown blob" => put("u", &image::manifest(&self.config, b"nowhere").bytes),
            "signatures" => Call::get(format!("/extensions/v2/acc/app/signatures/{image}")),
            "metrics" => get("/extensions/v2/metrics"),
            "healthz" => get("/healthz"),
            "root" => get("/"),
            "referrers" => Call::get(format!("/v2/acc/app/referrers/{image}")),
            "unknown path" => get("/v3/x"),
            "blob delete" => delete(format!("/v2/acc/app/blobs/{missing}")),
            "admin blob delete" => delete(format!("/admin/blobs/{missing}")),
            "tag delete" => delete("/v2/acc/app/manifests/none".to_owned()),
            "manifest delete missing" => delete(format!("/v2/acc/app/manifests/{missing}")),
            _ => return None,
        })
    }

    /// The request of a route that the recording does not have.
    pub(crate) async fn own_call(&self, route: &str) -> Option<Call> {
        let layer = Digest::sha256(LAYER);
        let image = self.manifest.digest();
        let posted = Digest::sha256(b"posted");
        let signature = serde_json::json!({"schemaVersion": 2, "name": format!("{image}@one"), "type": "atomic", "content": "c2ln"});
        Some(match route {
            "base head" => Call::new(Method::HEAD, "/v2/"),
            "catalog head" => Call::new(Method::HEAD, "/v2/_catalog"),
            "tags head" => Call::new(Method::HEAD, "/v2/acc/app/tags/list"),
            "referrers head" => Call::new(Method::HEAD, format!("/v2/acc/app/referrers/{image}")),
            "upload head" => self.upload(Method::HEAD, "").await,
            "upload finish" => self
                .upload(Method::PUT, &format!("digest={layer}"))
                .await
                .body(LAYER),
            "single post" => Call::new(
                Method::POST,
                format!("/v2/acc/app/blobs/uploads/?digest={posted}"),
            )
            .body("posted"),
            "blob put" => Call::new(Method::PUT, format!("/v2/acc/app/blobs/{layer}")),
            "signature put" => Call::new(Method::PUT, format!("/extensions/v2/acc/app/signatures/{image}"))
                .body(signature.to_string()),
            "signature of three name parts" => {
                Call::get(format!("/extensions/v2/acc/a/b/signatures/{image}"))
            }
            "metrics" => Call::get("/extensions/v2/metrics"),
            "livez" => Call::get("/livez"),
            "readyz" => Call::get("/readyz"),
            "tag delete" => Call::new(Method::DELETE, "/v2/acc/app/manifests/v1"),
            "manifest delete" => Call::new(Method::DELETE, format!("/v2/acc/app/manifests/{image}")),
            "blob delete" => Call::new(Method::DELETE, format!("/v2/acc/app/blobs/{layer}")),
            "admin blob delete" => Call::new(Method::DELETE, format!("/admin/blobs/{layer}")),
            _ => return None,
        })
    }

    /// A request on an upload that the administrator has just begun.
    async fn upload(&self, method: Method, query: &str) -> Call {
        let begun = self
            .play(&Call::new(Method::POST, "/v2/acc/app/blobs/uploads/"), "admin")
            .await;
        let location = begun.header("location").expect("a location");
        let path = location
            .strip_prefix(&format!("http://{HOST}"))
            .unwrap_or(location);
        let and = match (query.is_empty(), path.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        Call::new(method, format!("{path}{and}{query}")).with("content-type", "application/octet-stream")
    }
}

/// The routes of the recording.
pub(crate) const RECORDED: [&str; 45] = [
    "base",
    "base no slash",
    "catalog",
    "token",
    "tags",
    "tags missing stream",
    "tags missing project",
    "manifest tag",
    "manifest tag head",
    "manifest digest",
    "manifest missing tag",
    "manifest missing digest",
    "manifest not accepted",
    "manifest of missing stream",
    "blob",
    "blob head",
    "blob range",
    "blob missing",
    "blob of other repository",
    "bad digest",
    "upload start",
    "upload start missing project",
    "mount",
    "one name part",
    "three name parts",
    "upper case",
    "upload patch",
    "upload status",
    "upload finish wrong digest",
    "upload cancel",
    "manifest put",
    "manifest put digest",
    "manifest put wrong digest",
    "manifest put garbage",
    "manifest put unknown blob",
    "signatures",
    "metrics",
    "healthz",
    "root",
    "referrers",
    "unknown path",
    "blob delete",
    "admin blob delete",
    "tag delete",
    "manifest delete missing",
];
