//! Quantities: numbers with a unit, as in `10`, `1.5Gi` or `250m`.
//!
//! Grammar and canonical form are those of Kubernetes' "Quantity" (`resource.Quantity`).

use std::fmt;
use std::str::FromStr;

/// Parts that one unit is divided into; finer input is rounded up.
const NANO: i128 = 1_000_000_000;
/// The largest magnitude in whole units, as in Kubernetes.
const MAX_UNITS: i128 = i64::MAX as i128;
/// Digits that an input may have; more cannot change the result.
const MAX_DIGITS: usize = 40;
/// Greatest exponent that is looked at; beyond it every number is over the limit.
const MAX_EXPONENT: i32 = 40;

/// How a quantity was written, which is how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Powers of 1024: `Ki`, `Mi`, …
    Binary,
    /// Powers of 1000: `m`, `k`, `M`, …
    Decimal,
    /// `e3`, `E6`.
    Exponent,
}

/// An exact number of some resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    nano: i128,
    format: Format,
}

/// The text is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub(crate) struct ParseQuantityError;

impl Quantity {
    /// A count of whole things.
    #[must_use]
    pub(crate) fn count(count: i64) -> Quantity {
        Quantity {
            nano: i128::from(count) * NANO,
            format: Format::Decimal,
        }
    }

    /// Whether the number is below zero.
    #[must_use]
    pub(crate) fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whether the number has no fraction.
    #[must_use]
    pub(crate) fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    /// The sum, shown as the left side is.
    #[must_use]
    pub(crate) fn plus(self, other: Quantity) -> Quantity {
        Quantity {
            nano: self.nano.saturating_add(other.nano),
            format: self.format,
        }
    }

    /// Reads a quantity from a JSON value: a string or a number.
    #[must_use]
    pub(crate) fn from_json(value: &serde_json::Value) -> Option<Quantity> {
        match value {
            serde_json::Value::String(text) => text.parse().ok(),
            serde_json::Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> std::cmp::Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// The power that a suffix stands for, and how the quantity was written.
fn scale(suffix: &str) -> Option<(Scale, Format)> {
    let decimal = |exponent| Some((Scale::Ten(exponent), Format::Decimal));
    let binary = |power| Some((Scale::Kibi(power), Format::Binary));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = digits.parse().ok()?;
            Some((
                Scale::Ten(exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT)),
                Format::Exponent,
            ))
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    Ten(i32),
    Kibi(u32),
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Quantity, ParseQuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(ParseQuantityError);
        }
        let (scale, format) = scale(suffix).ok_or(ParseQuantityError)?;
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > MAX_DIGITS {
            return Ok(Quantity {
                nano: limit(negative),
                format,
            });
        }
        // Digits that lie beyond what can be told apart only matter by not being zero: they round up.
        let kept = fraction.len().min(MAX_DIGITS.saturating_sub(whole.len()).min(18));
        let dropped = kept < fraction.len();
        let digits = format!("{whole}{}", &fraction[..kept]);
        let mantissa: i128 = if digits.is_empty() {
            0
        } else {
            digits.parse().unwrap_or(i128::MAX)
        };
        let places = i32::try_from(kept).unwrap_or(MAX_EXPONENT);
        let nano = match scale {
            Scale::Ten(exponent) => shift(mantissa, exponent + 9 - places, dropped),
            Scale::Kibi(power) => match mantissa.checked_mul(1024_i128.pow(power)) {
                Some(scaled) => shift(scaled, 9 - places, dropped),
                None => i128::MAX,
            },
        };
        let nano = nano.min(MAX_UNITS * NANO);
        Ok(Quantity {
            nano: if negative { -nano } else { nano },
            format,
        })
    }
}

fn limit(negative: bool) -> i128 {
    if negative {
        -MAX_UNITS * NANO
    } else {
        MAX_UNITS * NANO
    }
}

/// `mantissa * 10^exponent`, rounded up when it is no whole number or when something was `dropped` before.
fn shift(mantissa: i128, exponent: i32, dropped: bool) -> i128 {
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    match (exponent >= 0, power) {
        (true, Some(power)) => mantissa
            .checked_mul(power)
            .unwrap_or(i128::MAX)
            .saturating_add(i128::from(dropped)),
        (true, None) => {
            if mantissa == 0 {
                0
            } else {
                i128::MAX
            }
        }
        (false, Some(power)) => mantissa / power + i128::from(mantissa % power != 0 || dropped),
        (false, None) => i128::from(mantissa != 0 || dropped),
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        if self.nano == 0 {
            return f.write_str("0");
        }
        let units = self.nano / NANO;
        if self.format == Format::Binary && self.is_whole() && units.abs() >= 1024 {
            let (mut value, mut power) = (units, 0);
            while value % 1024 == 0 && power + 1 < BINARY.len() {
                value /= 1024;
                power += 1;
            }
            return write!(f, "{value}{}", BINARY[power]);
        }
        let (mut value, mut power) = (self.nano, 0);
        while value % 1000 == 0 && power + 1 < DECIMAL.len() {
            value /= 1000;
            power += 1;
        }
        if self.format == Format::Exponent && power != 3 {
            let exponent = i32::try_from(power).unwrap_or(0) * 3 - 9;
            return write!(f, "{value}e{exponent}");
        }
        write!(f, "{value}{}", DECIMAL[power])
    }
}

/// Rewrites every quantity of a JSON object in canonical form; what is no quantity stays as it is.
pub(crate) fn canonicalize(list: &mut serde_json::Value) {
    for value in list.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
        if let Some(quantity) = Quantity::from_json(value) {
            *value = serde_json::Value::String(quantity.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_shows_canonically() {
        for (text, want) in [
            ("0", Some("0")),
            ("0Gi", Some("0")),
            ("10", Some("10")),
            ("1000", Some("1k")),
            ("1024", Some("1024")),
            ("1Ki", Some("1Ki")),
            ("1024Ki", Some("1Mi")),
            ("1.5Gi", Some("1536Mi")),
            ("0.5", Some("500m")),
            ("500m", Some("500m")),
            ("1000m", Some("1")),
            ("100e3", Some("100e3")),
            ("1E6", Some("1e6")),
            ("1E", Some("1E")),
            ("-5", Some("-5")),
            ("+5k", Some("5k")),
            (".5", Some("500m")),
            ("1n", Some("1n")),
            ("0.1n", Some("1n")),
            ("0.0000000001", Some("1n")),
            (
                "99999999999999999999999999999999999999999999",
                Some("9223372036854775807"),
            ),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("1KB", None),
            ("ten", None),
            ("1 Gi", None),
            ("1e", None),
        ] {
            let got = text.parse::<Quantity>().ok().map(|quantity| quantity.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn compares_by_value() {
        for (smaller, larger) in [
            ("1", "2"),
            ("1k", "1Ki"),
            ("999m", "1"),
            ("1Gi", "1025Mi"),
            ("-1", "0"),
        ] {
            let (smaller, larger): (Quantity, Quantity) = (smaller.parse().unwrap(), larger.parse().unwrap());
            assert!(smaller < larger, "{smaller} < {larger}");
        }
        assert_eq!("1Gi".parse::<Quantity>().unwrap(), "1024Mi".parse().unwrap());
    }

    proptest::proptest! {
        #[test]
        fn canonical_form_keeps_the_value(text in "[+-]?[0-9]{0,22}(\\.[0-9]{0,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]{1,3})?") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                let shown = quantity.to_string();
                let again: Quantity = shown.parse().unwrap();
                proptest::prop_assert_eq!(again, quantity, "{} {}", text, shown);
                proptest::prop_assert_eq!(again.to_string(), shown);
            }
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,40}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
