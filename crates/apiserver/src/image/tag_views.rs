//! What the two views on tags, `imagestreamtags` and `imagetags`, have in common.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_api::{GROUP, Image, ImageStream, Kind, ObjectMeta};
use berth_apimachinery::{
    context::Context,
    object::Object,
    options::{DeleteOptions, ListOptions},
    resource::GroupResource,
    rest::{Deleted, List, Rest as _, Verbs},
    status::Status,
    storage::PAGE_LIMIT,
};
use berth_imagestream::{name, view};
use serde::{Deserialize, Serialize};

use super::{images::Images, nested, streams::Streams};

/// How often a write starts anew because the stream came into being or went away meanwhile.
const ATTEMPTS: usize = 8;

/// The verbs of both views. There is no watch: clients watch streams.
pub(super) const VERBS: Verbs = Verbs {
    watch: false,
    delete_collection: false,
    ..Verbs::ALL
};

/// Streams seen as tags of kind `T`.
pub(super) struct TagViews<T> {
    streams: Streams,
    images: Images,
    kind: std::marker::PhantomData<fn() -> T>,
}

/// Where the next page begins: behind this tag. A later page shows the state of its own time, so a tag that comes or goes between
/// two pages is shown or not, and every tag that stays is shown once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Position {
    namespace: String,
    stream: String,
    tag: String,
}

impl Position {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(token: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Status::bad_request("continue key is not valid: not a token of this server"))
    }
}

impl<T: Kind> TagViews<T> {
    /// Over streams and images.
    pub(super) fn new(streams: Streams, images: Images) -> Self {
        Self {
            streams,
            images,
            kind: std::marker::PhantomData,
        }
    }

    /// How messages name the view.
    pub(super) fn resource() -> GroupResource {
        GroupResource::new(GROUP, T::PLURAL)
    }

    /// Splits the name of a tag.
    ///
    /// # Errors
    /// 400 if it is not `<stream>:<tag>`.
    pub(super) fn split(full_name: &str) -> Result<(&str, &str), Status> {
        name::split_tag(full_name)
            .ok_or_else(|| Status::bad_request(format!("{}s must be retrieved with <name>:<tag>", T::KIND)))
    }

    /// The stream of the name.
    ///
    /// # Errors
    /// 404 in the words of OpenShift: the view's resource and the stream's name.
    pub(super) fn stream(&self, cx: &Context, name: &str) -> Result<ImageStream, Status> {
        let stream = self.streams.get(cx.require_namespace()?, name);
        stream.ok_or_else(|| Status::not_found(&Self::resource(), name))
    }

    /// The Image that a tag points to, if both exist.
    pub(super) fn image(&self, stream: &ImageStream, tag: &str) -> Option<Image> {
        self.images.get(&view::tagged_image(stream, tag)?.image)
    }

    /// Changes the stream called `name`, creating it if it does not exist. `change` gets the stream and whether it exists, and is
    /// called anew for every attempt.
    pub(super) async fn write(
        &self,
        cx: &Context,
        name: &str,
        change: &(dyn Fn(&mut ImageStream, bool) -> Result<(), Status> + Send + Sync),
    ) -> Result<ImageStream, Status> {
        let namespace = cx.require_namespace()?;
        let storage = self.streams.storage();
        for _ in 0..ATTEMPTS {
            if storage.get(namespace, name).is_none() {
                let mut stream = ImageStream {
                    metadata: ObjectMeta {
                        name: name.to_owned(),
                        namespace: namespace.to_owned(),
                        ..ObjectMeta::default()
                    },
                    ..ImageStream::default()
                };
                change(&mut stream, false)?;
                let mut object = Object::from_typed(&stream.typed())?;
                let cx = nested(cx, storage.resource(), "create", name);
                // To quotas and namespaces this is the creation of a stream like any other.
                if let Some(admission) = &cx.admission {
                    admission.create(&cx, &mut object).await?;
                }
                match self.streams.whole_rest().create(&cx, None, object).await {
                    Err(status) if status.is_already_exists() => {}
                    answer => return answer?.object().to_typed(),
                }
            } else {
                let transform = |current: Option<&Object>| {
                    let current = current.ok_or_else(|| Status::not_found(&Self::resource(), name))?;
                    let mut stream: ImageStream = current.to_typed()?;
                    self.streams.set_repositories(&mut stream);
                    change(&mut stream, true)?;
                    Object::from_typed(&stream.typed())
                };
                let cx = nested(cx, storage.resource(), "update", name);
                match self.streams.whole_rest().update(&cx, name, &transform).await {
                    Err(status) if status.is_not_found() && storage.get(namespace, name).is_none() => {}
                    answer => return answer?.object.object().to_typed(),
                }
            }
        }
        Err(Status::server_timeout(&Self::resource(), "create", 2))
    }

    /// Removes a tag, wanted and history both. Images stay.
    pub(super) async fn delete(
        &self,
        cx: &Context,
        full_name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let (name, tag) = Self::split(full_name)?;
        let missing = |name: &str| Status::not_found(&Self::resource(), name);
        let failed = |what: &str| {
            let cause = format!("the {what} precondition was not met");
            Err(Status::conflict(&Self::resource(), full_name, cause))
        };
        let transform = |current: Option<&Object>| {
            let mut stream: ImageStream = current.ok_or_else(|| missing(name))?.to_typed()?;
            let wanted = &options.preconditions;
            if wanted.uid.as_ref().is_some_and(|uid| *uid != stream.metadata.uid) {
                return failed("UID");
            }
            if wanted
                .resource_version
                .as_ref()
                .is_some_and(|version| *version != stream.metadata.resource_version)
            {
                return failed("resourceVersion");
            }
            let (spec, status) = (stream.spec.tags.remove(tag), stream.status.tags.remove(tag));
            if spec.is_none() && status.is_none() {
                return Err(missing(full_name));
            }
            Object::from_typed(&stream.typed())
        };
        let storage = self.streams.storage();
        if storage.get(cx.require_namespace()?, name).is_none() {
            return Err(missing(name));
        }
        let cx = nested(cx, storage.resource(), "update", name);
        self.streams.whole_rest().update(&cx, name, &transform).await?;
        Ok(Deleted::Done)
    }

    /// A page of the tags of a namespace, or of all, sorted by namespace, stream and tag. `make` shows a tag, or none to leave
    /// it out; its answer is asked only for tags that can still be on the page.
    pub(super) async fn list(
        &self,
        cx: &Context,
        options: &ListOptions,
        make: impl Fn(&ImageStream, &str) -> Option<T> + Send + Sync,
    ) -> Result<List, Status> {
        for requirement in &options.fields.requirements {
            if !matches!(requirement.field.as_str(), "metadata.name" | "metadata.namespace") {
                return Err(Status::bad_request(format!(
                    "field label not supported: {}",
                    requirement.field
                )));
            }
        }
        let database = self.streams.storage().database();
        if let Some(revision) = options.resource_version.filter(|revision| *revision > 0) {
            database.fresh(revision).await?;
        }
        let after = match options.continue_token.as_str() {
            "" => None,
            token => Some(Position::decode(token)?),
        };
        let limit = match options.limit {
            0 => usize::MAX,
            limit => limit.min(PAGE_LIMIT),
        };
        // Taken before memory is read: what is read then is at least as new.
        let mut list = List {
            resource_version: database.revision().to_string(),
            ..List::default()
        };
        let mut last = None;
        for entry in self
            .streams
            .storage()
            .list(cx.namespace.as_deref().unwrap_or_default())
        {
            let object = entry.object();
            let (namespace, name) = (object.namespace(), object.name());
            let stream_after = after
                .as_ref()
                .map(|after| (after.namespace.as_str(), after.stream.as_str()));
            if stream_after.is_some_and(|after| (namespace, name) < after)
                || !options.labels.matches(object.labels())
            {
                continue;
            }
            let stream: ImageStream = object.to_typed()?;
            for tag in view::tags(&stream) {
                let position = Position {
                    namespace: namespace.to_owned(),
                    stream: name.to_owned(),
                    tag: tag.to_owned(),
                };
                let selected = options.fields.matches(|field| match field {
                    "metadata.name" => Cow::Owned(format!("{name}:{tag}")),
                    _ => Cow::Borrowed(namespace),
                });
                if !selected || after.as_ref().is_some_and(|after| position <= *after) {
                    continue;
                }
                let Some(item) = make(&stream, tag) else { continue };
                if list.items.len() == limit {
                    list.continue_token = last.as_ref().map(Position::encode).unwrap_or_default();
                    return Ok(list);
                }
                list.items.push(super::images::entry(item)?);
                last = Some(position);
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_travel() {
        let position = Position {
            namespace: "ns".into(),
            stream: "app".into(),
            tag: "v1".into(),
        };
        assert_eq!(Position::decode(&position.encode()).unwrap(), position);
        for token in ["", "!", "e30", "bm9wZQ"] {
            assert_eq!(Position::decode(token).unwrap_err().code(), 400, "{token}");
        }
    }
}
