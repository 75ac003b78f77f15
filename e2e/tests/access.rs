//! What nobody may get by guessing, and what the registry says about itself.
use std::process::{Command, Stdio};

use berth_testkit::{
    Berth,
    image::{Image, digest},
    installed,
};
use serde_json::Value;

#[test]
fn knowing_a_digest_gives_nothing() {
    if !installed("skopeo") {
        return;
    }
    let berth = Berth::start();
    berth.create_project("secret");
    berth.create_project("open");
    let owner = berth.token_with_role("secret", "owner", "system:image-builder");
    let thief = berth.token_with_role("open", "thief", "admin");
    let image = Image::new(1, 1, 5000);
    let layout = berth.scratch().join("layout");
    image.write_layout(&layout, "v1").unwrap();
    let _ = berth
        .skopeo()
        .push(
            &owner,
            &format!("oci:{}:v1", layout.display()),
            "secret/app:v1",
            &[],
        )
        .ok();
    // The thief has a repository of its own, with something in it.
    let other = Image::new(2, 1, 100);
    let theirs = berth.scratch().join("theirs");
    other.write_layout(&theirs, "v1").unwrap();
    let _ = berth
        .skopeo()
        .push(
            &thief,
            &format!("oci:{}:v1", theirs.display()),
            "open/app:v1",
            &[],
        )
        .ok();

    let status = |path: &str, arguments: &[&str]| {
        let mut all = vec!["-o", "/dev/null", "-w", "%{http_code}"];
        all.extend(arguments);
        berth.curl(Some(&thief), path, &all).ok()
    };
    let layer = &image.layers[0].digest;
    for digest in [layer, &image.config.digest, &image.manifest.digest] {
        assert_eq!(
            status(&format!("/v2/open/app/blobs/{digest}"), &[]),
            "404",
            "{digest} through the thief's stream"
        );
        assert_eq!(
            status(&format!("/v2/secret/app/blobs/{digest}"), &[]),
            "403",
            "{digest} at its owner's"
        );
    }
    assert_eq!(
        status(&format!("/v2/open/app/manifests/{}", image.manifest.digest), &[]),
        "404"
    );
    // Neither a mount with the source named nor an anonymous one hands over bytes that the thief may not pull.
    for query in [format!("mount={layer}&from=secret/app"), format!("mount={layer}")] {
        assert_eq!(
            status(&format!("/v2/open/app/blobs/uploads/?{query}"), &["-X", "POST"]),
            "202",
            "{query}"
        );
    }
    // Nor does a manifest that names them: the blob is unknown in this repository.
    let manifest = String::from_utf8(image.manifest.bytes.clone()).unwrap();
    let put = [
        "-X",
        "PUT",
        "-H",
        "Content-Type: application/vnd.oci.image.manifest.v1+json",
        "--data-binary",
        &manifest,
    ];
    assert_eq!(status("/v2/open/app/manifests/stolen", &put), "400");
    // Nor the image API: a mapping posted for somebody else's digest.
    let mapping = serde_json::json!({
        "apiVersion": "image.openshift.io/v1", "kind": "ImageStreamMapping",
        "metadata": {"name": "app", "namespace": "open"}, "tag": "stolen",
        "image": {
            "metadata": {"name": image.manifest.digest, "annotations": {"image.openshift.io/manifestBlobStored": "true"}},
            "dockerImageReference": format!("{}/secret/app@{}", berth.registry, image.manifest.digest),
            "dockerImageManifest": manifest, "dockerImageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            "dockerImageConfig": String::from_utf8(image.config.bytes.clone()).unwrap(),
        },
    });
    let kubectl = berth.kubectl().with_token(&thief);
    let _ = kubectl.with_file(&mapping.to_string(), &["create", "-f", "{}"]);
    assert_eq!(
        status(&format!("/v2/open/app/blobs/{layer}"), &[]),
        "404",
        "after a planted mapping"
    );
}

#[test]
fn one_request_id_in_the_answer_and_in_the_logs() {
    let berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "reader", "system:image-puller");
    let answer = berth
        .curl(
            Some(&token),
            &format!("/v2/demo/app/blobs/{}", digest(b"nothing")),
            &["-i"],
        )
        .ok();
    let body = answer.rsplit("\r\n\r\n").next().unwrap();
    let error: Value = serde_json::from_str(body).unwrap();
    let id = error["errors"][0]["detail"]["requestId"]
        .as_str()
        .unwrap_or_else(|| panic!("{error}"))
        .to_owned();
    let header = answer.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("x-request-id: ")
            .map(|id| id.trim().to_owned())
    });
    assert_eq!(header.as_deref(), Some(id.as_str()), "{answer}");
    let logged = berth_testkit::eventually("the access log line", || {
        berth
            .output()
            .lines()
            .find(|line| line.contains(&id))
            .map(str::to_owned)
    });
    assert!(
        logged.contains("404") && logged.contains("system:serviceaccount:demo:reader"),
        "{logged}"
    );
    assert!(!berth.output().contains(&token), "no token is ever logged");
}

#[test]
fn metrics_are_for_those_who_may_and_correct() {
    let berth = Berth::start();
    berth.create_project("demo");
    let reader = berth.token_with_role("demo", "reader", "system:image-puller");
    let scraper = berth.token("demo", "scraper");
    let kubectl = berth.kubectl();
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: scraper}\nrules:\n- {apiGroups: [image.openshift.io], resources: [registry/metrics], verbs: [get]}\n";
    let _ = kubectl.with_file(role, &["create", "-f", "{}"]).ok();
    let _ = kubectl
        .run(&[
            "create",
            "clusterrolebinding",
            "scraper",
            "--clusterrole=scraper",
            "--serviceaccount=demo:scraper",
        ])
        .ok();
    let code = |token: Option<&str>| {
        berth
            .curl(
                token,
                "/extensions/v2/metrics",
                &["-o", "/dev/null", "-w", "%{http_code}"],
            )
            .ok()
    };
    assert_eq!(code(None), "401");
    assert_eq!(code(Some(&reader)), "403");
    berth_testkit::eventually("the role is seen", || {
        (code(Some(&scraper)) == "200").then_some(())
    });
    let metrics = berth.curl(Some(&scraper), "/extensions/v2/metrics", &["-f"]).ok();
    for name in [
        "imageregistry_build_info",
        "imageregistry_http_requests_total",
        "imageregistry_http_in_flight_requests",
    ] {
        assert!(metrics.contains(name), "{name} in\n{metrics}");
    }
    if installed("promtool") {
        let mut command = Command::new("promtool");
        let mut child = command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(
            berth
                .curl(None, path, &["-o", "/dev/null", "-w", "%{http_code}"])
                .ok(),
            "200",
            "{path}"
        );
    }
}
