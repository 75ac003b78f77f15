//! What the server calls a resource.
use http::Method;
use serde_json::Value;

use crate::{api::Api, error::Result};

/// Discovery of everything in one answer.
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A resource by its group and its full plural name, with a subresource if one was named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Empty for the core group.
    pub(crate) group: String,
    /// `plural` or `plural/subresource`.
    pub(crate) resource: String,
}

/// Finds a resource as people name it: plural, singular or short name, `.group` behind it, `/subresource` at the end.
///
/// # Errors
/// When the server cannot be asked. An unknown resource is `None`.
pub(crate) async fn find(api: &Api, text: &str) -> Result<Option<Found>> {
    for path in ["/api", "/apis"] {
        let groups = api.call_for(AGGREGATED, Method::GET, path, None).await?;
        if let Some(found) = look_up(&groups, text) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn look_up(groups: &Value, text: &str) -> Option<Found> {
    let (name, subresource) = match text.split_once('/') {
        Some((name, subresource)) => (name, Some(subresource)),
        None => (text, None),
    };
    // `imagestreams/layers.image.openshift.io` names the group behind the subresource.
    let (subresource, late_group) = match subresource.and_then(|subresource| subresource.split_once('.')) {
        Some((subresource, group)) => (Some(subresource), Some(group)),
        None => (subresource, None),
    };
    let (name, group) = match name.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (name, late_group),
    };
    let name = name.to_lowercase();
    if name.is_empty() {
        return None;
    }
    let list = |value: &Value, field: &str| {
        value
            .get(field)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for found in list(groups, "items") {
        let found_group = found
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if group.is_some_and(|group| found_group != group && !found_group.starts_with(&format!("{group}."))) {
            continue;
        }
        for version in list(&found, "versions") {
            for resource in list(&version, "resources") {
                let text = |field: &str| resource.get(field).and_then(Value::as_str).unwrap_or_default();
                let known = text("resource") == name
                    || text("singularResource") == name
                    || list(&resource, "shortNames")
                        .iter()
                        .any(|short| short.as_str() == Some(&name));
                if known {
                    let plural = text("resource").to_owned();
                    return Some(Found {
                        group: found_group.to_owned(),
                        resource: subresource.map_or(plural.clone(), |sub| format!("{plural}/{sub}")),
                    });
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_have_many_names() {
        let resources =
            json!([{"resource": "imagestreams", "singularResource": "imagestream", "shortNames": ["is"]}]);
        let groups = json!({"items": [
            {"metadata": {"name": "apps"}, "versions": [{"resources": [{"resource": "deployments"}]}]},
            {"metadata": {"name": "image.openshift.io"}, "versions": [{"resources": resources}]},
        ]});
        for (text, want) in [
            ("imagestreams", Some("imagestreams")),
            ("ImageStream", Some("imagestreams")),
            ("is", Some("imagestreams")),
            ("is.image", Some("imagestreams")),
            ("imagestreams.image.openshift.io", Some("imagestreams")),
            ("imagestreams/layers", Some("imagestreams/layers")),
            (
                "imagestreams.image.openshift.io/layers",
                Some("imagestreams/layers"),
            ),
            (
                "imagestreams/layers.image.openshift.io",
                Some("imagestreams/layers"),
            ),
            ("imagestreams.apps", None),
            ("", None),
            ("/", None),
        ] {
            let found = look_up(&groups, text);
            assert_eq!(found.map(|found| found.resource).as_deref(), want, "{text}");
        }
    }
}
