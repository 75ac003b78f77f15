//! Takes an image out of a stream: the tags that mean it go, and so do its entries in the histories of others.
//!
//! It is the edit that pruning makes, with the rights of the caller: whoever may delete images through the roles that
//! exist for it may update `imagestreams/status` too, and the registry's own account may not.
use berth_client::{Client, Error};
use berth_distribution::Refusal;
use berth_oci::{Digest, ErrorCode, RepositoryName};
use serde_json::Value;

use crate::{identity::Identity, refuse};

/// How often the stream is edited anew when it changes meanwhile.
const ATTEMPTS: u32 = 6;

/// Takes the image out of the stream; whether it was in it.
///
/// One compare-and-swap: a push that moves a tag meanwhile is seen either before or after, so that a tag which just got
/// another image is not lost.
pub(crate) async fn remove(
    client: &Client,
    who: &Identity,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<bool, Refusal> {
    const DOING: &str = "removing the image from the image stream";
    let (namespace, stream) = name.pair().ok_or_else(|| refuse::not_two_parts(name.as_str()))?;
    let caller = match &who.token {
        Some((token, _)) => client.with_token(token),
        None => client.anonymous(),
    };
    let digest = digest.to_string();
    let mut attempt = 1;
    loop {
        let bytes = match client.own().image_stream_bytes(namespace, stream).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(refuse::failed(DOING, &error)),
        };
        let mut object = serde_json::from_slice(&bytes).map_err(|source| {
            let what = format!("GET {name}");
            refuse::failed(
                DOING,
                &Error::Answer {
                    what,
                    kind: "ImageStream",
                    source,
                },
            )
        })?;
        if !forget(&mut object, &digest) {
            return Ok(false);
        }
        match caller
            .update_image_stream_status(namespace, stream, &object)
            .await
        {
            Ok(()) => return Ok(true),
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            Err(error) if error.is_forbidden() || error.is_unauthorized() => {
                let message = format!(
                    "the image stream {name} still has {digest} in its tags, and user \"{}\" may not take it out: that \
                     needs \"update\" on imagestreams/status, as the role system:image-pruner gives",
                    who.name
                );
                return Err(Refusal::of(ErrorCode::Denied, message));
            }
            Err(error) => return Err(refuse::failed(DOING, &error)),
        }
    }
}

/// Takes an image out of a stream's status; whether it was there. A tag whose newest image it is goes as a whole: an older
/// image would otherwise come back under the tag unasked.
fn forget(stream: &mut Value, image: &str) -> bool {
    let is_it = |event: &Value| event["image"] == image;
    let Some(tags) = stream.pointer_mut("/status/tags").and_then(Value::as_array_mut) else {
        return false;
    };
    let mut found = false;
    tags.retain_mut(|tag| {
        let Some(events) = tag.get_mut("items").and_then(Value::as_array_mut) else {
            return true;
        };
        let before = events.len();
        let means_it = events.first().is_some_and(is_it);
        events.retain(|event| !is_it(event));
        found |= events.len() < before;
        !means_it
    });
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tag_goes_with_its_newest_image_and_keeps_its_others() {
        let event = |image: &str| json!({"image": image, "generation": 1});
        let list = |tag: &str, images: &[&str]| {
            let items: Vec<Value> = images.iter().map(|image| event(image)).collect();
            json!({"tag": tag, "items": items})
        };
        for (before, image, after) in [
            (vec![list("v1", &["a"])], "a", Some(vec![])),
            (vec![list("v1", &["a", "b"])], "a", Some(vec![])),
            (
                vec![list("v1", &["b", "a", "c", "a"])],
                "a",
                Some(vec![list("v1", &["b", "c"])]),
            ),
            (
                vec![list("v1", &["a"]), list("v2", &["b"])],
                "a",
                Some(vec![list("v2", &["b"])]),
            ),
            (vec![list("v1", &["b"])], "a", None),
            (
                vec![json!({"tag": "failed", "items": null, "conditions": []})],
                "a",
                None,
            ),
            (vec![], "a", None),
        ] {
            let stream =
                |tags: &[Value]| json!({"kind": "ImageStream", "spec": {"x": 1}, "status": {"tags": tags}});
            let mut object = stream(&before);
            assert_eq!(forget(&mut object, image), after.is_some(), "{before:?}");
            assert_eq!(object, stream(&after.unwrap_or(before)));
        }
        for mut object in [
            json!({}),
            json!({"status": {}}),
            json!({"status": {"tags": null}}),
        ] {
            assert!(!forget(&mut object, "a"), "{object}");
        }
    }
}
