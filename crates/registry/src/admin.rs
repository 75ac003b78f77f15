//! `DELETE /admin/blobs/<digest>`: the bytes of a blob go, for all repositories. For pruners, which know that nothing
//! refers to it.

use berth_blobs::{BlobPath, Driver};
use berth_distribution::{Body, Distribution, Refusal};
use berth_oci::{Digest, ErrorCode};
use http::{Response, StatusCode};
use tracing::{error, info};

use crate::refuse::chain;

/// Where blobs lie, whatever repository they belong to.
const BLOBS: &str = "/docker/registry/v2/blobs";

/// Deletes the data of a blob; whether it was there does not matter.
pub(crate) async fn delete_blob(
    driver: &dyn Driver,
    distribution: &Distribution,
    user: &str,
    digest: &str,
) -> Result<Response<Body>, Refusal> {
    let digest: Digest = digest.parse().map_err(|error: berth_oci::DigestError| {
        Refusal::of(
            ErrorCode::DigestInvalid,
            format!("\"{digest}\" is not a digest: {error}"),
        )
    })?;
    let deleted = driver.delete_tree(&directory(&digest)).await;
    // Also after a failure: some of it may be gone.
    distribution.forget(&digest);
    match deleted {
        Ok(existed) => {
            info!(%digest, user, existed, "blob deleted");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        Err(error) => {
            error!(%digest, error = %chain(&error), "deleting a blob");
            Err(Refusal::of(
                ErrorCode::Unknown,
                format!("the data of {digest} could not be deleted: {error}"),
            ))
        }
    }
}

fn directory(digest: &Digest) -> BlobPath {
    let hex = digest.hex();
    let path = format!("{BLOBS}/{}/{}/{hex}", digest.algorithm(), &hex[..2]);
    path.parse()
        .expect("an algorithm and hexadecimal digits make a path")
}
