//! Who may do something, and rules in short.
use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::super::{Kind, Rbac, Rule, View, WhoCan, compact, uncovered};
use super::{IMAGE, binding, role, user};
use crate::access::{Attributes, Target};

fn layers(namespace: &str) -> Target<'_> {
    Target::Resource {
        group: IMAGE,
        version: "v1",
        resource: "imagestreams",
        subresource: "layers",
        namespace,
        name: "app",
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn view() -> View {
    let view = View::new();
    let pull = json!([{"verbs": ["get"], "apiGroups": [IMAGE], "resources": ["imagestreams/layers"]}]);
    let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    let metrics = json!([{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]);
    for (name, rules) in [("pull", pull.clone()), ("all", all), ("metrics", metrics)] {
        view.put(Kind::ClusterRole, &role(name, "", rules));
    }
    view.put(Kind::Role, &role("local", "a", pull));
    for (namespace, name, kind, role, subjects) in [
        (
            "",
            "roots",
            "ClusterRole",
            "all",
            json!([{"kind": "User", "name": "root"}]),
        ),
        (
            "",
            "watchers",
            "ClusterRole",
            "metrics",
            json!([{"kind": "Group", "name": "watchers"}]),
        ),
        (
            "a",
            "pullers",
            "ClusterRole",
            "pull",
            json!([
                {"kind": "User", "name": "ann"}, {"kind": "Group", "name": "team"},
                {"kind": "ServiceAccount", "name": "builder"}, {"kind": "ServiceAccount", "name": "ci", "namespace": "b"},
            ]),
        ),
        (
            "a",
            "locals",
            "Role",
            "local",
            json!([{"kind": "User", "name": "bob"}]),
        ),
        (
            "b",
            "pullers",
            "ClusterRole",
            "pull",
            json!([{"kind": "User", "name": "eve"}]),
        ),
        (
            "c",
            "lost",
            "ClusterRole",
            "gone",
            json!([{"kind": "User", "name": "eve"}]),
        ),
    ] {
        let kinds = if namespace.is_empty() {
            Kind::ClusterRoleBinding
        } else {
            Kind::RoleBinding
        };
        view.put(kinds, &binding(name, namespace, kind, role, subjects));
    }
    view
}

#[test]
fn everybody_who_may_is_named() {
    let rbac = Rbac::new(view());
    let accounts = ["system:serviceaccount:a:builder", "system:serviceaccount:b:ci"];
    for (verb, target, users, groups) in [
        (
            "get",
            layers("a"),
            vec!["ann", "bob", "root", accounts[0], accounts[1]],
            vec!["system:masters", "team"],
        ),
        ("get", layers("b"), vec!["eve", "root"], vec!["system:masters"]),
        ("get", layers(""), vec!["root"], vec!["system:masters"]),
        ("update", layers("a"), vec!["root"], vec!["system:masters"]),
        (
            "get",
            Target::Path("/metrics"),
            vec![],
            vec!["system:masters", "watchers"],
        ),
    ] {
        let want = WhoCan {
            users: names(&users),
            groups: names(&groups),
            error: String::new(),
        };
        assert_eq!(rbac.who_can(verb, target), want, "{verb} {target:?}");
    }
    let lost = rbac.who_can("get", layers("c"));
    assert_eq!(lost.users, names(&["root"]));
    assert_eq!(
        lost.error,
        "clusterrole.rbac.authorization.k8s.io \"gone\" not found"
    );
}

proptest! {
    /// The answer names a user, or one of the user's groups, exactly if the user is allowed.
    #[test]
    fn agrees_with_decisions(
        bindings in proptest::collection::vec((0_usize..3, 0_usize..3, 0_usize..3, any::<bool>()), 0..12),
    ) {
        let view = view();
        let (users, groups, namespaces) = (["u0", "u1", "u2"], ["g0", "g1", "g2"], ["", "a", "b"]);
        for (index, (role, subject, namespace, is_group)) in bindings.into_iter().enumerate() {
            let role = ["pull", "all", "metrics"][role];
            let namespace = namespaces[namespace];
            let subjects = if is_group {
                json!([{"kind": "Group", "name": groups[subject]}])
            } else {
                json!([{"kind": "User", "name": users[subject]}])
            };
            let kind = if namespace.is_empty() { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
            view.put(kind, &binding(&format!("b{index}"), namespace, "ClusterRole", role, subjects));
        }
        let rbac = Rbac::new(view);
        for target in [layers(""), layers("a"), layers("b"), Target::Path("/metrics")] {
            for verb in ["get", "update"] {
                let found = rbac.who_can(verb, target);
                for (name, group) in users.iter().zip(["g2", "g0", "g1"]) {
                    let user = user(name, &[group]);
                    let allowed = rbac.decide(&Attributes { user: &user, verb, target }).allowed;
                    let named = found.users.contains(*name) || found.groups.contains(group);
                    prop_assert_eq!(allowed, named, "{} in {}: {} {:?}", name, group, verb, target);
                }
            }
        }
    }
}

fn rules(value: &serde_json::Value) -> Vec<Rule> {
    Rule::list(Some(value))
}

#[test]
fn compact_rules_join_verbs_and_keep_rights() {
    let scattered = rules(&json!([
        {"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["pods", "jobs"]},
        {"verbs": ["list", "get"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["one"]},
        {"verbs": ["get"], "nonResourceURLs": ["/a", "/b"]},
    ]));
    let compacted = compact(&scattered);
    assert_eq!(compacted.len(), 7, "{compacted:?}");
    let pods = compacted
        .iter()
        .find(|rule| rule.api_groups == [""] && rule.resources == ["pods"]);
    assert!(pods.is_some_and(|rule| rule.verbs == ["get", "list"]), "{pods:?}");
    assert!(uncovered(&scattered, &compacted).is_empty() && uncovered(&compacted, &scattered).is_empty());
    assert_eq!(compact(&compacted), compacted, "nothing is left to do");
}

#[test]
fn a_huge_rule_stays_as_it_is() {
    let many: Vec<String> = (0..1000).map(|index| format!("r{index}")).collect();
    let huge = rules(&json!([{"verbs": many, "apiGroups": many, "resources": many}]));
    assert_eq!(compact(&huge), huge);
}
