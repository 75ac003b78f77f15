//! [`Table`]: the columns that `kubectl get` shows, made by the server.
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::Object;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// JSON type of the cells: string, integer, number, boolean, date.
    pub kind: &'static str,
    /// Format of the cells; `name` marks the column with the object's name.
    pub format: &'static str,
    /// What the column shows, for `kubectl explain`-like uses.
    pub description: &'static str,
    /// 0 is always shown, more than 0 only with `-o wide`.
    pub priority: i32,
}

impl Column {
    /// A column of strings.
    #[must_use]
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            kind: "string",
            format: "",
            description,
            priority: 0,
        }
    }

    /// The column with the object's name.
    #[must_use]
    pub const fn name() -> Self {
        Self {
            name: "Name",
            kind: "string",
            format: "name",
            description: "Name must be unique within a namespace.",
            priority: 0,
        }
    }

    /// The column with the object's age.
    #[must_use]
    pub const fn age() -> Self {
        Self::new(
            "Age",
            "CreationTimestamp is a timestamp representing the server time when this object was created.",
        )
    }

    /// The same, only shown with `-o wide`.
    #[must_use]
    pub const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    /// The same with another JSON type.
    #[must_use]
    pub const fn of(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }
}

/// Makes the cells of an object's row, one per column. The time is "now", for ages.
pub type Row = Arc<dyn Fn(&Object, Timestamp) -> Vec<Value> + Send + Sync>;

/// Columns and how to fill them.
#[derive(Clone)]
pub struct Table {
    /// Columns.
    pub columns: Arc<[Column]>,
    /// Cells of an object.
    pub row: Row,
}

impl Table {
    /// A table.
    pub fn new(
        columns: Vec<Column>,
        row: impl Fn(&Object, Timestamp) -> Vec<Value> + Send + Sync + 'static,
    ) -> Self {
        Self {
            columns: columns.into(),
            row: Arc::new(row),
        }
    }
}

impl Default for Table {
    /// Name and age.
    fn default() -> Self {
        Self::new(vec![Column::name(), Column::age()], |object, now| {
            vec![object.name().into(), age(object, now).into()]
        })
    }
}

/// The age of an object, as in `5d3h`; `<unknown>` without a creation time.
#[must_use]
pub fn age(object: &Object, now: Timestamp) -> String {
    since(object.creation_timestamp(), now)
}

/// Time since a moment, as in `5d3h`; `<unknown>` for none.
#[must_use]
pub fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    match time {
        Some(time) => human_duration(now.as_second() - time.as_second()),
        None => "<unknown>".into(),
    }
}

/// Seconds as kubectl shows a duration: two units where the first alone would be coarse
/// (`k8s.io/apimachinery/pkg/util/duration` `HumanDuration`).
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |first: i64, first_unit: &str, second: i64, second_unit: &str| {
        if second == 0 {
            format!("{first}{first_unit}")
        } else {
            format!("{first}{first_unit}{second}{second_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / MINUTE, "m", seconds % MINUTE, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(seconds / YEAR, "y", seconds % YEAR / DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_prints_them() {
        for (seconds, want) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human_duration(seconds), want, "{seconds}");
        }
    }
}
