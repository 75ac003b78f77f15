//! Image streams: what clients may write, and what every write brings along.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use async_trait::async_trait;
use berth_api::{GROUP, ImageStream, ImportMode, Kind as _, Time, VERSION};
use berth_apimachinery::{
    access::{Attributes, Authorizer, Target},
    context::Context,
    field::{FieldError, FieldErrors},
    names,
    object::Object,
    resource::{GroupKind, GroupResource},
    rest::Verbs,
    status::Status,
    storage::Storage,
    stored_rest::StoredRest,
    strategy::Strategy,
};
use berth_imagestream::{
    PullSpec, history, name,
    resolve::{self, Problem, StreamKey},
    spec,
};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::{field, limits::Limits};

/// Pushes into one stream wait for each other here instead of losing races against each other; streams share these locks.
const LOCKS: usize = 512;

/// Where repositories are reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// From inside the cluster.
    pub(super) internal: Option<String>,
    /// From outside.
    pub(super) external: Option<String>,
}

/// Access to stored streams, and the rules for writing them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Streams(Arc<Inner>);

struct Inner {
    storage: Storage,
    hosts: Hosts,
    authorizer: Arc<dyn Authorizer>,
    limits: Limits,
    import_mode: ImportMode,
    locks: Vec<Mutex<()>>,
}

impl Streams {
    /// Over the storage of `imagestreams`.
    pub(super) fn new(
        storage: Storage,
        hosts: Hosts,
        authorizer: Arc<dyn Authorizer>,
        limits: Limits,
        import_mode: ImportMode,
    ) -> Self {
        let locks = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Self(Arc::new(Inner {
            storage,
            hosts,
            authorizer,
            limits,
            import_mode,
            locks,
        }))
    }

    /// The storage.
    pub(super) fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// The LimitRanges.
    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The host under which the registry is reached inside the cluster.
    pub(super) fn internal_host(&self) -> Option<&str> {
        self.0.hosts.internal.as_deref()
    }

    /// A stream, if there is one of that name.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<ImageStream> {
        let entry = self.storage().get(namespace, name)?;
        entry
            .object()
            .to_typed()
            .inspect_err(|error| unreadable(namespace, name, error))
            .ok()
    }

    /// What clients write at `imagestreams`: the spec.
    pub(super) fn spec_rest(&self) -> StoredRest {
        self.rest(Arc::new(SpecRules {
            streams: self.clone(),
            with_status: false,
        }))
        .with_verbs(Verbs::ALL)
    }

    /// What controllers write at `imagestreams/status`.
    pub(super) fn status_rest(&self) -> StoredRest {
        self.rest(Arc::new(StatusRules {
            streams: self.clone(),
        }))
    }

    /// Writes of tag views, which change spec and status at once, under the rules of the spec.
    pub(super) fn whole_rest(&self) -> StoredRest {
        self.rest(Arc::new(SpecRules {
            streams: self.clone(),
            with_status: true,
        }))
        .with_verbs(Verbs::ALL)
    }

    /// Writes that have been checked already and are stored as they are.
    pub(super) fn checked_rest(&self) -> StoredRest {
        self.rest(Arc::new(Stored::new(self.0.hosts.clone())))
    }

    fn rest(&self, strategy: Arc<dyn Strategy>) -> StoredRest {
        StoredRest::subresource(self.storage().clone(), strategy)
    }

    /// Keeps other pushes into a stream out.
    pub(super) async fn lock(&self, namespace: &str, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (namespace, name).hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0);
        self.0.locks[index].lock().await
    }

    /// Puts the repository fields to what the configuration says.
    pub(super) fn set_repositories(&self, stream: &mut ImageStream) {
        spec::set_repositories(stream, self.internal_host(), self.0.hosts.external.as_deref());
    }

    /// Whether the caller may do `verb` on a resource of the image API; else why not.
    async fn allowed(&self, cx: &Context, verb: &str, target: Target<'_>) -> Result<(), String> {
        let decision = self
            .0
            .authorizer
            .authorize(&Attributes {
                user: &cx.user,
                verb,
                target,
            })
            .await;
        if decision.allowed {
            Ok(())
        } else {
            Err(format!("{:?} {:?}", decision.reason, decision.error))
        }
    }

    /// Whether the caller may create Images, and so is trusted to know where their content comes from.
    pub(super) async fn may_create_images(&self, cx: &Context) -> bool {
        let target = Target::Resource {
            group: GROUP,
            version: VERSION,
            resource: "images",
            subresource: "",
            namespace: "",
            name: "",
        };
        self.allowed(cx, "create", target).await.is_ok()
    }

    /// Whether the caller may pull from a stream; else why not.
    async fn may_pull(&self, cx: &Context, stream: &StreamKey) -> Result<(), String> {
        let target = Target::Resource {
            group: GROUP,
            version: VERSION,
            resource: "imagestreams",
            subresource: "layers",
            namespace: &stream.namespace,
            name: &stream.name,
        };
        self.allowed(cx, "get", target).await
    }

    /// Refuses a stream that outgrows the LimitRanges of its namespace.
    ///
    /// # Errors
    /// The message of the refusal.
    pub(super) fn check_limits(&self, new: &ImageStream, old: Option<&ImageStream>) -> Result<(), String> {
        self.limits().check_stream(new, old).map_err(|exceeded| {
            let kind = GroupResource::new(GROUP, ImageStream::KIND);
            Status::forbidden(&kind, &new.metadata.name, exceeded)
                .message()
                .to_owned()
        })
    }

    /// Gives new and changed tags that point to streams their events, if the caller may have what they point to.
    async fn resolve(
        &self,
        cx: &Context,
        stream: &mut ImageStream,
        old: Option<&ImageStream>,
    ) -> Result<(), String> {
        let mut errors = FieldErrors::new();
        let mut foreign = BTreeMap::new();
        for (key, tags) in resolve::sources(stream, old) {
            if key.namespace != stream.metadata.namespace
                && let Err(reason) = self.may_pull(cx, &key).await
            {
                let detail = format!("{}/{}: {reason}", key.namespace, key.name);
                errors
                    .extend(tags.iter().map(|tag| {
                        FieldError::forbidden(format!("{}.from", field::spec_tag(tag)), &*detail)
                    }));
                continue;
            }
            if let Some(source) = self.get(&key.namespace, &key.name) {
                foreign.insert(key, source);
            }
        }
        // What the caller may not see must not show whether it exists, so nothing is looked up then.
        if errors.is_empty() {
            let problems = resolve::resolve(stream, old, &foreign, self.internal_host(), Time::new(cx.now));
            errors.extend(problems.iter().map(problem));
        }
        if errors.is_empty() {
            return self.check_limits(stream, old);
        }
        let kind = GroupKind {
            group: String::new(),
            kind: "imagestreams".to_owned(),
        };
        Err(Status::invalid(&kind, &stream.metadata.name, &errors)
            .message()
            .to_owned())
    }
}

fn unreadable(namespace: &str, name: &str, error: &Status) {
    tracing::error!(
        namespace,
        stream = name,
        error = error.message(),
        "a stored stream cannot be read"
    );
}

fn problem(problem: &Problem) -> FieldError {
    const FORM: &str = "must be of the form <tag>, <repo>:<tag>, <id>, or <repo>@<id>";
    let path = |tag: &str| format!("{}.from.name", field::spec_tag(tag));
    match problem {
        Problem::Form { tag, name } => FieldError::invalid(path(tag), name.clone(), FORM),
        Problem::NoStream { tag, name } => FieldError::not_found(path(tag), name.clone()),
        Problem::NoImage { tag, name, id } => {
            let missing = Status::not_found(&GroupResource::new(GROUP, "imagestreamimage"), id);
            let detail = format!("error generating tag event: {}", missing.message());
            FieldError::invalid(path(tag), name.clone(), detail)
        }
        Problem::Ambiguous {
            tag,
            name,
            id,
            images,
        } => {
            let detail = format!("multiple images match the prefix {id:?}: {}", images.join(", "));
            FieldError::invalid(path(tag), name.clone(), detail)
        }
    }
}

fn validate_name(text: &str) -> Result<(), String> {
    names::path_segment(text)?;
    if name::is_stream(text) {
        Ok(())
    } else {
        Err(format!("must match {:?}", name::STREAM_PATTERN))
    }
}

/// What holds for every stored stream, whoever wrote it: its name, its selectable fields, and repository fields that follow the
/// configuration.
pub(super) struct Stored {
    hosts: Hosts,
}

impl Stored {
    /// For these hosts.
    pub(super) fn new(hosts: Hosts) -> Self {
        Self { hosts }
    }
}

impl Strategy for Stored {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        validate_name(name)
    }

    fn decorates(&self) -> bool {
        true
    }

    fn decorate(&self, object: &mut Object) {
        let repository =
            |host: &str| PullSpec::of_stream(host, object.namespace(), object.name()).to_string();
        let internal = match &self.hosts.internal {
            Some(host) => repository(host),
            None => spec::own_repository(object.str_at(&["spec", "dockerImageRepository"])),
        };
        let public = self.hosts.external.as_deref().map(repository);
        if let Some(Value::Object(status)) = object.fields_mut().get_mut("status") {
            status.insert("dockerImageRepository".into(), internal.into());
            match public {
                Some(public) => status.insert("publicDockerImageRepository".into(), public.into()),
                None => status.remove("publicDockerImageRepository"),
            };
        }
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["spec.dockerImageRepository", "status.dockerImageRepository"]
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        let field = |parent: &str| object.str_at(&[parent, "dockerImageRepository"]).to_owned();
        vec![
            ("spec.dockerImageRepository", field("spec")),
            ("status.dockerImageRepository", field("status")),
        ]
    }
}

/// The rules of writes that change the spec.
struct SpecRules {
    streams: Streams,
    /// Whether the status of the write counts too; else it is the stored one.
    with_status: bool,
}

impl SpecRules {
    /// Everything between what the client wants and what is stored. All faults are reported at once: those of resolving tags
    /// as one "internal" error, in the words of OpenShift, then those of fields.
    async fn prepare(
        &self,
        cx: &Context,
        object: &mut Object,
        old: Option<&ImageStream>,
    ) -> Result<(), Status> {
        let mut stream: ImageStream = object.to_typed()?;
        spec::default_stream(&mut stream, self.streams.0.import_mode);
        match old {
            Some(old) => {
                if !self.with_status {
                    stream.status = old.status.clone();
                }
                spec::prepare_update(&mut stream, old);
            }
            None => {
                if !self.with_status {
                    stream.status = berth_api::ImageStreamStatus::default();
                }
                spec::prepare_create(&mut stream);
            }
        }
        self.streams.set_repositories(&mut stream);
        if let Err(detail) = self.streams.resolve(cx, &mut stream, old).await {
            let mut errors = vec![field::internal(detail)];
            errors.extend(field::stream(&stream, old));
            let kind = self.streams.storage().resource().group_kind();
            return Err(Status::invalid(&kind, &stream.metadata.name, &errors));
        }
        *object = Object::from_typed(&stream.typed())?;
        Ok(())
    }
}

#[async_trait]
impl Strategy for SpecRules {
    async fn prepare_for_create(&self, cx: &Context, object: &mut Object) -> Result<(), Status> {
        self.prepare(cx, object, None).await
    }

    async fn prepare_for_update(
        &self,
        cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        let old: ImageStream = old.to_typed()?;
        self.prepare(cx, object, Some(&old)).await
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        let old = old.and_then(|old| old.to_typed::<ImageStream>().ok());
        match object.to_typed::<ImageStream>() {
            Ok(stream) => field::stream(&stream, old.as_ref()),
            Err(status) => vec![FieldError::invalid("", "", status.message())],
        }
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        validate_name(name)
    }

    fn allow_unconditional_update(&self) -> bool {
        // A write through a tag view reads the stream itself and carries its version.
        false
    }
}

/// The rules of `imagestreams/status`.
struct StatusRules {
    streams: Streams,
}

#[async_trait]
impl Strategy for StatusRules {
    async fn prepare_for_update(
        &self,
        cx: &Context,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), Status> {
        let mut stream: ImageStream = object.to_typed()?;
        let old: ImageStream = old.to_typed()?;
        spec::prepare_status_update(&mut stream, &old);
        history::drop_empty(&mut stream);
        self.streams.set_repositories(&mut stream);
        let added = added_image(&stream, &old);
        if let Some(image) = added
            && !self.streams.may_create_images(cx).await
        {
            return Err(not_in_possession(
                &self.streams.storage().resource().group_resource(),
                &stream,
                &image,
            ));
        }
        if let Err(exceeded) = self.streams.check_limits(&stream, Some(&old)) {
            let kind = self.streams.storage().resource().group_kind();
            let error = FieldError::forbidden("imageStream", exceeded);
            return Err(Status::invalid(&kind, &stream.metadata.name, &[error]));
        }
        *object = Object::from_typed(&stream.typed())?;
        Ok(())
    }

    fn validate(&self, object: &Object, old: Option<&Object>) -> FieldErrors {
        let old = old.and_then(|old| old.to_typed::<ImageStream>().ok());
        match object.to_typed::<ImageStream>() {
            Ok(stream) => field::events(&stream, old.as_ref()),
            Err(status) => vec![FieldError::invalid("", "", status.message())],
        }
    }

    fn validate_name(&self, name: &str) -> Result<(), String> {
        validate_name(name)
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// An image that `new` holds and `old` does not.
fn added_image(new: &ImageStream, old: &ImageStream) -> Option<String> {
    let images = |stream: &ImageStream| -> BTreeSet<String> {
        stream
            .status
            .tags
            .values()
            .flat_map(|list| &list.items)
            .map(|item| item.image.clone())
            .collect()
    };
    let known = images(old);
    images(new)
        .into_iter()
        .find(|image| !image.is_empty() && !known.contains(image))
}

/// The refusal for a caller who wants an image in a stream without having shown that it may have it.
pub(super) fn not_in_possession(resource: &GroupResource, stream: &ImageStream, image: &str) -> Status {
    let cause = format!(
        "image {image} is not in this stream, and you may not create images: push it, import it, or tag it from a stream that \
         you may pull from"
    );
    Status::forbidden(resource, &stream.metadata.name, cause)
}
