//! A push in the words of the image API: the Image, the ImageStreamMapping that makes a tag mean it, and the image stream
//! that appears with the first push.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use berth_api::{
    DockerImage, Image, ImageLayer, ImageManifest, ImageStream, ImageStreamMapping, Kind as _, ObjectMeta,
    annotation,
};
use berth_client::{Client, Error, Session, Status};
use berth_distribution::{Pushed, Refusal};
use berth_oci::{Digest, ErrorCode, RepositoryName, Tag, media_type};
use http::StatusCode;
use tracing::info;

use crate::{decision::Object, identity::Identity, refuse};

/// How often a mapping is posted when the stream changes under it each time.
const ATTEMPTS: u32 = 6;
/// How long to wait after the first such time; doubled after each.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// What an API server says when a quota or a limit is in the way. Quota plugins have no reason of their own: the text is
/// the interface, and clients of OpenShift's registry rely on it.
const QUOTA: [&str; 3] = [
    "exceeded quota:",
    "status unknown for quota:",
    "exceeds the maximum limit",
];

/// Records pushes with the registry's own identity; only the stream itself is made with the pusher's.
pub(crate) struct Mappings {
    client: Client,
    server_addr: String,
}

impl Mappings {
    pub(crate) const fn new(client: Client, server_addr: String) -> Self {
        Self { client, server_addr }
    }

    /// Makes `tag` mean the pushed image. A stream that does not exist yet is made with the rights of `who`.
    pub(crate) async fn tag(
        &self,
        who: &Identity,
        name: &RepositoryName,
        tag: &Tag,
        pushed: &Pushed,
    ) -> Result<(), Refusal> {
        let object = object(name)?;
        let mapping = ImageStreamMapping {
            metadata: meta(object),
            image: self.image(name, pushed)?,
            tag: tag.as_str().to_owned(),
            ..ImageStreamMapping::default()
        }
        .typed();
        let mut created = false;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let Err(error) = self
                .client
                .own()
                .create_image_stream_mapping(object.namespace, &mapping)
                .await
            else {
                return Ok(());
            };
            if error.is_not_found_of("namespaces") {
                return Err(refuse::no_such_project(object.namespace));
            } else if error.is_not_found() && !created {
                self.create_stream(who, name).await?;
                created = true;
            } else if error.is_conflict() && attempt < ATTEMPTS {
                tokio::time::sleep(pause).await;
                pause *= 2;
            } else {
                return Err(refused("recording the push", &error));
            }
        }
        unreachable!("the attempts end in an answer")
    }

    /// Records the pushed image without a tag.
    pub(crate) async fn image_only(&self, name: &RepositoryName, pushed: &Pushed) -> Result<(), Refusal> {
        match self.client.own().create_image(&self.image(name, pushed)?).await {
            Ok(()) => Ok(()),
            // The same content was pushed before, here or elsewhere: its Image stays as it is.
            Err(error) if error.is_already_exists() && pushed.missing.is_empty() => Ok(()),
            Err(error) if error.is_already_exists() => self.check_names_no_more(name, pushed).await,
            Err(error) => Err(refused("recording the image", &error)),
        }
    }

    /// Refuses a manifest that lacks content which the Image of the same digest names. A stream gives access to everything
    /// that its Images name, so it would open what somebody else pushed to whoever can write down a digest.
    async fn check_names_no_more(&self, name: &RepositoryName, pushed: &Pushed) -> Result<(), Refusal> {
        let image = match self.client.own().image(&pushed.digest.to_string()).await {
            Ok(image) => image,
            Err(error) => return Err(refuse::failed("reading the image", &error)),
        };
        let layers = image.docker_image_layers.iter().map(|layer| &layer.name);
        let entries = image.docker_image_manifests.iter().map(|entry| &entry.digest);
        let named: BTreeSet<&String> = layers.chain(entries).collect();
        let lacking = pushed
            .missing
            .iter()
            .find(|missing| named.contains(&missing.to_string()));
        match lacking {
            None => Ok(()),
            Some(missing) => Err(Refusal::of(
                ErrorCode::ManifestBlobUnknown,
                format!(
                    "{} was pushed whole before, so {name} needs all of it too, and {missing} is not there; push it first",
                    pushed.digest
                ),
            )),
        }
    }

    /// Makes the stream with the rights of `who`, or finds that somebody else just did.
    pub(crate) async fn create_stream(&self, who: &Identity, name: &RepositoryName) -> Result<(), Refusal> {
        let object = object(name)?;
        let stream = ImageStream {
            metadata: meta(object),
            ..ImageStream::default()
        }
        .typed();
        match self
            .session(who)
            .create_image_stream(object.namespace, &stream)
            .await
        {
            Ok(()) => {
                info!(user = %who.name, repository = %name, "image stream created for a push");
                Ok(())
            }
            Err(error) if error.is_already_exists() || error.is_conflict() => Ok(()),
            Err(error) if error.is_not_found() => Err(refuse::no_such_project(object.namespace)),
            Err(error) if error.is_unauthorized() => Err(Refusal::of(
                ErrorCode::Denied,
                format!(
                    "the image stream {name} does not exist, and the token of \"{}\" is no longer valid",
                    who.name
                ),
            )),
            Err(error) if error.is_forbidden() => Err(Refusal::of(
                ErrorCode::Denied,
                format!(
                    "the image stream {name} does not exist and cannot be made by this push: {}",
                    text(&error)
                ),
            )),
            Err(error) if error.is_invalid() => Err(Refusal::of(
                ErrorCode::NameInvalid,
                format!("{name} cannot be an image stream: {}", text(&error)),
            )),
            Err(error) => Err(refused("making the image stream", &error)),
        }
    }

    fn session(&self, who: &Identity) -> Session<'_> {
        match &who.token {
            Some((token, _)) => self.client.with_token(token),
            None => self.client.anonymous(),
        }
    }

    /// The Image object of a pushed manifest; metadata and children are the API server's to find out, unless some of what
    /// the manifest names is missing: then the Image names what is there, and goes without the raw manifest, from which the
    /// API server would read the rest.
    fn image(&self, name: &RepositoryName, pushed: &Pushed) -> Result<Image, Refusal> {
        let manifest = &pushed.manifest;
        let is_index = manifest.kind().is_index();
        let order = if is_index {
            ""
        } else {
            annotation::LAYERS_ASCENDING
        };
        let annotations = [
            (annotation::MANAGED, "true"),
            (annotation::MANIFEST_BLOB_STORED, "true"),
            (annotation::LAYERS_ORDER, order),
        ];
        let layer = |descriptor: &berth_oci::Descriptor| ImageLayer {
            name: descriptor.digest.to_string(),
            size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
            media_type: descriptor.media_type.as_str().to_owned(),
        };
        let Ok(raw) = std::str::from_utf8(&pushed.bytes) else {
            return Err(Refusal::of(
                ErrorCode::ManifestInvalid,
                "the manifest is not UTF-8",
            ));
        };
        let missing: HashSet<Digest> = pushed.missing.iter().copied().collect();
        let held = |digest: &Digest| !missing.contains(digest);
        let mut image = Image {
            metadata: ObjectMeta {
                name: pushed.digest.to_string(),
                annotations: annotations
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ..ObjectMeta::default()
            },
            docker_image_reference: format!("{}/{name}@{}", self.server_addr, pushed.digest),
            docker_image_manifest: raw.to_owned(),
            docker_image_manifest_media_type: pushed.media_type.clone(),
            docker_image_config: config(pushed).unwrap_or_default().to_owned(),
            docker_image_layers: manifest
                .layers()
                .iter()
                .filter(|blob| held(&blob.digest))
                .map(layer)
                .collect(),
            ..Image::default()
        };
        if !missing.is_empty() {
            image.docker_image_manifest.clear();
            let children = manifest.children().iter().filter(|child| held(&child.digest));
            image.docker_image_manifests = children.map(entry).collect();
            let config = manifest.config().filter(|config| held(&config.digest));
            image.docker_image_metadata.id =
                config.map_or_else(|| pushed.digest.to_string(), |config| config.digest.to_string());
            let sizes: BTreeMap<Digest, u64> = manifest
                .blobs()
                .filter(|blob| held(&blob.digest))
                .map(|blob| (blob.digest, blob.size))
                .collect();
            let size = sizes.into_values().fold(0, u64::saturating_add);
            image.docker_image_metadata.size = i64::try_from(size).unwrap_or(i64::MAX);
            DockerImage::VERSION.clone_into(&mut image.docker_image_metadata_version);
        }
        Ok(image.typed())
    }
}

/// A manifest that an index lists, in the words of the image API.
fn entry(child: &berth_oci::Descriptor) -> ImageManifest {
    let platform = child.platform.as_ref();
    ImageManifest {
        digest: child.digest.to_string(),
        media_type: child.media_type.as_str().to_owned(),
        manifest_size: i64::try_from(child.size).unwrap_or(i64::MAX),
        architecture: platform
            .map(|platform| platform.architecture.clone())
            .unwrap_or_default(),
        os: platform.map(|platform| platform.os.clone()).unwrap_or_default(),
        variant: platform
            .and_then(|platform| platform.variant.clone())
            .unwrap_or_default(),
    }
}

/// The configuration that describes an image to the API. The config blob of an artifact is anything, and stays out.
fn config(pushed: &Pushed) -> Option<&str> {
    let descriptor = pushed.manifest.config()?;
    let describes = matches!(
        descriptor.media_type.as_str(),
        media_type::OCI_CONFIG | media_type::DOCKER_CONFIG
    );
    let text = std::str::from_utf8(pushed.config.as_ref()?).ok()?;
    (describes && serde_json::from_str::<BTreeMap<String, serde::de::IgnoredAny>>(text).is_ok())
        .then_some(text)
}

fn object(name: &RepositoryName) -> Result<Object<'_>, Refusal> {
    let (namespace, stream) = name.pair().ok_or_else(|| refuse::not_two_parts(name.as_str()))?;
    Ok(Object {
        namespace,
        name: stream,
    })
}

fn meta(object: Object<'_>) -> ObjectMeta {
    ObjectMeta {
        name: object.name.to_owned(),
        namespace: object.namespace.to_owned(),
        ..ObjectMeta::default()
    }
}

/// What an API server's refusal of a push means to the client that pushed.
fn refused(doing: &'static str, error: &Error) -> Refusal {
    let text = text(error);
    let quota = QUOTA.iter().any(|words| text.contains(words));
    // RBAC's own sentence means that the registry's account lacks a right; everything else that is forbidden is a
    // decision of admission about this push.
    let account = text.contains("cannot create resource");
    if (error.is_forbidden() || error.is_invalid()) && quota || error.is_forbidden() && !account {
        Refusal::of(ErrorCode::Denied, format!("the push was refused: {text}"))
    } else if error.status().is_some_and(|status| status.code == 413) {
        let message =
            format!("the manifest with its configuration is larger than the API server takes: {text}");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid, message)
    } else if error.is_invalid() {
        Refusal::of(
            ErrorCode::ManifestInvalid,
            format!("the image was refused: {text}"),
        )
    } else {
        refuse::failed(doing, error)
    }
}

fn text(error: &Error) -> String {
    error
        .status()
        .map_or_else(|| error.to_string(), |status: &Status| status.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Error {
        Error::Api(Status::failure(message, reason).with_code(code).boxed())
    }

    #[test]
    fn a_refused_push_names_its_reason() {
        for (error, code, words) in [
            (
                status(
                    403,
                    "Forbidden",
                    "x is forbidden: exceeded quota: q, requested: 1",
                ),
                ErrorCode::Denied,
                "exceeded quota: q",
            ),
            (
                status(422, "Invalid", "the image exceeds the maximum limit of 1"),
                ErrorCode::Denied,
                "maximum limit",
            ),
            (
                status(403, "Forbidden", "namespace is being terminated"),
                ErrorCode::Denied,
                "terminated",
            ),
            (
                status(422, "Invalid", "metadata.name does not match"),
                ErrorCode::ManifestInvalid,
                "does not match",
            ),
            (
                status(
                    403,
                    "Forbidden",
                    "User \"r\" cannot create resource \"imagestreammappings\"",
                ),
                ErrorCode::Unknown,
                "system:registry",
            ),
            (
                status(413, "RequestEntityTooLarge", "limit is 3145728"),
                ErrorCode::ManifestInvalid,
                "3145728",
            ),
            (
                status(503, "ServiceUnavailable", "etcd is away"),
                ErrorCode::Unavailable,
                "etcd is away",
            ),
            (status(409, "Conflict", "changed"), ErrorCode::Unknown, "log"),
        ] {
            let refusal = refused("recording the push", &error);
            assert_eq!(refusal.code, code, "{error}");
            assert!(refusal.message.contains(words), "{}", refusal.message);
        }
    }
}
