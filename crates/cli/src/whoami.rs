//! `berth whoami`: who the server says that you are.
use clap::Args;

use crate::{
    Environment, Output,
    connection::Connection,
    error::{Result, failed},
};

/// Flags of `berth whoami`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the session's token, the password for the registry
    #[arg(long, short = 't')]
    show_token: bool,
    /// Print the name of the context in use
    #[arg(long, short = 'c', conflicts_with = "show_token")]
    show_context: bool,
    /// Print the address of the server
    #[arg(long, conflicts_with_all = ["show_token", "show_context"])]
    show_server: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Prints a user name, a token, a context or a server.
///
/// # Errors
/// When there is none.
pub async fn run(arguments: &Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let session = arguments.connection.open(environment).await?;
    if arguments.show_token {
        let token = session
            .token
            .ok_or_else(|| failed("no token is currently in use for this session; 'berth login' gets one"))?;
        return output.line(token);
    }
    if arguments.show_context {
        let context = session.context.ok_or_else(|| failed("no context is in use"))?;
        return output.line(context);
    }
    if arguments.show_server {
        return output.line(session.api.server());
    }
    output.line(session.api.whoami().await?)
}
