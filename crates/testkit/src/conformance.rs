//! A walk through the whole distribution protocol, in the order of the suite that the OCI publishes: every form of upload
//! with either algorithm, then every kind of content pushed, listed, pulled, referred to and deleted again.
//!
//! It is written from the specification, not from the suite, and shares no code with the registry: what it knows of HTTP is
//! in `client`, what it pushes is made in `content`.

mod blobs;
mod client;
mod content;
mod manifests;

use self::client::Client;
pub use self::client::Target;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many checks passed.
    pub passed: usize,
    /// What failed, and how.
    pub failed: Vec<String>,
}

impl Report {
    fn check(&mut self, name: impl FnOnce() -> String, result: Result<(), String>) -> bool {
        match result {
            Ok(()) => {
                self.passed += 1;
                true
            }
            Err(error) => {
                self.failed.push(format!("{}: {error}", name()));
                false
            }
        }
    }
}

/// Walks through the protocol of a registry.
#[must_use]
pub fn walk(target: Target) -> Report {
    let client = Client::new(target);
    let mut report = Report::default();
    let first = client.first().to_owned();
    let ping = client
        .send("GET", "/v2/", &[], &[])
        .and_then(|answer| answer.expect(&[200]));
    report.check(|| "ping".to_owned(), ping);
    let tags = client.send("GET", &format!("/v2/{first}/tags/list"), &[], &[]);
    report.check(
        || "tags of an empty repository".to_owned(),
        tags.and_then(|answer| answer.expect(&[200, 404])),
    );
    let nothing = content::Algorithm::Sha256.digest(b"nothing refers to this");
    let none = manifests::referrers(&client, &nothing, None).map(drop);
    report.check(|| "referrers of what does not exist".to_owned(), none);
    blobs::walk(&client, &mut report);
    manifests::walk(&client, &mut report);
    report
}
