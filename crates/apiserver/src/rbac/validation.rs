//! What makes roles and bindings valid, in Kubernetes' words.

use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::names;
use berth_apimachinery::object::Object;
use serde_json::Value;

/// The API group of roles, bindings and their subjects.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

fn is_empty(rule: &Value, field: &str) -> bool {
    rule.get(field)
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
}

/// Everything that is wrong with the rules of a role.
pub(super) fn validate_rules(role: &Object, namespaced: bool) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let rules = role.get("rules").and_then(Value::as_array);
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let path = format!("rules[{index}]");
        if is_empty(rule, "verbs") {
            errors.push(FieldError::required(
                format!("{path}.verbs"),
                "verbs must contain at least one value",
            ));
        }
        if !is_empty(rule, "nonResourceURLs") {
            let urls = || rule.get("nonResourceURLs").cloned().unwrap_or_default();
            let field = format!("{path}.nonResourceURLs");
            if namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                errors.push(FieldError::invalid(&field, urls(), detail));
            }
            if ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|field| !is_empty(rule, field))
            {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                errors.push(FieldError::invalid(&field, urls(), detail));
            }
            continue;
        }
        if is_empty(rule, "apiGroups") {
            let detail = "resource rules must supply at least one api group";
            errors.push(FieldError::required(format!("{path}.apiGroups"), detail));
        }
        if is_empty(rule, "resources") {
            let detail = "resource rules must supply at least one resource";
            errors.push(FieldError::required(format!("{path}.resources"), detail));
        }
    }
    errors
}

/// Everything that is wrong with an aggregation rule.
pub(super) fn validate_aggregation(role: &Object) -> FieldErrors {
    let Some(rule) = role.get("aggregationRule").filter(|rule| !rule.is_null()) else {
        return FieldErrors::new();
    };
    if is_empty(rule, "clusterRoleSelectors") {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        return vec![FieldError::required(
            "aggregationRule.clusterRoleSelectors",
            detail,
        )];
    }
    FieldErrors::new()
}

/// Fills in the API groups that clients may leave out.
pub(super) fn default_binding(binding: &mut Object) {
    if let Some(role) = binding
        .fields_mut()
        .get_mut("roleRef")
        .and_then(Value::as_object_mut)
    {
        let group = role
            .entry("apiGroup")
            .or_insert_with(|| Value::String(String::new()));
        if group.as_str() == Some("") {
            *group = Value::String(GROUP.to_owned());
        }
    }
    let subjects = binding
        .fields_mut()
        .get_mut("subjects")
        .and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten().filter_map(Value::as_object_mut) {
        let is_person = matches!(
            subject.get("kind").and_then(Value::as_str),
            Some("User" | "Group")
        );
        let group = subject
            .get("apiGroup")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if is_person && group.is_empty() {
            subject.insert("apiGroup".to_owned(), Value::String(GROUP.to_owned()));
        }
    }
}

/// Everything that is wrong with a binding; `kinds` are the kinds of role that it may grant.
pub(super) fn validate_binding(binding: &Object, old: Option<&Object>, kinds: &[&str]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let role = |field: &str| binding.str_at(&["roleRef", field]);
    if role("apiGroup") != GROUP {
        errors.push(FieldError::not_supported(
            "roleRef.apiGroup",
            role("apiGroup"),
            &[GROUP],
        ));
    }
    if !kinds.contains(&role("kind")) {
        errors.push(FieldError::not_supported("roleRef.kind", role("kind"), kinds));
    }
    if role("name").is_empty() {
        errors.push(FieldError::required("roleRef.name", ""));
    } else if let Err(problem) = names::path_segment(role("name")) {
        errors.push(FieldError::invalid("roleRef.name", role("name"), problem));
    }
    let subjects = binding.get("subjects").and_then(Value::as_array);
    for (index, subject) in subjects.into_iter().flatten().enumerate() {
        validate_subject(&format!("subjects[{index}]"), subject, &mut errors);
    }
    if let Some(old) = old
        && old.get("roleRef") != binding.get("roleRef")
    {
        let value = binding.get("roleRef").cloned().unwrap_or_default();
        errors.push(FieldError::invalid("roleRef", value, "cannot change roleRef"));
    }
    errors
}

fn validate_subject(path: &str, subject: &Value, errors: &mut FieldErrors) {
    let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("name").is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    let group = text("apiGroup");
    match text("kind") {
        "ServiceAccount" => {
            if !group.is_empty() {
                errors.push(FieldError::not_supported(
                    format!("{path}.apiGroup"),
                    group,
                    &[""],
                ));
            }
            if text("namespace").is_empty() {
                errors.push(FieldError::required(format!("{path}.namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.push(FieldError::not_supported(
                    format!("{path}.apiGroup"),
                    group,
                    &[GROUP],
                ));
            }
        }
        kind => {
            let kinds = ["Group", "ServiceAccount", "User"];
            errors.push(FieldError::not_supported(format!("{path}.kind"), kind, &kinds));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(errors: &FieldErrors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_name_what_and_how() {
        let fine = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
        let mixed =
            json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["a"], "nonResourceURLs": ["/x"]}]);
        for (rules, namespaced, want) in [
            (fine.clone(), true, vec![]),
            (json!(null), true, vec![]),
            (
                json!([{"verbs": []}]),
                false,
                vec![
                    "rules[0].verbs: Required value: verbs must contain at least one value",
                    "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                    "rules[0].resources: Required value: resource rules must supply at least one resource",
                ],
            ),
            (
                json!([{"verbs": ["get"], "nonResourceURLs": ["/x"]}]),
                true,
                vec![
                    "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                ],
            ),
            (
                mixed,
                false,
                vec![
                    "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources \
                     and non-resource URLs",
                ],
            ),
        ] {
            let role = Object::from_value(json!({ "rules": rules })).unwrap();
            assert_eq!(texts(&validate_rules(&role, namespaced)), want, "{rules}");
        }
    }

    #[test]
    fn bindings_name_role_and_subjects() {
        let role = json!({"kind": "ClusterRole", "name": "view"});
        for (subject, want) in [
            (json!({"kind": "User", "name": "ann"}), None),
            (
                json!({"kind": "ServiceAccount", "name": "a", "namespace": "b"}),
                None,
            ),
            (
                json!({"kind": "ServiceAccount", "name": "a"}),
                Some("subjects[0].namespace: Required value"),
            ),
            (json!({"kind": "User"}), Some("subjects[0].name: Required value")),
            (
                json!({"kind": "Robot", "name": "r"}),
                Some(
                    "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
                ),
            ),
            (
                json!({"kind": "User", "name": "ann", "apiGroup": "x"}),
                Some("subjects[0].apiGroup: Unsupported value"),
            ),
        ] {
            let mut binding = Object::from_value(json!({"roleRef": role, "subjects": [subject]})).unwrap();
            default_binding(&mut binding);
            let got = texts(&validate_binding(&binding, None, &["ClusterRole", "Role"]));
            match want {
                None => assert!(got.is_empty(), "{subject}: {got:?}"),
                Some(want) => assert!(got[0].starts_with(want), "{subject}: {got:?}"),
            }
        }
    }

    #[test]
    fn the_role_of_a_binding_stays() {
        let binding = |name: &str| {
            let role = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": name});
            Object::from_value(json!({ "roleRef": role })).unwrap()
        };
        assert!(validate_binding(&binding("a"), Some(&binding("a")), &["ClusterRole"]).is_empty());
        let got = texts(&validate_binding(
            &binding("b"),
            Some(&binding("a")),
            &["ClusterRole"],
        ));
        assert!(
            got[0].starts_with("roleRef: Invalid value: ") && got[0].ends_with(": cannot change roleRef"),
            "{got:?}"
        );
    }
}
