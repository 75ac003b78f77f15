//! `Range` requests: which bytes a client asks for.

use std::ops::Range;

use crate::content_range::number;

/// Most ranges that one header may list; a longer list is ignored, since it can only be an attack (RFC 9110, 14.2).
pub const RANGES_MAX: usize = 32;

/// What to answer to a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The whole content with status 200: there is no range, it is in another unit, malformed, or asks for several
    /// separate parts, which RFC 9110 section 14.2 lets a server answer whole.
    Whole,
    /// These bytes with status 206. Never empty.
    Part(Range<u64>),
    /// Nothing, with status 416: no range lies within the content, or one ends before it begins.
    Unsatisfiable,
}

/// Decides what of `size` bytes the value of a `Range` header asks for.
///
/// Of several ranges, those beyond the end are dropped and those that touch or overlap are joined; what is then more than
/// one part is answered whole. Registry clients ask for a single range; multipart answers are not worth their risk.
///
/// Spec: RFC 9110, sections 14.1 and 14.2.
#[must_use]
pub fn select(header: &str, size: u64) -> Selection {
    match header.split_once('=') {
        Some((unit, set)) if unit.trim().eq_ignore_ascii_case("bytes") => {
            select_bytes(set, size).unwrap_or(Selection::Whole)
        }
        _ => Selection::Whole,
    }
}

/// `None` when the set is malformed.
fn select_bytes(set: &str, size: u64) -> Option<Selection> {
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut asked = 0;
    for spec in set.split(',') {
        let spec = spec.trim_matches([' ', '\t']);
        // Lists in HTTP may have empty elements (RFC 9110, section 5.6.1.2).
        if spec.is_empty() {
            continue;
        }
        asked += 1;
        if asked > RANGES_MAX {
            return None;
        }
        parts.extend(resolve(spec, size)?);
    }
    if asked == 0 {
        return None;
    }
    parts.sort_unstable_by_key(|part| part.start);
    let mut parts = parts.into_iter();
    let Some(mut joined) = parts.next() else {
        return Some(Selection::Unsatisfiable);
    };
    for part in parts {
        if part.start > joined.end {
            return Some(Selection::Whole);
        }
        joined.end = joined.end.max(part.end);
    }
    Some(Selection::Part(joined))
}

/// One `first-last`, `first-` or `-suffix`: `None` when malformed, `Some(None)` when nothing of it exists.
#[expect(
    clippy::option_option,
    reason = "malformed and unsatisfiable are different answers"
)]
fn resolve(spec: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?.min(size);
        return Some((suffix > 0).then(|| size - suffix..size));
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        size
    } else {
        let last = number(last)?;
        // RFC 9110 leaves it open whether an inverted range is ignored or refused. Refused, a client learns of its mistake.
        if last < first {
            return Some(None);
        }
        last.saturating_add(1).min(size)
    };
    Some((first < size).then_some(first..end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn selects() {
        use Selection::{Part, Unsatisfiable, Whole};
        for (header, size, want) in [
            ("bytes=0-9", 100, Part(0..10)),
            ("bytes=0-0", 100, Part(0..1)),
            ("bytes=90-200", 100, Part(90..100)),
            ("bytes=90-", 100, Part(90..100)),
            ("bytes=-10", 100, Part(90..100)),
            ("bytes=-200", 100, Part(0..100)),
            ("bytes=0-", 100, Part(0..100)),
            ("BYTES = 1-2", 100, Part(1..3)),
            ("bytes=0-18446744073709551615", 100, Part(0..100)),
            ("bytes=100-", 100, Unsatisfiable),
            ("bytes=100-200", 100, Unsatisfiable),
            ("bytes=-0", 100, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Unsatisfiable),
            ("bytes=5-2", 100, Unsatisfiable),
            ("bytes=500-0", 1000, Unsatisfiable),
            ("bytes=", 100, Whole),
            ("bytes", 100, Whole),
            ("bytes=a-b", 100, Whole),
            ("bytes=1", 100, Whole),
            ("bytes=--1", 100, Whole),
            ("bytes=-", 100, Whole),
            ("bytes=99999999999999999999-", 100, Whole),
            ("lines=1-2", 100, Whole),
            ("", 100, Whole),
            ("bytes=0-1,2-3", 100, Part(0..4)),
            ("bytes=2-3, 0-5", 100, Part(0..6)),
            ("bytes=0-1,5-6", 100, Whole),
            ("bytes=200-,5-6", 100, Part(5..7)),
            ("bytes=200-,300-", 100, Unsatisfiable),
            ("bytes=0-1,x", 100, Whole),
            ("bytes=,0-1,", 100, Part(0..2)),
        ] {
            assert_eq!(select(header, size), want, "{header} of {size}");
        }
        let many = format!("bytes={}", "0-1,".repeat(RANGES_MAX + 1));
        assert_eq!(select(&many, 100), Whole);
    }

    proptest! {
        #[test]
        fn parts_lie_within(header in "bytes=[0-9,-]{0,40}|.{0,40}", size in any::<u64>()) {
            if let Selection::Part(part) = select(&header, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn a_single_range_is_served(first in 0..1000_u64, len in 1..1000_u64, size in 1..3000_u64) {
            let got = select(&format!("bytes={first}-{}", first + len - 1), size);
            let want = if first < size { Selection::Part(first..size.min(first + len)) } else { Selection::Unsatisfiable };
            prop_assert_eq!(got, want);
        }
    }
}
