//! D1 to D6 and E5: who may use the registry, and how they log in to it.
use std::fs;

use berth_testkit::{Berth, installed, process::run};

use crate::{Person, image, one_line, with_people};

fn podman_ready() -> bool {
    installed("podman") && installed("skopeo") && installed("kubectl")
}

/// `podman login` to the registry; what it says, or why it fails.
fn podman_login(berth: &Berth, user: &str, password: &str) -> Result<String, String> {
    let podman = berth.podman("pod");
    let said = podman.run(&[
        "login",
        "--cert-dir",
        "{certs}",
        "-u",
        user,
        "-p",
        password,
        &berth.registry,
    ]);
    if said.success {
        Ok(said.stdout)
    } else {
        Err(said.stderr)
    }
}

#[test]
fn rights_are_given_and_taken() {
    if !podman_ready() {
        return;
    }
    let berth = with_people();
    let (ann, bob) = (Person::logged_in(&berth, "ann"), Person::logged_in(&berth, "bob"));
    let _ = ann.types("new-project shop").ok();
    let (source, skopeo) = (image(&berth, 1), berth.skopeo());
    let _ = skopeo.push(&ann.token(), &source, "shop/front:v1", &[]).ok();

    // D1: registry-viewer pulls, registry-editor pushes.
    let copy = format!("dir:{}", berth.scratch().join("copy").display());
    let pulls = || {
        skopeo
            .pull(Some(&bob.token()), "shop/front:v1", &copy, &[])
            .success
    };
    let pushes = || skopeo.push(&bob.token(), &source, "shop/front:v2", &[]).success;
    assert!(!pulls() && !pushes(), "bob is a stranger");
    let said = ann
        .types("policy add-role-to-user registry-viewer bob -n shop")
        .ok();
    assert_eq!(
        said,
        "clusterrole.rbac.authorization.k8s.io/registry-viewer added: \"bob\"\n"
    );
    berth_testkit::eventually("bob may pull", || pulls().then_some(()));
    assert!(!pushes(), "a viewer does not push");
    let said = ann.types("policy add-role-to-user registry-editor bob").ok();
    assert_eq!(
        said,
        "clusterrole.rbac.authorization.k8s.io/registry-editor added: \"bob\"\n"
    );
    berth_testkit::eventually("bob may push", || pushes().then_some(()));
    // Who may give rights is not whom they are given to.
    let refused = one_line(bob.types("policy add-role-to-user admin bob -n shop"));
    assert!(
        refused.starts_with("Error from server (Forbidden): "),
        "{refused}"
    );

    let who = ann.types("policy who-can update imagestreams/layers").ok();
    assert!(
        who.contains(
            "\nNamespace: shop\nVerb:      update\nResource:  imagestreams/layers.image.openshift.io\n"
        ),
        "{who}"
    );
    assert!(
        who.contains("\nUsers:  ann\n        bob\n") && who.contains("\nGroups: system:cluster-admins\n"),
        "{who}"
    );

    // The same subject twice is one subject; two at once, and a service account.
    let _ = ann.types("policy add-role-to-user registry-editor bob").ok();
    let binding = |field: &str| {
        ann.kubectl(&[
            "get",
            "rolebinding",
            "registry-editor",
            "-o",
            &format!("jsonpath={field}"),
        ])
        .ok()
    };
    assert_eq!(binding("{.subjects[*].name}"), "bob");
    let said = ann.types("policy add-role-to-user registry-editor carol -z robot");
    assert_eq!(
        said.stdout,
        "clusterrole.rbac.authorization.k8s.io/registry-editor added: [\"carol\" \"robot\"]\n"
    );
    assert!(
        said.stderr.contains("Warning: ServiceAccount 'robot' not found"),
        "{}",
        said.stderr
    );
    assert_eq!(binding("{.subjects[*].name}"), "bob carol robot");
    for role in ["registry-viewer", "registry-editor"] {
        let said = ann
            .types(&format!("policy remove-role-from-user {role} bob"))
            .ok();
        assert_eq!(
            said,
            format!("clusterrole.rbac.authorization.k8s.io/{role} removed: \"bob\"\n")
        );
    }
    berth_testkit::eventually("bob is a stranger again", || (!pulls()).then_some(()));
    let gone = one_line(ann.types("policy remove-role-from-user registry-viewer bob"));
    assert_eq!(gone, "error: unable to find target [bob]");

    // Everybody, with or without a name.
    let _ = ann
        .types("policy add-role-to-group registry-viewer system:unauthenticated system:authenticated")
        .ok();
    berth_testkit::eventually("the project is public", || {
        skopeo
            .pull(None, "shop/front:v1", &copy, &[])
            .success
            .then_some(())
    });
}

#[test]
fn rights_of_administrators_are_everywhere() {
    let berth = with_people();
    let (ann, bob) = (Person::logged_in(&berth, "ann"), Person::logged_in(&berth, "bob"));
    let _ = ann.types("new-project shop").ok();
    let refused = one_line(bob.types("adm policy add-cluster-role-to-user cluster-admin bob"));
    assert!(
        refused.starts_with("Error from server (Forbidden): "),
        "{refused}"
    );
    let admin = berth.data().join("admin.kubeconfig").display().to_string();
    let said = ann.berth(&[
        "adm",
        "policy",
        "add-cluster-role-to-user",
        "cluster-reader",
        "bob",
        "--kubeconfig",
        &admin,
    ]);
    assert_eq!(
        said.ok(),
        "clusterrole.rbac.authorization.k8s.io/cluster-reader added: \"bob\"\n"
    );
    assert!(bob.types("project shop").success, "bob sees every project");
    let said = ann.berth(&[
        "adm",
        "policy",
        "remove-cluster-role-from-user",
        "cluster-reader",
        "bob",
        "--kubeconfig",
        &admin,
    ]);
    assert_eq!(
        said.ok(),
        "clusterrole.rbac.authorization.k8s.io/cluster-reader removed: \"bob\"\n"
    );
    assert!(!bob.types("project shop").success);
    // Misspelt names are warned of, and are no mistake: they may come later.
    let said = ann.types("policy add-role-to-user nobodys-role nobody -z nothing -n shop");
    assert!(
        !said.success || said.stderr.contains("role 'nobodys-role' not found"),
        "{}",
        said.stderr
    );
    let said = ann.types("policy add-role-to-group view nobodies -n shop");
    assert_eq!(
        said.stdout,
        "clusterrole.rbac.authorization.k8s.io/view added: \"nobodies\"\n"
    );
}

#[test]
fn people_and_accounts_log_in_to_the_registry() {
    if !podman_ready() {
        return;
    }
    let berth = with_people();
    let ann = Person::logged_in(&berth, "ann");
    let _ = ann.types("new-project shop").ok();
    // D3: as a user, by whatever name.
    let token = ann.token();
    for user in ["ann", "kubeadmin", "anything", "<token>"] {
        let said = podman_login(&berth, user, &token);
        assert!(
            said.as_ref().is_ok_and(|said| said.contains("Login Succeeded")),
            "{user}: {said:?}"
        );
    }
    for (user, password) in [
        ("ann", "secret"),
        ("a:b", token.as_str()),
        ("ann", "sha256~forged"),
    ] {
        assert!(podman_login(&berth, user, password).is_err(), "{user} {password}");
    }
    // D2, D4: a service account by a role binding of its own, and its token.
    let bindings = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: robot-pushes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-builder'}
subjects: [{kind: ServiceAccount, name: robot, namespace: shop}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: others-pull}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects:
- {kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:serviceaccounts:till'}
- {kind: User, apiGroup: rbac.authorization.k8s.io, name: bob}
";
    fs::write(ann.home.join("bindings.yaml"), bindings).unwrap();
    let _ = ann.kubectl(&["create", "-f", "bindings.yaml"]).ok();
    let robot = ann.kubectl(&["create", "token", "robot"]).ok().trim().to_owned();
    assert!(podman_login(&berth, "serviceaccount", &robot).is_ok());

    // D5: pull, tag, push into the project; elsewhere it is refused.
    let podman = berth.podman("pod");
    let source = image(&berth, 2);
    let _ = berth.skopeo().push(&robot, &source, "shop/base:v1", &[]).ok();
    let at = |name: &str| format!("{}/{name}", berth.registry);
    let _ = podman
        .run(&["pull", "-q", "--cert-dir", "{certs}", &at("shop/base:v1")])
        .ok();
    let _ = podman.run(&["tag", &at("shop/base:v1"), &at("shop/app:v1")]).ok();
    let push = |name: &str| {
        podman.run(&[
            "push",
            "-q",
            "--cert-dir",
            "{certs}",
            &at("shop/base:v1"),
            &at(name),
        ])
    };
    let _ = push("shop/app:v1").ok();
    assert!(
        ann.kubectl(&["get", "is", "app", "-o", "name"])
            .ok()
            .contains("app")
    );
    assert!(push("openshift/app:v1").refused().contains("denied"));
    // D6: a name with more levels says what is wrong with it.
    let deep = push("shop/a/b:v1").refused();
    assert!(deep.contains("shop/a/b"), "{deep}");

    // The bindings of D2 count for the group and the user.
    let _ = ann.types("new-project till --skip-config-write").ok();
    let till = ann.kubectl(&["create", "token", "default", "-n", "till"]).ok();
    let bob = Person::logged_in(&berth, "bob");
    let copy = format!("dir:{}", berth.scratch().join("copy").display());
    for token in [till.trim(), &bob.token()] {
        berth_testkit::eventually("a pull by the binding", || {
            berth
                .skopeo()
                .pull(Some(token), "shop/base:v1", &copy, &[])
                .success
                .then_some(())
        });
    }

    // E5: lists through the API show what the token may see.
    let list = |token: &str, path: &str| berth.curl(Some(token), path, &[]).ok();
    for token in [&token, &robot] {
        let refused = list(token, "/v2/_catalog");
        assert!(
            refused.contains("cluster-reader") && !refused.contains("shop/app"),
            "{refused}"
        );
    }
    let admin = berth.data().join("admin.kubeconfig").display().to_string();
    let _ = ann
        .berth(&[
            "adm",
            "policy",
            "add-cluster-role-to-user",
            "cluster-reader",
            "ann",
            "--kubeconfig",
            &admin,
        ])
        .ok();
    berth_testkit::eventually("the catalogue opens", || {
        list(&token, "/v2/_catalog").contains("shop/app").then_some(())
    });
    assert!(list(&token, "/v2/shop/app/tags/list").contains("\"v1\""));
    assert!(list(&token, "/v2/shop/app/manifests/v1").contains("schemaVersion"));
    let status = |token: &str, path: &str| {
        berth
            .curl(Some(token), path, &["-o", "/dev/null", "-w", "%{http_code}"])
            .ok()
    };
    assert_ne!(status(&bob.token(), "/v2/till/app/tags/list"), "200");
    assert_eq!(status("sha256~forged", "/v2/_catalog"), "401");

    // A token that was given back opens nothing any more.
    let _ = ann.types("logout").ok();
    berth_testkit::eventually("the registry forgets the token", || {
        (status(&token, "/v2/shop/app/tags/list") == "401").then_some(())
    });
}

#[test]
fn a_login_is_saved_for_podman_and_docker() {
    if !podman_ready() {
        return;
    }
    let berth = with_people();
    let ann = Person::logged_in(&berth, "ann");
    let _ = ann.types("new-project shop").ok();
    let registry = &berth.registry;
    // The first stream is still to come; the address is known nevertheless.
    assert_eq!(ann.types("registry info").ok(), format!("{registry}\n"));
    assert_eq!(
        ann.types("registry info --internal --check -q").ok(),
        format!("{registry}\n")
    );
    assert!(one_line(ann.types("registry info --public")).contains("public address"));

    let saved = ann.types("registry login").ok();
    let file = ann.home.join("run/containers/auth.json");
    assert_eq!(
        saved,
        format!("Saved credentials for {registry} into {}\n", file.display())
    );
    let _ = berth
        .skopeo()
        .push(&ann.token(), &image(&berth, 3), "shop/front:v1", &[])
        .ok();
    let certificates = berth.data().join("certs.d").join(registry).display().to_string();
    let name = format!("docker://{registry}/shop/front:v1");
    let mut skopeo = ann.command("skopeo");
    let _ = run(skopeo.args(["inspect", "--cert-dir", &certificates, &name])).ok();

    // Podman takes what was saved, and it may be saved where docker looks.
    let mut podman = berth.podman("saved").command("podman");
    podman.env("REGISTRY_AUTH_FILE", &file);
    let logged_in = run(podman.args(["login", "--get-login", registry])).ok();
    assert_eq!(logged_in, "user\n");
    let mut docker = ann.command(berth_testkit::berth::binary());
    docker
        .env("REGISTRY_AUTH_PREFERENCE", "docker")
        .args(["registry", "login", "-z", "builder"]);
    let _ = run(&mut docker).ok();
    let config = fs::read_to_string(ann.home.join(".docker/config.json")).unwrap();
    assert!(config.contains(registry.as_str()), "{config}");
    let mut skopeo = ann.command("skopeo");
    skopeo.env("REGISTRY_AUTH_FILE", ann.home.join(".docker/config.json"));
    let _ = run(skopeo.args(["inspect", "--cert-dir", &certificates, &name])).ok();

    let wrong = one_line(ann.berth(&["registry", "login", "--auth-basic", "a:b", "--registry", registry]));
    assert!(wrong.contains("does not accept the credentials"), "{wrong}");
    let printed = ann.berth(&[
        "registry",
        "login",
        "--registry",
        "h:1",
        "--auth-basic",
        "a:b",
        "--skip-check",
        "--to=-",
    ]);
    assert!(printed.ok().contains("YTpi"));
    let admin = berth.data().join("admin.kubeconfig").display().to_string();
    let none = one_line(ann.berth(&[
        "registry",
        "login",
        "--registry",
        registry,
        "--kubeconfig",
        &admin,
    ]));
    assert!(none.contains("no token"), "{none}");
}
