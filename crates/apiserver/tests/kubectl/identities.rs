//! Who one is and what one may do.

use crate::support::Cluster;

#[test]
fn tokens_and_rights() {
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.ok("create namespace demo");
    let token = admin.ok("create token builder --duration=20m");
    let builder = cluster.token(token.trim());
    let who = builder.ok("auth whoami");
    assert!(who.contains("system:serviceaccount:demo:builder"), "{who}");
    for (command, want) in [
        ("auth can-i create imagestreams.image.openshift.io", "yes"),
        (
            "auth can-i update imagestreams.image.openshift.io --subresource=layers",
            "yes",
        ),
        ("auth can-i get secrets", "no"),
        (
            "auth can-i create imagestreams.image.openshift.io -n default",
            "no",
        ),
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said = builder.0.run(&arguments);
        assert_eq!(said.stdout.trim(), want, "{command}: {}", said.stderr);
    }
    assert!(builder.ok("auth can-i --list").contains("imagestreams"));
    assert_eq!(admin.ok("auth can-i * *").trim(), "yes");
}

#[test]
fn rights_are_given_and_taken() {
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.ok("create namespace demo");
    let as_ann = |verb: &str, resource: &str| {
        let said = admin.0.run(&["auth", "can-i", verb, resource, "--as", "ann"]);
        said.stdout.trim().to_owned()
    };
    assert_eq!(as_ann("get", "configmaps"), "no");
    admin.ok("create rolebinding viewers --clusterrole=view --user=ann");
    assert_eq!(as_ann("get", "configmaps"), "yes");
    assert_eq!(as_ann("get", "secrets"), "no");
    assert!(
        admin
            .ok("get projects --as ann -o name")
            .contains("project.project.openshift.io/demo")
    );
    let refused = admin.fails("create cm x --as ann");
    assert!(
        refused.contains(
            "configmaps is forbidden: User \"ann\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"demo\""
        ),
        "{refused}"
    );
    admin.ok("delete rolebinding viewers");
    assert_eq!(as_ann("get", "configmaps"), "no");
    assert_eq!(admin.ok("get projects --as ann -o name"), "");

    // Reconciling roles is what installers do.
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: mine}\nrules:\n- {apiGroups: [''], \
                resources: [configmaps], verbs: [get]}\n";
    admin.with(role, "auth reconcile -f {}");
    admin.ok("create clusterrolebinding all --clusterrole=mine --user=ann");
    assert_eq!(as_ann("get", "configmaps"), "yes");
}
