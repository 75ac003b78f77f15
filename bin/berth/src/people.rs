//! The commands that people type: what they need of the process, and how it ends.
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use berth_cli::{Environment, Error, Output, completion};

/// Runs a command to its end.
pub(crate) fn main(command: berth_cli::Command) -> ExitCode {
    let environment = Environment::read(|name| std::env::var_os(name));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    finish(|output| runtime.block_on(command.run(&environment, output)))
}

/// Prints a completion script for the commands of `root`.
pub(crate) fn completion(arguments: &completion::Arguments, root: clap::Command) -> ExitCode {
    finish(|output| completion::run(arguments, root, output))
}

fn finish(run: impl FnOnce(&mut Output<'_>) -> Result<(), Error>) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let result = run(&mut Output::new(&mut out, &mut err));
    let _ = out.flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(err, "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}
