//! Roles of this group and of RBAC: the same, but for one field that means nothing any more.

use berth_apimachinery::authz::rbac::Rule;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::status::Status;
use serde_json::{Value, json};

use super::{GROUP, VERSION};

/// Names and columns.
pub(super) fn resource(namespaced: bool) -> Resource {
    if namespaced {
        Resource::namespaced(GROUP, VERSION, "Role", "roles")
    } else {
        Resource::cluster(GROUP, VERSION, "ClusterRole", "clusterroles")
    }
}

/// A rule of RBAC in the words of this group.
pub(super) fn rule_from_rbac(rule: &Rule) -> Value {
    let mut shown =
        json!({ "verbs": rule.verbs, "attributeRestrictions": null, "resources": rule.resources });
    for (key, values) in [
        ("apiGroups", &rule.api_groups),
        ("resourceNames", &rule.resource_names),
        ("nonResourceURLs", &rule.non_resource_urls),
    ] {
        if !values.is_empty() {
            shown[key] = json!(values);
        }
    }
    shown
}

/// Rules of this group in the words of RBAC. A rule about resources and paths becomes two, and no group is the legacy one.
fn rules_to_rbac(rules: Vec<Rule>) -> Vec<Rule> {
    let mut converted = Vec::with_capacity(rules.len());
    for rule in rules {
        if !rule.non_resource_urls.is_empty() {
            let urls = Rule {
                verbs: rule.verbs.clone(),
                non_resource_urls: rule.non_resource_urls,
                ..Rule::default()
            };
            converted.push(urls);
            if rule.resources.is_empty() {
                continue;
            }
        }
        let api_groups = if rule.api_groups.is_empty() {
            vec![String::new()]
        } else {
            rule.api_groups
        };
        converted.push(Rule {
            api_groups,
            non_resource_urls: Vec::new(),
            ..rule
        });
    }
    converted
}

/// A role of RBAC as one of this group, but for kind and version.
pub(super) fn from_rbac(role: &mut Object) {
    let rules: Vec<Value> = Rule::list(role.get("rules")).iter().map(rule_from_rbac).collect();
    role.set("rules", rules);
}

/// A role of this group as one of RBAC, but for kind and version.
///
/// # Errors
/// 400 for a rule with restrictions that nobody evaluates: without them it would grant more than was meant.
pub(super) fn to_rbac(role: &mut Object) -> Result<(), Status> {
    let rules = role.get("rules").and_then(Value::as_array);
    let restricted = |rule: &Value| {
        rule.get("attributeRestrictions")
            .is_some_and(|value| !value.is_null())
    };
    if let Some(index) = rules.and_then(|rules| rules.iter().position(restricted)) {
        let text = format!("rules[{index}].attributeRestrictions is not supported, remove it");
        return Err(Status::bad_request(text));
    }
    let rules = rules_to_rbac(Rule::list(role.get("rules")));
    let rules = serde_json::to_value(rules).map_err(Status::internal)?;
    role.set("rules", rules);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rules: &Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "r"}, "rules": rules})).unwrap()
    }

    #[test]
    fn rules_go_there_and_back() {
        let rules = json!([
            {"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["pods"], "resourceNames": ["one"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
        ]);
        let mut shown = role(&rules);
        from_rbac(&mut shown);
        assert_eq!(
            shown.get("rules"),
            Some(&json!([
                {"verbs": ["get"], "attributeRestrictions": null, "apiGroups": ["", "apps"], "resources": ["pods"], "resourceNames": ["one"]},
                {"verbs": ["get"], "attributeRestrictions": null, "resources": [], "nonResourceURLs": ["/metrics"]},
            ]))
        );
        to_rbac(&mut shown).unwrap();
        assert_eq!(shown.get("rules"), Some(&rules));
    }

    #[test]
    fn older_rules_are_understood() {
        for (rules, want) in [
            (
                json!([{"verbs": ["get"], "resources": ["pods"]}]),
                Some(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])),
            ),
            (
                json!([{"verbs": ["get"], "resources": ["pods"], "nonResourceURLs": ["/a"]}]),
                Some(json!([
                    {"verbs": ["get"], "nonResourceURLs": ["/a"]},
                    {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
                ])),
            ),
            (
                json!([{"verbs": ["get"], "resources": ["pods"], "attributeRestrictions": {"kind": "X"}}]),
                None,
            ),
        ] {
            let mut role = role(&rules);
            let got = to_rbac(&mut role).ok().and_then(|()| role.get("rules").cloned());
            assert_eq!(got, want, "{rules}");
        }
    }
}
