//! Objects are created, shown, changed, watched and deleted.
use std::process::Stdio;

use berth_testkit::{Berth, eventually, process::Process};
use serde_json::Value;

use crate::with_both;

const OBJECTS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: demo}}
data: {color: blue, size: big}
---
apiVersion: v1
kind: Secret
metadata: {name: password, labels: {app: demo}}
stringData: {value: hunter2}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
- {apiGroups: [''], resources: [configmaps], verbs: [get, list]}
---
apiVersion: image.openshift.io/v1
kind: ImageStream
metadata: {name: app, labels: {app: demo}}
spec:
  lookupPolicy: {local: true}
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn objects_are_created_shown_changed_and_deleted() {
    with_both(|kubectl, ns| {
        let created = kubectl.with_file(OBJECTS, &["create", "-f", "{}", "-n", ns]).ok();
        assert!(
            created.contains("imagestream.image.openshift.io/app created"),
            "{created}"
        );
        let again = kubectl
            .with_file(OBJECTS, &["create", "-f", "{}", "-n", ns])
            .refused();
        assert!(
            again.contains("AlreadyExists") || again.contains("already exists"),
            "{again}"
        );

        // Every form of output.
        let table = kubectl.run(&["get", "cm,secret,role,is", "-n", ns]).ok();
        for word in [
            "configmap/settings",
            "secret/password",
            "role.rbac.authorization.k8s.io/reader",
            "app",
        ] {
            assert!(table.contains(word), "{word} in\n{table}");
        }
        let wide = kubectl.run(&["get", "is", "app", "-n", ns, "-o", "wide"]).ok();
        assert!(wide.contains("IMAGE REPOSITORY"), "{wide}");
        assert_eq!(
            kubectl
                .run(&["get", "cm", "settings", "-n", ns, "-o", "name"])
                .ok()
                .trim(),
            "configmap/settings"
        );
        assert_eq!(
            kubectl
                .run(&["get", "cm", "settings", "-n", ns, "-o", "jsonpath={.data.color}"])
                .ok(),
            "blue"
        );
        let columns = kubectl
            .run(&[
                "get",
                "cm",
                "-n",
                ns,
                "-l",
                "app=demo",
                "-o",
                "custom-columns=N:.metadata.name,C:.data.color",
            ])
            .ok();
        assert!(
            columns.contains("settings") && columns.contains("blue"),
            "{columns}"
        );
        assert!(
            kubectl
                .run(&["get", "secret", "password", "-n", ns, "-o", "yaml"])
                .ok()
                .contains("value: aHVudGVyMg==")
        );
        let described = kubectl.run(&["describe", "cm", "settings", "-n", ns]).ok();
        assert!(described.contains("blue"), "{described}");
        assert!(
            kubectl
                .run(&["describe", "is", "app", "-n", ns])
                .ok()
                .contains("app")
        );

        // Selectors and paging.
        let names = kubectl
            .run(&["get", "cm", "-n", ns, "-l", "app in (demo, other)", "-o", "name"])
            .ok();
        assert_eq!(names.trim(), "configmap/settings");
        let names = kubectl
            .run(&[
                "get",
                "cm",
                "-n",
                ns,
                "--field-selector",
                "metadata.name=settings",
                "-o",
                "name",
            ])
            .ok();
        assert_eq!(names.trim(), "configmap/settings");
        let none = kubectl
            .run(&["get", "cm", "-n", ns, "-l", "app!=demo,app", "-o", "name"])
            .ok();
        assert_eq!(none.trim(), "");
        for number in 0..7 {
            let _ = kubectl
                .run(&["create", "cm", &format!("page-{number}"), "-n", ns])
                .ok();
        }
        let paged = kubectl
            .run(&["get", "cm", "-n", ns, "--chunk-size=2", "-o", "name"])
            .ok();
        assert_eq!(
            paged.lines().filter(|line| line.contains("page-")).count(),
            7,
            "{paged}"
        );

        // Every way to change something.
        let _ = kubectl
            .run(&["label", "cm", "settings", "-n", ns, "tier=front"])
            .ok();
        let _ = kubectl
            .run(&["annotate", "is", "app", "-n", ns, "note=seen"])
            .ok();
        let _ = kubectl
            .run(&[
                "patch",
                "cm",
                "settings",
                "-n",
                ns,
                "--type",
                "merge",
                "-p",
                r#"{"data":{"color":"red"}}"#,
            ])
            .ok();
        let _ = kubectl
            .run(&[
                "patch",
                "cm",
                "settings",
                "-n",
                ns,
                "--type",
                "json",
                "-p",
                r#"[{"op":"add","path":"/data/shape","value":"round"}]"#,
            ])
            .ok();
        let _ = kubectl
            .run(&[
                "patch",
                "sa",
                "default",
                "-n",
                ns,
                "-p",
                r#"{"secrets":[{"name":"one"}]}"#,
            ])
            .ok();
        let _ = kubectl
            .run(&[
                "patch",
                "sa",
                "default",
                "-n",
                ns,
                "-p",
                r#"{"secrets":[{"name":"two"}]}"#,
            ])
            .ok();
        let secrets = kubectl
            .run(&[
                "get",
                "sa",
                "default",
                "-n",
                ns,
                "-o",
                "jsonpath={.secrets[*].name}",
            ])
            .ok();
        assert!(
            secrets.contains("one") && secrets.contains("two"),
            "a strategic merge joins lists by name: {secrets}"
        );
        let map = json(
            &kubectl
                .run(&["get", "cm", "settings", "-n", ns, "-o", "json"])
                .ok(),
        );
        assert_eq!(
            map["data"],
            serde_json::json!({"color": "red", "shape": "round", "size": "big"})
        );
        assert_eq!(map["metadata"]["labels"]["tier"], "front");

        // apply: three-way, unchanged, and what was applied and is gone is removed.
        let first = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: '1', b: '2'}\n";
        let second = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: '3'}\n";
        assert!(
            kubectl
                .with_file(first, &["apply", "-f", "{}", "-n", ns])
                .ok()
                .contains("created")
        );
        assert!(
            kubectl
                .with_file(first, &["apply", "-f", "{}", "-n", ns])
                .ok()
                .contains("unchanged")
        );
        assert!(
            kubectl
                .with_file(second, &["apply", "-f", "{}", "-n", ns])
                .ok()
                .contains("configured")
        );
        let data = json(
            &kubectl
                .run(&["get", "cm", "applied", "-n", ns, "-o", "json"])
                .ok(),
        );
        assert_eq!(data["data"], serde_json::json!({"a": "3"}));
        let stream = OBJECTS.rsplit("---").next().unwrap();
        let _ = kubectl.with_file(stream, &["apply", "-f", "{}", "-n", ns]).ok();
        assert!(
            kubectl
                .with_file(stream, &["apply", "-f", "{}", "-n", ns])
                .ok()
                .contains("unchanged")
        );

        // A dry run changes nothing.
        let dry = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: never}\n";
        let said = kubectl
            .with_file(
                dry,
                &["create", "-f", "{}", "-n", ns, "--dry-run=server", "-o", "yaml"],
            )
            .ok();
        assert!(said.contains("uid:"), "the server answered: {said}");
        assert!(
            kubectl
                .run(&["get", "cm", "never", "-n", ns])
                .refused()
                .contains("not found")
        );

        // Deleting.
        let _ = kubectl
            .run(&["delete", "cm", "settings", "-n", ns, "--wait=true"])
            .ok();
        let gone = kubectl.run(&["get", "cm", "settings", "-n", ns]).refused();
        assert!(gone.contains(r#"configmaps "settings" not found"#), "{gone}");
        let _ = kubectl
            .run(&["delete", "secret,is", "-n", ns, "-l", "app=demo"])
            .ok();
        assert_eq!(
            kubectl.run(&["get", "is", "-n", ns, "-o", "name"]).ok().trim(),
            ""
        );
    });
}

#[test]
fn an_editor_changes_what_it_saved() {
    with_both(|kubectl, ns| {
        let _ = kubectl
            .run(&["create", "cm", "edited", "-n", ns, "--from-literal=color=blue"])
            .ok();
        let mut command = kubectl.command();
        command
            .env("KUBE_EDITOR", "sed -i s/blue/green/")
            .args(["edit", "cm", "edited", "-n", ns]);
        let said = berth_testkit::process::run(&mut command).ok();
        assert!(said.contains("edited"), "{said}");
        assert_eq!(
            kubectl
                .run(&["get", "cm", "edited", "-n", ns, "-o", "jsonpath={.data.color}"])
                .ok(),
            "green"
        );
    });
}

#[test]
fn the_api_explains_itself() {
    with_both(|kubectl, _| {
        let resources = kubectl.run(&["api-resources"]).ok();
        for line in [
            ["imagestreams", "is", "ImageStream"],
            ["imagestreamtags", "istag", "ImageStreamTag"],
            ["imagetags", "itag", "ImageTag"],
            ["imagestreamimages", "isimage", "ImageStreamImage"],
            ["configmaps", "cm", "ConfigMap"],
            ["serviceaccounts", "sa", "ServiceAccount"],
        ] {
            let found = resources.lines().any(|text| {
                line.iter()
                    .all(|word| text.split_whitespace().any(|w| w == *word))
            });
            assert!(found, "{line:?} in\n{resources}");
        }
        assert!(
            kubectl
                .run(&["api-versions"])
                .ok()
                .contains("image.openshift.io/v1")
        );
        let said = kubectl.run(&["explain", "imagestream.spec.tags"]).ok();
        assert!(
            said.contains("importPolicy") && said.contains("DESCRIPTION"),
            "{said}"
        );
        let said = kubectl.run(&["explain", "secret"]).ok();
        assert!(said.contains("stringData"), "{said}");
        let said = kubectl.run(&["explain", "is", "--recursive"]).ok();
        assert!(
            said.contains("lookupPolicy") && said.contains("dockerImageRepository"),
            "{said}"
        );
    });
}

#[test]
fn mistakes_are_named() {
    with_both(|kubectl, ns| {
        let unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndate: {a: b}\n";
        let said = kubectl
            .with_file(unknown, &["create", "-f", "{}", "-n", ns])
            .refused();
        assert!(said.contains("unknown field") && said.contains("date"), "{said}");
        let kind = "apiVersion: image.openshift.io/v1\nkind: ImageStrem\nmetadata: {name: odd}\n";
        let said = kubectl
            .with_file(kind, &["create", "-f", "{}", "-n", ns])
            .refused();
        assert!(said.contains("ImageStrem"), "{said}");
        let name = "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {name: Bad__Name}\n";
        let said = kubectl
            .with_file(name, &["create", "-f", "{}", "-n", ns])
            .refused();
        assert!(
            said.contains("is invalid") && said.contains("metadata.name"),
            "{said}"
        );
        let tag = "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {name: x}\nspec: {tags: [{name: t, from: {kind: Pod, name: p}}]}\n";
        let said = kubectl
            .with_file(tag, &["create", "-f", "{}", "-n", ns])
            .refused();
        assert!(said.contains("spec.tags"), "{said}");
    });
}

#[test]
fn rights_are_asked_and_tokens_made() {
    with_both(|kubectl, ns| {
        assert_eq!(
            kubectl
                .run(&["auth", "can-i", "delete", "images.image.openshift.io"])
                .ok()
                .trim(),
            "yes"
        );
        let account = format!("system:serviceaccount:{ns}:default");
        let can = |verb: &str, resource: &str| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let subresource = format!("--subresource={subresource}");
            let said = kubectl.run(&[
                "auth",
                "can-i",
                verb,
                resource,
                &subresource,
                "-n",
                ns,
                "--as",
                &account,
            ]);
            said.stdout.trim().starts_with("yes")
        };
        assert!(
            can("get", "imagestreams/layers"),
            "every account of a project may pull from it"
        );
        assert!(!can("update", "imagestreams/layers"), "but not push");
        assert!(!can("delete", "images.image.openshift.io"));
        let forbidden = kubectl
            .run(&[
                "get",
                "secrets",
                "-n",
                "openshift-image-registry",
                "--as",
                &account,
            ])
            .refused();
        let want = format!(
            "User \"{account}\" cannot list resource \"secrets\" in API group \"\" in the namespace \"openshift-image-registry\""
        );
        assert!(forbidden.contains(&want), "{forbidden}");
        let bindings = kubectl.run(&["get", "rolebindings", "-n", ns, "-o", "name"]).ok();
        for name in [
            "system:image-pullers",
            "system:image-builders",
            "system:deployers",
        ] {
            assert!(bindings.contains(name), "{name} in\n{bindings}");
        }
    });
    // `create token` came with kubectl 1.24.
    let berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token("demo", "robot");
    assert_eq!(token.split('.').count(), 3, "a JWT: {token}");
    let who = berth
        .kubectl()
        .with_token(&token)
        .run(&["auth", "whoami", "-o", "json"]);
    if who.success {
        assert!(
            who.stdout.contains("system:serviceaccount:demo:robot"),
            "{}",
            who.stdout
        );
    }
    let long = berth
        .kubectl()
        .run(&["create", "token", "robot", "-n", "demo", "--duration", "1s"])
        .refused();
    assert!(long.contains("expirationSeconds"), "{long}");
}

#[test]
fn watching_and_waiting() {
    with_both(|kubectl, ns| {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = kubectl.command();
        command
            .args(["get", "is", "-n", ns, "-w", "-o", "name"])
            .stdin(Stdio::null());
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let environment: Vec<_> = command
            .get_envs()
            .filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())))
            .collect();
        let watch = Process::start(
            program,
            arguments
                .iter()
                .filter(|a| !a.to_string_lossy().starts_with("--request-timeout")),
            log.path(),
            |command| {
                command.envs(environment);
            },
        )
        .unwrap();
        for name in ["one", "two"] {
            let stream =
                format!("apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {{name: {name}}}\n");
            let _ = kubectl.with_file(&stream, &["create", "-f", "{}", "-n", ns]).ok();
        }
        eventually("the watch shows both", || {
            let seen = watch.output();
            (seen.contains("imagestream.image.openshift.io/one")
                && seen.contains("imagestream.image.openshift.io/two"))
            .then_some(())
        });

        let other = format!("{ns}-going");
        let _ = kubectl.run(&["create", "namespace", &other]).ok();
        let _ = kubectl.run(&["create", "cm", "inside", "-n", &other]).ok();
        let _ = kubectl.run(&["delete", "namespace", &other, "--wait=false"]).ok();
        let _ = kubectl.run(&[
            "wait",
            "--for=delete",
            &format!("namespace/{other}"),
            "--timeout=60s",
        ]);
        let gone = kubectl.run(&["get", "namespace", &other]).refused();
        assert!(gone.contains("not found"), "{gone}");
        let _ = kubectl.run(&["create", "namespace", &other]).ok();
        let inside = kubectl.run(&["get", "cm", "inside", "-n", &other]).refused();
        assert!(
            inside.contains("not found"),
            "a namespace takes what is in it along: {inside}"
        );
    });
}
