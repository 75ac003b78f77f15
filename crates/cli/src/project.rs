//! `berth project`: the project in use.
use clap::Args;

use crate::{
    Environment, Output,
    api::segment,
    connection::{Connection, Session},
    error::{Result, failed},
    kubeconfig::Section,
};

/// Flags of `berth project`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The project to switch to, or the name of a context
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print only the project's name
    #[arg(long, short = 'q', alias = "short")]
    quiet: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Says which project is in use, or switches.
///
/// # Errors
/// When the project cannot be seen.
pub async fn run(arguments: &Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let session = arguments.connection.open(environment).await?;
    match &arguments.name {
        None => show(&session, arguments.quiet, output).await,
        Some(name) => switch(&session, name, arguments.quiet, output).await,
    }
}

async fn show(session: &Session, quiet: bool, output: &mut Output<'_>) -> Result<()> {
    let (project, server) = (&session.namespace, session.api.server());
    if quiet {
        return output.line(project);
    }
    match session.api.get(&path(project)).await {
        Ok(_) => {}
        Err(error) if error.is(403) || error.is(404) => {
            return Err(failed(format!(
                "you do not have rights to view project \"{project}\" specified in your config or the project doesn't \
                 exist; 'berth projects' lists the others"
            )));
        }
        Err(error) => return Err(error),
    }
    match session.foreign_context() {
        Some(context) => output.line(format_args!(
            "Using project \"{project}\" from context named \"{context}\" on server \"{server}\"."
        )),
        None => output.line(format_args!(
            "Using project \"{project}\" on server \"{server}\"."
        )),
    }
}

async fn switch(session: &Session, name: &str, quiet: bool, output: &mut Output<'_>) -> Result<()> {
    if session.config.get(Section::Contexts, name).is_some() {
        return to_context(session, name, quiet, output);
    }
    let server = session.api.server();
    match session.api.get(&path(name)).await {
        Ok(_) => {}
        Err(error) if error.is(403) => {
            return Err(failed(format!(
                "You are not a member of project \"{name}\".{}",
                others(session).await
            )));
        }
        Err(error) if error.is(404) => {
            return Err(failed(format!(
                "A project named \"{name}\" does not exist on \"{server}\".{}",
                others(session).await
            )));
        }
        Err(error) => return Err(error),
    }
    let already = session.namespace == name && session.foreign_context().is_none();
    session.switch(name)?;
    if quiet {
        return output.line(name);
    }
    let said = if already { "Already" } else { "Now using" };
    let on = if already { "on project" } else { "project" };
    output.line(format_args!("{said} {on} \"{name}\" on server \"{server}\"."))
}

fn to_context(session: &Session, name: &str, quiet: bool, output: &mut Output<'_>) -> Result<()> {
    session.paths.edit(|config| config.use_context(name))?;
    let text = |section, entry: &str, field| session.config.text(section, entry, field).unwrap_or_default();
    let project = match text(Section::Contexts, name, "namespace") {
        "" => "default",
        project => project,
    };
    if quiet {
        return output.line(project);
    }
    let server = text(
        Section::Clusters,
        text(Section::Contexts, name, "cluster"),
        "server",
    );
    output.line(format_args!(
        "Now using project \"{project}\" from context named \"{name}\" on server \"{server}\"."
    ))
}

/// Names a few projects that could have been meant.
async fn others(session: &Session) -> String {
    /// More of them help nobody.
    const SHOWN: usize = 10;
    let projects = session.api.projects().await.unwrap_or_default();
    let names: Vec<&str> = projects.iter().map(|(name, _)| name.as_str()).collect();
    match names.len() {
        0 => " You can request one with 'berth new-project NAME'.".to_owned(),
        1 => format!(" You have one project on this server: {}", names[0]),
        2..=SHOWN => format!(" Your projects are: {}", names.join(", ")),
        _ => " 'berth projects' lists yours.".to_owned(),
    }
}

fn path(project: &str) -> String {
    format!("/apis/project.openshift.io/v1/projects/{}", segment(project))
}

impl Session {
    /// The context's name, when a person chose it: one that does not name project, server and user.
    pub(crate) fn foreign_context(&self) -> Option<&str> {
        let context = self.context.as_deref()?;
        let user = self.user.as_deref().unwrap_or_default();
        let own = crate::names::context(&self.namespace, self.api.server(), user);
        (context != own).then_some(context)
    }
}
