//! Parameters, cookies and credentials of a request, read without trusting any of them.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use berth_apimachinery::status::Status;
use http::request::Parts;
use http::{HeaderMap, header};
use url::form_urlencoded;

/// Most parameters of a request.
const PARAMETERS: usize = 64;
/// Largest form, in bytes.
const FORM_LIMIT: usize = 64 << 10;
/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// Parameters by name. One that is given twice is an error (RFC 6749, section 3.1), and an empty one is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of the query.
    pub(crate) fn of_query(request: &Parts) -> Result<Params, Status> {
        Params::default().and(request.uri.query().unwrap_or_default().as_bytes())
    }

    /// Those of the query and of a form in the body.
    pub(crate) fn of_form(request: &Parts, body: &[u8]) -> Result<Params, Status> {
        let params = Params::of_query(request)?;
        if body.is_empty() {
            return Ok(params);
        }
        if body.len() > FORM_LIMIT {
            return Err(Status::too_large(FORM_LIMIT));
        }
        let media_type = request
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = media_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if !media_type.eq_ignore_ascii_case(FORM) {
            return Err(Status::unsupported_media_type(&[FORM]));
        }
        params.and(body)
    }

    fn and(mut self, encoded: &[u8]) -> Result<Params, Status> {
        for (name, value) in form_urlencoded::parse(encoded) {
            if value.is_empty() {
                continue;
            }
            match self.get(&name) {
                Some(held) if held == value => continue,
                Some(_) => {
                    return Err(Status::bad_request(format!(
                        "the parameter {name:?} is given twice"
                    )));
                }
                None => {}
            }
            if self.0.len() == PARAMETERS {
                return Err(Status::bad_request("there are too many parameters"));
            }
            self.0.push((name.into_owned(), value.into_owned()));
        }
        Ok(self)
    }

    /// A parameter's value, which is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter's value, or the empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Name and value of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// User name and password of `Authorization: Basic …`.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .trim()
        .split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A cookie's value.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(held, _)| *held == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, content_type: &str) -> Parts {
        let request = http::Request::post(uri).header(header::CONTENT_TYPE, content_type);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn parameters_of_query_and_form() {
        for (query, content_type, body, want) in [
            (
                "/?a=1&b=%20x",
                FORM,
                "c=3",
                Some(vec![("a", "1"), ("b", " x"), ("c", "3")]),
            ),
            ("/?a=1", FORM, "a=1", Some(vec![("a", "1")])),
            ("/?a=1", FORM, "a=2", None),
            ("/?a=1&a=2", FORM, "", None),
            ("/?a=&a=2", FORM, "", Some(vec![("a", "2")])),
            ("/", "application/json", "{}", None),
            (
                "/",
                "application/x-www-form-urlencoded; charset=utf-8",
                "a=1",
                Some(vec![("a", "1")]),
            ),
        ] {
            let got = Params::of_form(&request(query, content_type), body.as_bytes()).ok();
            let got: Option<Vec<(&str, &str)>> = got.as_ref().map(|params| params.iter().collect());
            assert_eq!(got, want, "{query} {body}");
        }
        let many: String = (0..100).map(|number| format!("p{number}=x&")).collect();
        assert!(Params::of_form(&request("/", FORM), many.as_bytes()).is_err());
        assert!(Params::of_form(&request("/", FORM), &vec![b'a'; FORM_LIMIT + 1]).is_err());
    }

    #[test]
    fn credentials_and_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(basic(&headers), None);
        // ann:pa:ss
        for (value, want) in [
            ("Basic YW5uOnBhOnNz", Some(("ann".to_owned(), "pa:ss".to_owned()))),
            (
                "basic  YW5uOnBhOnNz",
                Some(("ann".to_owned(), "pa:ss".to_owned())),
            ),
            ("Basic YW5u", None),
            ("Basic ???", None),
            ("Bearer YW5uOnBhOnNz", None),
        ] {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(basic(&headers), want, "{value}");
        }
        headers.append(header::COOKIE, "a=1; b=2".parse().unwrap());
        headers.append(header::COOKIE, "c=3=4".parse().unwrap());
        for (name, want) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", Some("3=4")),
            ("d", None),
        ] {
            assert_eq!(cookie(&headers, name), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_strangers_send_breaks_anything(form: Vec<u8>, header in "[ -~]{0,80}", name in "[a-z]{0,4}") {
            let _ = Params::of_form(&request("/?a=1", FORM), &form);
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, format!("Basic {header}").parse().unwrap());
            headers.insert(header::COOKIE, header.parse().unwrap());
            let _ = (basic(&headers), cookie(&headers, &name));
        }

        #[test]
        fn parameters_round_trip(pairs in proptest::collection::btree_map("[a-z]{1,8}", ".{1,20}", 0..8)) {
            let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let params = Params::of_form(&request("/", FORM), encoded.as_bytes()).unwrap();
            let got: std::collections::BTreeMap<String, String> =
                params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            proptest::prop_assert_eq!(got, pairs);
        }
    }
}
