//! `berth new-project`: asks for a project, whose administrator you become.
use clap::Args;
use serde_json::json;

use crate::{Environment, Output, connection::Connection, error::Result};

/// Flags of `berth new-project`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The project's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The name that people see
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Do not switch to it
    #[arg(long)]
    skip_config_write: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Where projects are asked for.
const REQUESTS: &str = "/apis/project.openshift.io/v1/projectrequests";

/// Requests the project and switches to it.
///
/// # Errors
/// When the server refuses it.
pub async fn run(arguments: &Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let session = arguments.connection.open(environment).await?;
    let (name, server) = (&arguments.name, session.api.server());
    let request = json!({
        "apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest", "metadata": {"name": name},
        "displayName": arguments.display_name.as_deref().unwrap_or_default(),
        "description": arguments.description.as_deref().unwrap_or_default(),
    });
    // A server that lets nobody request projects says so, in its administrator's words, when it is asked like this.
    match session.api.get(REQUESTS).await {
        Err(error) if error.is(403) => return Err(error),
        _ => {}
    }
    session.api.post(REQUESTS, &request).await?;
    // With nothing but flags there is no session whose project could be switched.
    if arguments.skip_config_write || session.user.is_none() || session.cluster.is_none() {
        output.line(format_args!("Project \"{name}\" created on server \"{server}\"."))?;
        return output.line(format_args!(
            "\nTo switch to this project and push images to it, use:\n\n    berth project {name}"
        ));
    }
    session.switch(name)?;
    output.line(format_args!(
        "Now using project \"{name}\" on server \"{server}\"."
    ))?;
    output.line("\nYou can push images to it. For the registry's address and a login to it, use:\n\n    berth registry login")
}
