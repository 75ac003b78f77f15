//! Completion scripts for shells.
use clap::Args;
use clap_complete::{Shell, generate};

use crate::{Output, error::Result};

/// Flags of `berth completion`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell that shall complete
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Writes the script that makes a shell complete the commands of `root`.
///
/// # Errors
/// When nobody reads it.
pub fn run(arguments: &Arguments, mut root: clap::Command, output: &mut Output<'_>) -> Result<()> {
    let name = root.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut root, name, &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())
}
