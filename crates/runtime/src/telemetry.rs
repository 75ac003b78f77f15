//! Where log events go: standard error, one line each, as text for people or as JSON for collectors.
use std::{fmt, io, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Fields as `name=value`, for people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("unknown log format {other:?}: use text or json")),
        }
    }
}

/// Changes the log level while the process runs.
#[derive(Clone)]
pub struct LevelControl(reload::Handle<EnvFilter, Registry>);

impl fmt::Debug for LevelControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LevelControl")
    }
}

impl LevelControl {
    /// Applies `filter` (a level such as `debug`, or directives such as `info,berth_registry=debug`) from now on.
    ///
    /// # Errors
    /// A sentence that says why the filter cannot be used; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        self.0.reload(parse(filter)?).map_err(|error| error.to_string())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|error| format!("log filter {filter:?} cannot be read: {error}"))
}

/// Sends all events of this process to standard error. Call once, before anything logs.
///
/// # Errors
/// When `filter` cannot be read, or a subscriber was installed before.
pub fn init(format: Format, filter: &str) -> Result<LevelControl, String> {
    let (layer, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(layer);
    let fmt = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let installed = match format {
        Format::Text => registry.with(fmt.with_ansi(false)).try_init(),
        Format::Json => registry.with(fmt.json().flatten_event(true)).try_init(),
    };
    installed.map_err(|error| error.to_string())?;
    Ok(LevelControl(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_formats_that_cannot_be_read_say_so() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert!("xml".parse::<Format>().unwrap_err().contains("text or json"));
        assert!(parse("info,berth_registry=debug").is_ok());
        assert!(parse("berth=notalevel").unwrap_err().contains("notalevel"));
    }
}
