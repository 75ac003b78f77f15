//! Just enough HTTP: one request a connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where a registry listens without TLS, and as whom to speak to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// User and password for Basic authentication, also towards a token endpoint that is asked for.
    pub credentials: Option<(String, String)>,
    /// The repository that most content goes to.
    pub first: String,
    /// The repository that blobs are mounted from.
    pub second: String,
}

/// Speaks to a registry.
pub(super) struct Client {
    target: Target,
    /// What to send as `Authorization`, by repository and kind of access.
    authorization: RefCell<HashMap<String, String>>,
}

/// An answer, with its body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub(super) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Checks the status.
    pub(super) fn expect(&self, statuses: &[u16]) -> Result<(), String> {
        if statuses.contains(&self.status) {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]);
        Err(format!("status {} instead of {statuses:?}: {body}", self.status))
    }

    /// Checks that a header has a value.
    pub(super) fn expect_header(&self, name: &str, want: &str) -> Result<(), String> {
        match self.header(name) {
            Some(got) if got == want => Ok(()),
            got => Err(format!("header {name} is {got:?} instead of {want:?}")),
        }
    }

    /// The value of a header that must be there.
    pub(super) fn need(&self, name: &str) -> Result<String, String> {
        self.header(name)
            .map(str::to_owned)
            .ok_or_else(|| format!("no header {name}"))
    }
}

impl Client {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            authorization: RefCell::new(HashMap::new()),
        }
    }

    pub(super) fn first(&self) -> &str {
        &self.target.first
    }

    pub(super) fn second(&self) -> &str {
        &self.target.second
    }

    /// Sends a request, and once more with credentials when they are asked for.
    pub(super) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let key = format!(
            "{}:{}",
            matches!(method, "GET" | "HEAD"),
            url.split("/blobs/").next().unwrap_or_default()
        );
        let known = self.authorization.borrow().get(&key).cloned();
        let answer = self.exchange(method, url, headers, body, known.as_deref())?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let authorization = self.authorize(&answer)?;
        let answer = self.exchange(method, url, headers, body, Some(&authorization))?;
        self.authorization.borrow_mut().insert(key, authorization);
        Ok(answer)
    }

    /// What a challenge asks for.
    fn authorize(&self, challenged: &Answer) -> Result<String, String> {
        let Some((user, password)) = &self.target.credentials else {
            return Err("credentials are asked for".to_owned());
        };
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let challenge = challenged.need("www-authenticate")?;
        if !challenge.to_ascii_lowercase().contains("bearer") {
            return Ok(basic);
        }
        let parameter = |name: &str| {
            let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let realm = parameter("realm").ok_or("a challenge without realm")?;
        let mut url = format!("{realm}?service={}", parameter("service").unwrap_or_default());
        if let Some(scope) = parameter("scope") {
            url.push_str(&format!("&scope={scope}"));
        }
        let answer = self.exchange("GET", &url, &[], &[], Some(&basic))?;
        answer.expect(&[200])?;
        let token: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let token = token["access_token"]
            .as_str()
            .or(token["token"].as_str())
            .ok_or("no token in the answer")?;
        Ok(format!("Bearer {token}"))
    }

    fn exchange(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        authorization: Option<&str>,
    ) -> Result<Answer, String> {
        let (host, path) = match url.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)),
            None => (self.target.address.as_str(), url),
        };
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(authorization) = authorization {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        let chunked = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        if !chunked && !matches!(method, "GET" | "HEAD") {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let failed = |error: std::io::Error| format!("{method} {url}: {error}");
        let mut stream = TcpStream::connect(host).map_err(failed)?;
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .map_err(failed)?;
        stream.write_all(request.as_bytes()).map_err(failed)?;
        // A registry that refuses a large body may close before it has read all of it; its answer counts.
        if chunked {
            for chunk in body.chunks(1000) {
                drop(stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()));
                drop(stream.write_all(chunk));
                drop(stream.write_all(b"\r\n"));
            }
            drop(stream.write_all(b"0\r\n\r\n"));
        } else {
            drop(stream.write_all(body));
        }
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).map_err(failed)?;
        parse(&raw, method == "HEAD").ok_or_else(|| format!("{method} {url}: no HTTP answer: {raw:?}"))
    }
}

fn parse(raw: &[u8], head: bool) -> Option<Answer> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&raw[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(&raw[end + 4..], head);
    }
    let split = |line: &str| {
        line.split_once(':')
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(split).collect();
    let mut answer = Answer {
        status,
        headers,
        body: raw[end + 4..].to_vec(),
    };
    if answer
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        answer.body = join(&answer.body)?;
    } else if let Some(length) = answer.header("content-length").filter(|_| !head) {
        // A body that was cut off must not pass for a short one.
        if length.parse() != Ok(answer.body.len()) {
            return None;
        }
    }
    Some(answer)
}

/// Joins the chunks of a body.
fn join(mut raw: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = raw.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..line]).ok()?, 16).ok()?;
        raw = &raw[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(raw.get(..size)?);
        raw = raw.get(size + 2..)?;
    }
}
