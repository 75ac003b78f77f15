//! Where everything lives in storage: the layout of docker-registry below `docker/registry/v2`, so that either registry
//! serves what the other stored. `_referrers` is Berth's own; docker-registry does not look at names it does not know.
//!
//! ```text
//! blobs/<alg>/<2 hex>/<hex>/data
//! repositories/<name>/
//!   _layers/<alg>/<hex>/link                                 "<alg>:<hex>"
//!   _manifests/revisions/<alg>/<hex>/link
//!   _manifests/tags/<tag>/current/link
//!   _manifests/tags/<tag>/index/<alg>/<hex>/link
//!   _referrers/<alg>/<hex of subject>/<alg>/<hex>/descriptor descriptor of the referrer, JSON
//!   _uploads/<id>/{data,startedat}
//!   _uploads/<id>/hashstates/<alg>/<offset>
//! ```

use berth_blobs::BlobPath;
use berth_oci::{Algorithm, Digest, RepositoryName, Tag};

use crate::upload::SessionId;

/// Directory of everything the registry stores.
pub(crate) const ROOT: &str = "/docker/registry/v2";
/// Directory of all repositories, below [`ROOT`].
const REPOSITORIES: &str = "/docker/registry/v2/repositories";
/// Directory of a repository's links to its blobs.
pub(crate) const LAYERS: &str = "_layers";
/// Directory of a repository's manifests and tags. Its presence makes a directory a repository.
pub(crate) const MANIFESTS: &str = "_manifests";
/// Directory of a repository's upload sessions.
pub(crate) const UPLOADS: &str = "_uploads";
/// Directory of a repository's referrers, by subject.
pub(crate) const REFERRERS: &str = "_referrers";

fn path(text: &str) -> BlobPath {
    // Names, tags, digests and session ids are validated types whose characters are all allowed in paths, and the longest
    // of each together stay far below the longest path.
    text.parse().expect("validated parts make a valid path")
}

fn repository(name: &RepositoryName) -> String {
    format!("{REPOSITORIES}/{name}")
}

fn fan(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}/{hex}", digest.algorithm())
}

/// The bytes of a blob.
pub(crate) fn data(digest: &Digest) -> BlobPath {
    let hex = digest.hex();
    path(&format!(
        "{ROOT}/blobs/{}/{}/{hex}/data",
        digest.algorithm(),
        &hex[..2]
    ))
}

/// The directories whose 256 subdirectories hold all blobs of the digest that everybody uses: a driver on a file system had
/// better make them before the first push than during it.
#[must_use]
pub fn fan_out() -> Vec<BlobPath> {
    vec![path(&format!("{ROOT}/blobs/{}", Algorithm::Sha256))]
}

/// The directory of everything about a repository, or of those below a part of a name.
///
/// `name` comes from listings of storage, so it is a path, but not necessarily a repository name; none when it is too
/// long to be one.
pub(crate) fn directory(name: &str) -> Option<BlobPath> {
    if name.is_empty() {
        REPOSITORIES.parse().ok()
    } else {
        format!("{REPOSITORIES}/{name}").parse().ok()
    }
}

/// A directory of a repository: [`LAYERS`], [`MANIFESTS`], [`UPLOADS`], [`REFERRERS`].
pub(crate) fn part(name: &RepositoryName, part: &str) -> BlobPath {
    path(&format!("{}/{part}", repository(name)))
}

/// What makes a blob part of a repository.
pub(crate) fn layer_link(name: &RepositoryName, digest: &Digest) -> BlobPath {
    path(&format!("{}/{LAYERS}/{}/link", repository(name), fan(digest)))
}

/// What makes a manifest part of a repository.
pub(crate) fn manifest_link(name: &RepositoryName, digest: &Digest) -> BlobPath {
    path(&format!(
        "{}/{MANIFESTS}/revisions/{}/link",
        repository(name),
        fan(digest)
    ))
}

/// The directory of the links of all manifests whose digest has an algorithm.
pub(crate) fn revisions(name: &RepositoryName, algorithm: Algorithm) -> BlobPath {
    path(&format!("{}/{MANIFESTS}/revisions/{algorithm}", repository(name)))
}

/// The directory of all tags.
pub(crate) fn tags(name: &RepositoryName) -> BlobPath {
    path(&format!("{}/{MANIFESTS}/tags", repository(name)))
}

/// The directory of one tag.
pub(crate) fn tag(name: &RepositoryName, tag: &Tag) -> BlobPath {
    path(&format!("{}/{MANIFESTS}/tags/{tag}", repository(name)))
}

/// What a tag points to.
pub(crate) fn tag_current(name: &RepositoryName, tag: &Tag) -> BlobPath {
    path(&format!(
        "{}/{MANIFESTS}/tags/{tag}/current/link",
        repository(name)
    ))
}

/// One of the manifests a tag has ever pointed to.
pub(crate) fn tag_index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> BlobPath {
    path(&format!(
        "{}/{MANIFESTS}/tags/{tag}/index/{}/link",
        repository(name),
        fan(digest)
    ))
}

/// The directory of the referrers of a subject that have an algorithm.
pub(crate) fn referrers(name: &RepositoryName, subject: &Digest, algorithm: Algorithm) -> BlobPath {
    path(&format!(
        "{}/{REFERRERS}/{}/{algorithm}",
        repository(name),
        fan(subject)
    ))
}

/// The directory of one referrer.
pub(crate) fn referrer_directory(name: &RepositoryName, subject: &Digest, digest: &Digest) -> BlobPath {
    path(&format!(
        "{}/{REFERRERS}/{}/{}",
        repository(name),
        fan(subject),
        fan(digest)
    ))
}

/// The descriptor of one referrer.
pub(crate) fn referrer(name: &RepositoryName, subject: &Digest, digest: &Digest) -> BlobPath {
    path(&format!(
        "{}/{REFERRERS}/{}/{}/descriptor",
        repository(name),
        fan(subject),
        fan(digest)
    ))
}

/// The directory of one upload session.
pub(crate) fn upload(name: &RepositoryName, session: &SessionId) -> BlobPath {
    path(&format!("{}/{UPLOADS}/{session}", repository(name)))
}

/// The bytes that have arrived.
pub(crate) fn upload_data(name: &RepositoryName, session: &SessionId) -> BlobPath {
    path(&format!("{}/{UPLOADS}/{session}/data", repository(name)))
}

/// When the session began, RFC 3339.
pub(crate) fn upload_started(name: &RepositoryName, session: &SessionId) -> BlobPath {
    path(&format!("{}/{UPLOADS}/{session}/startedat", repository(name)))
}

/// The directory of the hash states of an algorithm, named by offset.
pub(crate) fn hash_states(name: &RepositoryName, session: &SessionId, algorithm: Algorithm) -> BlobPath {
    path(&format!(
        "{}/{UPLOADS}/{session}/hashstates/{algorithm}",
        repository(name)
    ))
}

/// The state of the hash after `offset` bytes.
pub(crate) fn hash_state(
    name: &RepositoryName,
    session: &SessionId,
    algorithm: Algorithm,
    offset: u64,
) -> BlobPath {
    path(&format!(
        "{}/{UPLOADS}/{session}/hashstates/{algorithm}/{offset}",
        repository(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_docker_registry() {
        let name: RepositoryName = "a/b".parse().unwrap();
        let tag_name: Tag = "v1.0".parse().unwrap();
        let digest = Digest::sha256(b"");
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let session: SessionId = "4dfc1b02-aaaa-4bbb-8ccc-0123456789ab".parse().unwrap();
        for (path, want) in [
            (data(&digest), format!("blobs/sha256/e3/{hex}/data")),
            (
                layer_link(&name, &digest),
                format!("repositories/a/b/_layers/sha256/{hex}/link"),
            ),
            (
                manifest_link(&name, &digest),
                format!("repositories/a/b/_manifests/revisions/sha256/{hex}/link"),
            ),
            (
                tag_current(&name, &tag_name),
                "repositories/a/b/_manifests/tags/v1.0/current/link".to_owned(),
            ),
            (
                tag_index(&name, &tag_name, &digest),
                format!("repositories/a/b/_manifests/tags/v1.0/index/sha256/{hex}/link"),
            ),
            (
                upload_data(&name, &session),
                format!("repositories/a/b/_uploads/{session}/data"),
            ),
            (
                upload_started(&name, &session),
                format!("repositories/a/b/_uploads/{session}/startedat"),
            ),
            (
                hash_state(&name, &session, Algorithm::Sha256, 16),
                format!("repositories/a/b/_uploads/{session}/hashstates/sha256/16"),
            ),
            (directory("").unwrap(), "repositories".to_owned()),
            (directory("a").unwrap(), "repositories/a".to_owned()),
            (part(&name, MANIFESTS), "repositories/a/b/_manifests".to_owned()),
        ] {
            assert_eq!(path.as_str(), format!("{ROOT}/{want}"));
        }
    }
}
