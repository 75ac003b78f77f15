//! The referrers API.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::{
    OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Registry, bytes, descriptor, on_every_driver, sha256,
    sha512,
};

fn artifact(artifact_type: Option<&str>, subject: &Value, note: &str) -> Bytes {
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_EMPTY, b"{}"), "layers": [],
        "subject": subject, "annotations": {"note": note},
    });
    if let Some(artifact_type) = artifact_type {
        manifest["artifactType"] = artifact_type.into();
    }
    bytes(&manifest)
}

async fn listed(registry: &Registry, name: &str, subject: &str, query: &str) -> Vec<Value> {
    let reply = registry
        .get(&format!("/v2/{name}/referrers/{subject}{query}"))
        .await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, OCI_INDEX),
        "{reply:?}"
    );
    let index = reply.json();
    assert_eq!(
        (&index["schemaVersion"], &index["mediaType"]),
        (&json!(2), &json!(OCI_INDEX))
    );
    index["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn nobody_refers_to_it() {
    on_every_driver(async |registry: Registry| {
        for subject in [sha256(b"missing"), sha512(b"missing")] {
            assert!(listed(&registry, "nowhere", &subject, "").await.is_empty());
        }
        registry
            .get("/v2/a/referrers/nonsense")
            .await
            .expect(400, "DIGEST_INVALID");
        registry
            .get(&format!("/v2/a/referrers/{}?last=x", sha256(b"")))
            .await
            .expect(400, "DIGEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn referrers_are_listed_filtered_and_deleted() {
    on_every_driver(async |registry: Registry| {
        registry.push_blob("a", "{}").await;
        let image = registry.push_image("a", "v1", "one").await;
        let subject = descriptor(OCI_MANIFEST, &image);
        let digest = sha256(&image);
        let pushed = [
            (artifact(Some("application/vnd.example.one"), &subject, "1"), Some("application/vnd.example.one")),
            (artifact(Some("application/vnd.example.two"), &subject, "2"), Some("application/vnd.example.two")),
            (artifact(None, &subject, "3"), Some(OCI_EMPTY)),
            (
                bytes(&json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject })),
                None,
            ),
        ];
        for (manifest, _) in &pushed {
            let reply = registry.push_manifest("a", &sha256(manifest), manifest).await;
            assert_eq!(reply.header("oci-subject"), digest);
        }
        assert_eq!(registry.push_manifest("a", "v1", &image).await.header("oci-subject"), "");

        let all = listed(&registry, "a", &digest, "").await;
        let mut want: Vec<_> = pushed.iter().map(|(manifest, _)| sha256(manifest)).collect();
        want.sort();
        assert_eq!(all.iter().map(|found| found["digest"].as_str().unwrap()).collect::<Vec<_>>(), want);
        for (manifest, artifact_type) in &pushed {
            let parsed: Value = serde_json::from_slice(manifest).unwrap();
            let found = all.iter().find(|found| found["digest"] == sha256(manifest)).unwrap();
            assert_eq!(found["mediaType"], parsed["mediaType"]);
            assert_eq!(found["size"], manifest.len());
            assert_eq!(found["artifactType"].as_str(), *artifact_type);
            assert_eq!(found["annotations"], parsed["annotations"]);
        }
        let path = format!("/v2/a/referrers/{digest}?artifactType=application/vnd.example.one");
        let reply = registry.get(&path).await;
        assert_eq!(reply.header("oci-filters-applied"), "artifactType");
        assert_eq!(reply.json()["manifests"].as_array().unwrap().len(), 1);
        assert!(listed(&registry, "a", &digest, "?artifactType=none/such").await.is_empty());
        assert!(listed(&registry, "b", &digest, "").await.is_empty(), "another repository");

        for (left, (manifest, _)) in (0..4).rev().zip(&pushed) {
            assert_eq!(registry.delete(&format!("/v2/a/manifests/{}", sha256(manifest))).await.status, 202);
            assert_eq!(listed(&registry, "a", &digest, "").await.len(), left);
        }
    })
    .await;
}

#[tokio::test]
async fn the_subject_may_be_missing_or_of_another_algorithm() {
    on_every_driver(async |registry: Registry| {
        registry.push_blob("a", "{}").await;
        for digest in [sha256(b"missing content"), sha512(b"missing content")] {
            let subject = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 123});
            for name in [sha256 as fn(&[u8]) -> String, sha512] {
                let manifest = artifact(Some("a/b"), &subject, &digest);
                let reply = registry.push_manifest("a", &name(&manifest), &manifest).await;
                assert_eq!(reply.header("oci-subject"), digest);
            }
            assert_eq!(listed(&registry, "a", &digest, "").await.len(), 2);
        }
    })
    .await;
}

#[tokio::test]
async fn tags_of_older_clients_are_folded_in() {
    on_every_driver(async |registry: Registry| {
        registry.push_blob("a", "{}").await;
        let image = registry.push_image("a", "v1", "one").await;
        let digest = sha256(&image);
        let subject = descriptor(OCI_MANIFEST, &image);
        let direct = artifact(Some("a/direct"), &subject, "1");
        registry.push_manifest("a", &sha256(&direct), &direct).await;
        // An older registry took a referrer without noticing its subject, and the client listed it under a tag.
        let unlisted = registry.push_image("a", "other", "two").await;
        let gone = descriptor(OCI_MANIFEST, b"gone");
        let listing = bytes(&json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX,
            "manifests": [descriptor(OCI_MANIFEST, &direct), descriptor(OCI_MANIFEST, &unlisted), gone],
        }));
        registry
            .push_manifest("a", &digest.replace(':', "-"), &listing)
            .await;
        let found = listed(&registry, "a", &digest, "").await;
        let mut want = vec![sha256(&direct), sha256(&unlisted)];
        want.sort();
        assert_eq!(
            found
                .iter()
                .map(|found| found["digest"].as_str().unwrap())
                .collect::<Vec<_>>(),
            want
        );
        let config = listed(&registry, "a", &digest, &format!("?artifactType={OCI_CONFIG}")).await;
        assert_eq!(
            config.len(),
            1,
            "the type comes from the manifest, not from the list"
        );
    })
    .await;
}

#[tokio::test]
async fn the_tag_for_a_long_digest_is_cut_off() {
    on_every_driver(async |registry: Registry| {
        let image = registry.push_image("a", "v1", "one").await;
        let other = registry.push_image("a", "other", "two").await;
        let digest = sha512(&image);
        registry.push_manifest("a", &digest, &image).await;
        let listing = bytes(&json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_MANIFEST, &other)],
        }));
        let tag = &digest.replace(':', "-")[.."sha512-".len() + 64];
        registry.push_manifest("a", tag, &listing).await;
        assert_eq!(listed(&registry, "a", &digest, "").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn large_lists_come_in_pages() {
    on_every_driver(async |registry: Registry| {
        registry.push_blob("a", "{}").await;
        let digest = sha256(b"subject");
        let subject = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 7});
        let mut want = Vec::new();
        for n in 0..10 {
            let manifest = artifact(Some("a/b"), &subject, &format!("{n}{}", "x".repeat(1_000_000)));
            registry.push_manifest("a", &sha256(&manifest), &manifest).await;
            want.push(sha256(&manifest));
        }
        want.sort();
        let mut path = format!("/v2/a/referrers/{digest}?artifactType=a/b");
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            let reply = registry.get(&path).await;
            assert_eq!(reply.status, 200);
            assert!(reply.body.len() <= 4 * 1024 * 1024);
            found.extend(
                reply.json()["manifests"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|d| d["digest"].as_str().unwrap().to_owned()),
            );
            pages += 1;
            let link = reply.header("link");
            if link.is_empty() {
                break;
            }
            path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        assert_eq!(found, want);
        assert!(pages > 2, "{pages}");
    })
    .await;
}

#[tokio::test]
async fn the_index_of_referrers_is_rebuilt_from_the_manifests() {
    on_every_driver(async |registry: Registry| {
        registry.push_blob("a", "{}").await;
        let digest = sha256(b"subject");
        let subject = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 7});
        let manifest = artifact(Some("a/b"), &subject, "1");
        registry.push_manifest("a", &sha256(&manifest), &manifest).await;
        let index = "/docker/registry/v2/repositories/a/_referrers".parse().unwrap();
        assert!(registry.driver.delete_tree(&index).await.unwrap());
        assert!(listed(&registry, "a", &digest, "").await.is_empty());
        let rebuilt = registry
            .distribution
            .rebuild_referrers(&"a".parse().unwrap())
            .await
            .unwrap();
        assert_eq!((rebuilt, listed(&registry, "a", &digest, "").await.len()), (1, 1));
    })
    .await;
}
