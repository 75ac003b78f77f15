//! `Content-Range`: which bytes a body holds.

use std::{fmt, str::FromStr};

/// The bytes `start..=end` of some content.
///
/// Uploads use the short form `start-end` (OCI distribution, "Pushing a blob in chunks"); answers to range requests use
/// `bytes start-end/size` (RFC 9110, section 14.4). Both are read; [`Display`](fmt::Display) writes the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    start: u64,
    end: u64,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Upload,
    Answer { size: Option<u64> },
}

/// The text is not a content range, or its end lies before its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a content range has the form <start>-<end> with the end not before the start")]
pub struct ContentRangeError;

impl ContentRange {
    /// The upload form.
    ///
    /// # Errors
    /// [`ContentRangeError`] when `end` lies before `start`, or the range is 2^64 bytes long.
    pub const fn upload(start: u64, end: u64) -> Result<Self, ContentRangeError> {
        if end < start || end - start == u64::MAX {
            return Err(ContentRangeError);
        }
        Ok(ContentRange {
            start,
            end,
            form: Form::Upload,
        })
    }

    /// The form of a partial answer; `size` is the length of the whole, in bytes.
    ///
    /// # Errors
    /// [`ContentRangeError`] when `end` lies before `start` or not before `size`.
    pub fn answer(start: u64, end: u64, size: Option<u64>) -> Result<Self, ContentRangeError> {
        if size.is_some_and(|size| end >= size) {
            return Err(ContentRangeError);
        }
        Ok(ContentRange {
            form: Form::Answer { size },
            ..Self::upload(start, end)?
        })
    }

    /// Offset of the first byte.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the last byte.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes the range holds; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(&self) -> u64 {
        self.end - self.start + 1
    }

    /// Length of the whole content, where the text tells it.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        match self.form {
            Form::Upload => None,
            Form::Answer { size } => size,
        }
    }
}

/// A run of digits without sign, which `u64::from_str` would accept with a plus.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        let bounds = |text: &str| -> Option<(u64, u64)> {
            let (start, end) = text.split_once('-')?;
            Some((number(start)?, number(end)?))
        };
        let unit = text.get(..6).filter(|unit| unit.eq_ignore_ascii_case("bytes "));
        if unit.is_none() {
            let (start, end) = bounds(text).ok_or(ContentRangeError)?;
            return Self::upload(start, end);
        }
        let (range, size) = text[6..]
            .trim_start_matches(' ')
            .split_once('/')
            .ok_or(ContentRangeError)?;
        let size = match size {
            "*" => None,
            size => Some(number(size).ok_or(ContentRangeError)?),
        };
        let (start, end) = bounds(range).ok_or(ContentRangeError)?;
        Self::answer(start, end, size)
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ContentRange { start, end, .. } = self;
        match self.form {
            Form::Upload => write!(f, "{start}-{end}"),
            Form::Answer { size: Some(size) } => write!(f, "bytes {start}-{end}/{size}"),
            Form::Answer { size: None } => write!(f, "bytes {start}-{end}/*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_both_forms() {
        for (text, want) in [
            ("0-0", Some((0, 0, None))),
            ("10-19", Some((10, 19, None))),
            ("bytes 10-19/20", Some((10, 19, Some(20)))),
            ("Bytes 10-19/*", Some((10, 19, None))),
            ("bytes 10-19/19", None),
            ("bytes 10-19", None),
            ("bytes */20", None),
            ("19-10", None),
            ("", None),
            ("-", None),
            ("1-", None),
            ("-1", None),
            ("+1-2", None),
            ("1-+2", None),
            ("1 - 2", None),
            ("0-18446744073709551615", None),
            ("1-18446744073709551615", Some((1, u64::MAX, None))),
            ("0-18446744073709551616", None),
            ("日本語bytes", None),
        ] {
            let got = text
                .parse::<ContentRange>()
                .ok()
                .map(|r| (r.start(), r.end(), r.size()));
            assert_eq!(got, want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(start in any::<u64>(), more in 0..u64::MAX, size in any::<Option<u64>>()) {
            let end = start.saturating_add(more);
            for range in [ContentRange::upload(start, end), ContentRange::answer(start, end, size)].into_iter().flatten() {
                prop_assert_eq!(range.to_string().parse(), Ok(range));
                prop_assert_eq!(range.len() - 1, end - start);
            }
        }

        #[test]
        fn parses_anything_without_panic(text in "(bytes )?[0-9*/ -]{0,30}|.{0,40}") {
            if let Ok(range) = text.parse::<ContentRange>() {
                prop_assert!(range.start() <= range.end());
            }
        }
    }
}
