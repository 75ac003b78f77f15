//! Clients at work, and what that took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::Over;
use crate::client::Client;
use crate::server::Server;
use crate::workload::Prepared;

/// When clients stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// They begin no operation after this.
    Time(Duration),
    /// Each does so many.
    Operations(usize),
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// How long each operation took.
    pub(crate) latencies: Vec<Duration>,
    /// Bytes of content that were moved.
    pub(crate) bytes: u64,
    /// From the first operation's begin to the last one's end.
    pub(crate) wall: Duration,
    /// Seconds of CPU that the server used.
    pub(crate) cpu: f64,
}

impl Sample {
    /// Both together.
    pub(crate) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.bytes += other.bytes;
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// Runs so many clients, each with a connection of its own, against a server.
pub(crate) async fn run(
    server: &Server,
    over: Over,
    prepared: &Arc<Prepared>,
    clients: usize,
    limit: Limit,
) -> Result<Sample> {
    // Connected before the clock runs: what is compared are the requests, and clients keep their connections.
    let mut connected = Vec::new();
    for _ in 0..clients {
        connected.push(Client::connect(server, over).await?);
    }
    let cpu = server.cpu_seconds()?;
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, client) in connected.into_iter().enumerate() {
        tasks.spawn(work(client, number, Arc::clone(prepared), begin, limit));
    }
    let mut sample = Sample::default();
    while let Some(done) = tasks.join_next().await {
        sample.add(done??);
    }
    sample.wall = begin.elapsed();
    sample.cpu = server.cpu_seconds()? - cpu;
    Ok(sample)
}

/// One client at work.
async fn work(
    mut client: Client,
    number: usize,
    prepared: Arc<Prepared>,
    begin: Instant,
    limit: Limit,
) -> Result<Sample> {
    let mut sample = Sample::default();
    loop {
        let done = match limit {
            Limit::Time(time) => begin.elapsed() >= time,
            Limit::Operations(count) => sample.latencies.len() >= count,
        };
        if done {
            return Ok(sample);
        }
        let operation = prepared.next(number)?;
        let start = Instant::now();
        sample.bytes += prepared.run(&mut client, &operation).await?;
        sample.latencies.push(start.elapsed());
    }
}
