use bytes::Bytes;
use k8s_openapi::api::core::v1::LimitRange;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, Session, path};

const STREAMS: &str = "imagestreams";
const MAPPINGS: &str = "imagestreammappings";
const STREAM_TAGS: &str = "imagestreamtags";
const STREAM_IMAGES: &str = "imagestreamimages";
const IMAGES: &str = "images";
const SIGNATURES: &str = "imagesignatures";

/// `image.openshift.io/v1`.
///
/// Errors of all calls: as [`Session::send`], and [`crate::Error::Answer`] where a type is returned.
impl Session<'_> {
    /// The bytes of an image stream, see [`Session::get_bytes`].
    ///
    /// # Errors
    /// See above.
    pub async fn image_stream_bytes(&self, namespace: &str, name: &str) -> Result<Bytes> {
        self.get_bytes(&path::image(Some(namespace), STREAMS, &[name])).await
    }

    /// The bytes of `imagestreams/layers`: every blob and image that the stream's history names.
    ///
    /// # Errors
    /// See above.
    pub async fn image_stream_layers_bytes(&self, namespace: &str, name: &str) -> Result<Bytes> {
        self.get_bytes(&path::image(Some(namespace), STREAMS, &[name, "layers"])).await
    }

    /// Creates an image stream.
    ///
    /// # Errors
    /// See above; a missing project is [`Error::is_not_found_of`](crate::Error::is_not_found_of)`("namespaces")`.
    pub async fn create_image_stream(&self, namespace: &str, stream: &impl Serialize) -> Result<()> {
        self.post(&path::image(Some(namespace), STREAMS, &[]), stream).await.map(drop)
    }

    /// Records that a tag of a stream now means an image, and the image itself.
    ///
    /// # Errors
    /// See above; a missing stream is `NotFound` of kind `imagestreammappings`, a missing project of `namespaces`.
    pub async fn create_image_stream_mapping(&self, namespace: &str, mapping: &impl Serialize) -> Result<()> {
        self.post(&path::image(Some(namespace), MAPPINGS, &[]), mapping).await.map(drop)
    }

    /// Deletes a tag of a stream with its history.
    ///
    /// # Errors
    /// See above.
    pub async fn delete_image_stream_tag(&self, namespace: &str, stream: &str, tag: &str) -> Result<()> {
        self.delete(&path::image(Some(namespace), STREAM_TAGS, &[&format!("{stream}:{tag}")])).await
    }

    /// An image of a stream's history with its signatures.
    ///
    /// # Errors
    /// See above.
    pub async fn image_stream_image<T: DeserializeOwned>(&self, namespace: &str, stream: &str, digest: &str) -> Result<T> {
        let path = path::image(Some(namespace), STREAM_IMAGES, &[&format!("{stream}@{digest}")]);
        self.get(&path, "ImageStreamImage").await
    }

    /// An image of the cluster.
    ///
    /// # Errors
    /// See above.
    pub async fn image<T: DeserializeOwned>(&self, digest: &str) -> Result<T> {
        self.get(&path::image(None, IMAGES, &[digest]), "Image").await
    }

    /// Creates an image of the cluster, which belongs to no stream yet.
    ///
    /// # Errors
    /// See above.
    pub async fn create_image(&self, image: &impl Serialize) -> Result<()> {
        self.post(&path::image(None, IMAGES, &[]), image).await.map(drop)
    }

    /// Deletes an image of the cluster.
    ///
    /// # Errors
    /// See above.
    pub async fn delete_image(&self, digest: &str) -> Result<()> {
        self.delete(&path::image(None, IMAGES, &[digest])).await
    }

    /// Adds a signature to an image.
    ///
    /// # Errors
    /// See above.
    pub async fn create_image_signature(&self, signature: &impl Serialize) -> Result<()> {
        self.post(&path::image(None, SIGNATURES, &[]), signature).await.map(drop)
    }

    /// The limit ranges of a namespace.
    ///
    /// # Errors
    /// See above.
    pub async fn limit_ranges(&self, namespace: &str) -> Result<Vec<LimitRange>> {
        let namespace = path::segment(namespace);
        let list: k8s_openapi::List<LimitRange> =
            self.get(&format!("/api/v1/namespaces/{namespace}/limitranges"), "LimitRangeList").await?;
        Ok(list.items)
    }
}
