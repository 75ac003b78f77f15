//! `berth projects`: the projects that you may see.
use clap::Args;

use crate::{Environment, Output, connection::Connection, error::Result};

/// Flags of `berth projects`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print only the projects' names
    #[arg(long, short = 'q', alias = "short")]
    quiet: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Lists them, the current one marked.
///
/// # Errors
/// When the server cannot be asked.
pub async fn run(arguments: &Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let session = arguments.connection.open(environment).await?;
    let projects = session.api.projects().await?;
    if arguments.quiet {
        for (name, _) in &projects {
            output.line(name)?;
        }
        return Ok(());
    }
    let (current, server) = (&session.namespace, session.api.server());
    match projects.as_slice() {
        [] => output.line(
            "You are not a member of any projects. You can request a project to be created with the 'new-project' command.",
        )?,
        [(only, _)] => output.line(format_args!("You have one project on this server: \"{only}\"."))?,
        several => output.line(listed(several, current))?,
    }
    if projects.iter().any(|(name, _)| name == current) {
        output.line("")?;
        output.line(match session.foreign_context() {
            Some(context) => {
                format!(
                    "Using project \"{current}\" from context named \"{context}\" on server \"{server}\"."
                )
            }
            None => format!("Using project \"{current}\" on server \"{server}\"."),
        })?;
    }
    Ok(())
}

/// The list as people read it.
pub(crate) fn listed(projects: &[(String, String)], current: &str) -> String {
    let mut text =
        "You have access to the following projects and can switch between them with 'berth project \
                    <projectname>':\n"
            .to_owned();
    for (name, display) in projects {
        text.push_str(if name == current { "\n  * " } else { "\n    " });
        text.push_str(name);
        if !display.is_empty() && display != name {
            text.push_str(" - ");
            text.push_str(&display.replace(char::is_control, " "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_project_is_marked() {
        let projects = [
            ("a".to_owned(), String::new()),
            ("b".to_owned(), "The\u{1b} B".to_owned()),
        ];
        assert_eq!(
            listed(&projects, "b"),
            "You have access to the following projects and can switch between them with 'berth project <projectname>':\n\n    a\n  * b - The  B"
        );
    }
}
