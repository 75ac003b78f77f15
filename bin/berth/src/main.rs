//! Berth, the integrated image registry: one binary with a subcommand per role, and `berth up`, which composes them on one
//! machine. This crate reads the environment, composes and reports; it holds no logic of its own.
mod config;
mod data_dir;
mod endpoints;
mod kubeconfig;
mod people;
mod pki;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// The integrated image registry for Kubernetes and OpenShift.
#[derive(Debug, Parser)]
#[command(name = "berth", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system on this machine: a Kubernetes API, the image API and the registry.
    Up(up::Arguments),
    #[command(flatten)]
    People(Box<berth_cli::Command>),
    /// Print the script that makes a shell complete these commands
    Completion(berth_cli::completion::Arguments),
}

/// What the allocator keeps at the end of a heap instead of giving it back: twice this, in bytes.
const ALLOCATOR_SLACK: usize = 256 << 10;

fn main() -> ExitCode {
    // glibc gives memory back as soon as 128 KiB at the end of a heap are free, and buffers of 64 KiB come and go all the
    // time: every one of them would be mapped and zeroed anew. Freeing one larger block tells it that such sizes are usual.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(ALLOCATOR_SLACK)));
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Up(arguments) => up::main(arguments),
        Command::People(command) => return people::main(*command),
        Command::Completion(arguments) => return people::completion(&arguments, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line that says what went wrong, outermost context first.
            eprintln!("berth: {error:#}");
            ExitCode::FAILURE
        }
    }
}
