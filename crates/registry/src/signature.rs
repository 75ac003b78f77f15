//! Signatures of images, as OpenShift's signature extension has them: kept by the API beside the Image.

use berth_api::{Base64, ImageSignature, Kind as _, ObjectMeta};
use berth_client::Client;
use berth_distribution::{Body, Caller, Refusal};
use berth_oci::{Digest, ErrorCode, RepositoryName};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};

use crate::{identity::Identity, refuse};

/// Largest signature that is taken, in bytes of its JSON.
pub(crate) const SIGNATURE_LIMIT: usize = 1 << 20;
/// The only version of the format.
const SCHEMA_VERSION: u32 = 2;
/// What a signature without a type is.
const ATOMIC: &str = "atomic";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    schema_version: u32,
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    content: Base64,
}

#[derive(Serialize)]
struct Signatures {
    signatures: Vec<Signature>,
}

/// `GET /extensions/v2/<name>/signatures/<digest>`.
pub(crate) async fn list(
    client: &Client,
    name: &RepositoryName,
    digest: &str,
) -> Result<Response<Body>, Refusal> {
    let digest = parse(digest)?;
    let (namespace, stream) = name.pair().ok_or_else(|| refuse::not_two_parts(name.as_str()))?;
    let image = match client
        .own()
        .image_stream_image(namespace, stream, &digest.to_string())
        .await
    {
        Ok(found) => found.image,
        Err(error) if error.is_not_found() => return Err(unknown(name, &digest)),
        Err(error) => return Err(refuse::failed("reading the signatures", &error)),
    };
    let wire = |signature: ImageSignature| Signature {
        schema_version: SCHEMA_VERSION,
        name: signature.metadata.name,
        kind: signature.signature_type,
        content: signature.content,
    };
    let signatures = Signatures {
        signatures: image.signatures.into_iter().map(wire).collect(),
    };
    respond(&signatures)
}

/// The answer for an image without signatures.
pub(crate) fn none() -> Response<Body> {
    respond(&Signatures {
        signatures: Vec::new(),
    })
    .expect("an empty list serializes")
}

fn respond(signatures: &Signatures) -> Result<Response<Body>, Refusal> {
    let body =
        serde_json::to_vec(signatures).map_err(|error| Refusal::of(ErrorCode::Unknown, error.to_string()))?;
    let mut response = Response::new(Body::full(body));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// `PUT /extensions/v2/<name>/signatures/<digest>`, with the caller's own rights.
pub(crate) async fn add<B>(
    client: &Client,
    caller: &Caller,
    name: &RepositoryName,
    digest: &str,
    body: B,
) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let digest = parse(digest)?;
    let signature = read(&digest, body).await?;
    let object = ImageSignature {
        metadata: ObjectMeta {
            name: signature.name,
            ..ObjectMeta::default()
        },
        signature_type: if signature.kind.is_empty() {
            ATOMIC.to_owned()
        } else {
            signature.kind
        },
        content: signature.content,
        ..ImageSignature::default()
    }
    .typed();
    let session = match Identity::of(caller).and_then(|who| who.token.as_ref()) {
        Some((token, _)) => client.with_token(token),
        None => client.anonymous(),
    };
    match session.create_image_signature(&object).await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::CREATED;
            Ok(response)
        }
        Err(error) if error.is_already_exists() => Err(Refusal::of(
            ErrorCode::SignatureExists,
            format!("the signature {} exists", object.metadata.name),
        )),
        Err(error) if error.is_not_found() => Err(unknown(name, &digest)),
        Err(error) if error.is_unauthorized() => {
            Err(Refusal::of(ErrorCode::Unauthorized, "authentication required"))
        }
        Err(error) if error.is_forbidden() => Err(Refusal::of(ErrorCode::Denied, error.to_string())),
        Err(error) if error.is_invalid() || error.status().is_some_and(|status| status.code == 400) => {
            Err(invalid(&error.to_string()))
        }
        Err(error) => Err(refuse::failed("storing the signature", &error)),
    }
}

async fn read<B>(digest: &Digest, body: B) -> Result<Signature, Refusal>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bytes = Limited::new(body, SIGNATURE_LIMIT)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                invalid(&format!("a signature has at most {SIGNATURE_LIMIT} bytes"))
            } else {
                invalid(&format!("the request ended early: {error}"))
            }
        })?;
    let signature: Signature =
        serde_json::from_slice(&bytes.to_bytes()).map_err(|error| invalid(&error.to_string()))?;
    if signature.schema_version != SCHEMA_VERSION {
        return Err(invalid(&format!("schemaVersion must be {SCHEMA_VERSION}")));
    }
    // A signature is stored under the image that its name says, so that must be the image of the URL.
    let own = signature
        .name
        .split_once('@')
        .filter(|(image, rest)| *image == digest.to_string() && !rest.is_empty());
    match own {
        Some(_) => Ok(signature),
        None => Err(invalid(&format!(
            "the name must be {digest}@<name of the signature>"
        ))),
    }
}

fn parse(digest: &str) -> Result<Digest, Refusal> {
    digest.parse().map_err(|error: berth_oci::DigestError| {
        Refusal::of(
            ErrorCode::DigestInvalid,
            format!("\"{digest}\" is not a digest: {error}"),
        )
    })
}

fn invalid(why: &str) -> Refusal {
    Refusal::of(
        ErrorCode::SignatureInvalid,
        format!("the signature cannot be taken: {why}"),
    )
}

fn unknown(name: &RepositoryName, digest: &Digest) -> Refusal {
    Refusal::of(
        ErrorCode::ManifestUnknown,
        format!("the image stream {name} has no image {digest}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn takes_only_signatures_of_the_image() {
        let digest = Digest::sha256(b"image");
        let other = Digest::sha256(b"other");
        let json = |version: u32, name: String| {
            serde_json::json!({"schemaVersion": version, "name": name, "type": "atomic", "content": "c2ln"})
                .to_string()
        };
        for (body, good) in [
            (json(2, format!("{digest}@one")), true),
            (json(2, format!("{other}@one")), false),
            (json(2, format!("{digest}@")), false),
            (json(2, digest.to_string()), false),
            (json(1, format!("{digest}@one")), false),
            ("{}".to_owned(), false),
            ("x".repeat(SIGNATURE_LIMIT + 1), false),
        ] {
            let short = body[..body.len().min(120)].to_owned();
            let read = read(&digest, http_body_util::Full::new(Bytes::from(body))).await;
            match read {
                Ok(signature) => assert!(good && signature.content.0 == b"sig", "{short}"),
                Err(refusal) => assert!(
                    !good && refusal.code == ErrorCode::SignatureInvalid,
                    "{short}: {refusal}"
                ),
            }
        }
    }
}
