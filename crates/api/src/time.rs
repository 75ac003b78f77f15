use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time as the Kubernetes API writes it: RFC 3339, UTC, whole seconds.
///
/// Fractions of a second that a client sends are dropped, as Kubernetes drops them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// The second in which `at` lies.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self(Timestamp::from_second(at.as_second()).unwrap_or(at))
    }

    /// The time of the system's clock.
    #[must_use]
    pub fn now() -> Self {
        Self::new(Timestamp::now())
    }

    /// The instant at which this second begins.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Reads RFC 3339, with any offset and any precision.
    ///
    /// # Errors
    /// If `text` is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self::new)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| de::Error::custom(format_args!("parsing time {text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send_and_writes_whole_seconds() {
        for (input, want) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.999999999Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(Time::parse(input).unwrap().to_string(), want, "{input}");
        }
        assert!(Time::parse("yesterday").is_err());
        assert!(Time::parse("").is_err());
    }
}
