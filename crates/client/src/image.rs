use berth_api::{
    Image, ImageSignature, ImageStream, ImageStreamImage, ImageStreamMapping, ImageStreamTag, Kind,
};
use bytes::Bytes;
use k8s_openapi::api::core::v1::LimitRange;

use crate::{Result, Session, path};

/// `image.openshift.io/v1`.
///
/// Errors of all calls: as [`Session::send`], and [`crate::Error::Answer`] where a type is returned.
impl Session<'_> {
    /// The bytes of an image stream, see [`Session::get_bytes`].
    ///
    /// # Errors
    /// See above.
    pub async fn image_stream_bytes(&self, namespace: &str, name: &str) -> Result<Bytes> {
        self.get_bytes(&path::image(Some(namespace), ImageStream::PLURAL, &[name]))
            .await
    }

    /// The bytes of `imagestreams/layers`: every blob and image that the stream's history names.
    ///
    /// # Errors
    /// See above.
    pub async fn image_stream_layers_bytes(&self, namespace: &str, name: &str) -> Result<Bytes> {
        self.get_bytes(&path::image(
            Some(namespace),
            ImageStream::PLURAL,
            &[name, "layers"],
        ))
        .await
    }

    /// Creates an image stream.
    ///
    /// # Errors
    /// See above; a missing project is [`Error::is_not_found_of`](crate::Error::is_not_found_of)`("namespaces")`.
    pub async fn create_image_stream(&self, namespace: &str, stream: &ImageStream) -> Result<()> {
        self.post(&path::image(Some(namespace), ImageStream::PLURAL, &[]), stream)
            .await
            .map(drop)
    }

    /// Replaces the status of an image stream; `stream` is the whole object, whose resource version must be the current
    /// one.
    ///
    /// # Errors
    /// See above; [`Error::is_conflict`](crate::Error::is_conflict) if the stream changed meanwhile.
    pub async fn update_image_stream_status(
        &self,
        namespace: &str,
        name: &str,
        stream: &serde_json::Value,
    ) -> Result<()> {
        let path = path::image(Some(namespace), ImageStream::PLURAL, &[name, "status"]);
        self.put(&path, stream).await.map(drop)
    }

    /// Records that a tag of a stream now means an image, and the image itself.
    ///
    /// # Errors
    /// See above; a missing stream is `NotFound` of kind `imagestreammappings`, a missing project of `namespaces`.
    pub async fn create_image_stream_mapping(
        &self,
        namespace: &str,
        mapping: &ImageStreamMapping,
    ) -> Result<()> {
        self.post(
            &path::image(Some(namespace), ImageStreamMapping::PLURAL, &[]),
            mapping,
        )
        .await
        .map(drop)
    }

    /// Deletes a tag of a stream with its history.
    ///
    /// # Errors
    /// See above.
    pub async fn delete_image_stream_tag(&self, namespace: &str, stream: &str, tag: &str) -> Result<()> {
        self.delete(&path::image(
            Some(namespace),
            ImageStreamTag::PLURAL,
            &[&format!("{stream}:{tag}")],
        ))
        .await
    }

    /// An image of a stream's history with its signatures.
    ///
    /// # Errors
    /// See above.
    pub async fn image_stream_image(
        &self,
        namespace: &str,
        stream: &str,
        digest: &str,
    ) -> Result<ImageStreamImage> {
        let path = path::image(
            Some(namespace),
            ImageStreamImage::PLURAL,
            &[&format!("{stream}@{digest}")],
        );
        self.get(&path, ImageStreamImage::KIND).await
    }

    /// An image of the cluster.
    ///
    /// # Errors
    /// See above.
    pub async fn image(&self, digest: &str) -> Result<Image> {
        self.get(&path::image(None, Image::PLURAL, &[digest]), Image::KIND)
            .await
    }

    /// Creates an image of the cluster, which belongs to no stream yet.
    ///
    /// # Errors
    /// See above.
    pub async fn create_image(&self, image: &Image) -> Result<()> {
        self.post(&path::image(None, Image::PLURAL, &[]), image)
            .await
            .map(drop)
    }

    /// Deletes an image of the cluster.
    ///
    /// # Errors
    /// See above.
    pub async fn delete_image(&self, digest: &str) -> Result<()> {
        self.delete(&path::image(None, Image::PLURAL, &[digest])).await
    }

    /// Adds a signature to an image.
    ///
    /// # Errors
    /// See above.
    pub async fn create_image_signature(&self, signature: &ImageSignature) -> Result<()> {
        self.post(&path::image(None, ImageSignature::PLURAL, &[]), signature)
            .await
            .map(drop)
    }

    /// The limit ranges of a namespace.
    ///
    /// # Errors
    /// See above.
    pub async fn limit_ranges(&self, namespace: &str) -> Result<Vec<LimitRange>> {
        let namespace = path::segment(namespace);
        let list: k8s_openapi::List<LimitRange> = self
            .get(
                &format!("/api/v1/namespaces/{namespace}/limitranges"),
                "LimitRangeList",
            )
            .await?;
        Ok(list.items)
    }
}
