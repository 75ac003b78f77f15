//! `image.openshift.io/v1`: images, image streams and the views on them.
//!
//! Two kinds are stored: Image, one per manifest and cluster-wide, and ImageStream, a repository with the history of its tags.
//! Everything else is computed from them or writes them: a mapping (a push) creates an Image and enters it into a stream, tags
//! and stream images are a stream seen through one name, signatures live in their Image. The rules are in `berth-imagestream`;
//! here they meet the store, the caller's rights and Kubernetes' conventions.
//!
//! ## What keeps one project's content from another's readers
//! Whoever may pull from a stream gets all content that its history names ([`layers`](berth_imagestream::layers)), so nobody may
//! bring an image into a stream by merely knowing its digest. There are these ways in, and each asks for a proof:
//!
//! | way | proof |
//! | --- | --- |
//! | `imagestreammappings`, and new images in a write of `imagestreams/status` | the stream holds the image already, or the caller may create Images, as the registry may: it has seen the bytes, or has checked them against a source that the pusher may pull from |
//! | a tag that points to another namespace's stream | the caller may pull from that stream |
//! | `images` | none: an Image alone belongs to no stream |
//!
//! And an Image that comes with its manifest is what the manifest says: it must be named by its digest, and its layers and sizes
//! are read from it.

mod field;
mod image_tags;
mod images;
mod layers;
mod limits;
mod mappings;
mod push;
mod secrets;
mod signatures;
mod stream_images;
mod stream_tags;
mod streams;
mod table;
mod tag_views;

use std::sync::Arc;

use berth_api::{GROUP, ImportMode, VERSION};
use berth_apimachinery::{
    access::Authorizer,
    context::Context,
    resource::{Gvk, Resource, Subresource},
    rest::Verbs,
    storage::Storage,
    stored_rest::StoredRest,
};

use self::{images::Images, streams::Streams};
use crate::kinds::Kinds;

/// Largest request body that carries an Image, in bytes: a manifest and a configuration of 4 MiB each, as strings in which escapes
/// may double them, and a little around them. Neither is stored once the registry has it.
const IMAGE_BODY_LIMIT: usize = 20 << 20;

/// What the image API needs to know of the rest of the server.
pub(crate) struct Deps {
    /// Who may do what.
    pub(crate) authorizer: Arc<dyn Authorizer>,
    /// LimitRanges, of which two types are about images.
    pub(crate) limit_ranges: Storage,
    /// Secrets, for `imagestreams/secrets`.
    pub(crate) secrets: Storage,
    /// Host and port under which the registry is reached inside the cluster; none if there is no registry.
    pub(crate) internal_host: Option<String>,
    /// Host and port under which the registry is reached from outside.
    pub(crate) external_host: Option<String>,
}

/// Registers the kinds of this group.
pub(crate) fn register(kinds: &mut Kinds<'_>, deps: Deps) {
    let cluster = |kind: &str, plural: &str| Resource::cluster(GROUP, VERSION, kind, plural);
    let namespaced = |kind: &str, plural: &str| Resource::namespaced(GROUP, VERSION, kind, plural);

    let image_resource = cluster("Image", "images")
        .with_table(table::images())
        .with_body_limit(IMAGE_BODY_LIMIT);
    let images = Images::new(kinds.lean_storage(image_resource, Arc::new(images::Names)));
    let image_rules = Arc::new(images::Rules::new(images.clone()));
    let image_rest = StoredRest::subresource(images.storage().clone(), image_rules).with_verbs(Verbs::ALL);
    kinds.endpoint(
        images.storage().resource().clone(),
        Arc::new(image_rest),
        Vec::new(),
    );
    kinds.serve(
        cluster("ImageSignature", "imagesignatures"),
        Arc::new(signatures::Signatures::new(images.clone())),
    );

    let stream_resource = namespaced("ImageStream", "imagestreams")
        .with_short_names(&["is"])
        .with_categories(&["all"])
        .with_table(table::image_streams());
    let hosts = streams::Hosts {
        internal: deps.internal_host,
        external: deps.external_host,
    };
    let storage = kinds.storage(stream_resource, Arc::new(streams::Stored::new(hosts.clone())));
    let limits = limits::Limits::new(deps.limit_ranges);
    let streams = Streams::new(storage, hosts, deps.authorizer, limits, ImportMode::Legacy);
    let gvk = |kind: &str| Gvk::new(GROUP, VERSION, kind);
    kinds.endpoint(
        streams.storage().resource().clone(),
        Arc::new(streams.spec_rest()),
        vec![
            Subresource::new(
                "layers",
                gvk("ImageStreamLayers"),
                Arc::new(layers::Layers::new(streams.clone(), images.clone())),
            ),
            Subresource::new(
                "secrets",
                gvk("SecretList"),
                Arc::new(secrets::PullSecrets::new(deps.secrets)),
            ),
            Subresource::new("status", gvk("ImageStream"), Arc::new(streams.status_rest())),
        ],
    );
    kinds.serve(
        namespaced("ImageStreamMapping", "imagestreammappings").with_body_limit(IMAGE_BODY_LIMIT),
        Arc::new(mappings::Mappings::new(streams.clone(), images.clone())),
    );
    kinds.serve(
        namespaced("ImageStreamTag", "imagestreamtags")
            .with_short_names(&["istag"])
            .with_table(table::image_stream_tags()),
        Arc::new(stream_tags::StreamTags::new(streams.clone(), images.clone())),
    );
    kinds.serve(
        namespaced("ImageTag", "imagetags")
            .with_short_names(&["itag"])
            .with_table(table::image_tags()),
        Arc::new(image_tags::ImageTags::new(streams.clone(), images.clone())),
    );
    kinds.serve(
        namespaced("ImageStreamImage", "imagestreamimages")
            .with_short_names(&["isimage"])
            .with_table(table::image_stream_images()),
        Arc::new(stream_images::StreamImages::new(streams, images)),
    );
}

/// The context of a write that one resource makes to another on behalf of the same caller.
fn nested(cx: &Context, resource: &Resource, verb: &'static str, name: &str) -> Context {
    Context {
        verb,
        resource: Some(resource.clone()),
        subresource: String::new(),
        name: name.to_owned(),
        ..cx.clone()
    }
}
