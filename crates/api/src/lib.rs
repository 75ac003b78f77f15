//! Wire types of `image.openshift.io/v1`: what a client of the image API sends and receives, byte shape included.
//!
//! The types mirror the JSON of OpenShift's API exactly where a client can tell: which fields are always present, which are
//! `null` when empty, and that the lists `spec.tags` and `status.tags` of a stream are maps by tag name (a repeated name
//! collapses to its last entry, and the output is sorted). Reading is lenient the way Go's decoder is: an absent field and
//! `null` are the same. There are no rules here; those live in `berth-imagestream`. Nothing in this crate does I/O.
//!
//! Where to start: [`ImageStream`] (a repository and the history of its tags), [`Image`] (one manifest, cluster-wide),
//! [`ImageStreamMapping`] (what a push posts), [`ImageStreamTag`], [`ImageTag`] and [`ImageStreamImage`] (views of a stream),
//! [`ImageStreamLayers`] (which content a stream gives access to).

pub mod annotation;
mod bytes;
mod docker;
mod image;
mod layers;
mod meta;
mod signature;
mod stream;
mod time;
mod view;
mod wire;

pub use self::{
    bytes::Base64,
    docker::{DockerConfig, DockerImage, EmptyObject},
    image::{Image, ImageLayer, ImageManifest},
    layers::{ImageBlobReferences, ImageLayerData, ImageStreamLayers},
    meta::{ObjectMeta, ObjectReference},
    signature::{ImageSignature, SignatureCondition, SignatureIssuer, SignatureSubject},
    stream::{
        ImageLookupPolicy, ImageStream, ImageStreamSpec, ImageStreamStatus, ImportMode, NamedTagEventList,
        ReferencePolicyType, SpecTags, StatusTags, TagEvent, TagEventCondition, TagImportPolicy,
        TagReference, TagReferencePolicy,
    },
    time::Time,
    view::{ImageStreamImage, ImageStreamMapping, ImageStreamTag, ImageTag},
};

/// The API group of every type in this crate.
pub const GROUP: &str = "image.openshift.io";
/// The only version that is served.
pub const VERSION: &str = "v1";
/// `apiVersion` of every type in this crate.
pub const API_VERSION: &str = "image.openshift.io/v1";

/// A type that is an API object of its own: it has a kind and a place under the API's root.
pub trait Kind: serde::Serialize + serde::de::DeserializeOwned {
    /// The `kind` of the object, for example `ImageStream`.
    const KIND: &'static str;
    /// The resource's plural name in URLs, for example `imagestreams`.
    const PLURAL: &'static str;
    /// Whether objects live in a namespace.
    const NAMESPACED: bool;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;
    /// The object's metadata, to change it.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// Fills `apiVersion` and `kind`, which an object needs when it travels alone (inside another object both stay away).
    #[must_use]
    fn typed(self) -> Self;
}

macro_rules! kinds {
    ($($type:ident $plural:literal $namespaced:literal;)*) => {$(
        impl Kind for $type {
            const KIND: &'static str = stringify!($type);
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = $namespaced;

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }

            fn typed(mut self) -> Self {
                self.kind = Self::KIND.to_owned();
                self.api_version = API_VERSION.to_owned();
                self
            }
        }
    )*};
}

kinds! {
    Image "images" false;
    ImageSignature "imagesignatures" false;
    ImageStream "imagestreams" true;
    ImageStreamImage "imagestreamimages" true;
    ImageStreamLayers "imagestreams" true;
    ImageStreamMapping "imagestreammappings" true;
    ImageStreamTag "imagestreamtags" true;
    ImageTag "imagetags" true;
}
