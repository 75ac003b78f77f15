//! The process itself, as the kernel accounts for it.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// `process_*`, with the names that every Prometheus client uses.
#[derive(Debug)]
pub(crate) struct Process {
    /// Seconds since 1970; what the kernel knows as start differs by the time it took to get here.
    started: f64,
}

impl Process {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: now.as_secs_f64(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds and nanoseconds of CPU time fit a float well enough"
        )]
        let cpu = usage.tv_sec as f64 + usage.tv_nsec as f64 / 1e9;
        let cpu = ConstCounter::new(cpu);
        let described = encoder.encode_descriptor(
            "process_cpu_seconds",
            "CPU time of the process.",
            None,
            cpu.metric_type(),
        )?;
        cpu.encode(described)?;
        let memory = memory();
        for (name, help, value) in [
            (
                "process_start_time_seconds",
                "When the process started, since 1970.",
                Some(self.started),
            ),
            (
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM.",
                memory.map(|(_, resident)| resident),
            ),
            (
                "process_virtual_memory_bytes",
                "Address space of the process.",
                memory.map(|(whole, _)| whole),
            ),
            ("process_open_fds", "Open file descriptors.", descriptors()),
            (
                "process_max_fds",
                "File descriptors that may be open.",
                most_descriptors(),
            ),
        ] {
            // What a system does not tell is left out.
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let described = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(described)?;
        }
        Ok(())
    }
}

/// Address space and resident memory, in bytes.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; byte counts of one process fit"
)]
fn memory() -> Option<(f64, f64)> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = pages.split_whitespace().map(|number| number.parse::<u64>().ok());
    let size = rustix::param::page_size() as u64;
    let mut next = || Some((pages.next()?? * size) as f64);
    Some((next()?, next()?))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the number of descriptors fits"
)]
fn descriptors() -> Option<f64> {
    // The directory that is being read is one of them.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; the limit fits")]
fn most_descriptors() -> Option<f64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .map(|most| most as f64)
}
