//! `imagesignatures`: signatures, which are stored inside their Image.

use std::sync::Arc;

use async_trait::async_trait;
use berth_api::{GROUP, Image, ImageSignature, Kind as _, Time};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    field::{FieldError, FieldErrors},
    names,
    object::Object,
    options::DeleteOptions,
    resource::{GroupKind, GroupResource},
    rest::{Deleted, Rest, Verbs},
    status::Status,
};
use berth_imagestream::name;

use super::{
    field,
    images::{self, Images},
};

/// Adds signatures to Images and takes them away.
pub(super) struct Signatures {
    images: Images,
}

impl Signatures {
    /// Over images.
    pub(super) fn new(images: Images) -> Self {
        Self { images }
    }

    /// Changes an Image, or on a dry run only finds out whether it could be changed.
    async fn change(
        &self,
        cx: &Context,
        image: &str,
        change: impl Fn(&mut Image) -> Result<(), Status> + Send + Sync,
    ) -> Result<(), Status> {
        if cx.dry_run {
            let mut image = self.images.storage().require("", image)?.stored().into_typed()?;
            return change(&mut image);
        }
        let update = |current: &Object| {
            let mut image: Image = current.to_typed()?;
            change(&mut image)?;
            Object::from_typed(&image.typed()).map(Some)
        };
        self.images.storage().update("", image, update).await.map(drop)
    }
}

/// OpenShift spells the resource like this in messages.
fn resource() -> GroupResource {
    GroupResource::new(GROUP, "imageSignatures")
}

#[async_trait]
impl Rest for Signatures {
    fn verbs(&self) -> Verbs {
        Verbs {
            create: true,
            delete: true,
            ..Verbs::NONE
        }
    }

    async fn create(
        &self,
        cx: &Context,
        _parent: Option<&str>,
        object: Object,
    ) -> Result<Arc<Entry>, Status> {
        let sent: ImageSignature = object.into_typed()?;
        // What a verifier finds out is for a verifier to write, through the Image.
        let mut signature = ImageSignature {
            metadata: sent.metadata,
            signature_type: sent.signature_type,
            content: sent.content,
            ..ImageSignature::default()
        };
        signature.metadata.uid = uuid::Uuid::new_v4().to_string();
        signature.metadata.creation_timestamp = Some(Time::new(cx.now));
        let mut errors = FieldErrors::new();
        if let Err(detail) = names::path_segment(&signature.metadata.name) {
            errors.push(FieldError::invalid(
                "metadata.name",
                signature.metadata.name.clone(),
                detail,
            ));
        }
        errors.extend(field::signature("", &signature));
        if !errors.is_empty() {
            let kind = GroupKind {
                group: GROUP.to_owned(),
                kind: ImageSignature::KIND.to_owned(),
            };
            return Err(Status::invalid(&kind, &signature.metadata.name, &errors));
        }
        let full_name = signature.metadata.name.clone();
        let (image, _) =
            name::split_image(&full_name).ok_or_else(|| Status::bad_request("no image is named"))?;
        self.change(cx, image, |image| {
            let same = |held: &ImageSignature| {
                held.metadata.name == full_name
                    || (held.signature_type == signature.signature_type && held.content == signature.content)
            };
            if image.signatures.iter().any(same) {
                return Err(Status::already_exists(&resource(), &full_name));
            }
            image.signatures.push(signature.clone());
            Ok(())
        })
        .await?;
        images::entry(signature)
    }

    async fn delete(&self, cx: &Context, name: &str, _options: &DeleteOptions) -> Result<Deleted, Status> {
        let (image, _) = name::split_image(name).ok_or_else(|| {
            Status::bad_request("ImageSignatures must be accessed with <imageName>@<signatureName>")
        })?;
        self.change(cx, image, |image| {
            let before = image.signatures.len();
            image.signatures.retain(|held| held.metadata.name != name);
            if image.signatures.len() == before {
                Err(Status::not_found(&resource(), name))
            } else {
                Ok(())
            }
        })
        .await?;
        Ok(Deleted::Done)
    }
}
