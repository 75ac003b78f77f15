//! The list of commands.
use clap::Subcommand;

use crate::{
    Environment, Output, error::Result, login, logout, new_project, policy, project, projects, registry,
    whoami,
};

/// What a person can ask for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to a server and remember it
    Login(login::Arguments),
    /// End the current session: revoke its token and forget it
    Logout(logout::Arguments),
    /// Say who you are
    Whoami(whoami::Arguments),
    /// Switch to another project, or say which one is in use
    Project(project::Arguments),
    /// List the projects that you may see
    Projects(projects::Arguments),
    /// Request a new project
    NewProject(new_project::Arguments),
    /// Give and take rights in a project
    Policy(policy::Arguments),
    /// Commands for administrators
    Adm(policy::Administration),
    /// Log in to the registry, or find it
    Registry(registry::Arguments),
}

impl Command {
    /// Does it. What a person or a script reads goes to `output`.
    ///
    /// # Errors
    /// What went wrong, in words for the person at the terminal.
    pub async fn run(self, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
        match self {
            Self::Login(arguments) => login::run(arguments, environment, output).await,
            Self::Logout(arguments) => logout::run(&arguments, environment, output).await,
            Self::Whoami(arguments) => whoami::run(&arguments, environment, output).await,
            Self::Project(arguments) => project::run(&arguments, environment, output).await,
            Self::Projects(arguments) => projects::run(&arguments, environment, output).await,
            Self::NewProject(arguments) => new_project::run(&arguments, environment, output).await,
            Self::Policy(arguments) => policy::run(arguments, environment, output).await,
            Self::Adm(arguments) => policy::administer(arguments, environment, output).await,
            Self::Registry(arguments) => registry::run(arguments, environment, output).await,
        }
    }
}
