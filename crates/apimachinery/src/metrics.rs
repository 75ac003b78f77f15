//! `/metrics`: what the server has done, in Prometheus' text format.
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::resource::Endpoint;

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 9] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Identifies an endpoint by its address: it lives as long as the server.
type Key = (usize, usize, &'static str, u16);

#[derive(Default)]
struct Latency {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    microseconds: AtomicU64,
}

/// What the server has done.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<HashMap<Key, (Arc<Endpoint>, u64)>>,
    reads: Latency,
    writes: Latency,
    /// Watches that are open.
    pub(crate) watches: Arc<AtomicI64>,
}

impl Latency {
    fn record(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS) {
            if seconds <= bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    fn render(&self, kind: &str, out: &mut String) {
        const NAME: &str = "apiserver_request_duration_seconds";
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS) {
            let count = bucket.load(Ordering::Relaxed);
            let _ = writeln!(
                out,
                "{NAME}_bucket{{request_kind=\"{kind}\",le=\"{bound}\"}} {count}"
            );
        }
        let count = self.count.load(Ordering::Relaxed);
        let (seconds, rest) = {
            let microseconds = self.microseconds.load(Ordering::Relaxed);
            (microseconds / 1_000_000, microseconds % 1_000_000)
        };
        let _ = writeln!(
            out,
            "{NAME}_bucket{{request_kind=\"{kind}\",le=\"+Inf\"}} {count}"
        );
        let _ = writeln!(out, "{NAME}_sum{{request_kind=\"{kind}\"}} {seconds}.{rest:06}");
        let _ = writeln!(out, "{NAME}_count{{request_kind=\"{kind}\"}} {count}");
    }
}

impl Metrics {
    /// Counts an answer. `subresource` is its position in the endpoint, if it was one.
    pub(crate) fn record(
        &self,
        endpoint: &Arc<Endpoint>,
        subresource: Option<usize>,
        verb: &'static str,
        code: u16,
        time: Duration,
    ) {
        let key = (
            Arc::as_ptr(endpoint).addr(),
            subresource.map_or(0, |index| index + 1),
            verb,
            code,
        );
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.entry(key).or_insert_with(|| (Arc::clone(endpoint), 0)).1 += 1;
        drop(requests);
        match verb {
            "get" | "list" => self.reads.record(time),
            "watch" => {}
            _ => self.writes.record(time),
        }
    }

    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        out.push_str("# HELP apiserver_request_total Requests to resources, by verb and answer.\n");
        out.push_str("# TYPE apiserver_request_total counter\n");
        let mut lines: Vec<String> = {
            let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests
                .iter()
                .map(|(key, (endpoint, count))| total(*key, endpoint, *count))
                .collect()
        };
        lines.sort();
        out.extend(lines);
        out.push_str(
            "# HELP apiserver_request_duration_seconds Time from request to answer; without watches.\n",
        );
        out.push_str("# TYPE apiserver_request_duration_seconds histogram\n");
        self.reads.render("readOnly", &mut out);
        self.writes.render("mutating", &mut out);
        out.push_str("# HELP apiserver_longrunning_requests Watches that are open.\n");
        out.push_str("# TYPE apiserver_longrunning_requests gauge\n");
        let watches = self.watches.load(Ordering::Relaxed);
        let _ = writeln!(out, "apiserver_longrunning_requests{{verb=\"WATCH\"}} {watches}");
        out
    }
}

fn total((_, subresource, verb, code): Key, endpoint: &Endpoint, count: u64) -> String {
    let resource = &endpoint.resource;
    let subresource = match subresource
        .checked_sub(1)
        .and_then(|index| endpoint.subresources.get(index))
    {
        Some(subresource) => subresource.name.as_str(),
        None => "",
    };
    format!(
        "apiserver_request_total{{code=\"{code}\",group=\"{}\",resource=\"{}\",subresource=\"{subresource}\",\
         verb=\"{}\",version=\"{}\"}} {count}\n",
        resource.group(),
        resource.plural(),
        verb.to_ascii_uppercase(),
        resource.version(),
    )
}
