//! The tables.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::fmt::Write as _;
use std::time::Duration;

use crate::Over;
use crate::load::Sample;
use crate::process::Usage;
use crate::server::{BERTH, DOCKER_REGISTRY};
use crate::workload::Workload;

/// One workload with so many clients, on every server.
pub(crate) struct Row {
    workload: Workload,
    over: Over,
    clients: usize,
    samples: Vec<(&'static str, Sample)>,
}

/// The memory of a server.
pub(crate) struct Memory {
    pub(crate) server: String,
    pub(crate) usage: Usage,
}

/// Everything that was measured.
pub(crate) struct Report {
    description: Vec<String>,
    rows: Vec<Row>,
    idle: Vec<Memory>,
    peak: Vec<Memory>,
    flood: Vec<Memory>,
}

/// What a sample says of one server.
struct Figures {
    /// Operations, or MB for large content, in a second.
    rate: f64,
    /// Latencies in milliseconds.
    median: f64,
    late: f64,
    latest: f64,
    /// CPU in microseconds for an operation, or in seconds for a GB.
    cpu: f64,
}

const BYTES_PER_MB: f64 = 1e6;
const BYTES_PER_GB: f64 = 1e9;

impl Row {
    pub(crate) fn new(workload: Workload, over: Over, clients: usize) -> Self {
        Self {
            workload,
            over,
            clients,
            samples: Vec::new(),
        }
    }

    /// Adds what a round has measured.
    pub(crate) fn add(&mut self, server: &'static str, sample: Sample) {
        match self.samples.iter_mut().find(|(name, _)| *name == server) {
            Some((_, known)) => known.add(sample),
            None => self.samples.push((server, sample)),
        }
    }

    fn figures(&self, server: &str) -> Option<Figures> {
        let (_, sample) = self.samples.iter().find(|(name, _)| *name == server)?;
        let mut latencies = sample.latencies.clone();
        latencies.sort_unstable();
        let count = lossy(latencies.len() as u64);
        let seconds = sample.wall.as_secs_f64();
        let (rate, cpu) = if self.workload.is_large() {
            let bytes = lossy(sample.bytes);
            (
                bytes / BYTES_PER_MB / seconds,
                sample.cpu / (bytes / BYTES_PER_GB),
            )
        } else {
            (count / seconds, sample.cpu * 1e6 / count)
        };
        let quantile = |permille| milliseconds(quantile(&latencies, permille));
        Some(Figures {
            rate,
            median: quantile(500),
            late: quantile(990),
            latest: quantile(1000),
            cpu,
        })
    }

    /// Berth's CPU as a fraction of the peer's.
    fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (self.figures(BERTH)?, self.figures(DOCKER_REGISTRY)?);
        (theirs.cpu > 0.0).then(|| ours.cpu / theirs.cpu)
    }

    fn units(&self) -> (&'static str, &'static str) {
        if self.workload.is_large() {
            ("MB/s", "s/GB")
        } else {
            ("/s", "µs")
        }
    }

    /// The row as a line of text.
    pub(crate) fn line(&self) -> String {
        let (rate, cpu) = self.units();
        let mut line = format!(
            "{:<24} {:<4} {:>3}",
            self.workload.name(),
            self.over.name(),
            self.clients
        );
        for name in [DOCKER_REGISTRY, BERTH] {
            match self.figures(name) {
                Some(figures) => {
                    let Figures {
                        rate: value,
                        median,
                        late,
                        latest,
                        cpu: used,
                    } = figures;
                    _ = write!(
                        line,
                        " | {:>9} {rate:<4} {median:>8.2} {late:>8.2} {latest:>8.2} ms  CPU {:>8} {cpu}",
                        number(value),
                        number(used)
                    );
                }
                None => _ = write!(line, " | {:>62}", "-"),
            }
        }
        if let Some(ratio) = self.ratio() {
            _ = write!(line, " | {ratio:.3} (aim {:.3})", self.workload.aim(self.over));
        }
        line
    }

    fn markdown(&self) -> String {
        let (rate, cpu) = self.units();
        let mut line = format!(
            "| {} | {} | {} ",
            self.workload.name(),
            self.over.name(),
            self.clients
        );
        for name in [DOCKER_REGISTRY, BERTH] {
            match self.figures(name) {
                Some(figures) => {
                    let Figures {
                        rate: value,
                        median,
                        late,
                        cpu: used,
                        ..
                    } = figures;
                    _ = write!(
                        line,
                        "| {} {rate} | {median:.2} / {late:.2} | {} {cpu} ",
                        number(value),
                        number(used)
                    );
                }
                None => line.push_str("| - | - | - "),
            }
        }
        match self.ratio() {
            Some(ratio) => _ = write!(line, "| {ratio:.2} | {:.2} |", self.workload.aim(self.over)),
            None => line.push_str("| - | - |"),
        }
        line
    }
}

impl Report {
    pub(crate) fn new(description: Vec<String>) -> Self {
        Self {
            description,
            rows: Vec::new(),
            idle: Vec::new(),
            peak: Vec::new(),
            flood: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Memory before any load.
    pub(crate) fn idle(&mut self, memory: Vec<Memory>) {
        self.idle = memory;
    }

    /// Memory after the run.
    pub(crate) fn peak(&mut self, memory: Vec<Memory>) {
        self.peak = memory;
    }

    /// Memory after the flood of large pushes.
    pub(crate) fn flood(&mut self, memory: Vec<Memory>) {
        self.flood = memory;
    }

    /// Prints everything.
    pub(crate) fn print(&self) {
        for line in &self.description {
            println!("{line}");
        }
        println!(
            "\nrate, latency (median, 99 %, maximum), CPU of the server for an operation or a GB: docker-registry | berth | CPU ratio"
        );
        for row in &self.rows {
            println!("{}", row.line());
        }
        println!();
        for (server, memory) in self.memory() {
            println!("{server:<24} {memory}");
        }
    }

    /// Everything as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for line in &self.description {
            _ = writeln!(text, "- {line}");
        }
        text.push_str(
            "\n| workload | over | clients | docker-registry | median / 99 % ms | CPU | berth | median / 99 % ms | CPU | CPU ratio | aim |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            _ = writeln!(text, "{}", row.markdown());
        }
        text.push_str("\n| server | memory |\n| --- | --- |\n");
        for (server, memory) in self.memory() {
            _ = writeln!(text, "| {server} | {memory} |");
        }
        text
    }

    fn memory(&self) -> Vec<(&str, String)> {
        let find = |memory: &[Memory], server: &str| {
            memory
                .iter()
                .find(|memory| memory.server == server)
                .map(|memory| memory.usage)
        };
        let mib = |bytes: u64| format!("{:.1} MiB", lossy(bytes) / f64::from(1 << 20));
        self.idle
            .iter()
            .map(|memory| {
                let mut text = format!("idle {}", mib(memory.usage.now));
                if let Some(peak) = find(&self.peak, &memory.server) {
                    _ = write!(
                        text,
                        ", peak of the run {}, after it {}",
                        mib(peak.peak),
                        mib(peak.now)
                    );
                }
                if let Some(flood) = find(&self.flood, &memory.server) {
                    _ = write!(text, ", peak with the flood of large pushes {}", mib(flood.peak));
                }
                (memory.server.as_str(), text)
            })
            .collect()
    }
}

/// The latency below which so many of a thousand operations stayed.
fn quantile(sorted: &[Duration], permille: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((sorted.len() * permille / 1000).min(last))
        .copied()
        .unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Counts are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn lossy(count: u64) -> f64 {
    count as f64
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(milliseconds: &[u64], cpu: f64) -> Sample {
        Sample {
            latencies: milliseconds
                .iter()
                .map(|number| Duration::from_millis(*number))
                .collect(),
            bytes: 2_000_000_000,
            wall: Duration::from_secs(2),
            cpu,
        }
    }

    #[test]
    fn figures_are_sums_over_rounds() {
        let mut row = Row::new(Workload::BlobHead, Over::Plain, 4);
        row.add(BERTH, sample(&[3, 1], 0.1));
        row.add(DOCKER_REGISTRY, sample(&[4; 4], 4.0));
        row.add(BERTH, sample(&[2, 4], 0.1));
        let figures = row.figures(BERTH).unwrap();
        assert_eq!((figures.rate, figures.median, figures.latest), (1.0, 3.0, 4.0));
        assert!((figures.cpu - 50_000.0).abs() < 1e-6);
        assert!((row.ratio().unwrap() - 0.05).abs() < 1e-9);
        assert!(row.line().contains("0.050 (aim 0.100)"), "{}", row.line());
        assert!(row.markdown().ends_with("| 0.05 | 0.10 |"), "{}", row.markdown());
    }

    #[test]
    fn large_content_is_counted_by_bytes() {
        let mut row = Row::new(Workload::PullLarge, Over::Tls, 1);
        row.add(BERTH, sample(&[1000, 1000], 1.0));
        let figures = row.figures(BERTH).unwrap();
        assert_eq!((figures.rate, figures.cpu), (1000.0, 0.5));
        assert!(row.ratio().is_none());
        assert!(row.markdown().contains("| - | - | - "));
    }

    #[test]
    fn quantiles_of_few_and_none() {
        assert_eq!(quantile(&[], 990), Duration::ZERO);
        let one = [Duration::from_millis(7)];
        assert_eq!((quantile(&one, 500), quantile(&one, 1000)), (one[0], one[0]));
    }
}
