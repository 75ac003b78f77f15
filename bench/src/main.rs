//! Berth and a peer registry side by side in one run: the same load from the same generator, in turns.
//!
//! What is compared first of all is the CPU time of the server process, as the kernel counts it: rates and latencies
//! on a machine that runs the generator too say more about that machine. docs/benchmarks.md has the method.

mod client;
mod content;
mod load;
mod process;
mod report;
mod server;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use self::load::{Limit, Sample};
use self::report::{Memory, Report, Row};
use self::server::{Server, Servers};
use self::workload::{Workload, Workloads};

/// Compares Berth with Debian's docker-registry, alternating between them.
#[derive(Debug, Clone, Parser)]
#[command(name = "berth-bench")]
struct Options {
    /// A few operations of everything, to see that it works: nothing is measured well.
    #[arg(long)]
    quick: bool,
    /// Numbers of concurrent clients.
    #[arg(long, value_delimiter = ',', default_value = "1,2,16,64")]
    clients: Vec<usize>,
    /// How long each of the small workloads runs, in seconds, in each round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often Berth and the peer take turns.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Only workloads whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Only over this: `plain` or `tls`.
    #[arg(long)]
    over: Option<Over>,
    /// Bytes of the large layer.
    #[arg(long, default_value_t = 512 << 20)]
    large: u64,
    /// Skip the 64 concurrent pushes of large layers at the end, which take up to 32 GiB of disk, or a third of what is
    /// free, for a while.
    #[arg(long)]
    no_flood: bool,
    /// Measure only this server: `berth` or `docker-registry`.
    #[arg(long)]
    server: Option<String>,
    /// Measure a server that is already running in Berth's place, for work with a profiler: its address without TLS and
    /// authentication, its process id and the directory above `docker/registry/v2`, with commas between them.
    #[arg(long)]
    external: Option<String>,
    /// Where to keep the servers' data; a temporary directory by default.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Also write the tables to this file, as Markdown.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

/// How clients connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    /// Plain HTTP.
    Plain,
    /// HTTP over TLS.
    Tls,
}

impl Over {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP",
            Self::Tls => "TLS",
        }
    }
}

/// Bytes of the large layer in `--quick`.
const QUICK_LARGE: u64 = 3 << 20;

/// The flood takes at most this part of the free disk space.
const DISK_SHARE: u64 = 3;

/// How many clients push a large layer at once in the flood.
const FLOOD: usize = 64;

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.seconds = 0.05;
        options.rounds = 1;
        options.clients = vec![1, 4];
        options.large = QUICK_LARGE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&options)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("berth-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let mut scratch = tempfile::Builder::new();
    scratch.prefix("berth-bench");
    let scratch = match &options.directory {
        Some(directory) => scratch.tempdir_in(directory),
        None => scratch.tempdir(),
    };
    let scratch = scratch.context("making a directory for the servers' data")?;
    let servers = Servers::start(
        scratch.path(),
        options.server.as_deref(),
        options.external.as_deref(),
    )?;
    let workloads = Workloads::new(options.large);
    let mut report = Report::new(servers.describe());
    tokio::time::sleep(if options.quick {
        Duration::ZERO
    } else {
        Duration::from_secs(3)
    })
    .await;
    report.idle(memory(&servers)?);
    for over in [Over::Plain, Over::Tls] {
        if options.over.is_some_and(|only| only != over) {
            continue;
        }
        for workload in workloads.all() {
            if options
                .only
                .as_ref()
                .is_some_and(|only| !workload.name().contains(only))
            {
                continue;
            }
            for &clients in &options.clients {
                if workload.is_large() && clients > 16 {
                    // That is the flood's.
                    continue;
                }
                let row = measure(options, &servers, &workloads, workload, over, clients).await?;
                report.row(row);
            }
        }
    }
    report.peak(memory(&servers)?);
    if !options.no_flood && options.only.is_none() {
        flood(options, &servers, scratch.path(), &mut report).await?;
    }
    report.print();
    if let Some(path) = &options.markdown {
        std::fs::write(path, report.markdown()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// One line of the table: each server under the same load, in turns.
async fn measure(
    options: &Options,
    servers: &Servers,
    workloads: &Workloads,
    workload: Workload,
    over: Over,
    clients: usize,
) -> Result<Row> {
    let mut row = Row::new(workload, over, clients);
    for round in 0..options.rounds {
        for server in servers.over(over) {
            let name = || {
                format!(
                    "{} with {clients} clients over {} on {}",
                    workload.name(),
                    over.name(),
                    server.name
                )
            };
            let limit = if workload.is_large() || options.quick {
                Limit::Operations(if clients == 1 { 2 } else { 1 })
            } else {
                Limit::Time(Duration::from_secs_f64(options.seconds))
            };
            let prepared = workloads
                .prepare(workload, server, over, clients, round)
                .await
                .with_context(name)?;
            let prepared = Arc::new(prepared);
            settle();
            let sample = load::run(server, over, &prepared, clients, limit)
                .await
                .with_context(name)?;
            prepared.forget(server)?;
            row.add(server.name, sample);
        }
    }
    eprintln!("{}", row.line());
    Ok(row)
}

/// Many large pushes at once: what is of interest is the memory. On a small disk the layers are smaller, which makes no
/// difference to that.
async fn flood(options: &Options, servers: &Servers, directory: &Path, report: &mut Report) -> Result<()> {
    let over = options.over.unwrap_or(Over::Tls);
    let clients = if options.quick { 4 } else { FLOOD };
    let free = rustix::fs::statvfs(directory).context("asking for the free disk space")?;
    let share = free.f_bavail.saturating_mul(free.f_frsize) / DISK_SHARE / (clients as u64);
    let large = options.large.min(share);
    eprintln!("flood: {clients} layers of {} MiB each", large >> 20);
    let workloads = Workloads::new(large);
    let mut row = Row::new(Workload::PushLarge, over, clients);
    for server in servers.over(over) {
        let prepared = workloads
            .prepare(Workload::PushLarge, server, over, clients, u32::MAX)
            .await?;
        let prepared = Arc::new(prepared);
        settle();
        let sample: Sample = load::run(server, over, &prepared, clients, Limit::Operations(1))
            .await
            .with_context(|| format!("{clients} large pushes at once on {}", server.name))?;
        prepared.forget(server)?;
        row.add(server.name, sample);
    }
    eprintln!("{}", row.line());
    report.row(row);
    report.flood(memory(servers)?);
    Ok(())
}

/// Lets the kernel finish writing what the last load left, so that it does not slow down the next.
fn settle() {
    // Without it the figures are only noisier.
    _ = std::process::Command::new("sync").status();
}

fn memory(servers: &Servers) -> Result<Vec<Memory>> {
    servers
        .all()
        .iter()
        .map(|server: &Server| {
            Ok(Memory {
                server: server.label(),
                usage: server.memory()?,
            })
        })
        .collect()
}
