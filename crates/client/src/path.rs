use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Everything that would end or change a path segment.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

const IMAGE: &str = "/apis/image.openshift.io/v1";

/// A path of the image API: `resource` is the plural, `rest` an optional name and subresource.
pub(crate) fn image(namespace: Option<&str>, resource: &str, rest: &[&str]) -> String {
    let mut path = String::with_capacity(96);
    path.push_str(IMAGE);
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        push(&mut path, namespace);
    }
    path.push('/');
    path.push_str(resource);
    for segment in rest {
        path.push('/');
        push(&mut path, segment);
    }
    path
}

fn push(path: &mut String, name: &str) {
    path.extend(utf8_percent_encode(name, SEGMENT));
}

/// `name` as it may stand between two slashes.
pub(crate) fn segment(name: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(name, SEGMENT)
}

/// `value` as it may stand in a query.
pub(crate) fn query(value: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_cannot_leave_their_segment() {
        for (namespace, name, want) in [
            (
                "ns",
                "app",
                "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app",
            ),
            (
                "ns",
                "app:v1",
                "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app:v1",
            ),
            (
                "ns",
                "a/../b?x#y%",
                "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/a%2F..%2Fb%3Fx%23y%25",
            ),
        ] {
            assert_eq!(super::image(Some(namespace), "imagestreams", &[name]), want);
        }
        assert_eq!(
            super::image(None, "images", &["sha256:00"]),
            "/apis/image.openshift.io/v1/images/sha256:00"
        );
    }
}
