//! What the ports are asked, when, and what their answers do.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_blobs::MemoryDriver;
use berth_distribution::plain::PlainRepositories;
use berth_distribution::{
    Access, Body, Caller, Config, Distribution, Membership, Names, Needs, Operation, Pushed, Refusal,
    Repositories,
};
use berth_oci::{Digest, ErrorCode, RepositoryName, Tag};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::harness::{Registry, sha256};

/// Lets `X-User: reader` pull, `X-User: writer` push, and nobody else do anything; nobody may pull from `secret`.
struct Guard;

#[async_trait]
impl Access for Guard {
    async fn authorize(&self, head: &Parts, needs: &Needs) -> Result<Caller, Refusal> {
        let user = head
            .headers
            .get("x-user")
            .map_or("", |user| user.to_str().unwrap());
        let allowed = match needs {
            Needs::Identity | Needs::Pull(_) => matches!(user, "reader" | "writer"),
            _ => user == "writer",
        };
        match (user, allowed) {
            (_, true) => Ok(Caller::new(user, user.to_owned())),
            ("", _) => Err(Refusal::of(ErrorCode::Unauthorized, "authentication required")
                .with_challenge("Bearer realm=\"http://here/token\"")),
            (_, false) => {
                Err(Refusal::of(ErrorCode::Denied, "not for you").with_detail(json!({"user": user})))
            }
        }
    }

    async fn may_pull(&self, caller: &Caller, repository: &RepositoryName) -> Result<bool, Refusal> {
        Ok(caller.identity::<String>().unwrap() == "writer" && repository.as_str() != "secret")
    }
}

/// Records what it is asked, and may be told how to answer.
struct Recorder {
    plain: PlainRepositories,
    refuse: Mutex<Option<Refusal>>,
    membership: Mutex<Membership>,
    recorded: Mutex<Vec<Pushed>>,
}

#[async_trait]
impl Repositories for Recorder {
    async fn resolve_tag(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, Refusal> {
        self.plain.resolve_tag(caller, name, tag).await
    }

    async fn tags(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Names, Refusal> {
        self.plain.tags(caller, name, after, limit).await
    }

    async fn catalog(&self, caller: &Caller, after: Option<&str>, limit: usize) -> Result<Names, Refusal> {
        self.plain.catalog(caller, after, limit).await
    }

    async fn holds_manifest(
        &self,
        _: &Caller,
        _: &RepositoryName,
        _: &Digest,
    ) -> Result<Membership, Refusal> {
        Ok(*self.membership.lock().unwrap())
    }

    async fn holds_blob(&self, _: &Caller, _: &RepositoryName, _: &Digest) -> Result<Membership, Refusal> {
        Ok(*self.membership.lock().unwrap())
    }

    async fn admit_blob(&self, _: &Caller, _: &RepositoryName, _: Option<u64>) -> Result<(), Refusal> {
        self.refuse.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    async fn record_manifest(&self, _: &Caller, _: &RepositoryName, pushed: &Pushed) -> Result<(), Refusal> {
        if let Some(refusal) = self.refuse.lock().unwrap().clone() {
            return Err(refusal);
        }
        self.recorded.lock().unwrap().push(pushed.clone());
        Ok(())
    }

    async fn delete_tag(&self, _: &Caller, _: &RepositoryName, _: &Tag) -> Result<bool, Refusal> {
        self.refuse.lock().unwrap().clone().map_or(Ok(false), Err)
    }

    async fn delete_manifest(&self, _: &Caller, _: &RepositoryName, _: &Digest) -> Result<bool, Refusal> {
        self.refuse.lock().unwrap().clone().map_or(Ok(false), Err)
    }
}

async fn registry() -> (Registry, Arc<Recorder>) {
    let driver = Arc::new(MemoryDriver::new());
    let recorder = Arc::new(Recorder {
        plain: PlainRepositories::new(Arc::clone(&driver) as _),
        refuse: Mutex::new(None),
        membership: Mutex::new(Membership::Unknown),
        recorded: Mutex::new(Vec::new()),
    });
    let open = Arc::new(berth_distribution::plain::Anonymous);
    (
        Registry::with(Config::default(), driver, open, Arc::clone(&recorder) as _).await,
        recorder,
    )
}

fn quota() -> Refusal {
    Refusal::of(ErrorCode::Denied, "quota exceeded")
}

#[tokio::test]
async fn nobody_learns_anything_before_access_is_granted() {
    let driver = Arc::new(MemoryDriver::new());
    let repositories = Arc::new(PlainRepositories::new(Arc::clone(&driver) as _));
    let registry = Registry::with(Config::default(), driver, Arc::new(Guard), repositories).await;
    let digest = sha256(b"");
    for (method, path, reader, writer) in [
        ("GET", "/v2/".to_owned(), 200, 200),
        ("GET", "/v2/_catalog".to_owned(), 403, 200),
        ("GET", "/v2/a/tags/list".to_owned(), 404, 404),
        ("GET", "/v2/a/blobs/sha256:zz".to_owned(), 400, 400),
        ("GET", format!("/v2/a/blobs/{digest}"), 404, 404),
        ("PATCH", format!("/v2/a/blobs/{digest}"), 405, 405),
        ("DELETE", format!("/v2/a/blobs/{digest}"), 403, 404),
        ("GET", "/v2/a/manifests/.bad".to_owned(), 400, 400),
        ("PUT", "/v2/a/manifests/.bad".to_owned(), 403, 400),
        ("DELETE", "/v2/a/manifests/v1".to_owned(), 403, 404),
        ("DELETE", format!("/v2/a/manifests/{digest}"), 403, 404),
        ("POST", "/v2/a/blobs/uploads/".to_owned(), 403, 202),
        ("GET", "/v2/a/blobs/uploads/x".to_owned(), 404, 404),
        ("PATCH", "/v2/a/blobs/uploads/x".to_owned(), 403, 404),
        ("PUT", "/v2/a/blobs/uploads/x".to_owned(), 403, 400),
        ("DELETE", "/v2/a/blobs/uploads/x".to_owned(), 403, 404),
        ("GET", format!("/v2/a/referrers/{digest}"), 200, 200),
    ] {
        let reply = registry.send(method, &path, &[], "").await;
        reply.expect(401, "UNAUTHORIZED");
        assert_eq!(
            reply.header("www-authenticate"),
            "Bearer realm=\"http://here/token\""
        );
        for (user, want) in [("reader", reader), ("writer", writer)] {
            let reply = registry.send(method, &path, &[("x-user", user)], "").await;
            assert_eq!(reply.status, want, "{user} {method} {path}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_mount_needs_the_right_to_pull_from_its_source() {
    let driver = Arc::new(MemoryDriver::new());
    let repositories = Arc::new(PlainRepositories::new(Arc::clone(&driver) as _));
    let registry = Registry::with(Config::default(), driver, Arc::new(Guard), repositories).await;
    let digest = sha256(b"content");
    let writer = [("x-user", "writer")];
    let post = async |query: String| {
        registry
            .send("POST", &format!("/v2/{query}"), &writer, "content")
            .await
            .status
    };
    assert_eq!(post(format!("secret/blobs/uploads/?digest={digest}")).await, 201);
    assert_eq!(
        post(format!("to/blobs/uploads/?mount={digest}&from=secret")).await,
        202
    );
    assert_eq!(
        post(format!("to/blobs/uploads/?mount={digest}")).await,
        202,
        "known, but not to this caller"
    );
    assert_eq!(post(format!("open/blobs/uploads/?digest={digest}")).await, 201);
    assert_eq!(post(format!("to/blobs/uploads/?mount={digest}")).await, 201);
}

#[tokio::test]
async fn what_is_refused_is_not_visible() {
    let (registry, recorder) = registry().await;
    let manifest = registry.image("a", "one").await;
    let digest = sha256(&manifest);
    *recorder.refuse.lock().unwrap() = Some(quota());
    for reference in ["v1", digest.as_str()] {
        registry
            .put_manifest("a", reference, &manifest)
            .await
            .expect(403, "DENIED");
        registry
            .get(&format!("/v2/a/manifests/{reference}"))
            .await
            .expect(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(registry.get("/v2/a/tags/list").await.json()["tags"], json!([]));
    let path = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"x"));
    registry.send("POST", &path, &[], "x").await.expect(403, "DENIED");
    registry
        .send("POST", "/v2/a/blobs/uploads/", &[], "")
        .await
        .expect(403, "DENIED");
    *recorder.refuse.lock().unwrap() = None;
    registry.push_manifest("a", "v1", &manifest).await;
    *recorder.refuse.lock().unwrap() = Some(quota());
    for reference in ["v1", digest.as_str()] {
        registry
            .delete(&format!("/v2/a/manifests/{reference}"))
            .await
            .expect(403, "DENIED");
        assert_eq!(
            registry.get(&format!("/v2/a/manifests/{reference}")).await.status,
            200
        );
    }
}

#[tokio::test]
async fn what_is_recorded() {
    let (registry, recorder) = registry().await;
    let manifest = registry.image("a", "one").await;
    registry.push_manifest("a", "v1?tag=v2&tag=v1", &manifest).await;
    registry.push_manifest("a", &sha256(&manifest), &manifest).await;
    let recorded = recorder.recorded.lock().unwrap();
    let tags = |pushed: &Pushed| pushed.tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(tags(&recorded[0]), ["v1", "v2"]);
    assert!(tags(&recorded[1]).is_empty());
    for pushed in recorded.iter() {
        assert_eq!(pushed.digest.to_string(), sha256(&manifest));
        assert_eq!(pushed.bytes, manifest);
        assert_eq!(pushed.media_type, crate::harness::OCI_MANIFEST);
        assert_eq!(pushed.config.as_deref(), Some(&b"{\"seed\":\"one\"}"[..]));
        assert_eq!(pushed.manifest.layers().len(), 1);
    }
}

#[tokio::test]
async fn the_integration_has_the_say_about_membership() {
    let (registry, recorder) = registry().await;
    let manifest = registry.push_image("a", "v1", "one").await;
    let layer = sha256(b"layer of one");
    for (membership, linked, unlinked) in [
        (Membership::Unknown, 200, 404),
        (Membership::No, 404, 404),
        (Membership::Yes, 200, 200),
    ] {
        *recorder.membership.lock().unwrap() = membership;
        for (name, want) in [("a", linked), ("b", unlinked)] {
            for path in [
                format!("/v2/{name}/blobs/{layer}"),
                format!("/v2/{name}/manifests/{}", sha256(&manifest)),
            ] {
                for method in ["GET", "HEAD"] {
                    assert_eq!(
                        registry.send(method, &path, &[], "").await.status,
                        want,
                        "{membership:?} {method} {path}"
                    );
                }
            }
        }
        let missing = sha256(b"not in storage at all");
        assert_eq!(registry.get(&format!("/v2/a/blobs/{missing}")).await.status, 404);
        assert_eq!(
            registry.get(&format!("/v2/a/manifests/{missing}")).await.status,
            404
        );
    }
}

#[tokio::test]
async fn responses_say_who_asked_for_what() {
    let driver = Arc::new(MemoryDriver::new());
    let repositories = Arc::new(PlainRepositories::new(Arc::clone(&driver) as _));
    let distribution = Distribution::new(Config::default(), driver, Arc::new(Guard), repositories);
    let request = |user: &str, path: &str| {
        let request = Request::get(path).header("x-user", user);
        request.body(Full::new(Bytes::new())).unwrap()
    };
    let response: http::Response<Body> = distribution.call(request("reader", "/v2/")).await;
    assert_eq!(
        response.extensions().get::<Caller>().unwrap().name().as_ref(),
        "reader"
    );
    assert_eq!(response.extensions().get(), Some(&Operation("Base")));
    let response = distribution.call(request("reader", "/v2/a/tags/list")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(
        response.extensions().get::<Caller>().is_some(),
        "also when the request fails"
    );
    let response = distribution.call(request("", "/v2/")).await;
    assert!(response.extensions().get::<Caller>().is_none());
}
