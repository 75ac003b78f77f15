//! `imagestreamimages`: an image that a stream holds, under `<stream>@<digest or prefix>`.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use berth_api::{GROUP, ImageStream, ImageStreamImage, Kind as _};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    resource::GroupResource,
    rest::{Rest, Verbs},
    status::Status,
};
use berth_imagestream::{layers, name, view};

use super::{
    images::{self, Images},
    streams::Streams,
};

/// Looks images up in streams.
pub(super) struct StreamImages {
    streams: Streams,
    images: Images,
}

impl StreamImages {
    /// Over streams and images.
    pub(super) fn new(streams: Streams, images: Images) -> Self {
        Self { streams, images }
    }

    /// The images of a stream that `id` may mean: in its histories, or entries of indexes there.
    fn matching(&self, stream: &ImageStream, id: &str) -> BTreeSet<String> {
        let mut events = stream.status.tags.values().flat_map(|list| &list.items);
        if events.any(|event| event.image == id) {
            return BTreeSet::from([id.to_owned()]);
        }
        let held = layers::layers(stream, |image| self.images.content(image)).images;
        if held.contains_key(id) {
            return BTreeSet::from([id.to_owned()]);
        }
        held.into_keys()
            .filter(|image| name::is_image_prefix(image, id))
            .collect()
    }
}

#[async_trait]
impl Rest for StreamImages {
    fn verbs(&self) -> Verbs {
        Verbs::GET
    }

    async fn get(&self, cx: &Context, full_name: &str) -> Result<Arc<Entry>, Status> {
        let resource = GroupResource::new(GROUP, ImageStreamImage::PLURAL);
        // In the singular: the word that OpenShift's answer has.
        let one = GroupResource::new(GROUP, "imagestreamimage");
        let (stream, id) = name::split_image(full_name)
            .ok_or_else(|| Status::bad_request("ImageStreamImages must be retrieved with <name>@<id>"))?;
        let stream = self
            .streams
            .get(cx.require_namespace()?, stream)
            .ok_or_else(|| Status::not_found(&resource, stream))?;
        let mut found = self.matching(&stream, id).into_iter();
        let image = match (found.next(), found.next()) {
            (None, _) => return Err(Status::not_found(&one, full_name)),
            (Some(image), None) => image,
            (Some(first), Some(second)) => {
                let rest = found.map(|image| format!(", {image}")).collect::<String>();
                let cause = format!("multiple images match the prefix {id:?}: {first}, {second}{rest}");
                return Err(Status::conflict(&one, full_name, cause));
            }
        };
        let image = self
            .images
            .get(&image)
            .ok_or_else(|| Status::not_found(&resource, &image))?;
        images::entry(view::image_stream_image(&stream, id, image))
    }
}
