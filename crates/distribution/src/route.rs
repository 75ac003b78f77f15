//! The paths of the distribution protocol. Repository names contain slashes and may contain every word the protocol
//! itself uses, so a path is read from its end.

use std::borrow::Cow;

use berth_oci::RepositoryName;
use http::Method;
use percent_encoding::percent_decode_str;

use crate::Needs;

/// The prefix of every path of the protocol.
pub const PREFIX: &str = "/v2/";

/// What a path names. References and digests are as the client spelled them: they are parsed after authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v2/` (end-1).
    Base,
    /// `/v2/_catalog`, from the Docker registry API.
    Catalog,
    /// `/v2/<name>/tags/list` (end-8).
    Tags {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/manifests/<reference>` (end-3, end-7, end-9).
    Manifest {
        /// The repository.
        name: RepositoryName,
        /// A tag or a digest.
        reference: String,
    },
    /// `/v2/<name>/blobs/<digest>` (end-2, end-10).
    Blob {
        /// The repository.
        name: RepositoryName,
        /// The digest.
        digest: String,
    },
    /// `/v2/<name>/blobs/uploads/` (end-4, end-11).
    Uploads {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/blobs/uploads/<session>` (end-5, end-6, end-13, end-14).
    Upload {
        /// The repository.
        name: RepositoryName,
        /// The id of the session.
        session: String,
    },
    /// `/v2/<name>/referrers/<digest>` (end-12).
    Referrers {
        /// The repository.
        name: RepositoryName,
        /// The digest of the subject.
        digest: String,
    },
}

/// Why a path has no [`Route`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is served there.
    #[error("the registry serves nothing at this path")]
    NotFound,
    /// `/v2` without its slash; clients are redirected.
    #[error("the base of the protocol is /v2/")]
    MissingSlash,
    /// The repository name is malformed.
    #[error("\"{name}\" is not a repository name")]
    NameInvalid {
        /// The name, as the client spelled it.
        name: String,
        /// What is wrong with it.
        #[source]
        source: berth_oci::name::NameError,
    },
}

/// Reads a path.
///
/// # Errors
/// [`Error::NotFound`] outside the protocol, [`Error::NameInvalid`] for a known path of a malformed repository.
pub fn parse(path: &str) -> Result<Route, Error> {
    let path: Cow<'_, str> = if path.contains('%') {
        percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| Error::NotFound)?
    } else {
        Cow::Borrowed(path)
    };
    if path == "/v2" {
        return Err(Error::MissingSlash);
    }
    let rest = path.strip_prefix(PREFIX).ok_or(Error::NotFound)?;
    match rest {
        "" => return Ok(Route::Base),
        "_catalog" => return Ok(Route::Catalog),
        _ => {}
    }
    // `uploads/` is the one route that ends in a slash; clients also leave it out.
    if let Some(name) = rest
        .strip_suffix("/blobs/uploads/")
        .or_else(|| rest.strip_suffix("/blobs/uploads"))
    {
        return Ok(Route::Uploads {
            name: repository(name)?,
        });
    }
    let (before, last) = rest.rsplit_once('/').ok_or(Error::NotFound)?;
    let (before, word) = before.rsplit_once('/').ok_or(Error::NotFound)?;
    if last.is_empty() || before.is_empty() {
        return Err(Error::NotFound);
    }
    match word {
        "tags" if last == "list" => Ok(Route::Tags {
            name: repository(before)?,
        }),
        "manifests" => Ok(Route::Manifest {
            name: repository(before)?,
            reference: last.to_owned(),
        }),
        "referrers" => Ok(Route::Referrers {
            name: repository(before)?,
            digest: last.to_owned(),
        }),
        "blobs" => Ok(Route::Blob {
            name: repository(before)?,
            digest: last.to_owned(),
        }),
        "uploads" => {
            let name = before.strip_suffix("/blobs").ok_or(Error::NotFound)?;
            Ok(Route::Upload {
                name: repository(name)?,
                session: last.to_owned(),
            })
        }
        _ => Err(Error::NotFound),
    }
}

fn repository(name: &str) -> Result<RepositoryName, Error> {
    name.parse().map_err(|source| Error::NameInvalid {
        name: name.to_owned(),
        source,
    })
}

impl Route {
    /// The methods the route answers to, as the value of an `Allow` header.
    #[must_use]
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Tags { .. } | Self::Referrers { .. } => "GET, HEAD",
            Self::Manifest { .. } => "GET, HEAD, PUT, DELETE",
            Self::Blob { .. } => "GET, HEAD, DELETE",
            Self::Uploads { .. } => "POST",
            Self::Upload { .. } => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }

    /// Whether the route answers to a method.
    #[must_use]
    pub fn allows(&self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// What a request with this method must be allowed to do. A method the route does not answer to needs as much as
    /// reading, so that a stranger learns nothing from a 405.
    #[must_use]
    pub fn needs(&self, method: &Method) -> Needs {
        match self {
            Self::Base => Needs::Identity,
            Self::Catalog => Needs::Catalog,
            Self::Tags { name } | Self::Referrers { name, .. } => Needs::Pull(name.clone()),
            Self::Manifest { name, reference } => match *method {
                Method::PUT => Needs::Push(name.clone()),
                Method::DELETE if is_digest(reference) => Needs::DeleteManifest {
                    name: name.clone(),
                    digest: reference.clone(),
                },
                Method::DELETE => Needs::DeleteTag {
                    name: name.clone(),
                    tag: reference.clone(),
                },
                _ => Needs::Pull(name.clone()),
            },
            Self::Blob { name, digest } => match *method {
                Method::DELETE => Needs::DeleteBlob {
                    name: name.clone(),
                    digest: digest.clone(),
                },
                _ => Needs::Pull(name.clone()),
            },
            Self::Uploads { name } => Needs::Push(name.clone()),
            Self::Upload { name, .. } => match *method {
                Method::GET | Method::HEAD => Needs::Pull(name.clone()),
                Method::DELETE => Needs::CancelUpload(name.clone()),
                _ => Needs::Push(name.clone()),
            },
        }
    }
}

/// A reference with a colon can only be meant as a digest: tags have none.
fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn paths() {
        let manifest = |n: &str, r: &str| {
            Ok(Route::Manifest {
                name: name(n),
                reference: r.to_owned(),
            })
        };
        let blob = |n: &str, d: &str| {
            Ok(Route::Blob {
                name: name(n),
                digest: d.to_owned(),
            })
        };
        let upload = |n: &str, s: &str| {
            Ok(Route::Upload {
                name: name(n),
                session: s.to_owned(),
            })
        };
        let uploads = |n: &str| Ok(Route::Uploads { name: name(n) });
        let tags = |n: &str| Ok(Route::Tags { name: name(n) });
        for (path, want) in [
            ("/v2/", Ok(Route::Base)),
            ("/v2", Err(Error::MissingSlash)),
            ("/v2//", Err(Error::NotFound)),
            ("/", Err(Error::NotFound)),
            ("/v1/", Err(Error::NotFound)),
            ("/v3/x", Err(Error::NotFound)),
            ("", Err(Error::NotFound)),
            ("/v2/_catalog", Ok(Route::Catalog)),
            ("/v2/_catalog/", Err(Error::NotFound)),
            ("/v2/a", Err(Error::NotFound)),
            ("/v2/a/b", Err(Error::NotFound)),
            ("/v2/tags/list", Err(Error::NotFound)),
            ("/v2/a/tags/list", tags("a")),
            ("/v2/a/tags/list/", Err(Error::NotFound)),
            ("/v2/a/tags/other", Err(Error::NotFound)),
            ("/v2/tags/list/tags/list", tags("tags/list")),
            ("/v2/tags/tags/list", tags("tags")),
            ("/v2/a/b/c/d/manifests/v1", manifest("a/b/c/d", "v1")),
            ("/v2/manifests/manifests/v1", manifest("manifests", "v1")),
            (
                "/v2/manifests/manifests/manifests",
                manifest("manifests", "manifests"),
            ),
            ("/v2/a/manifests/b/manifests/v1", manifest("a/manifests/b", "v1")),
            (
                "/v2/a/blobs/uploads/manifests/v1",
                manifest("a/blobs/uploads", "v1"),
            ),
            ("/v2/a/manifests/sha256:zz", manifest("a", "sha256:zz")),
            ("/v2/a/manifests/sha256%3Azz", manifest("a", "sha256:zz")),
            ("/v2/a/manifests/.BAD", manifest("a", ".BAD")),
            ("/v2/a/manifests/", Err(Error::NotFound)),
            ("/v2/manifests/v1", Err(Error::NotFound)),
            ("/v2/a/blobs/sha256:ab", blob("a", "sha256:ab")),
            ("/v2/blobs/blobs/sha256:ab", blob("blobs", "sha256:ab")),
            (
                "/v2/a/blobs/uploads/blobs/sha256:ab",
                blob("a/blobs/uploads", "sha256:ab"),
            ),
            ("/v2/a/blobs/uploads/", uploads("a")),
            ("/v2/a/blobs/uploads", uploads("a")),
            ("/v2/blobs/uploads/", Err(Error::NotFound)),
            ("/v2/blobs/blobs/uploads/", uploads("blobs")),
            ("/v2/a/blobs/uploads/blobs/uploads/", uploads("a/blobs/uploads")),
            ("/v2/a/blobs/uploads/1-2_3.=", upload("a", "1-2_3.=")),
            ("/v2/blobs/uploads/x", Err(Error::NotFound)),
            ("/v2/a/uploads/x", Err(Error::NotFound)),
            (
                "/v2/a/referrers/sha256:ab",
                Ok(Route::Referrers {
                    name: name("a"),
                    digest: "sha256:ab".to_owned(),
                }),
            ),
            ("/v2/a/%ff/manifests/v1", Err(Error::NotFound)),
        ] {
            assert_eq!(parse(path), want, "{path}");
        }
    }

    #[test]
    fn malformed_names() {
        for path in [
            "/v2/Team/tags/list",
            "/v2/a//b/manifests/v1",
            "/v2/-a/blobs/uploads/",
            "/v2/a_/blobs/sha256:a",
            "/v2/../blobs/x",
        ] {
            assert!(
                matches!(parse(path), Err(Error::NameInvalid { .. })),
                "{path}: {:?}",
                parse(path)
            );
        }
    }

    #[test]
    fn methods() {
        for (path, allowed) in [
            ("/v2/", "GET HEAD"),
            ("/v2/_catalog", "GET HEAD"),
            ("/v2/a/tags/list", "GET HEAD"),
            ("/v2/a/referrers/x", "GET HEAD"),
            ("/v2/a/manifests/x", "GET HEAD PUT DELETE"),
            ("/v2/a/blobs/x", "GET HEAD DELETE"),
            ("/v2/a/blobs/uploads/", "POST"),
            ("/v2/a/blobs/uploads/x", "GET HEAD PUT PATCH DELETE"),
        ] {
            let route = parse(path).unwrap();
            for method in [
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get",
            ] {
                let want = allowed.split(' ').any(|m| m == method);
                assert_eq!(
                    route.allows(&Method::from_bytes(method.as_bytes()).unwrap()),
                    want,
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn needs() {
        let a = || name("a");
        let text = str::to_owned;
        for (method, path, want) in [
            ("GET", "/v2/", Needs::Identity),
            ("GET", "/v2/_catalog", Needs::Catalog),
            ("GET", "/v2/a/tags/list", Needs::Pull(a())),
            ("HEAD", "/v2/a/manifests/x", Needs::Pull(a())),
            ("PUT", "/v2/a/manifests/x", Needs::Push(a())),
            ("OPTIONS", "/v2/a/manifests/x", Needs::Pull(a())),
            (
                "DELETE",
                "/v2/a/manifests/x",
                Needs::DeleteTag {
                    name: a(),
                    tag: text("x"),
                },
            ),
            (
                "DELETE",
                "/v2/a/manifests/sha256:x",
                Needs::DeleteManifest {
                    name: a(),
                    digest: text("sha256:x"),
                },
            ),
            ("GET", "/v2/a/blobs/x", Needs::Pull(a())),
            (
                "DELETE",
                "/v2/a/blobs/x",
                Needs::DeleteBlob {
                    name: a(),
                    digest: text("x"),
                },
            ),
            ("POST", "/v2/a/blobs/uploads/", Needs::Push(a())),
            ("GET", "/v2/a/blobs/uploads/x", Needs::Pull(a())),
            ("PATCH", "/v2/a/blobs/uploads/x", Needs::Push(a())),
            ("PUT", "/v2/a/blobs/uploads/x", Needs::Push(a())),
            ("DELETE", "/v2/a/blobs/uploads/x", Needs::CancelUpload(a())),
            ("GET", "/v2/a/referrers/x", Needs::Pull(a())),
        ] {
            let route = parse(path).unwrap();
            assert_eq!(
                route.needs(&Method::from_bytes(method.as_bytes()).unwrap()),
                want,
                "{method} {path}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_panic(path in "\\PC*") {
            drop(parse(&path));
        }

        #[test]
        fn any_name_round_trips(
            parts in proptest::collection::vec("tags|list|manifests|blobs|uploads|referrers|v2|[a-z0-9]{1,4}", 1..6),
            reference in "[a-z0-9]{1,8}",
        ) {
            let full = parts.join("/");
            prop_assert_eq!(parse(&format!("/v2/{full}/tags/list")), Ok(Route::Tags { name: name(&full) }));
            prop_assert_eq!(parse(&format!("/v2/{full}/blobs/uploads/")), Ok(Route::Uploads { name: name(&full) }));
            prop_assert_eq!(
                parse(&format!("/v2/{full}/manifests/{reference}")),
                Ok(Route::Manifest { name: name(&full), reference })
            );
        }
    }
}
