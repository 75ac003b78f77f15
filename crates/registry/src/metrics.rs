//! What is counted, with the names of OpenShift's registry. Where that has summaries, which cannot be added up over
//! replicas, these are histograms of the same name.

mod driver;
mod exposition;
mod process;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

pub(crate) use self::driver::Measured;
use crate::access::Gate;

/// Upper bounds of durations, in seconds: from a cached answer to a large upload.
const SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0,
];
/// Upper bounds of sizes, in bytes: from a manifest to a layer of some GB.
const BYTES: [f64; 10] = [
    256.0,
    1024.0,
    4096.0,
    65_536.0,
    1_048_576.0,
    8_388_608.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    8_589_934_592.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationCode {
    operation: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriverAction {
    driver: &'static str,
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeMethod {
    code: u32,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMethod {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HitOrMiss {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
/// OpenShift's registry calls the last two `gitCommit` and `gitVersion`, which `promtool check metrics` takes for a mistake.
struct Build {
    major: &'static str,
    minor: &'static str,
    git_commit: &'static str,
    git_version: &'static str,
}

#[derive(Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Histograms<L> = Family<L, Histogram, Buckets>;

fn histograms<L: Clone + std::hash::Hash + Eq>(bounds: &'static [f64]) -> Histograms<L> {
    Family::new_with_constructor(Buckets(bounds))
}

/// Handles to everything that is counted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    request_duration: Histograms<Operation>,
    in_flight: Gauge,
    requests: Family<CodeMethod, Counter>,
    http_duration: Histograms<ByMethod>,
    request_size: Histogram,
    response_size: Histogram,
    time_to_header: Histogram,
    storage_duration: Histograms<Operation>,
    storage_errors: Family<OperationCode, Counter>,
    storage_action: Histograms<DriverAction>,
    digest_cache: Family<HitOrMiss, Counter>,
    scoped_digest_cache: Family<HitOrMiss, Counter>,
    driver: &'static str,
}

/// What a finished request was.
pub(crate) struct Finished<'a> {
    pub(crate) method: &'a Method,
    pub(crate) status: u16,
    pub(crate) operation: Option<&'static str>,
    pub(crate) duration: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Metrics {
    /// Counters for a registry whose storage is of the kind `driver`, with what the gate counts by itself.
    pub(crate) fn new(driver: &'static str, build: (&'static str, &'static str), gate: Arc<Gate>) -> Self {
        let mut registry = Registry::default();
        let inner = Inner {
            request_duration: histograms(&SECONDS),
            in_flight: Gauge::default(),
            requests: Family::default(),
            http_duration: histograms(&SECONDS),
            request_size: Histogram::new(BYTES),
            response_size: Histogram::new(BYTES),
            time_to_header: Histogram::new(SECONDS),
            storage_duration: histograms(&SECONDS),
            storage_errors: Family::default(),
            storage_action: histograms(&SECONDS),
            digest_cache: hits_and_misses(),
            scoped_digest_cache: hits_and_misses(),
            driver,
            registry: Registry::default(),
        };
        let (version, commit) = build;
        let mut parts = version.split('.');
        let labels = Build {
            major: parts.next().unwrap_or_default(),
            minor: parts.next().unwrap_or_default(),
            git_commit: commit,
            git_version: version,
        };
        let info = Family::<Build, Gauge>::default();
        info.get_or_create(&labels).set(1);
        let own = registry.sub_registry_with_prefix("imageregistry");
        own.register("build_info", "The build that runs, always 1", info);
        own.register(
            "request_duration_seconds",
            "Time to serve an operation on a repository",
            inner.request_duration.clone(),
        );
        own.register(
            "http_in_flight_requests",
            "Requests that are being served",
            inner.in_flight.clone(),
        );
        own.register(
            "http_requests",
            "Requests that were served",
            inner.requests.clone(),
        );
        own.register(
            "http_request_duration_seconds",
            "Time to serve a request to its last byte",
            inner.http_duration.clone(),
        );
        own.register(
            "http_request_size_bytes",
            "Size of request bodies",
            inner.request_size.clone(),
        );
        own.register(
            "http_response_size_bytes",
            "Size of response bodies",
            inner.response_size.clone(),
        );
        own.register(
            "http_time_to_write_header_seconds",
            "Time until the head of a response was ready",
            inner.time_to_header.clone(),
        );
        own.register(
            "storage_duration_seconds",
            "Time of calls to the storage",
            inner.storage_duration.clone(),
        );
        own.register(
            "storage_errors",
            "Calls to the storage that failed",
            inner.storage_errors.clone(),
        );
        own.register(
            "digest_cache_requests",
            "Lookups of image streams for content by digest, by whether a recent one was at hand",
            inner.digest_cache.clone(),
        );
        own.register(
            "digest_cache_scoped_requests",
            "Lookups of content by digest, by whether the image stream's history has it",
            inner.scoped_digest_cache.clone(),
        );
        registry.register(
            "registry_storage_action_seconds",
            "Time of actions of the storage driver",
            inner.storage_action.clone(),
        );
        registry.register_collector(Box::new(AuthCaches(gate)));
        registry.register_collector(Box::new(process::Process::new()));
        Self(Arc::new(Inner { registry, ..inner }))
    }

    /// The text of `/extensions/v2/metrics` with its content type.
    pub(crate) fn encode(&self, headers: &HeaderMap) -> Result<(HeaderValue, String), std::fmt::Error> {
        exposition::encode(&self.0.registry, headers)
    }

    /// One more request is being served, until the returned guard goes.
    pub(crate) fn begin(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.clone())
    }

    pub(crate) fn header_written(&self, after: Duration) {
        self.0.time_to_header.observe(after.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are put into buckets")]
    pub(crate) fn finished(&self, request: &Finished<'_>) {
        let method = method(request.method);
        let seconds = request.duration.as_secs_f64();
        self.0
            .requests
            .get_or_create(&CodeMethod {
                code: request.status.into(),
                method,
            })
            .inc();
        self.0
            .http_duration
            .get_or_create(&ByMethod { method })
            .observe(seconds);
        self.0.request_size.observe(request.received as f64);
        self.0.response_size.observe(request.sent as f64);
        if let Some(operation) = request.operation {
            self.0
                .request_duration
                .get_or_create(&Operation { operation })
                .observe(seconds);
        }
    }

    fn storage(&self, operation: &'static str, duration: Duration, error: Option<&'static str>) {
        let seconds = duration.as_secs_f64();
        self.0
            .storage_duration
            .get_or_create(&Operation { operation })
            .observe(seconds);
        if let Some((_, action)) = operation.split_once("StorageDriver.") {
            let labels = DriverAction {
                driver: self.0.driver,
                action,
            };
            self.0.storage_action.get_or_create(&labels).observe(seconds);
        }
        if let Some(code) = error {
            self.0
                .storage_errors
                .get_or_create(&OperationCode { operation, code })
                .inc();
        }
    }

    pub(crate) fn stream_lookup(&self, recent: bool) {
        self.0.digest_cache.get_or_create(&hit_or_miss(recent)).inc();
    }

    pub(crate) fn history_lookup(&self, remembered: bool) {
        self.0
            .scoped_digest_cache
            .get_or_create(&hit_or_miss(remembered))
            .inc();
    }
}

const fn hit_or_miss(hit: bool) -> HitOrMiss {
    HitOrMiss {
        r#type: if hit { "Hit" } else { "Miss" },
    }
}

fn hits_and_misses() -> Family<HitOrMiss, Counter> {
    let family = Family::default();
    for hit in [true, false] {
        drop(family.get_or_create_owned(&hit_or_miss(hit)));
    }
    family
}

/// A label from a bounded set: methods are the client's to choose.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::PUT => "put",
        Method::POST => "post",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "other",
    }
}

/// How often the gate knew an identity or a decision, and how often it had to ask the API.
struct AuthCaches(Arc<Gate>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheType {
    cache: &'static str,
    r#type: &'static str,
}

impl std::fmt::Debug for AuthCaches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthCaches")
    }
}

impl Collector for AuthCaches {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "imageregistry_auth_cache_requests",
            "Lookups of identities and access decisions, by whether the answer was at hand",
            None,
            MetricType::Counter,
        )?;
        let caches = [
            ("identity", self.0.identities().counts()),
            ("decision", self.0.decisions().counts()),
        ];
        for (cache, (hits, misses)) in caches {
            for (hit, count) in [(true, hits), (false, misses)] {
                let labels = CacheType {
                    cache,
                    r#type: hit_or_miss(hit).r#type,
                };
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// A request that is being served.
pub(crate) struct InFlight(Metrics);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.dec();
    }
}
