//! Metrics as text: OpenMetrics for those who ask for it, and the older format that everybody reads.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use prometheus_client::{encoding::text, registry::Registry};

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The metrics in the format that the request accepts, with its content type.
pub(crate) fn encode(
    registry: &Registry,
    headers: &HeaderMap,
) -> Result<(HeaderValue, String), std::fmt::Error> {
    let mut text = String::with_capacity(16 << 10);
    text::encode(&mut text, registry)?;
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    Ok(if accepts.contains("application/openmetrics-text") {
        (OPENMETRICS, text)
    } else {
        (PROMETHEUS, older(&text))
    })
}

/// OpenMetrics in the older text format: a counter's family is named like its samples, and there are no units and no end.
///
/// Spec: Prometheus, "Exposition formats"; OpenMetrics, "Text format".
fn older(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (family, kind) = match kind {
                "counter" => (Cow::Owned(format!("{name}_total")), kind),
                "info" => (Cow::Owned(format!("{name}_info")), "gauge"),
                "unknown" => (Cow::Borrowed(name), "untyped"),
                _ => (Cow::Borrowed(name), kind),
            };
            if let Some(words) = help.take().and_then(|help| help.strip_prefix(name)) {
                text.push_str(&format!("# HELP {family}{words}\n"));
            }
            text.push_str(&format!("# TYPE {family} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn counters_are_families_of_their_own_name() {
        let openmetrics = "# HELP a_requests How many.\n# TYPE a_requests counter\na_requests_total{x=\"#\"} 1\n\
            # HELP b_seconds How long.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\nb_seconds_sum 1.5\n# EOF\n";
        let want = "# HELP a_requests_total How many.\n# TYPE a_requests_total counter\na_requests_total{x=\"#\"} 1\n\
            # HELP b_seconds How long.\n# TYPE b_seconds histogram\nb_seconds_sum 1.5\n";
        assert_eq!(super::older(openmetrics), want);
    }
}
