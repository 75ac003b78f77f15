//! `imagestreams/layers`: the content that a stream gives access to, computed when it is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    rest::{Rest, Verbs},
    status::Status,
};

use super::{
    images::{self, Images},
    streams::Streams,
};

/// Computes the view from the stored Images, one at a time. OpenShift keeps an index of all Images in memory for it.
pub(super) struct Layers {
    streams: Streams,
    images: Images,
}

impl Layers {
    /// Over streams and images.
    pub(super) fn new(streams: Streams, images: Images) -> Self {
        Self { streams, images }
    }
}

#[async_trait]
impl Rest for Layers {
    fn verbs(&self) -> Verbs {
        Verbs::GET
    }

    async fn get(&self, cx: &Context, name: &str) -> Result<Arc<Entry>, Status> {
        let resource = self.streams.storage().resource().group_resource();
        let stream = self.streams.get(cx.require_namespace()?, name);
        let stream = stream.ok_or_else(|| Status::not_found(&resource, name))?;
        images::entry(berth_imagestream::layers::layers(&stream, |image| {
            self.images.content(image)
        }))
    }
}
