//! The size that a project allows for one blob: the `openshift.io/Image` limit of its LimitRanges.

use std::{sync::Arc, time::Duration};

use berth_client::Client;
use berth_distribution::Refusal;
use berth_oci::{ErrorCode, RepositoryName};
use k8s_openapi::{api::core::v1::LimitRange, apimachinery::pkg::api::resource::Quantity};

use crate::{
    fresh::Fresh,
    refuse::{Unavailable, unavailable},
};

/// The type of limit that speaks of images.
const IMAGE: &str = "openshift.io/Image";
/// The resource of that limit.
const STORAGE: &str = "storage";
/// Projects whose limits are remembered.
const CAPACITY: usize = 4096;

/// Limits by project.
pub(crate) struct Limits {
    client: Client,
    ttl: Duration,
    known: Fresh<Arc<str>, Result<Option<u128>, Unavailable>>,
}

impl Limits {
    pub(crate) fn new(client: Client, ttl: Duration) -> Self {
        Self {
            client,
            ttl,
            known: Fresh::new(CAPACITY),
        }
    }

    /// Refuses a blob of `size` bytes that alone is larger than any image of the project may be.
    pub(crate) async fn admit(&self, name: &RepositoryName, size: u64) -> Result<(), Refusal> {
        let Some((namespace, _)) = name.pair() else {
            return Ok(());
        };
        match self
            .known
            .get_or_load(&Arc::from(namespace), self.load(namespace))
            .await?
        {
            Some(most) if u128::from(size) > most => Err(Refusal::of(
                ErrorCode::Denied,
                format!(
                    "the blob has {size} bytes, but the project \"{namespace}\" allows {most} bytes for an image \
                     (LimitRange, type {IMAGE}, max {STORAGE})"
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn load(&self, namespace: &str) -> (Result<Option<u128>, Unavailable>, Duration) {
        match self.client.own().limit_ranges(namespace).await {
            Ok(ranges) => (Ok(ranges.iter().filter_map(most).min()), self.ttl),
            Err(error) if error.is_not_found() => (Ok(None), self.ttl),
            Err(error) => (
                Err(unavailable("reading the limits of the project", &error)),
                Duration::ZERO,
            ),
        }
    }
}

/// The smallest limit of one object.
fn most(range: &LimitRange) -> Option<u128> {
    let limits = range
        .spec
        .as_ref()?
        .limits
        .iter()
        .filter(|limit| limit.type_ == IMAGE);
    limits
        .filter_map(|limit| limit.max.as_ref()?.get(STORAGE))
        .filter_map(bytes)
        .min()
}

/// A quantity in whole bytes, rounded down; none when it is not one or does not fit.
///
/// Spec: Kubernetes, "Quantity" (`k8s.io/apimachinery/pkg/api/resource`).
fn bytes(quantity: &Quantity) -> Option<u128> {
    let text = quantity.0.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let (base, power): (u128, i32) = match suffix {
        "" => (10, 0),
        "m" => (10, -3),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (1024, 1),
        "Mi" => (1024, 2),
        "Gi" => (1024, 3),
        "Ti" => (1024, 4),
        "Pi" => (1024, 5),
        "Ei" => (1024, 6),
        exponent => (
            10,
            exponent
                .strip_prefix(['e', 'E'])?
                .parse::<i32>()
                .ok()
                .filter(|power| power.abs() <= 30)?,
        ),
    };
    // digits * base^power / 10^fraction, exactly.
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let factor = base.checked_pow(power.unsigned_abs())?;
    if power < 0 {
        Some(digits / shift.checked_mul(factor)?)
    } else {
        Some(digits.checked_mul(factor)? / shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_bytes() {
        for (text, want) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("1k", Some(1000)),
            ("1Ki", Some(1024)),
            ("1.5Gi", Some(1_610_612_736)),
            (".5M", Some(500_000)),
            ("1500m", Some(1)),
            ("12e6", Some(12_000_000)),
            ("5E-1", Some(0)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("1X", None),
            ("-1", None),
            ("9e999", None),
            ("999999999999999999999999999999999999999Ei", None),
        ] {
            assert_eq!(bytes(&Quantity(text.to_owned())), want, "{text}");
        }
    }

    #[test]
    fn the_smallest_image_limit_counts() {
        let range = |json: serde_json::Value| most(&serde_json::from_value(json).expect("a LimitRange"));
        let spec = serde_json::json!({"spec": {"limits": [
            {"type": "openshift.io/Image", "max": {"storage": "1Gi"}},
            {"type": "openshift.io/Image", "max": {"storage": "10Mi", "other": "1"}},
            {"type": "openshift.io/ImageStream", "max": {"storage": "1"}},
            {"type": "openshift.io/Image"},
        ]}});
        assert_eq!(range(spec), Some(10 << 20));
        assert_eq!(range(serde_json::json!({})), None);
    }
}
