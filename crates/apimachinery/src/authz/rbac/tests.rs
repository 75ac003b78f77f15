mod reverse;

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};

use super::{Escalation, Kind, Rbac, RoleRef, Rule, View, aggregate, uncovered};
use crate::{
    access::{Attributes, Target},
    identity::UserInfo,
    object::Object,
};

const IMAGE: &str = "image.openshift.io";

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn role(name: &str, namespace: &str, rules: impl Into<Value>) -> Object {
    object(json!({"metadata": {"name": name, "namespace": namespace}, "rules": rules.into()}))
}

fn binding(name: &str, namespace: &str, kind: &str, role: &str, subjects: impl Into<Value>) -> Object {
    object(
        json!({"metadata": {"name": name, "namespace": namespace}, "roleRef": {"kind": kind, "name": role}, "subjects": subjects.into()}),
    )
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        name: name.into(),
        groups: groups.iter().map(ToString::to_string).collect(),
        ..UserInfo::default()
    }
}

/// `verb group/resource[/subresource] [namespace] [name]`, or `verb /path`.
fn ask(rbac: &Rbac, user: &UserInfo, question: &str) -> crate::access::Decision {
    let words: Vec<&str> = question.split(' ').collect();
    let target = if words[1].starts_with('/') {
        Target::Path(words[1])
    } else {
        let mut parts = words[1].splitn(3, '|');
        let (group, resource, subresource) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap_or_default(),
        );
        let word = |index: usize| {
            words
                .get(index)
                .filter(|word| **word != "-")
                .copied()
                .unwrap_or_default()
        };
        Target::Resource {
            group,
            version: "v1",
            resource,
            subresource,
            namespace: word(2),
            name: word(3),
        }
    };
    rbac.decide(&Attributes {
        user,
        verb: words[0],
        target,
    })
}

fn puller() -> View {
    let view = View::new();
    view.put(
        Kind::ClusterRole,
        &role(
            "puller",
            "",
            json!([{"verbs": ["get"], "apiGroups": [IMAGE], "resources": ["imagestreams/layers"]}]),
        ),
    );
    view.put(
        Kind::ClusterRole,
        &role(
            "all-status",
            "",
            json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/status"]}]),
        ),
    );
    view.put(Kind::ClusterRole, &role("admin", "", json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]}])));
    view.put(
        Kind::ClusterRole,
        &role(
            "health",
            "",
            json!([{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]}]),
        ),
    );
    view.put(Kind::ClusterRole, &role("whoami", "", json!([{"verbs": ["get"], "apiGroups": ["user.openshift.io"], "resources": ["users"], "resourceNames": ["~"]}])));
    view.put(Kind::Role, &role("reader", "demo", json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"]}])));
    view.put(Kind::RoleBinding, &binding("pullers", "demo", "ClusterRole", "puller", json!([{"kind": "Group", "name": "system:serviceaccounts:demo"}, {"kind": "User", "name": "jane"}])));
    view.put(
        Kind::RoleBinding,
        &binding(
            "readers",
            "demo",
            "Role",
            "reader",
            json!([{"kind": "ServiceAccount", "name": "default"}]),
        ),
    );
    view.put(
        Kind::RoleBinding,
        &binding(
            "other",
            "other",
            "Role",
            "reader",
            json!([{"kind": "User", "name": "jane"}]),
        ),
    );
    view.put(
        Kind::ClusterRoleBinding,
        &binding(
            "admins",
            "",
            "ClusterRole",
            "admin",
            json!([{"kind": "User", "name": "root"}]),
        ),
    );
    view.put(
        Kind::ClusterRoleBinding,
        &binding(
            "health",
            "",
            "ClusterRole",
            "health",
            json!([{"kind": "Group", "name": "system:authenticated"}]),
        ),
    );
    view.put(
        Kind::ClusterRoleBinding,
        &binding(
            "whoami",
            "",
            "ClusterRole",
            "whoami",
            json!([{"kind": "Group", "name": "system:authenticated"}]),
        ),
    );
    view.put(Kind::ClusterRoleBinding, &binding("status", "", "ClusterRole", "all-status", json!([{"kind": "ServiceAccount", "name": "status", "namespace": "sys"}, {"kind": "ServiceAccount", "name": "nowhere"}])));
    view
}

#[test]
fn decisions_follow_roles_and_bindings() {
    let rbac = Rbac::new(puller());
    let jane = user("jane", &["system:authenticated"]);
    let account = user(
        "system:serviceaccount:demo:default",
        &[
            "system:serviceaccounts",
            "system:serviceaccounts:demo",
            "system:authenticated",
        ],
    );
    let status = user("system:serviceaccount:sys:status", &[]);
    let root = user("root", &[]);
    for (user, question, want) in [
        (
            &jane,
            "get image.openshift.io|imagestreams|layers demo app",
            Some("RBAC: allowed by RoleBinding \"pullers/demo\" of ClusterRole \"puller\" to User \"jane\""),
        ),
        (
            &account,
            "get image.openshift.io|imagestreams|layers demo app",
            Some(
                "RBAC: allowed by RoleBinding \"pullers/demo\" of ClusterRole \"puller\" to Group \"system:serviceaccounts:demo\"",
            ),
        ),
        // The whole subresource in `resource` means the same.
        (
            &jane,
            "get image.openshift.io|imagestreams/layers demo app",
            Some("RBAC: allowed by RoleBinding \"pullers/demo\" of ClusterRole \"puller\" to User \"jane\""),
        ),
        (&jane, "get image.openshift.io|imagestreams demo app", None),
        (
            &jane,
            "update image.openshift.io|imagestreams|layers demo app",
            None,
        ),
        (
            &jane,
            "get image.openshift.io|imagestreams|layers other app",
            None,
        ),
        (&jane, "get image.openshift.io|imagestreams|layers", None),
        (&jane, "get |imagestreams|layers demo app", None),
        (
            &account,
            "get |configmaps demo a",
            Some(
                "RBAC: allowed by RoleBinding \"readers/demo\" of Role \"reader\" to ServiceAccount \"default/demo\"",
            ),
        ),
        (&account, "get |configmaps demo c", None),
        // A list names no object, so a rule for named objects does not allow it.
        (&account, "list |configmaps demo", None),
        (&account, "get |configmaps/status demo a", None),
        (
            &status,
            "patch any|things|status - x",
            Some(
                "RBAC: allowed by ClusterRoleBinding \"status\" of ClusterRole \"all-status\" to ServiceAccount \"status/sys\"",
            ),
        ),
        (&status, "patch any|things|scale - x", None),
        (&status, "patch any|things - x", None),
        (
            &root,
            "delete any|things|scale demo x",
            Some("RBAC: allowed by ClusterRoleBinding \"admins\" of ClusterRole \"admin\" to User \"root\""),
        ),
        (
            &root,
            "delete /anything",
            Some("RBAC: allowed by ClusterRoleBinding \"admins\" of ClusterRole \"admin\" to User \"root\""),
        ),
        (
            &jane,
            "get /healthz",
            Some(
                "RBAC: allowed by ClusterRoleBinding \"health\" of ClusterRole \"health\" to Group \"system:authenticated\"",
            ),
        ),
        (&jane, "get /healthz/x", None),
        (
            &jane,
            "get /api/v1",
            Some(
                "RBAC: allowed by ClusterRoleBinding \"health\" of ClusterRole \"health\" to Group \"system:authenticated\"",
            ),
        ),
        (&jane, "get /api", None),
        (&jane, "post /healthz", None),
        (
            &jane,
            "get user.openshift.io|users - ~",
            Some(
                "RBAC: allowed by ClusterRoleBinding \"whoami\" of ClusterRole \"whoami\" to Group \"system:authenticated\"",
            ),
        ),
        (&jane, "get user.openshift.io|users - jane", None),
    ] {
        let decision = ask(&rbac, user, question);
        assert_eq!(
            (decision.allowed, decision.reason.as_str()),
            want.map_or(
                (
                    false,
                    if question.ends_with("other app") {
                        "RBAC: role.rbac.authorization.k8s.io \"reader\" not found"
                    } else {
                        ""
                    }
                ),
                |reason| (true, reason)
            ),
            "{} {question}",
            user.name
        );
    }
}

#[test]
fn changes_are_seen_at_once() {
    let view = puller();
    let rbac = Rbac::new(view.clone());
    let jane = user("jane", &[]);
    let question = "get image.openshift.io|imagestreams|layers demo app";
    assert!(ask(&rbac, &jane, question).allowed);
    view.put(
        Kind::RoleBinding,
        &binding(
            "pullers",
            "demo",
            "ClusterRole",
            "puller",
            json!([{"kind": "User", "name": "joe"}]),
        ),
    );
    assert!(!ask(&rbac, &jane, question).allowed);
    assert!(ask(&rbac, &user("joe", &[]), question).allowed);
    view.remove(Kind::RoleBinding, "demo", "pullers");
    assert!(!ask(&rbac, &user("joe", &[]), question).allowed);
    view.put(
        Kind::ClusterRoleBinding,
        &binding(
            "x",
            "",
            "ClusterRole",
            "puller",
            json!([{"kind": "User", "name": "joe"}]),
        ),
    );
    assert!(ask(&rbac, &user("joe", &[]), question).allowed);
    view.remove(Kind::ClusterRole, "", "puller");
    let decision = ask(&rbac, &user("joe", &[]), question);
    assert_eq!(
        decision.reason,
        "RBAC: clusterrole.rbac.authorization.k8s.io \"puller\" not found"
    );
    view.remove(Kind::ClusterRoleBinding, "", "x");
    view.remove(Kind::Role, "demo", "reader");
    view.remove(Kind::Role, "nowhere", "reader");
    assert_eq!(ask(&rbac, &user("joe", &[]), question).reason, "");
}

#[test]
fn decisions_stay_cheap_with_thousands_of_bindings() {
    let view = puller();
    for index in 0..3000 {
        let namespace = format!("ns-{index}");
        for name in [
            "system:image-pullers",
            "system:image-builders",
            "system:deployers",
        ] {
            let group = format!("system:serviceaccounts:{namespace}");
            view.put(
                Kind::RoleBinding,
                &binding(
                    name,
                    &namespace,
                    "ClusterRole",
                    "puller",
                    json!([{"kind": "Group", "name": group}]),
                ),
            );
        }
        view.put(
            Kind::ClusterRoleBinding,
            &binding(
                &format!("b{index}"),
                "",
                "ClusterRole",
                "health",
                json!([{"kind": "User", "name": format!("u{index}")}]),
            ),
        );
    }
    let rbac = Rbac::new(view);
    let account = user(
        "system:serviceaccount:ns-7:default",
        &[
            "system:serviceaccounts",
            "system:serviceaccounts:ns-7",
            "system:authenticated",
        ],
    );
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(
            ask(
                &rbac,
                &account,
                "get image.openshift.io|imagestreams|layers ns-7 app"
            )
            .allowed
        );
    }
    // A scan of all bindings would take several seconds here.
    assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
}

#[test]
fn rules_are_listed_for_review() {
    let rbac = Rbac::new(puller());
    let resolved = rbac.rules_for(&user("jane", &["system:authenticated"]), "demo");
    let shown: Vec<String> = resolved.rules.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            r#"{NonResourceURLs:["/healthz" "/api/*"], Verbs:["get"]}"#,
            r#"{APIGroups:["user.openshift.io"], Resources:["users"], ResourceNames:["~"], Verbs:["get"]}"#,
            r#"{APIGroups:["image.openshift.io"], Resources:["imagestreams/layers"], Verbs:["get"]}"#,
        ]
    );
    assert_eq!(
        serde_json::to_value(&resolved.rules[0]).unwrap(),
        json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]})
    );
    assert_eq!(
        rbac.rules_for(&user("jane", &[]), "other").missing,
        ["role.rbac.authorization.k8s.io \"reader\" not found"]
    );
}

fn rules(value: &Value) -> Vec<Rule> {
    Rule::list(Some(value))
}

#[test]
fn what_is_not_held_is_found() {
    let held = json!([
        {"verbs": ["get", "list"], "apiGroups": ["a"], "resources": ["x", "y/sub"]},
        {"verbs": ["*"], "apiGroups": ["b"], "resources": ["*"]},
        {"verbs": ["get"], "apiGroups": ["c"], "resources": ["z"], "resourceNames": ["one", "two"]},
        {"verbs": ["get"], "apiGroups": ["d"], "resources": ["*/status"]},
        {"verbs": ["get"], "nonResourceURLs": ["/api/*"]},
    ]);
    for (wanted, left) in [
        (
            json!([{"verbs": ["list"], "apiGroups": ["a"], "resources": ["x"]}]),
            vec![],
        ),
        (
            json!([{"verbs": ["list", "watch"], "apiGroups": ["a"], "resources": ["x"]}]),
            vec![r#"{APIGroups:["a"], Resources:["x"], Verbs:["watch"]}"#],
        ),
        (
            json!([{"verbs": ["get"], "apiGroups": ["a"], "resources": ["x/sub", "y/sub", "y"]}]),
            vec![
                r#"{APIGroups:["a"], Resources:["x/sub"], Verbs:["get"]}"#,
                r#"{APIGroups:["a"], Resources:["y"], Verbs:["get"]}"#,
            ],
        ),
        (
            json!([{"verbs": ["*"], "apiGroups": ["a"], "resources": ["x"]}]),
            vec![r#"{APIGroups:["a"], Resources:["x"], Verbs:["*"]}"#],
        ),
        (
            json!([{"verbs": ["delete"], "apiGroups": ["b"], "resources": ["*", "q/sub", "*/sub"], "resourceNames": ["n"]}]),
            vec![],
        ),
        (
            json!([{"verbs": ["get"], "apiGroups": ["c"], "resources": ["z"]}]),
            vec![r#"{APIGroups:["c"], Resources:["z"], Verbs:["get"]}"#],
        ),
        (
            json!([{"verbs": ["get"], "apiGroups": ["c"], "resources": ["z"], "resourceNames": ["two", "three"]}]),
            vec![r#"{APIGroups:["c"], Resources:["z"], ResourceNames:["three"], Verbs:["get"]}"#],
        ),
        (
            json!([{"verbs": ["get"], "apiGroups": ["d"], "resources": ["q/status", "q"]}]),
            vec![r#"{APIGroups:["d"], Resources:["q"], Verbs:["get"]}"#],
        ),
        (
            json!([{"verbs": ["get", "post"], "nonResourceURLs": ["/api/v1", "/api/*", "/x"]}]),
            vec![
                r#"{NonResourceURLs:["/api/*"], Verbs:["post"]}"#,
                r#"{NonResourceURLs:["/api/v1"], Verbs:["post"]}"#,
                r#"{NonResourceURLs:["/x"], Verbs:["get" "post"]}"#,
            ],
        ),
        (
            json!([{"verbs": ["get"], "apiGroups": ["*"], "resources": ["x"]}]),
            vec![r#"{APIGroups:["*"], Resources:["x"], Verbs:["get"]}"#],
        ),
    ] {
        let got: Vec<String> = uncovered(&rules(&held), &rules(&wanted))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(got, left, "{wanted}");
    }
}

#[test]
fn huge_rules_are_checked_quickly() {
    let many: Vec<String> = (0..1000).map(|index| index.to_string()).collect();
    let rule = Rule {
        verbs: many.clone(),
        api_groups: many.clone(),
        resources: many.clone(),
        resource_names: many.clone(),
        non_resource_urls: many,
    };
    let started = Instant::now();
    assert_eq!(
        uncovered(&[], std::slice::from_ref(&rule)),
        std::slice::from_ref(&rule)
    );
    let all =
        rules(&json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "nonResourceURLs": ["*"]}]));
    assert!(uncovered(&all, &[rule]).is_empty());
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let view = puller();
    view.put(Kind::ClusterRole, &role("binder", "", json!([{"verbs": ["bind"], "apiGroups": [super::GROUP], "resources": ["clusterroles"], "resourceNames": ["admin"]}, {"verbs": ["escalate"], "apiGroups": [super::GROUP], "resources": ["roles"]}])));
    view.put(
        Kind::ClusterRoleBinding,
        &binding(
            "binders",
            "",
            "ClusterRole",
            "binder",
            json!([{"kind": "User", "name": "binder"}]),
        ),
    );
    let escalation = Escalation::new(Arc::new(Rbac::new(view.clone())), view);
    let (jane, root, binder, master) = (
        user("jane", &["g"]),
        user("root", &[]),
        user("binder", &[]),
        user("m", &["system:masters"]),
    );
    let wanted = rules(
        &json!([{"verbs": ["get", "update"], "apiGroups": [IMAGE], "resources": ["imagestreams/layers"]}]),
    );
    let refused = escalation
        .check_role(&jane, "demo", "pusher", &wanted, false)
        .await
        .unwrap_err();
    assert_eq!(
        refused.message(),
        "roles.rbac.authorization.k8s.io \"pusher\" is forbidden: user \"jane\" (groups=[\"g\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"image.openshift.io\"], Resources:[\"imagestreams/layers\"], Verbs:[\"update\"]}"
    );
    assert!(
        escalation
            .check_role(&jane, "demo", "p", &wanted[..0], false)
            .await
            .is_ok()
    );
    for (user, namespace, aggregates, want) in [
        (&root, "demo", false, true),
        (&root, "", true, true),
        (&master, "", true, true),
        (&binder, "demo", false, true),
        (&binder, "", false, false),
        (&jane, "", true, false),
        (&jane, "", false, false),
    ] {
        let got = escalation
            .check_role(user, namespace, "r", &wanted, aggregates)
            .await;
        assert_eq!(got.is_ok(), want, "{} {namespace} {aggregates}", user.name);
    }
    let cluster = |name: &str| RoleRef {
        cluster: true,
        name: name.into(),
    };
    let local = |name: &str| RoleRef {
        cluster: false,
        name: name.into(),
    };
    for (user, namespace, role, want) in [
        (&jane, "demo", cluster("puller"), 0),
        (&jane, "other", cluster("puller"), 403),
        (&jane, "", cluster("puller"), 403),
        (&jane, "demo", cluster("admin"), 403),
        (&jane, "demo", cluster("gone"), 404),
        (&jane, "demo", local("gone"), 404),
        (&jane, "demo", local("reader"), 403),
        (&root, "demo", local("reader"), 0),
        (&binder, "", cluster("admin"), 0),
        (&binder, "demo", cluster("admin"), 0),
        (&binder, "", cluster("puller"), 403),
        (&master, "", cluster("gone"), 0),
    ] {
        let got = escalation.check_binding(user, namespace, "b", &role).await;
        assert_eq!(
            got.err().map_or(0, |status| status.code()),
            want,
            "{} {namespace} {role:?}",
            user.name
        );
    }
}

#[test]
fn aggregated_roles_collect_rules() {
    let labelled = |name: &str, labels: Value, verb: &str| {
        object(json!({"metadata": {"name": name, "labels": labels}, "rules": [{"verbs": [verb]}]}))
    };
    let others = [
        labelled("a", json!({"to-view": "true"}), "get"),
        labelled("b", json!({"to-edit": "true"}), "update"),
        labelled("c", json!({"to-view": "true", "to-edit": "true"}), "list"),
        labelled("d", json!({"to-view": "true"}), "get"),
        labelled("view", json!({"to-view": "true"}), "own"),
    ];
    for (selectors, want) in [
        (json!([{"matchLabels": {"to-view": "true"}}]), vec!["get", "list"]),
        (
            json!([{"matchLabels": {"to-edit": "true"}}, {"matchLabels": {"to-view": "true"}}]),
            vec!["update", "list", "get"],
        ),
        (
            json!([{"matchExpressions": [{"key": "to-edit", "operator": "DoesNotExist"}, {"key": "to-view", "operator": "In", "values": ["x", "true"]}]}]),
            vec!["get"],
        ),
        (
            json!([{"matchExpressions": [{"key": "to-edit", "operator": "Near"}]}]),
            vec![],
        ),
        (json!([]), vec![]),
    ] {
        let view = object(
            json!({"metadata": {"name": "view"}, "aggregationRule": {"clusterRoleSelectors": selectors}}),
        );
        let rules = aggregate(&view, others.iter()).unwrap();
        let verbs: Vec<&str> = rules.iter().map(|rule| rule.verbs[0].as_str()).collect();
        assert_eq!(verbs, want, "{selectors}");
    }
    assert_eq!(
        aggregate(&object(json!({"metadata": {"name": "plain"}})), others.iter()),
        None
    );
}
