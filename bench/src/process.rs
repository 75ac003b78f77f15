//! What the kernel knows about a process.

use std::fs;

use anyhow::{Context as _, Result};

/// Clock ticks in a second of `/proc/PID/stat`: the same on every Linux.
const TICKS: f64 = 100.0;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident now.
    pub(crate) now: u64,
    /// Resident at most since its start.
    pub(crate) peak: u64,
}

/// Seconds of CPU, in user and kernel mode, of all threads of a process since its start.
///
/// The kernel scales the two figures so that their sum is the run time it has counted in nanoseconds; a tick is only
/// the unit it is printed in.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}: the server is gone"))?;
    parse_cpu(&stat).with_context(|| format!("{path} reads {stat:?}"))
}

fn parse_cpu(stat: &str) -> Option<f64> {
    // The second field is the command in parentheses, which may hold anything; the third follows the last of them.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(|field| field.parse::<u32>().ok());
    Some(f64::from(fields.next()??) / TICKS + f64::from(fields.next()??) / TICKS)
}

/// Memory of a process.
pub(crate) fn memory(pid: u32) -> Result<Usage> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}: the server is gone"))?;
    let field = |name| kibibytes(&status, name).with_context(|| format!("{path} has no {name}"));
    Ok(Usage {
        now: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "42 (a) name) S 1 42 42 0 -1 4194560 2133 0 0 0 250 75 0 0 20 0 9 0 100 1000 200 18446744073709551615";
        assert_eq!(parse_cpu(stat), Some(3.25));
        assert_eq!(parse_cpu("42 (x"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t     100 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn reads_this_process() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).unwrap() >= 0.0);
        let usage = memory(pid).unwrap();
        assert!(usage.now > 0 && usage.peak >= usage.now / 2, "{usage:?}");
    }
}
