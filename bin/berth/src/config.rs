//! The file of `berth up --config`: raw as written, then resolved into values that hold.
mod login;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use berth_runtime::{serve::Limits, telemetry::Format};
use serde::Deserialize;

pub(crate) use self::login::Login;

/// What the file may say; every field has a default. Durations are written `500ms`, `30s`, `5m`, `2h` or `7d`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Raw {
    log: RawLog,
    shutdown_grace: Option<String>,
    connections: RawConnections,
    uploads: RawUploads,
    #[serde(rename = "publicURL")]
    public_url: Option<String>,
    identity_providers: Vec<login::RawProvider>,
    token_config: login::RawTokens,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct RawLog {
    level: Option<String>,
    format: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct RawConnections {
    max: Option<u64>,
    head_timeout: Option<String>,
    stalled_after: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct RawUploads {
    max_age: Option<String>,
    purge_every: Option<String>,
    concurrent: Option<u64>,
}

/// The resolved configuration of `berth up`.
#[derive(Debug)]
pub(crate) struct Config {
    /// Log filter: a level, or directives. Default `info`.
    pub(crate) log_level: String,
    /// Default: text.
    pub(crate) log_format: Format,
    /// Bound of the whole drain. Default 29 s, within the 30 s that Kubernetes grants.
    pub(crate) shutdown_grace: Duration,
    /// Limits of every listener.
    pub(crate) limits: Limits,
    /// Abandoned uploads older than this are removed. Default 168 h.
    pub(crate) upload_max_age: Duration,
    /// How often they are looked for. Default 24 h.
    pub(crate) upload_purge_every: Duration,
    /// Uploads with a request in flight at once; more are answered with 429. Default 256.
    pub(crate) uploads_concurrent: usize,
    /// Who may log in and how.
    pub(crate) login: Login,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Collects what is wrong instead of stopping at the first mistake.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn take<R, T>(
        &mut self,
        path: &str,
        raw: Option<R>,
        parse: impl FnOnce(R) -> Result<T, String>,
        default: T,
    ) -> T {
        match raw.map(parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                self.0.push(format!("{path}: {problem}"));
                default
            }
        }
    }
}

impl Config {
    /// Reads and resolves `path`; without one, the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, or a value cannot be used: every problem is named with its path.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Self::parse("{}");
        };
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let raw: Raw = serde_saphyr::from_str(text).map_err(|error| {
            // One line: the rendered snippet of the parser spans several.
            anyhow::anyhow!("{}", error.to_string().lines().next().unwrap_or("cannot be read"))
        })?;
        let mut problems = Problems::default();
        let limits = Limits::default();
        let config = Self {
            log_level: raw.log.level.unwrap_or_else(|| "info".to_owned()),
            log_format: problems.take("log.format", raw.log.format, |text| text.parse(), Format::Text),
            shutdown_grace: problems.take(
                "shutdownGrace",
                raw.shutdown_grace.as_deref(),
                duration,
                Duration::from_secs(29),
            ),
            limits: Limits {
                connections: problems.take("connections.max", raw.connections.max, count, limits.connections),
                head: problems.take(
                    "connections.headTimeout",
                    raw.connections.head_timeout.as_deref(),
                    duration,
                    limits.head,
                ),
                stalled: problems.take(
                    "connections.stalledAfter",
                    raw.connections.stalled_after.as_deref(),
                    duration,
                    limits.stalled,
                ),
                ..limits
            },
            upload_max_age: problems.take(
                "uploads.maxAge",
                raw.uploads.max_age.as_deref(),
                duration,
                168 * HOUR,
            ),
            upload_purge_every: problems.take(
                "uploads.purgeEvery",
                raw.uploads.purge_every.as_deref(),
                duration,
                24 * HOUR,
            ),
            uploads_concurrent: problems.take("uploads.concurrent", raw.uploads.concurrent, count, 256),
            login: Login::resolve(
                raw.public_url.as_deref(),
                raw.identity_providers,
                &raw.token_config,
                &mut problems,
            ),
        };
        if !problems.0.is_empty() {
            bail!("{}", problems.0.join("; "));
        }
        Ok(config)
    }
}

fn count(number: u64) -> Result<usize, String> {
    usize::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{number} is not a count above 0"))
}

/// Reads `250ms`, `90s`, `5m`, `2h`, `7d`; more than zero.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a number and ms, s, m, h or d, such as 30s");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..split].parse().map_err(|_| wrong())?;
    let unit = match &text[split..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return Err(wrong()),
    };
    let millis = number
        .checked_mul(unit)
        .filter(|millis| *millis > 0)
        .ok_or_else(wrong)?;
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_values() {
        let config = Config::parse("{}").unwrap();
        assert_eq!(config.shutdown_grace, Duration::from_secs(29));
        let config =
            Config::parse("log: {level: debug, format: json}\nuploads: {maxAge: 2h}\nconnections: {max: 9}")
                .unwrap();
        assert_eq!(
            (config.log_level.as_str(), config.log_format),
            ("debug", Format::Json)
        );
        assert_eq!((config.upload_max_age, config.limits.connections), (2 * HOUR, 9));
    }

    #[test]
    fn every_problem_is_named_with_its_path() {
        let error =
            Config::parse("log: {format: xml}\nshutdownGrace: soon\nuploads: {concurrent: 0}").unwrap_err();
        let text = error.to_string();
        for part in ["log.format: ", "shutdownGrace: \"soon\"", "uploads.concurrent: 0"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let error = Config::parse("uplods: {}").unwrap_err().to_string();
        assert!(error.contains("uplods"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("250ms", Ok(250)),
            ("2h", Ok(7_200_000)),
            ("0s", Err(())),
            ("5", Err(())),
            ("-1s", Err(())),
            ("", Err(())),
            ("99999999999999999999d", Err(())),
        ] {
            let got = duration(text)
                .map(|d| u64::try_from(d.as_millis()).unwrap())
                .map_err(|_| ());
            assert_eq!(got, want, "{text:?}");
        }
    }
}
