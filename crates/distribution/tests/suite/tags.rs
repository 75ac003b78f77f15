//! Lists of tags and of repositories.

use serde_json::json;

use crate::harness::{Registry, on_every_driver};

/// Follows a list from page to page.
async fn follow(registry: &Registry, path: &str, field: &str) -> (Vec<String>, usize) {
    let mut path = path.to_owned();
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let reply = registry.get(&path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        names.extend(
            reply.json()[field]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().to_owned()),
        );
        pages += 1;
        assert!(pages < 100, "the list does not end");
        let link = reply.header("link").to_owned();
        if link.is_empty() {
            return (names, pages);
        }
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
}

#[tokio::test]
async fn tags_are_sorted_and_paged() {
    on_every_driver(async |registry: Registry| {
        let manifest = registry.image("a/b", "one").await;
        let tags = ["v10", "v1", "latest", "V2", "_x", "v1.0", "v1-rc", "0"];
        for tag in tags {
            registry.push_manifest("a/b", tag, &manifest).await;
        }
        let mut sorted: Vec<String> = tags.map(str::to_owned).to_vec();
        sorted.sort();
        let reply = registry.get("/v2/a/b/tags/list").await;
        assert_eq!(reply.json(), json!({ "name": "a/b", "tags": sorted }));
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("link"), "");
        for (n, pages) in [(1, 8), (3, 3), (4, 2), (8, 1), (100, 1)] {
            let (names, seen) = follow(&registry, &format!("/v2/a/b/tags/list?n={n}"), "tags").await;
            assert_eq!((names, seen), (sorted.clone(), pages), "{n}");
        }
        for last in ["0", "a", "v1", "v1.", "zzz", ""] {
            let reply = registry.get(&format!("/v2/a/b/tags/list?last={last}")).await;
            let want: Vec<_> = sorted.iter().filter(|tag| tag.as_str() > last).collect();
            assert_eq!(reply.json()["tags"], json!(want), "{last}");
        }
        let reply = registry.get("/v2/a/b/tags/list?n=0").await;
        assert_eq!(
            (reply.json()["tags"].clone(), reply.header("link")),
            (json!([]), "")
        );
        for n in ["-1", "x", "1.5", "%2B1"] {
            registry
                .get(&format!("/v2/a/b/tags/list?n={n}"))
                .await
                .expect(400, "PAGINATION_NUMBER_INVALID");
        }
    })
    .await;
}

#[tokio::test]
async fn lists_of_what_is_empty_or_missing() {
    on_every_driver(async |registry: Registry| {
        registry
            .get("/v2/nowhere/tags/list")
            .await
            .expect(404, "NAME_UNKNOWN");
        registry
            .get("/v2/nowhere/tags/list?n=0")
            .await
            .expect(404, "NAME_UNKNOWN");
        registry.push_blob("blobs/only", "x").await;
        assert_eq!(
            registry.get("/v2/blobs/only/tags/list").await.json()["tags"],
            json!([])
        );
        assert_eq!(
            registry.get("/v2/_catalog").await.json(),
            json!({ "repositories": [] })
        );
    })
    .await;
}

#[tokio::test]
async fn repositories_are_sorted_and_paged() {
    on_every_driver(async |registry: Registry| {
        let names = ["b", "a", "a/b", "a-b", "a/b/c", "a.b", "manifests", "a/tags/list"];
        for name in names {
            registry.push_image(name, "v1", "one").await;
        }
        let mut sorted: Vec<String> = names.map(str::to_owned).to_vec();
        sorted.sort();
        for (query, pages) in [("", 1), ("?n=3", 3), ("?n=1", 8)] {
            let (found, seen) = follow(&registry, &format!("/v2/_catalog{query}"), "repositories").await;
            assert_eq!((found, seen), (sorted.clone(), pages), "{query}");
        }
        let reply = registry.get("/v2/_catalog?last=a/b").await;
        assert_eq!(
            reply.json()["repositories"],
            json!(["a/b/c", "a/tags/list", "b", "manifests"])
        );
        registry
            .get("/v2/_catalog?n=1001")
            .await
            .expect(400, "PAGINATION_NUMBER_INVALID");
        assert_eq!(
            registry.get("/v2/_catalog?n=0").await.json(),
            json!({ "repositories": [] })
        );
    })
    .await;
}

#[tokio::test]
async fn names_that_use_the_words_of_the_protocol() {
    on_every_driver(async |registry: Registry| {
        for name in [
            "manifests/blobs/uploads",
            "tags/list",
            "blobs",
            "a/referrers/b",
            "uploads/manifests",
        ] {
            let manifest = registry.push_image(name, "uploads", "one").await;
            assert_eq!(
                registry.get(&format!("/v2/{name}/manifests/uploads")).await.body,
                manifest,
                "{name}"
            );
            assert_eq!(
                registry.get(&format!("/v2/{name}/tags/list")).await.json()["name"],
                name
            );
            let location = registry.start(name).await;
            assert_eq!(registry.get(&location).await.status, 204, "{name}");
        }
    })
    .await;
}
