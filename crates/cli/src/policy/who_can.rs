//! `berth policy who-can`: who may do something.
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::{
    Environment, Output,
    api::segment,
    connection::Connection,
    discovery::{self, Found},
    error::Result,
};

/// Flags of `who-can`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What is done: get, list, create, update, ...
    #[arg(value_name = "VERB")]
    verb: String,
    /// To what: a resource, or RESOURCE/SUBRESOURCE, as in imagestreams/layers
    #[arg(value_name = "RESOURCE")]
    resource: String,
    /// To the one with this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// In every project
    #[arg(long, short = 'A')]
    all_namespaces: bool,
}

const REVIEWS: &str = "/apis/authorization.openshift.io/v1";

pub(super) async fn run(
    arguments: &Arguments,
    connection: &Connection,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<()> {
    let session = connection.open(environment).await?;
    let found = discovery::find(&session.api, &arguments.resource).await?;
    if found.is_none() {
        output.warning(format_args!(
            "the server doesn't have a resource type '{}'",
            arguments.resource
        ))?;
    }
    let Found { group, resource } = found.unwrap_or_else(|| Found {
        group: String::new(),
        resource: arguments.resource.clone(),
    });
    let namespace = if arguments.all_namespaces {
        ""
    } else {
        session.namespace.as_str()
    };
    let (path, kind) = match namespace {
        "" => (format!("{REVIEWS}/resourceaccessreviews"), "ResourceAccessReview"),
        project => (
            format!(
                "{REVIEWS}/namespaces/{}/localresourceaccessreviews",
                segment(project)
            ),
            "LocalResourceAccessReview",
        ),
    };
    let review = json!({
        "apiVersion": "authorization.openshift.io/v1", "kind": kind, "namespace": namespace, "verb": arguments.verb,
        "resourceAPIGroup": group, "resource": resource, "resourceName": arguments.name.as_deref().unwrap_or_default(),
    });
    let answer = session.api.post(&path, &review).await?;
    let shown = if group.is_empty() {
        resource
    } else {
        format!("{resource}.{group}")
    };
    output.line(render(namespace, &arguments.verb, &shown, &answer))
}

/// The answer as people read it.
fn render(namespace: &str, verb: &str, resource: &str, answer: &Value) -> String {
    let namespace = if namespace.is_empty() { "<all>" } else { namespace };
    let mut text = format!("\nNamespace: {namespace}\nVerb:      {verb}\nResource:  {resource}\n");
    for (title, field) in [("Users: ", "users"), ("Groups:", "groups")] {
        let names = answer.get(field).and_then(Value::as_array).into_iter().flatten();
        let mut names: Vec<&str> = names.filter_map(Value::as_str).collect();
        names.sort_unstable();
        let _ = write!(text, "\n{title} {}", names.first().unwrap_or(&"none"));
        for name in names.iter().skip(1) {
            let _ = write!(text, "\n        {name}");
        }
        text.push('\n');
    }
    // The field is spelt so in the API.
    if let Some(problem) = answer
        .get("evalutionError")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
    {
        let _ = write!(
            text,
            "\nError during evaluation, results may not be complete: {problem}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_laid_out_in_columns() {
        let answer = json!({"users": ["b", "a"], "groups": []});
        assert_eq!(
            render("demo", "get", "imagestreams/layers.image.openshift.io", &answer),
            "\nNamespace: demo\nVerb:      get\nResource:  imagestreams/layers.image.openshift.io\n\n\
             Users:  a\n        b\n\nGroups: none\n"
        );
    }
}
