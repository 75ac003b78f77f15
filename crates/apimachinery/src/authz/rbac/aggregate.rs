//! The rules of a ClusterRole that collects those of others.
use serde_json::Value;

use super::rule::Rule;
use crate::object::Object;

/// The rules of the ClusterRoles that `role`'s `aggregationRule` selects, in the order given and without repetition.
/// `None` when it has no such rule. The role itself is never selected.
///
/// Give the roles sorted by name: the result is stored, and should only change when a rule does.
#[must_use]
pub fn aggregate<'a>(role: &Object, others: impl IntoIterator<Item = &'a Object>) -> Option<Vec<Rule>> {
    let selectors = role
        .at(&["aggregationRule", "clusterRoleSelectors"])?
        .as_array()?;
    let others: Vec<&Object> = others
        .into_iter()
        .filter(|other| other.name() != role.name())
        .collect();
    let mut rules: Vec<Rule> = Vec::new();
    for selector in selectors {
        for other in &others {
            if selects(selector, other) {
                for rule in Rule::list(other.get("rules")) {
                    if !rules.contains(&rule) {
                        rules.push(rule);
                    }
                }
            }
        }
    }
    Some(rules)
}

fn selects(selector: &Value, role: &Object) -> bool {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    labels
        .into_iter()
        .flatten()
        .all(|(key, value)| role.label(key) == value.as_str())
        && expressions
            .into_iter()
            .flatten()
            .all(|expression| holds(expression, role))
}

fn holds(expression: &Value, role: &Object) -> bool {
    let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
    let label = role.label(text("key"));
    let listed = || {
        let values = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        label.is_some_and(|label| values.filter_map(Value::as_str).any(|value| value == label))
    };
    match text("operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        // An operator that nobody knows selects nothing, so that a mistake never grants anything.
        _ => false,
    }
}
