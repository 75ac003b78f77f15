//! The parameters of a request, decoded.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What is written as it is in a query: everything that needs no escape, and the colon of digests.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b'/');

/// The parameters of a request. Text that does not decode as UTF-8 is as if it was not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// The first value of a parameter.
    pub(crate) fn first(self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// Every value of a parameter, in order.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key)? == name).then(|| decode(value)).flatten()
        })
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode(spaced.as_bytes())
            .decode_utf8()
            .ok()
            .map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode(text.as_bytes()).decode_utf8().ok()
}

/// A value as it is written in a query.
pub(crate) fn encode(value: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(value, PLAIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters() {
        let query = Query("n=10&last=a%2Fb&tag=v1&tag=v+2&flag&bad=%ff&%6eame=x&=");
        for (name, want) in [
            ("n", vec!["10"]),
            ("last", vec!["a/b"]),
            ("tag", vec!["v1", "v 2"]),
            ("flag", vec![""]),
            ("bad", vec![]),
            ("name", vec!["x"]),
            ("none", vec![]),
        ] {
            assert_eq!(query.all(name).collect::<Vec<_>>(), want, "{name}");
            assert_eq!(query.first(name).as_deref(), want.first().copied(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value in "\\PC*") {
            let text = format!("a=b&x={}", encode(&value));
            prop_assert_eq!(Query(&text).first("x").unwrap(), value);
        }

        #[test]
        fn any_query_is_read_without_panic(text in "\\PC*") {
            prop_assert!(Query(&text).all("x").count() <= text.len() + 1);
        }
    }
}
