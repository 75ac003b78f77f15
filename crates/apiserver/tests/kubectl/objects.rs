//! What people do to objects all day.

use std::time::Duration;

use crate::support::{Client, Cluster};

/// The rows of a table, cells separated by single spaces, without the given column of ages.
fn rows(table: &str) -> Vec<Vec<String>> {
    table
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

pub(crate) fn both(cluster: &Cluster) -> Vec<(&'static str, Client)> {
    let new = cluster.admin();
    let old = Client(new.0.clone().old());
    // Debian's kubectl is there when scripts/test-peers.sh has run.
    let has_old = berth_testkit::clients::old_kubectl().is_file();
    let mut all = vec![("new", new)];
    if has_old {
        all.push(("old", old));
    }
    all
}

#[test]
fn objects_live_and_die() {
    let cluster = Cluster::start();
    for (name, kubectl) in both(&cluster) {
        let said = kubectl.ok("create namespace demo");
        assert_eq!(said, "namespace/demo created\n", "{name}");
        kubectl.ok("create configmap conf --from-literal=a=b --from-literal=c=d");
        kubectl.ok("create secret generic pass --from-literal=word=open");
        kubectl.ok("create secret docker-registry pull --docker-server=127.0.0.1:5000 --docker-username=x --docker-password=y");
        kubectl.ok("create serviceaccount robot");
        kubectl.ok("create quota small --hard=configmaps=10,count/secrets=20");
        kubectl.ok("create role reader --verb=get,list --resource=configmaps");
        kubectl
            .ok("create rolebinding readers --role=reader --user=ann --group=g --serviceaccount=demo:robot");
        kubectl.ok("create clusterrole wide --verb=get --resource=imagestreams.image.openshift.io --dry-run=server -o yaml");

        for (command, want) in [
            ("get ns demo --no-headers", vec!["demo", "Active"]),
            ("get cm conf --no-headers", vec!["conf", "2"]),
            ("get secret pass --no-headers", vec!["pass", "Opaque", "1"]),
            (
                "get secret pull --no-headers",
                vec!["pull", "kubernetes.io/dockerconfigjson", "1"],
            ),
            ("get sa robot --no-headers", vec!["robot", "0"]),
            (
                "get rolebinding readers --no-headers",
                vec!["readers", "Role/reader"],
            ),
        ] {
            let table = kubectl.ok(command);
            let row = rows(&table).remove(0);
            assert_eq!(row[..want.len()], want[..], "{name}: {command}");
        }
        let wide = kubectl.ok("get rolebinding readers -o wide --no-headers");
        assert!(wide.contains("ann") && wide.contains("demo/robot"), "{wide}");
        assert_eq!(rows(&kubectl.ok("get role"))[0], ["NAME", "CREATED", "AT"]);

        // Every way of printing.
        assert_eq!(kubectl.ok("get cm conf -o name"), "configmap/conf\n");
        assert_eq!(kubectl.ok("get cm conf -o jsonpath={.data.a}"), "b");
        assert_eq!(
            rows(&kubectl.ok("get cm conf -o custom-columns=N:.metadata.name,A:.data.a"))[1],
            ["conf", "b"]
        );
        assert!(
            kubectl
                .ok("get cm conf -o yaml")
                .starts_with("apiVersion: v1\ndata:\n  a: b\n  c: d\nkind: ConfigMap\n")
        );
        let json: serde_json::Value = serde_json::from_str(&kubectl.ok("get cm,sa -o json")).unwrap();
        assert_eq!(json["kind"], "List");
        assert!(kubectl.ok("get cm conf -o go-template={{.data.c}}") == "d");

        // Changing it.
        kubectl.ok("label cm conf tier=back");
        kubectl.ok("annotate cm conf note=hello");
        assert_eq!(kubectl.ok("get cm -l tier=back -o name"), "configmap/conf\n");
        assert_eq!(kubectl.ok("get cm -l tier=front -o name"), "");
        assert_eq!(
            kubectl.ok("get cm --field-selector metadata.name=conf -o name"),
            "configmap/conf\n"
        );
        kubectl.ok(r#"patch cm conf -p {"data":{"a":"x"}}"#);
        kubectl.ok(r#"patch cm conf --type=merge -p {"data":{"c":null}}"#);
        kubectl.ok(r#"patch cm conf --type=json -p [{"op":"add","path":"/data/e","value":"f"}]"#);
        assert_eq!(
            kubectl.ok("get cm conf -o jsonpath={.data}"),
            r#"{"a":"x","e":"f"}"#
        );
        kubectl.ok("label cm conf tier-");

        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, labels: {a: b}}\ndata: {one: '1', two: '2'}\n";
        assert_eq!(
            kubectl.with(manifest, "apply -f {}"),
            "configmap/applied created\n"
        );
        assert_eq!(
            kubectl.with(manifest, "apply -f {}"),
            "configmap/applied unchanged\n"
        );
        let changed = manifest.replace(", two: '2'", ", three: '3'");
        assert_eq!(
            kubectl.with(&changed, "apply -f {}"),
            "configmap/applied configured\n"
        );
        assert_eq!(
            kubectl.ok("get cm applied -o jsonpath={.data}"),
            r#"{"one":"1","three":"3"}"#
        );
        assert_eq!(
            kubectl.with(manifest, "apply --dry-run=server -f {}"),
            "configmap/applied configured (server dry run)\n"
        );
        assert_eq!(
            kubectl.ok("get cm applied -o jsonpath={.data}"),
            r#"{"one":"1","three":"3"}"#
        );
        assert_eq!(
            kubectl.with(manifest, "replace -f {}"),
            "configmap/applied replaced\n"
        );
        let dry = manifest.replace("applied", "never");
        assert!(
            kubectl
                .with(&dry, "create --dry-run=server -o yaml --save-config -f {}")
                .contains("uid:")
        );
        assert!(kubectl.fails("get cm never").contains("NotFound"));

        let described = kubectl.ok("describe ns demo");
        assert!(
            described.contains("Status:") && described.contains("Active"),
            "{described}"
        );
        assert!(
            described.contains("small") && described.contains("configmaps"),
            "{described}"
        );
        assert!(
            kubectl.ok("describe quota small").contains("count/secrets"),
            "{name}"
        );
        assert!(kubectl.ok("describe cm conf").contains("Data\n===="));
        assert!(kubectl.ok("describe secret pass").contains("word:  4 bytes"));
        assert!(
            kubectl
                .ok("describe sa robot")
                .contains("Name:                robot")
        );
        assert!(
            kubectl
                .ok("describe rolebinding readers")
                .contains("ServiceAccount  robot  demo")
        );

        // Debian's kubectl waits for conditions and deletions only.
        if name == "new" {
            kubectl.ok("wait --for=jsonpath={.metadata.name}=conf cm/conf --timeout=5s");
        }
        kubectl.ok("delete cm conf");
        assert!(
            kubectl
                .fails("get cm conf")
                .contains("Error from server (NotFound): configmaps \"conf\" not found")
        );
        kubectl.ok("delete cm --all");
        kubectl.ok("delete secret,sa -l none=none");
        kubectl.ok("delete namespace demo --timeout=20s");
        assert!(
            kubectl
                .fails("get ns demo")
                .contains("namespaces \"demo\" not found"),
            "{name}"
        );
    }
}

#[test]
fn lists_come_in_chunks() {
    let cluster = Cluster::start();
    let kubectl = cluster.admin();
    kubectl.ok("create namespace demo");
    let maps: Vec<String> = (0..25)
        .map(|index| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{index:02}}}\n"))
        .collect();
    kubectl.with(&maps.join("---\n"), "create -f {}");
    for (_, kubectl) in both(&cluster) {
        assert_eq!(kubectl.ok("get cm --chunk-size=4 -o name").lines().count(), 25);
        assert_eq!(rows(&kubectl.ok("get cm --chunk-size=7 --no-headers")).len(), 25);
        assert!(
            kubectl
                .ok("get cm -A --chunk-size=10 --no-headers")
                .lines()
                .count()
                >= 25
        );
        assert_eq!(
            kubectl
                .ok("get cm --sort-by=.metadata.name -o name")
                .lines()
                .count(),
            25
        );
    }
}

#[test]
fn a_watch_shows_changes() {
    let cluster = Cluster::start();
    let kubectl = cluster.admin();
    kubectl.ok("create namespace demo");
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut watcher = kubectl.0.command();
    watcher
        .args(["get", "cm", "--watch", "-o", "name"])
        .stdout(log.reopen().unwrap());
    let mut watcher = watcher.spawn().unwrap();
    let seen = || std::fs::read_to_string(log.path()).unwrap();
    let wait = |count: usize| {
        let start = std::time::Instant::now();
        while seen().lines().count() < count {
            assert!(start.elapsed() < Duration::from_secs(15), "{}", seen());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    kubectl.ok("create cm first");
    wait(1);
    kubectl.ok("label cm first a=b");
    wait(2);
    kubectl.ok("create cm second");
    wait(3);
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    assert_eq!(
        seen().lines().collect::<Vec<_>>()[..3],
        ["configmap/first", "configmap/first", "configmap/second"]
    );
}

#[test]
fn edit_changes_through_an_editor() {
    let cluster = Cluster::start();
    for (name, kubectl) in both(&cluster) {
        if name == "new" {
            kubectl.ok("create namespace demo");
        }
        kubectl.ok("create cm conf --from-literal=a=before");
        let mut command = kubectl.0.command();
        let said = command
            .args(["edit", "cm", "conf"])
            .env("KUBE_EDITOR", "sed -i s/before/after/")
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert_eq!(kubectl.ok("get cm conf -o jsonpath={.data.a}"), "after", "{name}");
        kubectl.ok("delete cm conf");
    }
}

#[test]
fn every_kind_is_explained_and_listed() {
    let cluster = Cluster::start();
    for (name, kubectl) in both(&cluster) {
        let listed = kubectl.ok("api-resources");
        for (short, resource, kind) in [
            ("ns", "namespaces", "Namespace"),
            ("cm", "configmaps", "ConfigMap"),
            ("sa", "serviceaccounts", "ServiceAccount"),
            ("quota", "resourcequotas", "ResourceQuota"),
            ("limits", "limitranges", "LimitRange"),
            ("", "rolebindings", "RoleBinding"),
            ("", "projects", "Project"),
            ("is", "imagestreams", "ImageStream"),
        ] {
            let row = listed
                .lines()
                .find(|line| line.starts_with(resource))
                .unwrap_or_else(|| panic!("{resource}"));
            assert!(row.contains(short) && row.ends_with(kind), "{name}: {row}");
        }
        assert!(
            kubectl
                .ok("api-versions")
                .contains("rbac.authorization.k8s.io/v1")
        );
        for (path, word) in [
            ("ns", "a scope for names"),
            ("namespaces.status", "phase"),
            ("namespaces.status.conditions", "lastTransitionTime"),
            ("configmaps.binaryData", "base64"),
            ("secrets.stringData", "merged into data"),
            ("sa", "imagePullSecrets"),
            ("event.involvedObject", "fieldPath"),
            ("limitranges.spec.limits", "openshift.io/ImageStream"),
            ("quota.spec.hard", "openshift.io/imagestreams"),
            ("roles.rules", "nonResourceURLs"),
            ("clusterroles.aggregationRule.clusterRoleSelectors", "matchLabels"),
            ("rolebindings.subjects", "namespace"),
            ("projects", "namespace as its members see it"),
            ("users.user.openshift.io", "fullName"),
            ("groups.user.openshift.io", "users"),
        ] {
            // Only newer clients take a group in the argument.
            let path = if name == "old" {
                path.split(".user").next().unwrap_or_default()
            } else {
                path
            };
            let text = kubectl
                .ok(&format!("explain {path}"))
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            assert!(text.contains(word), "{name}: {path}\n{text}");
        }
    }
}

#[test]
fn mistakes_are_told_before_they_are_stored() {
    let cluster = Cluster::start();
    for (name, kubectl) in both(&cluster) {
        if name == "new" {
            kubectl.ok("create namespace demo");
        }
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nspec: {x: y}\n";
        let said = kubectl.0.with_file(manifest, &["create", "-f", "{}"]);
        assert!(
            !said.success && said.stderr.contains("spec"),
            "{name}: {}",
            said.stderr
        );
        let said = kubectl.0.with_file(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\n",
            &["create", "-f", "{}"],
        );
        assert!(
            said.stderr.contains("data[tls.crt]: Required value"),
            "{name}: {}",
            said.stderr
        );
        let said = kubectl.fails("create ns UPPER");
        assert!(
            said.contains("a lowercase RFC 1123 label must consist of"),
            "{name}: {said}"
        );
        let said = kubectl.fails("delete ns kube-system");
        assert!(
            said.contains("this namespace may not be deleted"),
            "{name}: {said}"
        );
        let said = kubectl.fails("create cm x -n nowhere");
        assert!(
            said.contains("namespaces \"nowhere\" not found"),
            "{name}: {said}"
        );
    }
}

#[test]
fn kinds_that_do_not_exist_and_kinds_that_are_only_created() {
    let cluster = Cluster::start();
    for (name, kubectl) in both(&cluster) {
        let said = kubectl.0.with_file(
            "apiVersion: example.com/v1\nkind: Wish\nmetadata: {name: a}\n",
            &["create", "-f", "{}"],
        );
        assert!(
            said.stderr
                .contains("no matches for kind \"Wish\" in version \"example.com/v1\""),
            "{name}: {}",
            said.stderr
        );
        let review = "apiVersion: authorization.k8s.io/v1\nkind: SelfSubjectAccessReview\nspec: {resourceAttributes: {verb: get, \
                      resource: configmaps, namespace: default}}\n";
        let allowed = kubectl.with(review, "create -o jsonpath={.status.allowed} -f {}");
        assert_eq!(allowed, "true", "{name}");
        let allowed = kubectl.with(review, "create --as ann -o jsonpath={.status.allowed} -f {}");
        assert_eq!(allowed, "false", "{name}");
        assert_eq!(kubectl.ok("get crds -o name"), "", "{name}");
    }
}
