//! The requests, in the order in which they were sent: each depends on those before.

use berth_oci::Digest;
use serde_json::{Value, json};

const IMG: &str = "/apis/image.openshift.io/v1";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// One request.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) content_type: &'static str,
    /// Whether a table is asked for.
    pub(super) table: bool,
    /// The body, from the answer to the request before.
    pub(super) body: Box<dyn Fn(&Value) -> Value + Send + Sync>,
}

/// The digest of a text.
pub(super) fn digest(text: &str) -> String {
    Digest::sha256(text.as_bytes()).to_string()
}

/// The configuration of every image, byte for byte.
fn config() -> String {
    format!(
        concat!(
            r#"{{"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "author": "tape", "#,
            r#""config": {{"Cmd": ["/bin/true"], "Env": ["A=b"], "Labels": {{"l": "v"}}, "ExposedPorts": {{"8080/tcp": {{}}}}}}, "#,
            r#""history": [{{"created": "2026-01-01T00:00:00Z", "created_by": "x"}}], "#,
            r#""rootfs": {{"type": "layers", "diff_ids": ["{}", "{}"]}}}}"#
        ),
        digest("d1"),
        digest("d2")
    )
}

fn layer(n: u32) -> String {
    let digest = digest(&format!("layer{n}"));
    let size = 1000 + n;
    format!(
        r#"{{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": {size}, "digest": "{digest}"}}"#
    )
}

/// The manifest of the n-th image, byte for byte.
pub(super) fn manifest(n: u32) -> String {
    let config = config();
    format!(
        concat!(
            r#"{{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "#,
            r#""config": {{"mediaType": "application/vnd.docker.container.image.v1+json", "size": {}, "digest": "{}"}}, "#,
            r#""layers": [{}, {}]}}"#
        ),
        config.len(),
        digest(&config),
        layer(0),
        layer(n)
    )
}

fn id(n: u32) -> String {
    digest(&manifest(n))
}

fn image(n: u32) -> Value {
    json!({
        "metadata": {"name": id(n), "annotations": {"image.openshift.io/manifestBlobStored": "true"}},
        "dockerImageReference": format!("registry.example/tape/app@{}", id(n)),
        "dockerImageManifest": manifest(n),
        "dockerImageConfig": config(),
        "dockerImageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
    })
}

fn typed(kind: &str, mut object: Value) -> Value {
    object["kind"] = kind.into();
    object["apiVersion"] = "image.openshift.io/v1".into();
    object
}

fn mapping(stream: &str, tag: &str, image: &Value) -> Value {
    let object = json!({"metadata": {"name": stream, "namespace": "tape"}, "image": image, "tag": tag});
    typed("ImageStreamMapping", object)
}

fn stream(name: &str) -> Value {
    typed("ImageStream", json!({"metadata": {"name": name}, "spec": {}}))
}

/// The whole play.
pub(super) fn steps() -> Vec<Step> {
    let p = format!("{IMG}/namespaces/tape");
    let mut steps = Vec::new();
    let mut add =
        |name, method, path: &str, content_type, table, body: Box<dyn Fn(&Value) -> Value + Send + Sync>| {
            steps.push(Step {
                name,
                method,
                path: path.to_owned(),
                content_type,
                table,
                body,
            });
        };
    macro_rules! get {
        ($name:literal, $($path:tt)*) => { add($name, "GET", &format!($($path)*), "application/json", false, Box::new(|_| Value::Null)) };
    }
    macro_rules! table {
        ($name:literal, $($path:tt)*) => { add($name, "GET", &format!($($path)*), "application/json", true, Box::new(|_| Value::Null)) };
    }
    macro_rules! delete {
        ($name:literal, $($path:tt)*) => { add($name, "DELETE", &format!($($path)*), "application/json", false, Box::new(|_| Value::Null)) };
    }
    macro_rules! post {
        ($name:literal, $path:expr, $body:expr) => {{
            let body: Value = $body;
            add(
                $name,
                "POST",
                &$path,
                "application/json",
                false,
                Box::new(move |_| body.clone()),
            )
        }};
    }
    macro_rules! patch {
        ($name:literal, $path:expr, $kind:expr, $body:expr) => {{
            let body: Value = $body;
            add(
                $name,
                "PATCH",
                &$path,
                $kind,
                false,
                Box::new(move |_| body.clone()),
            )
        }};
    }

    let (streams, mappings, tags) = (
        format!("{p}/imagestreams"),
        format!("{p}/imagestreammappings"),
        format!("{p}/imagestreamtags"),
    );
    let app = format!("{streams}/app");
    let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "tape"}});
    post!("00 namespace", "/api/v1/namespaces", namespace);
    get!("01 group", "/apis/image.openshift.io");
    get!("02 resources", "{IMG}");
    post!("03 create stream", streams, stream("app"));
    post!("04 create again", streams, stream("app"));
    post!("05 bad name", streams, stream("Bad__Name"));
    get!("06 get missing", "{streams}/none");
    post!(
        "07 mapping on missing stream",
        mappings,
        mapping("none", "v1", &image(1))
    );
    post!("08 mapping", mappings, mapping("app", "v1", &image(1)));
    get!("09 stream after", "{app}");
    get!("10 istag", "{tags}/app:v1");
    get!("11 image", "{IMG}/images/{}", id(1));
    get!("12 isimage", "{p}/imagestreamimages/app@{}", id(1));
    get!("13 isimage short", "{p}/imagestreamimages/app@{}", &id(1)[..20]);
    post!("14 same mapping again", mappings, mapping("app", "v1", &image(1)));
    post!("15 second image", mappings, mapping("app", "v1", &image(2)));
    get!("16 history", "{app}");
    post!("17 back to first", mappings, mapping("app", "v1", &image(1)));
    get!("18 history", "{app}");
    get!("19 layers", "{app}/layers");
    get!("20 secrets", "{app}/secrets");
    let from = json!({"kind": "ImageStreamTag", "name": "app:v1"});
    post!(
        "21 tag from tag",
        tags,
        typed(
            "ImageStreamTag",
            json!({"metadata": {"name": "app:stable"}, "tag": {"name": "stable", "from": from}})
        )
    );
    get!("22 stable", "{tags}/app:stable");
    get!("23 stream", "{app}");
    patch!(
        "24 annotate tag",
        format!("{tags}/app:stable"),
        MERGE,
        json!({"metadata": {"annotations": {"a": "b"}}})
    );
    get!("25 bad istag name", "{tags}/app");
    get!("26 istag missing", "{tags}/app:none");
    get!("27 list istags", "{tags}");
    get!("28 imagetags", "{p}/imagetags");
    get!("29 imagetag", "{p}/imagetags/app:stable");
    table!("30 table imagestreams", "{streams}");
    table!("31 table imagestreamtags", "{tags}");
    table!("32 table imagetags", "{p}/imagetags");
    table!("33 table imagestreams/app", "{app}");
    table!("34 table imagestreamtags/app:v1", "{tags}/app:v1");
    table!("35 table image", "{IMG}/images/{}", id(1));
    table!("36 table isimage", "{p}/imagestreamimages/app@{}", id(1));
    delete!("37 delete istag", "{tags}/app:stable");
    get!("38 stream", "{app}");
    delete!("39 delete istag again", "{tags}/app:stable");
    let reference = json!({"name": "ref", "reference": true, "from": {"kind": "DockerImage", "name": "quay.example/a/b:c"}});
    let bad = json!({"name": "bad", "from": {"kind": "Pod", "name": "x"}});
    patch!(
        "40 spec tags",
        app,
        MERGE,
        json!({"spec": {"tags": [reference, bad]}})
    );
    patch!("41 spec tags", app, MERGE, json!({"spec": {"tags": [reference]}}));
    get!("42 stream", "{app}");
    get!("43 ref tag", "{tags}/app:ref");
    let scheduled = json!({"name": "s", "importPolicy": {"scheduled": true}, "from": {"kind": "ImageStreamTag", "name": "app:v1"}});
    patch!(
        "44 scheduled istag",
        app,
        MERGE,
        json!({"spec": {"tags": [scheduled]}})
    );
    get!("45 read", "{app}");
    let stale = |last: &Value| {
        let mut stale = last.clone();
        stale["metadata"]["resourceVersion"] = "1".into();
        stale
    };
    add(
        "46 stale put",
        "PUT",
        &app,
        "application/json",
        false,
        Box::new(stale),
    );
    patch!(
        "47 strategic",
        app,
        STRATEGIC,
        json!({"spec": {"tags": [{"name": "ref", "annotations": {"x": "y"}}]}})
    );
    patch!(
        "48 json patch",
        app,
        JSON_PATCH,
        json!([{"op": "add", "path": "/metadata/labels", "value": {"l": "1"}}])
    );
    table!("49 selector", "{streams}?labelSelector=l%3D1");
    get!("50 selector none", "{streams}?labelSelector=l%3D2");
    get!("51 limit", "{streams}?limit=1");
    let images = format!("{IMG}/images");
    post!("80 create image", images, typed("Image", image(9)));
    post!("81 again", images, typed("Image", image(9)));
    get!("82 read", "{images}/{}", id(9));
    let change = |last: &Value| {
        let mut image = last.clone();
        image["dockerImageManifest"] = "changed".into();
        image["dockerImageReference"] = "changed/x:y".into();
        image
    };
    add(
        "83 change",
        "PUT",
        &format!("{images}/{}", id(9)),
        "application/json",
        false,
        Box::new(change),
    );
    get!("84 read", "{images}/{}", id(9));
    let signatures = format!("{IMG}/imagesignatures");
    let name = format!("{}@sig1", id(9));
    let signature = typed(
        "ImageSignature",
        json!({"metadata": {"name": name}, "type": "atomic", "content": "c2ln"}),
    );
    post!("85 signature", signatures, signature.clone());
    post!("86 again", signatures, signature);
    get!("87 read", "{images}/{}", id(9));
    delete!("88 delete", "{signatures}/{name}");
    delete!("89 delete image", "{images}/{}", id(9));
    let mut planted = image(3);
    planted["metadata"] = json!({"name": digest("something else")});
    post!("90 planted image", mappings, mapping("app", "planted", &planted));
    let from = json!({"kind": "DockerImage", "name": "quay.example/a/b:c"});
    post!(
        "91 tag of other kind",
        tags,
        typed(
            "ImageStreamTag",
            json!({"metadata": {"name": "newstream:t"}, "tag": {"from": from, "reference": true}})
        )
    );
    get!("92 stream made", "{streams}/newstream");
    get!(
        "93 isimage missing",
        "{p}/imagestreamimages/app@{}",
        digest("zzz")
    );
    get!("94 watch istags", "{tags}?watch=true&timeoutSeconds=1");
    delete!("95 delete stream", "{app}");
    get!("96 gone", "{tags}/app:v1");
    get!("97 image stays", "{images}/{}", id(1));
    delete!("98 cleanup", "/api/v1/namespaces/tape");
    steps
}
