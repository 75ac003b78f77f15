//! Every kind of content: pushed, listed, pulled, referred to, and deleted again.

use serde_json::Value;

use super::Report;
use super::blobs::{self, Form};
use super::client::{Answer, Client};
use super::content::{self, Algorithm, Content, INDEX, MANIFEST, fresh};

const ACCEPT: [(&str, &str); 2] = [("Accept", INDEX), ("Accept", MANIFEST)];

fn path(client: &Client, reference: &str) -> String {
    format!("/v2/{}/manifests/{reference}", client.first())
}

fn media_type(manifest: &[u8]) -> String {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest["mediaType"].as_str().unwrap_or(MANIFEST).to_owned()
}

fn put(client: &Client, reference: &str, manifest: &[u8]) -> Result<Answer, String> {
    client.send(
        "PUT",
        &path(client, reference),
        &[("Content-Type", &media_type(manifest))],
        manifest,
    )
}

/// Pushes a manifest and checks the answer, and that its location is the manifest.
fn push(client: &Client, reference: &str, digest: &str, manifest: &[u8]) -> Result<Answer, String> {
    let answer = put(client, reference, manifest)?;
    answer.expect(&[201])?;
    answer.expect_header("docker-content-digest", digest)?;
    let parsed: Value = serde_json::from_slice(manifest).unwrap_or_default();
    if let Some(subject) = parsed["subject"]["digest"].as_str() {
        answer.expect_header("oci-subject", subject)?;
    }
    let pulled = client.send("GET", &answer.need("location")?, &ACCEPT, &[])?;
    served(&pulled, digest, manifest, false)?;
    Ok(answer)
}

fn served(answer: &Answer, digest: &str, manifest: &[u8], head: bool) -> Result<(), String> {
    answer.expect(&[200])?;
    answer.expect_header("content-type", &media_type(manifest))?;
    answer.expect_header("content-length", &manifest.len().to_string())?;
    answer.expect_header("docker-content-digest", digest)?;
    let want: &[u8] = if head { &[] } else { manifest };
    if answer.body == want {
        Ok(())
    } else {
        Err("the manifest is another one".to_owned())
    }
}

/// The referrers of a subject, those of one type where one is given.
pub(super) fn referrers(
    client: &Client,
    subject: &str,
    artifact_type: Option<&str>,
) -> Result<Vec<Value>, String> {
    let mut url = format!("/v2/{}/referrers/{subject}", client.first());
    if let Some(artifact_type) = artifact_type {
        url.push_str(&format!(
            "?artifactType={}",
            artifact_type.replace('/', "%2F").replace('+', "%2B")
        ));
    }
    let answer = client.send("GET", &url, &[], &[])?;
    answer.expect(&[200])?;
    answer.expect_header("content-type", INDEX)?;
    if artifact_type.is_some() {
        answer.expect_header("oci-filters-applied", "artifactType")?;
    }
    let index: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if index["mediaType"] != INDEX || index["schemaVersion"] != 2 {
        return Err(format!("not an index: {index}"));
    }
    index["manifests"]
        .as_array()
        .cloned()
        .ok_or_else(|| "no manifests".to_owned())
}

fn tags(client: &Client, query: &str) -> Result<Vec<String>, String> {
    let answer = client.send(
        "GET",
        &format!("/v2/{}/tags/list{query}", client.first()),
        &[],
        &[],
    )?;
    answer.expect(&[200, 404])?;
    if answer.status == 404 {
        return Ok(Vec::new());
    }
    let list: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let tags = list["tags"].as_array().ok_or("no tags")?;
    Ok(tags.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

pub(super) fn walk(client: &Client, report: &mut Report) {
    for content in content::every() {
        pushes(client, report, &content);
        lists(client, report, &content);
        if !content.broken {
            pulls(client, report, &content);
        }
        refers(client, report, &content);
        deletes(client, report, &content);
    }
    errors(client, report);
}

fn named(content: &Content) -> String {
    format!("{} ({:?})", content.name, content.algorithm)
}

fn pushes(client: &Client, report: &mut Report, content: &Content) {
    let forms = [Form::PostPut, Form::PostOnly, Form::Stream, blobs::IN_ORDER];
    for ((digest, blob), form) in content.blobs.iter().zip(forms.into_iter().cycle()) {
        let pushed = blobs::push(client, client.first(), form, (digest, blob), 201);
        report.check(|| format!("{} blob push {form:?}", named(content)), pushed);
    }
    for (digest, manifest) in &content.manifests {
        let wanted: Vec<&str> = match content.tag_parameters {
            true => content
                .tags
                .iter()
                .filter(|(_, to)| *to == digest)
                .map(|(tag, _)| tag.as_str())
                .collect(),
            false => Vec::new(),
        };
        let query: String = wanted
            .iter()
            .enumerate()
            .map(|(n, tag)| format!("{}tag={tag}", if n == 0 { '?' } else { '&' }))
            .collect();
        let pushed = if content.broken {
            put(client, digest, manifest).and_then(|answer| answer.expect(&[400]))
        } else {
            push(client, &format!("{digest}{query}"), digest, manifest).and_then(|answer| {
                let set: Vec<&str> = answer
                    .headers("oci-tag")
                    .flat_map(|tags| tags.split(','))
                    .map(str::trim)
                    .collect();
                match wanted.iter().find(|tag| !set.contains(tag)) {
                    Some(tag) => Err(format!("OCI-Tag does not name {tag}: {set:?}")),
                    None => Ok(()),
                }
            })
        };
        report.check(|| format!("{} push by digest", named(content)), pushed);
    }
    for (tag, digest) in content.tags.iter().filter(|_| !content.tag_parameters) {
        let manifest = manifest(content, digest);
        let pushed = push(client, tag, digest, manifest).map(drop);
        report.check(|| format!("{} push of tag {tag}", named(content)), pushed);
    }
}

fn manifest<'a>(content: &'a Content, digest: &str) -> &'a [u8] {
    content
        .manifests
        .iter()
        .find(|(own, _)| own == digest)
        .map_or(&[], |(_, manifest)| manifest)
}

fn lists(client: &Client, report: &mut Report, content: &Content) {
    let listed = tags(client, "").and_then(|all| {
        if let Some(tag) = content.tags.keys().find(|tag| !all.contains(tag)) {
            return Err(format!("{tag} is missing in {all:?}"));
        }
        if !all.is_sorted() {
            return Err(format!("{all:?} is not sorted"));
        }
        let middle = all.len() / 2;
        if middle > 0 {
            let after = tags(client, &format!("?last={}", all[middle - 1]))?;
            if after != all[middle..] {
                return Err(format!(
                    "after {} come {after:?}, not {:?}",
                    all[middle - 1],
                    &all[middle..]
                ));
            }
        }
        Ok(())
    });
    report.check(|| format!("{} tags", named(content)), listed);
}

fn pulls(client: &Client, report: &mut Report, content: &Content) {
    let by_digest = content.manifests.iter().map(|(digest, _)| (digest, digest));
    for (reference, digest) in content.tags.iter().chain(by_digest) {
        let manifest = manifest(content, digest);
        for method in ["HEAD", "GET"] {
            let answer = client.send(method, &path(client, reference), &ACCEPT, &[]);
            let checked = answer.and_then(|answer| served(&answer, digest, manifest, method == "HEAD"));
            report.check(|| format!("{} {method} of {reference}", named(content)), checked);
        }
    }
    for (digest, blob) in &content.blobs {
        report.check(
            || format!("{} blob head", named(content)),
            blobs::head(client, client.first(), digest, blob),
        );
        report.check(
            || format!("{} blob get", named(content)),
            blobs::get(client, client.first(), digest, blob),
        );
    }
}

fn refers(client: &Client, report: &mut Report, content: &Content) {
    for (subject, wanted) in &content.referrers {
        let compare =
            |found: Vec<Value>, wanted: Vec<&Value>| match wanted.iter().find(|want| !found.contains(want)) {
                Some(want) => Err(format!("{want} is missing in {found:?}")),
                None if found.len() != wanted.len() => Err(format!("there are others: {found:?}")),
                None => Ok(()),
            };
        let all = referrers(client, subject, None).and_then(|found| compare(found, wanted.iter().collect()));
        report.check(|| format!("{} referrers", named(content)), all);
        for artifact_type in wanted.iter().filter_map(|want| want["artifactType"].as_str()) {
            let some = wanted
                .iter()
                .filter(|want| want["artifactType"] == artifact_type)
                .collect();
            let found =
                referrers(client, subject, Some(artifact_type)).and_then(|found| compare(found, some));
            report.check(
                || format!("{} referrers of {artifact_type}", named(content)),
                found,
            );
        }
    }
}

fn deletes(client: &Client, report: &mut Report, content: &Content) {
    let newest_first = content.manifests.iter().rev().map(|(digest, _)| digest);
    for reference in content.tags.keys().chain(newest_first) {
        let url = path(client, reference);
        // A manifest that was refused is not there to be deleted.
        let answer = client.send("DELETE", &url, &[], &[]);
        let deleted = answer.and_then(|answer| answer.expect(if content.broken { &[404] } else { &[202] }));
        report.check(|| format!("{} delete of {reference}", named(content)), deleted);
        let gone = client
            .send("HEAD", &url, &ACCEPT, &[])
            .and_then(|answer| answer.expect(&[404]));
        report.check(|| format!("{} {reference} is gone", named(content)), gone);
    }
    for digest in content.blobs.keys() {
        report.check(
            || format!("{} blob delete", named(content)),
            blobs::delete(client, client.first(), digest),
        );
    }
    for subject in content.referrers.keys() {
        let none = referrers(client, subject, None).and_then(|found| {
            if found.is_empty() {
                Ok(())
            } else {
                Err(format!("still listed: {found:?}"))
            }
        });
        report.check(|| format!("{} referrers are gone", named(content)), none);
    }
}

fn errors(client: &Client, report: &mut Report) {
    let missing = Algorithm::Sha256.digest(&fresh().to_le_bytes());
    for (method, reference, want) in [
        ("GET", missing.as_str(), &[404][..]),
        ("GET", "missing-tag", &[404]),
        ("GET", "sha256:baddigeststring", &[400, 404]),
        ("PUT", "sha256:baddigeststring", &[400]),
    ] {
        let body: &[u8] = if method == "PUT" {
            br#"{"schemaVersion":2}"#
        } else {
            &[]
        };
        let answer = client.send(
            method,
            &path(client, reference),
            &[("Content-Type", MANIFEST)],
            body,
        );
        report.check(
            || format!("{method} {reference}"),
            answer.and_then(|answer| answer.expect(want)),
        );
    }
}
