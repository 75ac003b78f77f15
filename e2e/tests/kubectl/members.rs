//! A project and its members: who sees it, what they may do, how much it may hold.

use berth_testkit::{clients::Kubectl, eventually, process::Process};

use crate::with_both;

fn grant(kubectl: &Kubectl, ns: &str, role: &str, user: &str) {
    let name = format!("{role}-{user}");
    let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
    let _ = kubectl
        .run(&["create", "rolebinding", &name, &role, &user, "-n", ns])
        .ok();
}

/// `command` in the background, with its output.
fn start(kubectl: &Kubectl, arguments: &[&str], log: &std::path::Path) -> Process {
    let command = kubectl.command();
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
        .collect();
    Process::start(command.get_program(), arguments, log, |command| {
        command.envs(environment);
    })
    .expect("kubectl starts")
}

#[test]
fn a_user_watches_projects_come_and_go() {
    with_both(|kubectl, ns| {
        let (mine, other) = (format!("{ns}-mine"), format!("{ns}-other"));
        let user = format!("ann-of-{ns}");
        for name in [&mine, &other] {
            let _ = kubectl.run(&["create", "namespace", name]).ok();
        }
        grant(kubectl, &mine, "view", &user);
        let log = tempfile::NamedTempFile::new().expect("a scratch file");
        let watch = start(
            kubectl,
            &["get", "projects", "--as", &user, "-w", "-o", "name"],
            log.path(),
        );
        let sees = |name: &str, times: usize| {
            let line = format!("project.project.openshift.io/{name}");
            eventually(&format!("{name} is shown {times} times"), || {
                (watch.output().lines().filter(|seen| **seen == *line).count() >= times).then_some(())
            });
        };
        sees(&mine, 1);
        assert!(!watch.output().contains(&other), "{}", watch.output());
        grant(kubectl, &other, "view", &user);
        sees(&other, 1);
        let _ = kubectl.run(&["label", "ns", &mine, "seen=yes"]).ok();
        sees(&mine, 2);

        let listed = kubectl
            .run(&["get", "projects", "--as", &user, "-o", "name"])
            .ok();
        assert_eq!(listed.lines().count(), 2, "{listed}");
        assert_eq!(
            kubectl
                .run(&["get", "projects", "--as", "bob", "-o", "name"])
                .ok()
                .trim(),
            ""
        );
        let refused = kubectl.run(&["get", "project", &mine, "--as", "bob"]).refused();
        assert!(refused.contains("cannot get resource \"projects\""), "{refused}");
    });
}

#[test]
fn a_quota_says_what_is_full() {
    with_both(|kubectl, ns| {
        let _ = kubectl
            .run(&[
                "create",
                "quota",
                "small",
                "--hard=openshift.io/imagestreams=1,configmaps=2",
                "-n",
                ns,
            ])
            .ok();
        let stream = |name: &str| {
            format!("apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {{name: {name}}}\n")
        };
        let _ = kubectl
            .with_file(&stream("one"), &["create", "-f", "{}", "-n", ns])
            .ok();
        let refused = kubectl
            .with_file(&stream("two"), &["create", "-f", "{}", "-n", ns])
            .refused();
        let want = "imagestreams.image.openshift.io \"two\" is forbidden: exceeded quota: small, requested: \
                    openshift.io/imagestreams=1, used: openshift.io/imagestreams=1, limited: openshift.io/imagestreams=1";
        assert!(refused.contains(want), "{refused}");
        let _ = kubectl.run(&["create", "cm", "a", "-n", ns]).ok();
        let used = || {
            kubectl
                .run(&["get", "quota", "small", "-n", ns, "-o", "jsonpath={.status.used}"])
                .ok()
        };
        eventually("the status counts", || {
            (used() == r#"{"configmaps":"1","openshift.io/imagestreams":"1"}"#).then_some(())
        });
        let shown = kubectl.run(&["get", "quota", "small", "-n", ns]).ok();
        assert!(shown.contains("configmaps: 1/2"), "{shown}");
        // Room comes back with a deletion.
        let _ = kubectl.run(&["delete", "is", "one", "-n", ns]).ok();
        eventually("there is room again", || {
            kubectl
                .with_file(&stream("two"), &["create", "-f", "{}", "-n", ns])
                .success
                .then_some(())
        });
    });
}

#[test]
fn rights_are_listed() {
    with_both(|kubectl, ns| {
        let list = |user: &str| {
            kubectl
                .run(&["auth", "can-i", "--list", "-n", ns, "--as", user])
                .ok()
        };
        let nobody = list("nobody");
        assert!(
            nobody.contains("selfsubjectaccessreviews.authorization.k8s.io")
                && !nobody.contains("configmaps "),
            "{nobody}"
        );
        grant(kubectl, ns, "system:image-puller", "ann");
        let puller = list("ann");
        assert!(
            puller.contains("imagestreams.image.openshift.io/layers"),
            "{puller}"
        );
        for (verb, resource, subresource, want) in [
            ("get", "imagestreams.image.openshift.io", "layers", true),
            ("update", "imagestreams.image.openshift.io", "layers", false),
            ("list", "imagestreams.image.openshift.io", "", false),
        ] {
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
                "ann",
            ]);
            assert_eq!(
                said.stdout.trim().starts_with("yes"),
                want,
                "{verb} {resource} {subresource}: {}",
                said.stdout
            );
        }
        // Nobody gives what they do not have.
        grant(kubectl, ns, "admin", "eve");
        let refused = kubectl
            .run(&[
                "create",
                "rolebinding",
                "more",
                "--clusterrole=cluster-admin",
                "--user=eve",
                "-n",
                ns,
                "--as",
                "eve",
            ])
            .refused();
        assert!(
            refused.contains("attempting to grant RBAC permissions not currently held"),
            "{refused}"
        );
        let _ = kubectl
            .run(&[
                "create",
                "rolebinding",
                "less",
                "--clusterrole=view",
                "--user=x",
                "-n",
                ns,
                "--as",
                "eve",
            ])
            .ok();
    });
}
