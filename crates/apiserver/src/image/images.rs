//! Images: stored once for the whole cluster, and hardly changed afterwards.

use std::sync::Arc;

use async_trait::async_trait;
use berth_api::{Image, Kind as _, Time};
use berth_apimachinery::{
    context::Context,
    entry::Entry,
    field::{FieldError, FieldErrors},
    names,
    object::Object,
    status::Status,
    storage::Storage,
    strategy::Strategy,
};
use berth_imagestream::{image as rules, layers::Content};

use super::field;

/// Access to stored Images by name. Cheap to clone.
#[derive(Clone)]
pub(super) struct Images {
    storage: Storage,
}

impl Images {
    /// Over the storage of `images`.
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// The storage.
    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// An Image, if there is one of that name.
    pub(super) fn get(&self, name: &str) -> Option<Image> {
        // From the bytes: memory keeps no parsed Images, and this way none is parsed twice.
        let entry = self.storage.get("", name)?;
        serde_json::from_slice(entry.json())
            .inspect_err(|error| unreadable(name, error))
            .ok()
    }

    /// What an Image gives access to.
    pub(super) fn content(&self, name: &str) -> Option<Content> {
        let entry = self.storage.get("", name)?;
        serde_json::from_slice(entry.json())
            .inspect_err(|error| unreadable(name, error))
            .ok()
    }

    /// Makes a new Image ready to be stored: reads its manifest, then drops it if the registry has it.
    pub(super) fn prepare(&self, image: &mut Image, now: jiff::Timestamp) {
        if let Err(error) = rules::fill_metadata(image, Time::new(now), |name| self.get(name)) {
            // The Image is still worth having: the registry serves the manifest from its own storage.
            let source = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::info!(image = image.metadata.name, %error, source, "an image tells nothing about itself");
        }
        rules::drop_stored_documents(image);
    }

    /// Stores a prepared Image unless there is one of that name, which is left as it is. Returns whether there was.
    ///
    /// # Errors
    /// What the store answers.
    pub(super) async fn add(&self, cx: &Context, image: Image) -> Result<bool, Status> {
        if self.storage.get("", &image.metadata.name).is_some() {
            return Ok(true);
        }
        if cx.dry_run {
            return Ok(false);
        }
        let object = Object::from_typed(&image.typed())?;
        match self.storage.create(object).await {
            Ok(_) => Ok(false),
            Err(status) if status.is_already_exists() => Ok(true),
            Err(status) => Err(status),
        }
    }

    /// Whether an Image is stored that names less than `image` of the same name.
    pub(super) fn names_less(&self, image: &Image) -> bool {
        self.get(&image.metadata.name)
            .is_some_and(|stored| names_less(&stored, image))
    }

    /// Adds to a stored Image what it does not name yet of `image`, whose content was just pushed whole. An Image names only
    /// what was there when its manifest came first, which may have been less.
    ///
    /// # Errors
    /// What the store answers.
    pub(super) async fn complete(&self, cx: &Context, image: &Image) -> Result<(), Status> {
        if cx.dry_run {
            return Ok(());
        }
        let change = |current: &Object| {
            let mut stored: Image = current.to_typed()?;
            if names_less(&stored, image) {
                stored.docker_image_layers.clone_from(&image.docker_image_layers);
                stored
                    .docker_image_manifests
                    .clone_from(&image.docker_image_manifests);
                stored.docker_image_metadata = image.docker_image_metadata.clone();
            }
            Object::from_typed(&stored.typed()).map(Some)
        };
        self.storage
            .update("", &image.metadata.name, change)
            .await
            .map(drop)
    }
}

fn names_less(stored: &Image, image: &Image) -> bool {
    stored.docker_image_layers.len() < image.docker_image_layers.len()
        || stored.docker_image_manifests.len() < image.docker_image_manifests.len()
}

fn unreadable(name: &str, error: &serde_json::Error) {
    tracing::error!(image = name, %error, "a stored image cannot be read");
}

/// Errors of an Image that is about to be created: its own, and those of its name.
pub(super) fn validate_new(prefix: &str, image: &Image) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Err(wrong) = rules::check_name(image) {
        errors.push(FieldError::invalid(
            format!("{prefix}metadata.name"),
            image.metadata.name.clone(),
            wrong.to_string(),
        ));
    }
    errors.extend(field::image(prefix, image));
    errors
}

/// The rule that stored Images are named like path segments. Everything else is in [`Rules`].
pub(super) struct Names;

impl Strategy for Names {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)
    }
}

/// What clients may write.
pub(super) struct Rules {
    images: Images,
}

impl Rules {
    /// The rules, which look up entries of indexes in `images`.
    pub(super) fn new(images: Images) -> Self {
        Self { images }
    }

    fn invalid(&self, name: &str, errors: &[FieldError]) -> Status {
        Status::invalid(&self.images.storage.resource().group_kind(), name, errors)
    }
}

#[async_trait]
impl Strategy for Rules {
    async fn prepare_for_create(&self, cx: &Context, object: &mut Object) -> Result<(), Status> {
        let mut image: Image = object.to_typed()?;
        // The name can only be checked while the manifest is there.
        let errors = validate_new("", &image);
        if !errors.is_empty() {
            return Err(self.invalid(&image.metadata.name, &errors));
        }
        self.images.prepare(&mut image, cx.now);
        *object = Object::from_typed(&image.typed())?;
        Ok(())
    }

    async fn prepare_for_update(
        &self,
        cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        let mut image: Image = object.to_typed()?;
        let old: Image = old.to_typed()?;
        rules::prepare_update(&mut image, &old);
        let restores_manifest =
            !image.docker_image_manifest.is_empty() && old.docker_image_manifest.is_empty();
        if restores_manifest && image.docker_image_metadata.size == 0 {
            self.images.prepare(&mut image, cx.now);
        }
        rules::drop_stored_documents(&mut image);
        *object = Object::from_typed(&image.typed())?;
        Ok(())
    }

    fn validate(&self, object: &Object, _old: Option<&Object>) -> FieldErrors {
        match object.to_typed::<Image>() {
            Ok(image) => field::image("", &image),
            Err(status) => vec![FieldError::invalid("", "", status.message())],
        }
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        names::path_segment(name)
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// An object that was made from an API type.
pub(super) fn entry<T: berth_api::Kind>(typed: T) -> Result<Arc<Entry>, Status> {
    Ok(Object::from_typed(&typed.typed())?.into())
}
