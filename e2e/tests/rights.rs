//! People, their projects, and what they may do at the registry: rights that come and go, public projects.
use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use berth_testkit::{Berth, clients::Kubectl, image::Image, installed, process::run};
use serde_json::Value;

/// Ten seconds that a decision may be remembered, and two for the request that finds out.
const BOUND: Duration = Duration::from_secs(12);

/// `secret`, for every user here.
const SECRET: &str = "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0";

/// Waits for an answer of the registry, no longer than what it promises.
fn within_the_bound(what: &str, want: &str, mut probe: impl FnMut() -> String) {
    let start = Instant::now();
    loop {
        let got = probe();
        if got == want {
            return;
        }
        assert!(
            start.elapsed() < BOUND,
            "{what}: still {got}, not {want}, after {BOUND:?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// A server where ann and bob log in.
fn with_people() -> Berth {
    let scratch = tempfile::Builder::new()
        .prefix("berth-test")
        .tempdir()
        .expect("a scratch file can be written");
    let people = scratch.path().join("htpasswd");
    fs::write(&people, format!("ann:{SECRET}\nbob:{SECRET}\n")).expect("a scratch file can be written");
    let config = scratch.path().join("berth.yaml");
    let text = format!(
        "identityProviders:\n- {{name: local, mappingMethod: claim, type: HTPasswd, htpasswd: {{file: {}}}}}\n",
        people.display()
    );
    fs::write(&config, text).expect("a configuration can be written");
    let data = scratch.path().join("data");
    let config = config.display().to_string();
    Berth::start_on(scratch, data, &["--config", &config])
}

/// `curl` against the API.
fn api(berth: &Berth, token: Option<&str>, path: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--cacert"])
        .arg(berth.data().join("ca.crt"))
        .args(arguments)
        .stdin(Stdio::null());
    if let Some(token) = token {
        command.args(["-H", &format!("Authorization: Bearer {token}")]);
    }
    command.arg(format!("{}{path}", berth.api));
    run(&mut command).ok()
}

/// A token, asked for as `oc login -u USER -p PASSWORD` asks.
fn log_in(berth: &Berth, user: &str, password: &str) -> String {
    let path = "/oauth/authorize?client_id=openshift-challenging-client&response_type=token";
    let credentials = format!("{user}:{password}");
    let arguments = [
        "-o",
        "/dev/null",
        "-D",
        "-",
        "-H",
        "X-CSRF-Token: 1",
        "-u",
        &credentials,
    ];
    let head = api(berth, None, path, &arguments);
    let token = head
        .split("access_token=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    token
        .unwrap_or_else(|| panic!("no token in\n{head}"))
        .replace("%7E", "~")
        .trim()
        .to_owned()
}

/// Pushes a small image to `name` and returns it.
fn push(berth: &Berth, token: &str, name: &str, seed: u64) -> Image {
    let image = Image::new(seed, 1, 300);
    let layout = berth.scratch().join(format!("layout-{seed}"));
    image
        .write_layout(&layout, "v1")
        .expect("an image can be written");
    let source = format!("oci:{}:v1", layout.display());
    let _ = berth.skopeo().push(token, &source, name, &[]).ok();
    image
}

/// The status of a pull of a manifest.
fn pull_status(berth: &Berth, token: Option<&str>, path: &str) -> String {
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let arguments = ["-o", "/dev/null", "-w", "%{http_code}", "-H", accept];
    berth.curl(token, path, &arguments).ok()
}

fn bind(kubectl: &Kubectl, namespace: &str, name: &str, role: &str, subject: &str) {
    let role = format!("--clusterrole={role}");
    let _ = kubectl
        .run(&["create", "rolebinding", name, &role, subject, "-n", namespace])
        .ok();
}

fn unbind(kubectl: &Kubectl, namespace: &str, name: &str) {
    let _ = kubectl
        .run(&["delete", "rolebinding", name, "-n", namespace])
        .ok();
}

#[test]
fn rights_that_change_reach_the_registry_in_seconds() {
    if !installed("skopeo") {
        return;
    }
    let berth = with_people();
    let admin = berth.kubectl();
    berth.create_project("demo");
    let builder = berth.token_with_role("demo", "pusher", "system:image-builder");
    let _image = push(&berth, &builder, "demo/app:v1", 1);
    let ann = log_in(&berth, "ann", "secret");
    let path = "/v2/demo/app/manifests/v1";
    let status = || pull_status(&berth, Some(&ann), path);
    assert_eq!(status(), "403");

    // A binding that comes and goes, asked for all the time, so that every cache is warm.
    bind(&admin, "demo", "ann-pulls", "system:image-puller", "--user=ann");
    within_the_bound("a right that was given", "200", status);
    unbind(&admin, "demo", "ann-pulls");
    within_the_bound("a right that was taken", "403", status);

    // A group, bound once, that ann joins and leaves.
    let group = "apiVersion: user.openshift.io/v1\nkind: Group\nmetadata: {name: team}\nusers: []\n";
    let _ = admin.with_file(group, &["create", "-f", "{}"]).ok();
    bind(&admin, "demo", "team-pulls", "registry-viewer", "--group=team");
    assert_eq!(status(), "403");
    let users = |users: &str| {
        let patch = format!("{{\"users\":{users}}}");
        let _ = admin
            .run(&["patch", "group", "team", "--type=merge", "-p", &patch])
            .ok();
    };
    users("[\"ann\"]");
    within_the_bound("a group that was joined", "200", status);
    users("[]");
    within_the_bound("a group that was left", "403", status);

    // The rules of a role.
    let rule = |verbs: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: pull, namespace: demo}}\nrules:\n- \
             {{apiGroups: [image.openshift.io], resources: [imagestreams/layers], verbs: [{verbs}]}}\n"
        )
    };
    let _ = admin.with_file(&rule("get"), &["apply", "-f", "{}"]).ok();
    let _ = admin
        .run(&[
            "create",
            "rolebinding",
            "by-role",
            "--role=pull",
            "--user=ann",
            "-n",
            "demo",
        ])
        .ok();
    within_the_bound("a role that allows", "200", status);
    let _ = admin.with_file(&rule("update"), &["apply", "-f", "{}"]).ok();
    within_the_bound("a role that allows no more", "403", status);
}

#[test]
fn a_token_that_was_revoked_opens_nothing_in_seconds() {
    if !installed("skopeo") {
        return;
    }
    let berth = with_people();
    berth.create_project("demo");
    let builder = berth.token_with_role("demo", "pusher", "system:image-builder");
    let _image = push(&berth, &builder, "demo/app:v1", 2);
    let admin = berth.kubectl();
    bind(&admin, "demo", "ann-pulls", "registry-viewer", "--user=ann");
    let path = "/v2/demo/app/manifests/v1";

    // By its owner, as `oc logout` does; another session of the same person goes on.
    let (first, second) = (log_in(&berth, "ann", "secret"), log_in(&berth, "ann", "secret"));
    for token in [&first, &second] {
        within_the_bound("a session", "200", || pull_status(&berth, Some(token), path));
    }
    let own = "/apis/oauth.openshift.io/v1/useroauthaccesstokens";
    let list: Value = serde_json::from_str(&api(&berth, Some(&first), own, &[])).unwrap();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list:#}");
    let names = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap());
    for name in names {
        // Which is which only the hash says, and a session may end itself: the other one then ends the rest.
        let delete = |token: &&String| api(&berth, Some(token), &format!("{own}/{name}"), &["-X", "DELETE"]);
        let ended = [&first, &second]
            .iter()
            .any(|token| delete(token).contains("\"Success\""));
        assert!(ended, "{name}");
    }
    for token in [&first, &second] {
        within_the_bound("a token that was revoked", "401", || {
            pull_status(&berth, Some(token), path)
        });
    }

    // With the user, and with the service account.
    let third = log_in(&berth, "ann", "secret");
    within_the_bound("a new session", "200", || pull_status(&berth, Some(&third), path));
    let _ = admin.run(&["delete", "user", "ann"]).ok();
    within_the_bound("the token of a deleted user", "401", || {
        pull_status(&berth, Some(&third), path)
    });
    assert_eq!(pull_status(&berth, Some(&builder), path), "200");
    let _ = admin
        .run(&["delete", "serviceaccount", "pusher", "-n", "demo"])
        .ok();
    within_the_bound("the token of a deleted account", "401", || {
        pull_status(&berth, Some(&builder), path)
    });
}

#[test]
fn people_have_projects_of_their_own() {
    if !installed("skopeo") {
        return;
    }
    let berth = with_people();
    let admin = berth.kubectl();
    let (ann, bob) = (log_in(&berth, "ann", "secret"), log_in(&berth, "bob", "secret"));
    let (as_ann, as_bob) = (admin.with_token(&ann), admin.with_token(&bob));

    let requests = "/apis/project.openshift.io/v1/projectrequests";
    let probe = api(&berth, Some(&ann), requests, &["-w", "\n%{http_code}"]);
    assert!(probe.contains("\"Success\"") && probe.ends_with("200"), "{probe}");
    // In the encoding that OpenShift's typed clients prefer, as `oc new-project anns` sends it.
    let body = b"k8s\0\n)\n\x17project.openshift.io/v1\x12\x0eProjectRequest\x12\x1a\n\x14\n\x04anns\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\
                 \x12\x00\x1a\x00\x1a\x00\"\x00";
    let file = berth.scratch().join("request.bin");
    fs::write(&file, body).unwrap();
    let data = format!("@{}", file.display());
    let protobuf = [
        "-X",
        "POST",
        "-H",
        "Content-Type: application/vnd.kubernetes.protobuf",
    ];
    let accept = [
        "-H",
        "Accept: application/vnd.kubernetes.protobuf,application/json",
        "--data-binary",
        &data,
    ];
    let made = api(
        &berth,
        Some(&ann),
        requests,
        &[&protobuf[..], &accept[..]].concat(),
    );
    let made: Value = serde_json::from_str(&made).unwrap_or_else(|error| panic!("{error}: {made}"));
    assert_eq!(
        (&made["kind"], &made["metadata"]["name"]),
        (&"Project".into(), &"anns".into()),
        "{made:#}"
    );

    // At once: the project is there for ann, and for nobody else.
    let _image = push(&berth, &ann, "anns/app:v1", 3);
    let projects = |kubectl: &Kubectl| kubectl.run(&["get", "projects", "-o", "name"]).ok();
    assert_eq!(projects(&as_ann).trim(), "project.project.openshift.io/anns");
    assert_eq!(projects(&as_bob), "");
    assert_eq!(
        pull_status(&berth, Some(&bob), "/v2/anns/app/manifests/v1"),
        "403"
    );
    let refused = as_ann
        .run(&[
            "create",
            "rolebinding",
            "x",
            "--clusterrole=cluster-admin",
            "--user=ann",
            "-n",
            "anns",
        ])
        .refused();
    assert!(refused.contains("permissions not currently held"), "{refused}");

    bind(&as_ann, "anns", "bob-views", "registry-viewer", "--user=bob");
    within_the_bound("what bob may pull", "200", || {
        pull_status(&berth, Some(&bob), "/v2/anns/app/manifests/v1")
    });
    assert_eq!(projects(&as_bob).trim(), "project.project.openshift.io/anns");
    let who = "{\"kind\":\"LocalResourceAccessReview\",\"apiVersion\":\"authorization.openshift.io/v1\",\"verb\":\"get\",\"resource\":\"imagestreams/layers\"}";
    let reviews = "/apis/authorization.openshift.io/v1/namespaces/anns/localresourceaccessreviews";
    let json = ["-X", "POST", "-H", "Content-Type: application/json", "-d", who];
    let answer: Value = serde_json::from_str(&api(&berth, Some(&ann), reviews, &json)).unwrap();
    assert!(
        answer["users"]
            .as_array()
            .is_some_and(|users| users.contains(&"bob".into())),
        "{answer:#}"
    );
    assert!(api(&berth, Some(&bob), reviews, &json).contains("\"Forbidden\""));

    for (kinds, want) in [("users", "ann"), ("identities", "local:ann")] {
        let found = admin.run(&["get", kinds]).ok();
        assert!(found.contains(want), "{kinds}: {found}");
    }
    let _ = as_ann.run(&["delete", "project", "anns"]).ok();
    berth_testkit::eventually("the project is gone", || {
        projects(&admin)
            .lines()
            .all(|line| !line.ends_with("/anns"))
            .then_some(())
    });
    within_the_bound("the project's images", "403", || {
        pull_status(&berth, Some(&bob), "/v2/anns/app/manifests/v1")
    });
}

#[test]
fn a_public_project_needs_no_credentials() {
    if !installed("skopeo") || !installed("podman") {
        return;
    }
    let berth = Berth::start();
    let admin = berth.kubectl();
    for project in ["open", "closed"] {
        berth.create_project(project);
        let builder = berth.token_with_role(project, "pusher", "system:image-builder");
        let _image = push(&berth, &builder, &format!("{project}/app:v1"), 4);
    }
    let skopeo = berth.skopeo();
    let target = format!("dir:{}", berth.scratch().join("pulled").display());
    let _ = skopeo.pull(None, "open/app:v1", &target, &[]).refused();
    bind(
        &admin,
        "open",
        "public",
        "registry-viewer",
        "--group=system:unauthenticated",
    );

    within_the_bound("a project that was opened", "200", || {
        pull_status(&berth, None, "/v2/open/app/manifests/v1")
    });
    let _ = skopeo.pull(None, "open/app:v1", &target, &[]).ok();
    let tags = skopeo_without(&berth, "list-tags", "open/app").ok();
    assert!(tags.contains("\"v1\""), "{tags}");
    let inspected = skopeo_without(&berth, "inspect", "open/app:v1").ok();
    assert!(inspected.contains("\"Digest\""), "{inspected}");
    let podman = berth.podman("nobody");
    // Told where credentials are, podman wants the file to be there.
    fs::write(podman.home().join("auth.json"), "{}").unwrap();
    let image = format!("{}/open/app:v1", berth.registry);
    let _ = podman.run(&["pull", "-q", "--cert-dir", "{certs}", &image]).ok();

    // Only that project, and only reading.
    let _ = skopeo.pull(None, "closed/app:v1", &target, &[]).refused();
    let _ = skopeo_without(&berth, "list-tags", "closed/app").refused();
    let closed = format!("{}/closed/app:v1", berth.registry);
    let _ = podman
        .run(&["pull", "-q", "--cert-dir", "{certs}", &closed])
        .refused();
    let _ = podman
        .run(&["tag", &image, &format!("{}/open/mine:v1", berth.registry)])
        .ok();
    let _ = podman
        .run(&[
            "push",
            "-q",
            "--cert-dir",
            "{certs}",
            &format!("{}/open/mine:v1", berth.registry),
        ])
        .refused();
    for (path, method) in [
        ("/v2/_catalog", "GET"),
        ("/v2/open/app/manifests/v1", "DELETE"),
        ("/v2/open/app/blobs/uploads/", "POST"),
    ] {
        let status = berth
            .curl(
                None,
                path,
                &["-X", method, "-o", "/dev/null", "-w", "%{http_code}"],
            )
            .ok();
        assert_eq!(status, "401", "{method} {path}");
    }
    // Whoever has an account, but no right of their own here, reads as the public does, once everybody is meant.
    let stranger = berth.token("closed", "stranger");
    assert_eq!(
        pull_status(&berth, Some(&stranger), "/v2/open/app/manifests/v1"),
        "403"
    );
    bind(
        &admin,
        "open",
        "known",
        "registry-viewer",
        "--group=system:authenticated",
    );
    within_the_bound("a stranger", "200", || {
        pull_status(&berth, Some(&stranger), "/v2/open/app/manifests/v1")
    });

    unbind(&admin, "open", "public");
    within_the_bound("a project that was closed", "401", || {
        pull_status(&berth, None, "/v2/open/app/manifests/v1")
    });
    let _ = skopeo.pull(None, "open/app:v1", &target, &[]).refused();
}

/// A subcommand of skopeo without credentials.
fn skopeo_without(berth: &Berth, subcommand: &str, name: &str) -> berth_testkit::process::Said {
    let mut command = Command::new("skopeo");
    let home = berth.scratch().join("nobody-home");
    let _ = fs::create_dir_all(&home);
    command
        .env("HOME", &home)
        .env("XDG_DATA_HOME", &home)
        .env("REGISTRY_AUTH_FILE", home.join("auth.json"));
    command
        .args([subcommand, "--no-creds", "--cert-dir"])
        .arg(berth.certificates());
    run(command.arg(berth.skopeo().reference(name)))
}
