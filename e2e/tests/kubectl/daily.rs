//! The less common words: describe, events, diff, prune, dry runs of every verb, all namespaces.

use berth_testkit::clients::Kubectl;

use crate::with_both;

fn is_old(kubectl: &Kubectl) -> bool {
    !kubectl.run(&["auth", "whoami"]).success
}

#[test]
fn every_kind_is_described() {
    with_both(|kubectl, ns| {
        let manifest = "
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: openshift.io/Image, max: {storage: 1Gi}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {openshift.io/imagestreams: '5', configmaps: '10'}}
---
apiVersion: v1
kind: Secret
metadata: {name: word}
stringData: {value: open}
---
apiVersion: image.openshift.io/v1
kind: ImageStream
metadata: {name: app}
";
        let _ = kubectl
            .with_file(manifest, &["create", "-f", "{}", "-n", ns])
            .ok();
        let _ = kubectl
            .run(&[
                "create",
                "role",
                "reader",
                "--verb=get",
                "--resource=secrets",
                "-n",
                ns,
            ])
            .ok();
        for (kind, name, words) in [
            (
                "namespace",
                ns,
                vec![
                    "Status:",
                    "Active",
                    "Resource Quotas",
                    "openshift.io/imagestreams",
                ],
            ),
            (
                "limitrange",
                "limits",
                vec!["openshift.io/Image", "storage", "1Gi"],
            ),
            (
                "quota",
                "quota",
                vec!["openshift.io/imagestreams", "Used", "Hard"],
            ),
            ("secret", "word", vec!["Type:", "Opaque", "value:  4 bytes"]),
            ("serviceaccount", "builder", vec!["Name:", "builder"]),
            ("role", "reader", vec!["PolicyRule", "secrets", "[get]"]),
            (
                "clusterrole",
                "system:image-puller",
                vec!["imagestreams.image.openshift.io/layers", "[get]"],
            ),
            (
                "rolebinding",
                "system:image-builders",
                vec!["ClusterRole", "system:image-builder", "builder"],
            ),
            ("clusterrolebinding", "cluster-admin", vec!["system:masters"]),
            ("is", "app", vec!["Name:", "app", "Lookup Policy"]),
            ("project", ns, vec!["Name:", ns]),
        ] {
            let said = kubectl.run(&["describe", kind, name, "-n", ns]).ok();
            for word in words {
                assert!(said.contains(word), "describe {kind} {name}: {word} in\n{said}");
            }
        }
    });
}

#[test]
fn events_are_listed_and_selected() {
    with_both(|kubectl, ns| {
        for (name, object, kind) in [("one", "app", "Warning"), ("two", "web", "Normal")] {
            let event = format!(
                "apiVersion: v1\nkind: Event\nmetadata: {{name: {name}}}\ntype: {kind}\nreason: Seen\nmessage: it was there\n\
                 involvedObject: {{apiVersion: v1, kind: ConfigMap, namespace: {ns}, name: {object}}}\n\
                 lastTimestamp: '2026-01-01T00:00:00Z'\ncount: 3\n"
            );
            let _ = kubectl.with_file(&event, &["create", "-f", "{}", "-n", ns]).ok();
        }
        let table = kubectl.run(&["get", "events", "-n", ns]).ok();
        let heading: Vec<&str> = table
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        assert_eq!(heading, ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
        assert!(
            table.contains("configmap/app") && table.contains("it was there"),
            "{table}"
        );
        for (selector, want) in [
            ("involvedObject.name=web", "event/two"),
            ("type=Warning", "event/one"),
            (
                "reason=Seen,involvedObject.kind=ConfigMap,type!=Warning",
                "event/two",
            ),
            ("reason=Other", ""),
        ] {
            let said = kubectl
                .run(&[
                    "get",
                    "events",
                    "-n",
                    ns,
                    "--field-selector",
                    selector,
                    "-o",
                    "name",
                ])
                .ok();
            assert_eq!(said.trim(), want, "{selector}");
        }
        assert!(kubectl.run(&["get", "events", "-A"]).ok().contains(ns));
        // Both groups show the same events.
        let newer = kubectl
            .run(&[
                "get",
                "events.events.k8s.io",
                "-n",
                ns,
                "-o",
                "jsonpath={.items[*].note}",
            ])
            .ok();
        assert_eq!(newer, "it was there it was there");
    });
}

#[test]
fn dry_runs_answer_and_change_nothing() {
    with_both(|kubectl, ns| {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: real}\ndata: {a: '1'}\n";
        let other = map.replace("'1'", "'2'");
        let _ = kubectl.with_file(map, &["apply", "-f", "{}", "-n", ns]).ok();
        let dry = "--dry-run=server";
        for (input, arguments) in [
            (
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: never}\n",
                vec!["create", "-f", "{}", "-n", ns, dry],
            ),
            (other.as_str(), vec!["apply", "-f", "{}", "-n", ns, dry]),
            (other.as_str(), vec!["replace", "-f", "{}", "-n", ns, dry]),
            (
                "",
                vec![
                    "patch",
                    "cm",
                    "real",
                    "-n",
                    ns,
                    dry,
                    "-p",
                    r#"{"data":{"a":"3"}}"#,
                ],
            ),
            ("", vec!["label", "cm", "real", "-n", ns, dry, "x=y"]),
            ("", vec!["annotate", "cm", "real", "-n", ns, dry, "x=y"]),
            ("", vec!["delete", "cm", "real", "-n", ns, dry]),
            ("", vec!["create", "namespace", "never", dry]),
            (
                "",
                vec![
                    "create",
                    "rolebinding",
                    "never",
                    "--clusterrole=view",
                    "--user=x",
                    "-n",
                    ns,
                    dry,
                ],
            ),
        ] {
            let said = if input.is_empty() {
                kubectl.run(&arguments)
            } else {
                kubectl.with_file(input, &arguments)
            };
            // Which verbs say "(server dry run)" differs between versions of kubectl.
            let _ = said.ok();
        }
        // What is wrong is found without doing it, too.
        let wrong = "apiVersion: v1\nkind: Secret\nmetadata: {name: never}\ntype: kubernetes.io/tls\n";
        let said = kubectl
            .with_file(wrong, &["create", "-f", "{}", "-n", ns, dry])
            .refused();
        assert!(said.contains("data[tls.crt]: Required value"), "{said}");
        let kept = kubectl
            .run(&[
                "get",
                "cm",
                "real",
                "-n",
                ns,
                "-o",
                "jsonpath={.data.a}{.metadata.labels.x}",
            ])
            .ok();
        assert_eq!(kept, "1");
        for (kind, name) in [
            ("cm", "never"),
            ("ns", "never"),
            ("rolebinding", "never"),
            ("secret", "never"),
        ] {
            let said = kubectl.run(&["get", kind, name, "-n", ns]).refused();
            assert!(said.contains("not found"), "{kind}: {said}");
        }
    });
}

#[test]
fn differences_are_shown_and_leftovers_pruned() {
    with_both(|kubectl, ns| {
        let one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, labels: {app: demo}}\ndata: {a: before}\n";
        let two = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two, labels: {app: demo}}\n";
        let _ = kubectl
            .with_file(&format!("{one}---\n{two}"), &["apply", "-f", "{}", "-n", ns])
            .ok();
        assert_eq!(kubectl.with_file(one, &["diff", "-f", "{}", "-n", ns]).ok(), "");
        let after = one.replace("before", "after");
        let said = kubectl.with_file(&after, &["diff", "-f", "{}", "-n", ns]);
        assert!(
            !said.success && said.stdout.contains("-  a: before") && said.stdout.contains("+  a: after"),
            "{}",
            said.stdout
        );

        let list = if is_old(kubectl) {
            "--prune-whitelist"
        } else {
            "--prune-allowlist"
        };
        let list = format!("{list}=core/v1/ConfigMap");
        let said = kubectl
            .with_file(
                &after,
                &["apply", "-f", "{}", "-n", ns, "--prune", "-l", "app=demo", &list],
            )
            .ok();
        assert!(
            said.contains("configmap/one configured") && said.contains("configmap/two pruned"),
            "{said}"
        );
        assert!(
            kubectl
                .run(&["get", "cm", "two", "-n", ns])
                .refused()
                .contains("not found")
        );
    });
}

#[test]
fn all_namespaces_at_once() {
    with_both(|kubectl, ns| {
        let said = kubectl.run(&["get", "sa", "-A", "--no-headers"]).ok();
        assert!(
            said.lines()
                .any(|line| line.starts_with(ns) && line.contains("builder")),
            "{said}"
        );
        assert!(
            said.lines()
                .any(|line| line.starts_with("openshift-image-registry") && line.contains("registry")),
            "{said}"
        );
        let said = kubectl
            .run(&[
                "get",
                "sa",
                "-A",
                "--field-selector",
                "metadata.name=deployer",
                "-o",
                "name",
            ])
            .ok();
        assert!(
            said.lines().count() > 5 && said.lines().all(|line| line == "serviceaccount/deployer"),
            "{said}"
        );
        let said = kubectl.run(&["get", "rolebindings", "-A", "-o", "wide"]).ok();
        assert!(said.contains(&format!("{ns}/builder")), "{said}");
        let said = kubectl.run(&["get", "all", "-n", ns]);
        assert!(
            said.success && said.stderr.contains("No resources found"),
            "{}{}",
            said.stdout,
            said.stderr
        );
    });
}
