//! Every form of upload, and reading and deleting what was uploaded.

use super::Report;
use super::client::{Answer, Client};
use super::content::{Algorithm, fresh};
use crate::image::noise;

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");
/// Smallest chunk that is sent.
const CHUNK: usize = 1024;

/// A form of upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    PostOnly,
    PostPut,
    Stream,
    Chunks { put_last: bool, out_of_order: bool },
}

pub(super) const IN_ORDER: Form = Form::Chunks {
    put_last: false,
    out_of_order: false,
};

/// A closing request ends with this status.
const CREATED: u16 = 201;
const REFUSED: u16 = 400;

/// The location with the digest that closes the upload.
fn closing(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

fn path(name: &str, digest: &str) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// Uploads a blob; `want` is the status in which that ends.
pub(super) fn push(
    client: &Client,
    name: &str,
    form: Form,
    (digest, content): (&str, &[u8]),
    want: u16,
) -> Result<(), String> {
    let start = format!("/v2/{name}/blobs/uploads/");
    let answer = match form {
        Form::PostOnly => client.send("POST", &closing(&start, digest), &[OCTETS], content)?,
        Form::PostPut => {
            let location = started(client, &start)?;
            client.send("PUT", &closing(&location, digest), &[OCTETS], content)?
        }
        Form::Stream => {
            let location = started(client, &start)?;
            let streamed = [OCTETS, ("Transfer-Encoding", "chunked")];
            let answer = client.send("PATCH", &location, &streamed, content)?;
            answer.expect(&[202])?;
            client.send("PUT", &closing(&answer.need("location")?, digest), &[OCTETS], &[])?
        }
        Form::Chunks {
            put_last,
            out_of_order,
        } => chunks(
            client,
            started(client, &start)?,
            (digest, content),
            put_last,
            out_of_order,
        )?,
    };
    answer.expect(&[want])?;
    if want == CREATED {
        uploaded(client, &answer, digest, content)
    } else {
        Ok(())
    }
}

fn started(client: &Client, path: &str) -> Result<String, String> {
    let answer = client.send("POST", path, &[], &[])?;
    answer.expect(&[202])?;
    answer.need("location")
}

fn chunks(
    client: &Client,
    mut location: String,
    (digest, content): (&str, &[u8]),
    put_last: bool,
    out_of_order: bool,
) -> Result<Answer, String> {
    let size = (content.len() / 3 + 1).max(CHUNK).min(content.len());
    let mut start = 0;
    while start < content.len() {
        if out_of_order {
            let wrong = if start + size < content.len() {
                start + size
            } else {
                0
            };
            let end = (wrong + size).min(content.len());
            let range = format!("{wrong}-{}", end - 1);
            let last = put_last && end == content.len();
            let (method, url) = if last {
                ("PUT", closing(&location, digest))
            } else {
                ("PATCH", location.clone())
            };
            let headers = [OCTETS, ("Content-Range", range.as_str())];
            client
                .send(method, &url, &headers, &content[wrong..end])?
                .expect(&[416])?;
            let answer = client.send("GET", &url, &[], &[])?;
            answer.expect(&[204])?;
            answer.expect_header("range", &format!("0-{}", start.saturating_sub(1)))?;
            location = answer.need("location")?;
        }
        let end = (start + size).min(content.len());
        let range = format!("{start}-{}", end - 1);
        let headers = [OCTETS, ("Content-Range", range.as_str())];
        if put_last && end == content.len() {
            return client.send("PUT", &closing(&location, digest), &headers, &content[start..end]);
        }
        let answer = client.send("PATCH", &location, &headers, &content[start..end])?;
        answer.expect(&[202])?;
        location = answer.need("location")?;
        start = end;
    }
    client.send("PUT", &closing(&location, digest), &[OCTETS], &[])
}

/// Checks the answer to an upload, and that its location is the blob.
fn uploaded(client: &Client, answer: &Answer, digest: &str, content: &[u8]) -> Result<(), String> {
    answer.expect_header("docker-content-digest", digest)?;
    served(
        &client.send("GET", &answer.need("location")?, &[], &[])?,
        digest,
        content,
        false,
    )
}

/// Checks that an answer is a blob.
fn served(answer: &Answer, digest: &str, content: &[u8], head: bool) -> Result<(), String> {
    answer.expect(&[200])?;
    answer.expect_header("content-length", &content.len().to_string())?;
    answer.expect_header("docker-content-digest", digest)?;
    let want: &[u8] = if head { &[] } else { content };
    if answer.body == want {
        Ok(())
    } else {
        Err("the content is another one".to_owned())
    }
}

pub(super) fn head(client: &Client, name: &str, digest: &str, content: &[u8]) -> Result<(), String> {
    served(
        &client.send("HEAD", &path(name, digest), &[], &[])?,
        digest,
        content,
        true,
    )
}

pub(super) fn get(client: &Client, name: &str, digest: &str, content: &[u8]) -> Result<(), String> {
    served(
        &client.send("GET", &path(name, digest), &[], &[])?,
        digest,
        content,
        false,
    )
}

/// Deletes a blob, which must be gone at once. Another kind of content may have had the same blob and deleted it.
pub(super) fn delete(client: &Client, name: &str, digest: &str) -> Result<(), String> {
    client
        .send("DELETE", &path(name, digest), &[], &[])?
        .expect(&[202, 404])?;
    client.send("HEAD", &path(name, digest), &[], &[])?.expect(&[404])
}

/// Mounts a blob; whether that worked without an upload.
fn mount(client: &Client, from: Option<&str>, digest: &str, content: &[u8]) -> Result<bool, String> {
    let mut url = format!("/v2/{}/blobs/uploads/?mount={digest}", client.first());
    if let Some(from) = from {
        url.push_str(&format!("&from={from}"));
    }
    let answer = client.send("POST", &url, &[], &[])?;
    answer.expect(&[201, 202])?;
    if answer.status == 201 {
        uploaded(client, &answer, digest, content)?;
        return Ok(true);
    }
    let answer = client.send(
        "PUT",
        &closing(&answer.need("location")?, digest),
        &[OCTETS],
        content,
    )?;
    answer.expect(&[201])?;
    Ok(false)
}

fn mounts(
    client: &Client,
    from: Option<&str>,
    want: bool,
    digest: &str,
    content: &[u8],
) -> Result<(), String> {
    let mounted = mount(client, from, digest, content)?;
    if mounted == want {
        Ok(())
    } else {
        Err(format!("mounted: {mounted}, instead of {want}"))
    }
}

pub(super) fn walk(client: &Client, report: &mut Report) {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        forms(client, report, algorithm);
        ranges(client, report, algorithm);
    }
}

fn forms(client: &Client, report: &mut Report, algorithm: Algorithm) {
    let (first, second) = (client.first(), client.second());
    let blob = |size: usize| {
        let content = noise(fresh(), size);
        (algorithm.digest(&content), content)
    };
    let (missing, _) = blob(512);
    let answer = client.send("GET", &path(first, &missing), &[], &[]);
    report.check(
        || format!("{algorithm:?} missing"),
        answer.and_then(|answer| answer.expect(&[404])),
    );

    let mut uploads = vec![
        (Form::PostOnly, 512),
        (Form::PostPut, 512),
        (IN_ORDER, 512),
        (Form::Stream, 512),
    ];
    for put_last in [false, true] {
        for out_of_order in [false, true] {
            uploads.push((
                Form::Chunks {
                    put_last,
                    out_of_order,
                },
                CHUNK * 3 - 5,
            ));
        }
    }
    for (form, size) in uploads {
        let (digest, content) = blob(size);
        let pushed = push(client, first, form, (&digest, &content), CREATED);
        report.check(|| format!("{algorithm:?} {form:?} push"), pushed);
        life(
            client,
            report,
            || format!("{algorithm:?} {form:?}"),
            &digest,
            &content,
        );
    }
    for (what, from, there) in [
        ("mount", Some(second), true),
        ("anonymous mount", None, true),
        ("missing mount", Some(second), false),
    ] {
        let (digest, content) = blob(512);
        if there {
            let pushed = push(client, second, Form::PostPut, (&digest, &content), CREATED);
            report.check(|| format!("{algorithm:?} {what} push"), pushed);
        }
        report.check(
            || format!("{algorithm:?} {what}"),
            mounts(client, from, there, &digest, &content),
        );
        life(
            client,
            report,
            || format!("{algorithm:?} {what}"),
            &digest,
            &content,
        );
        report.check(
            || format!("{algorithm:?} {what} source delete"),
            delete(client, second, &digest),
        );
    }
    let cancelled = started(client, &format!("/v2/{first}/blobs/uploads/"))
        .and_then(|location| client.send("DELETE", &location, &[], &[]))
        .and_then(|answer| answer.expect(&[204]));
    report.check(|| format!("{algorithm:?} cancel"), cancelled);
    for (what, content) in [("empty", &b""[..]), ("empty JSON", b"{}")] {
        let digest = algorithm.digest(content);
        for form in [Form::PostOnly, Form::PostPut, Form::Stream, IN_ORDER] {
            let pushed = push(client, first, form, (&digest, content), CREATED);
            report.check(|| format!("{algorithm:?} {what} {form:?} push"), pushed);
            life(
                client,
                report,
                || format!("{algorithm:?} {what} {form:?}"),
                &digest,
                content,
            );
        }
    }
    for form in [
        Form::PostOnly,
        Form::PostPut,
        Form::Stream,
        IN_ORDER,
        Form::Chunks {
            put_last: true,
            out_of_order: false,
        },
    ] {
        let (digest, mut content) = blob(CHUNK * 3 - 5);
        content.extend_from_slice(b"oh no");
        let refused = push(client, first, form, (&digest, &content), REFUSED);
        report.check(|| format!("{algorithm:?} {form:?} with a wrong digest"), refused);
        let answer = client.send("GET", &path(first, &digest), &[], &[]);
        report.check(
            || format!("{algorithm:?} {form:?} left nothing"),
            answer.and_then(|answer| answer.expect(&[404])),
        );
    }
}

/// What happens to a blob that was pushed.
fn life(client: &Client, report: &mut Report, what: impl Fn() -> String, digest: &str, content: &[u8]) {
    report.check(
        || format!("{} head", what()),
        head(client, client.first(), digest, content),
    );
    report.check(
        || format!("{} get", what()),
        get(client, client.first(), digest, content),
    );
    report.check(
        || format!("{} delete", what()),
        delete(client, client.first(), digest),
    );
}

fn ranges(client: &Client, report: &mut Report, algorithm: Algorithm) {
    const SIZE: usize = 2048;
    let content = noise(fresh(), SIZE);
    let digest = algorithm.digest(&content);
    let pushed = push(
        client,
        client.first(),
        Form::PostPut,
        (&digest, &content),
        CREATED,
    );
    report.check(|| format!("{algorithm:?} ranges push"), pushed);
    for (range, want) in [
        ("500-1499", Some(500..1500)),
        ("500-", Some(500..SIZE)),
        ("-500", Some(SIZE - 500..SIZE)),
        ("2000-5000", Some(2000..SIZE)),
        ("500-0", None),
        ("5000-10000", None),
    ] {
        let header = format!("bytes={range}");
        let answer = client.send("GET", &path(client.first(), &digest), &[("Range", &header)], &[]);
        let checked = answer.and_then(|answer| {
            let Some(want) = want else {
                return answer.expect(&[416]);
            };
            answer.expect(&[206])?;
            answer.expect_header(
                "content-range",
                &format!("bytes {}-{}/{SIZE}", want.start, want.end - 1),
            )?;
            answer.expect_header("content-length", &want.len().to_string())?;
            if answer.body == content[want] {
                Ok(())
            } else {
                Err("the content is another one".to_owned())
            }
        });
        report.check(|| format!("{algorithm:?} range {range}"), checked);
    }
    report.check(
        || format!("{algorithm:?} ranges delete"),
        delete(client, client.first(), &digest),
    );
}
