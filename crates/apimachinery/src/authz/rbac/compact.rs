//! Rules as people read them: one for each resource, with all its verbs.
use std::collections::BTreeMap;

use super::{escalation::COMBINATIONS_LIMIT, rule::Rule};

/// The same rights in as few rules as one for each group, resource and name (or path) takes, sorted. A rule of very many
/// combinations stays as it is.
#[must_use]
pub fn compact(rules: &[Rule]) -> Vec<Rule> {
    let mut verbs: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let mut whole = Vec::new();
    let mut budget = COMBINATIONS_LIMIT;
    for rule in rules {
        let Some(rest) = budget.checked_sub(rule.combinations()) else {
            whole.push(rule.clone());
            continue;
        };
        budget = rest;
        for mut single in rule.split() {
            let verb = std::mem::take(&mut single.verbs);
            let known = verbs.entry(single).or_default();
            known.extend(
                verb.into_iter()
                    .filter(|verb| !known.contains(verb))
                    .collect::<Vec<_>>(),
            );
        }
    }
    let compacted = verbs.into_iter().map(|(rule, verbs)| Rule { verbs, ..rule });
    compacted.chain(whole).collect()
}
