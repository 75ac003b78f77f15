//! [`Call`]: a request to a resource, from its path to its answer.
mod apply;
mod write;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::body::Body;
use super::decode::Expected;
use super::negotiate::{self, Offer, Output};
use super::path::ResourcePath;
use super::query::Query;
use super::render::{self, Include, Renderer};
use super::watch::{self, Watching};
use super::{Exchange, limits};
use crate::access::{Attributes, Target};
use crate::context::Context;
use crate::entry::Entry;
use crate::object::Object;
use crate::resource::{Endpoint, Gvk, Resource};
use crate::rest::{Rest, Verbs};
use crate::schema_port::ObjectSchema;
use crate::selector::FieldSelector;
use crate::status::Status;
use crate::table::Table;

/// The Kubernetes verb of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    fn of(method: &Method, named: bool, watch: bool) -> Option<Self> {
        Some(match (method.as_str(), named) {
            ("GET", true) => Self::Get,
            ("GET", false) if watch => Self::Watch,
            ("GET", false) => Self::List,
            ("POST", _) => Self::Create,
            ("PUT", true) => Self::Update,
            ("PATCH", true) => Self::Patch,
            ("DELETE", true) => Self::Delete,
            ("DELETE", false) => Self::DeleteCollection,
            _ => return None,
        })
    }

    fn is_in(self, verbs: Verbs) -> bool {
        match self {
            Self::Get => verbs.get,
            Self::List => verbs.list,
            Self::Watch => verbs.watch,
            Self::Create => verbs.create,
            Self::Update => verbs.update,
            Self::Patch => verbs.patch,
            Self::Delete => verbs.delete,
            Self::DeleteCollection => verbs.delete_collection,
        }
    }

    fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A request to a resource.
pub(super) struct Call<'a> {
    pub(super) exchange: &'a Exchange<'a>,
    pub(super) path: ResourcePath<'a>,
    pub(super) query: Query,
    pub(super) verb: Option<Verb>,
}

/// What serves the path: a resource or a subresource.
pub(super) struct Served<'a> {
    pub(super) resource: &'a Resource,
    pub(super) rest: &'a Arc<dyn Rest>,
    /// Kind of the objects.
    pub(super) gvk: &'a Gvk,
    list_kind: String,
    pub(super) schema: Option<&'a Arc<dyn ObjectSchema>>,
    table: &'a Table,
    /// Position among the subresources.
    index: Option<usize>,
}

impl<'a> Served<'a> {
    fn find(endpoint: &'a Endpoint, subresource: &str) -> Option<Self> {
        let resource = &endpoint.resource;
        if subresource.is_empty() {
            return Some(Self {
                resource,
                rest: &endpoint.rest,
                gvk: resource.gvk(),
                list_kind: resource.list_kind().to_owned(),
                schema: resource.schema(),
                table: resource.table(),
                index: None,
            });
        }
        let index = endpoint
            .subresources
            .iter()
            .position(|held| held.name == subresource)?;
        let held = &endpoint.subresources[index];
        let same = held.gvk == *resource.gvk();
        let kind = held.gvk.kind.as_str();
        Some(Self {
            resource,
            rest: &held.rest,
            gvk: &held.gvk,
            list_kind: if kind.ends_with("List") {
                kind.to_owned()
            } else {
                format!("{kind}List")
            },
            schema: held
                .schema
                .as_ref()
                .or_else(|| resource.schema().filter(|_| same)),
            table: if same { resource.table() } else { &held.table },
            index: Some(index),
        })
    }

    pub(super) fn expected(&self, query: &Query) -> Result<Expected<'a>, Status> {
        Ok(Expected {
            gvk: self.gvk,
            schema: self.schema.map(Arc::as_ref),
            validation: query.field_validation()?,
        })
    }
}

impl<'a> Call<'a> {
    pub(super) fn parse(
        exchange: &'a Exchange<'a>,
        mut path: ResourcePath<'a>,
        query: Query,
    ) -> Result<Self, Status> {
        let verb = Verb::of(&exchange.parts.method, !path.name.is_empty(), query.flag("watch"));
        // Who may get one object may also list or watch it alone.
        if matches!(verb, Some(Verb::List | Verb::Watch | Verb::DeleteCollection))
            && let Some(selector) = query.get("fieldSelector")
            && let Ok(selector) = FieldSelector::parse(selector)
            && let Some(name) = selector.required("metadata.name")
        {
            path.name = name.to_owned().into();
        }
        Ok(Self {
            exchange,
            path,
            query,
            verb,
        })
    }

    pub(super) async fn answer<B>(mut self, body: B) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let server = self.exchange.server;
        let user = self.exchange.authenticate().await?;
        let method = self.exchange.parts.method.as_str().to_ascii_lowercase();
        let endpoint = server.catalog.find(self.path.api_version, &self.path.resource);
        let is_namespace = endpoint.is_some_and(|endpoint| endpoint.resource.is_namespace());
        let target = Target::Resource {
            group: self.path.group,
            version: self.path.version,
            resource: &self.path.resource,
            subresource: &self.path.subresource,
            namespace: if is_namespace {
                &self.path.name
            } else {
                &self.path.namespace
            },
            name: &self.path.name,
        };
        let verb = self.verb.map_or(method.as_str(), |verb| verb.name());
        self.exchange
            .authorize(&Attributes {
                user: &user,
                verb,
                target,
            })
            .await?;
        let Some(endpoint) = endpoint else {
            return Err(Status::no_such_resource());
        };
        let Some(served) = Served::find(endpoint, &self.path.subresource) else {
            return Err(Status::no_such_resource());
        };
        let Some(verb) = self.verb else {
            return Err(Status::method_not_allowed());
        };
        self.check_scope(&served, verb)?;
        let query = std::mem::take(&mut self.query);
        let mut cx = self.exchange.context(user, query.clone());
        cx.namespace = (!self.path.namespace.is_empty()).then(|| self.path.namespace.to_string());
        cx.verb = verb.name();
        cx.resource = Some(served.resource.clone());
        cx.subresource = self.path.subresource.to_string();
        cx.name = self.path.name.to_string();
        self.query = query;
        let result = self.dispatch(&mut cx, &served, verb, body).await;
        let code = match &result {
            Ok(response) => response.status().as_u16(),
            Err(status) => status.code(),
        };
        server
            .metrics
            .record(endpoint, served.index, verb.name(), code, started.elapsed());
        result
    }

    /// Whether the path names objects where the resource has them, and the verb exists there.
    fn check_scope(&self, served: &Served<'_>, verb: Verb) -> Result<(), Status> {
        let resource = served.resource;
        let has_namespace = !self.path.namespace.is_empty();
        if !resource.is_namespaced() && has_namespace && resource.plural() != "namespaces" {
            return Err(Status::no_such_resource());
        }
        if resource.is_namespaced() && !has_namespace && !matches!(verb, Verb::List | Verb::Watch) {
            return Err(Status::method_not_allowed());
        }
        // A resource is created at the collection, a subresource at the name of its object.
        if verb == Verb::Create && self.path.name.is_empty() == served.index.is_some() {
            return Err(Status::method_not_allowed());
        }
        let verbs = served.rest.verbs();
        if verb.is_in(verbs) {
            return Ok(());
        }
        Err(match verb {
            Verb::Watch if verbs.list => Status::not_supported(&resource.group_resource(), "watch"),
            _ => Status::method_not_allowed(),
        })
    }

    async fn dispatch<B>(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        verb: Verb,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if verb == Verb::Watch {
            return self.watch(cx, served).await;
        }
        let _permit = self.exchange.server.limits.enter(verb.writes())?;
        match verb {
            Verb::Get if served.rest.get_lists() => self.list(cx, served).await,
            Verb::Get => {
                let renderer = self.renderer(cx, served, Offer::Object)?;
                let entry = served.rest.get(cx, &self.path.name).await?;
                Ok(renderer.object(StatusCode::OK, &entry))
            }
            Verb::List | Verb::Watch => self.list(cx, served).await,
            Verb::Create => self.create(cx, served, body).await,
            Verb::Update => self.update(cx, served, body).await,
            Verb::Patch => self.patch(cx, served, body).await,
            Verb::Delete => self.delete(cx, served, body).await,
            Verb::DeleteCollection => self.delete_collection(cx, served, body).await,
        }
    }

    pub(super) fn output(&self, offer: Offer) -> Result<Output, Status> {
        negotiate::negotiate(&self.exchange.parts.headers, offer, self.query.pretty())
    }

    fn include(&self) -> Result<Include, Status> {
        match self.query.get("includeObject").unwrap_or_default() {
            "" | "Metadata" => Ok(Include::Metadata),
            "Object" => Ok(Include::Object),
            "None" => Ok(Include::None),
            other => Err(Status::bad_request(format!(
                "unrecognized includeObject value: {other:?}"
            ))),
        }
    }

    pub(super) fn renderer<'r>(
        &self,
        cx: &Context,
        served: &'r Served<'_>,
        offer: Offer,
    ) -> Result<Renderer<'r>, Status> {
        Ok(Renderer {
            output: self.output(offer)?,
            table: served.table,
            include: self.include()?,
            now: cx.now,
        })
    }

    async fn list(&self, cx: &Context, served: &Served<'_>) -> Result<Response<Body>, Status> {
        let renderer = self.renderer(cx, served, Offer::List)?;
        let options = self.query.list_options()?;
        let list = served.rest.list(cx, &options).await?;
        Ok(renderer.list(&served.gvk.group, &served.gvk.version, &served.list_kind, list))
    }

    async fn watch(&self, cx: &Context, served: &Served<'_>) -> Result<Response<Body>, Status> {
        let output = self.output(Offer::Watch)?;
        let include = self.include()?;
        let options = self.query.watch_options()?;
        let timeout = self.query.timeout_seconds()?;
        let server = self.exchange.server;
        let permit = Arc::clone(&server.limits.watches)
            .try_acquire_owned()
            .map_err(|_| limits::busy())?;
        let events = served.rest.watch(cx, &options).await?;
        let watching = Watching {
            events,
            output,
            table: served.table.clone(),
            include,
            gvk: served.gvk.clone(),
            closing: server.closing.clone(),
            permit,
            metrics: Arc::clone(&server.metrics.watches),
        };
        Ok(watch::respond(watching, timeout))
    }
}

/// An answer of a creation: a Status that a resource returns in place of an object gets the code of the answer.
pub(super) fn created(entry: Arc<Entry>) -> Arc<Entry> {
    let object = entry.object();
    if object.kind() != "Status" || object.api_version() != "v1" || object.get("code").is_some() {
        return entry;
    }
    let mut object: Object = object.clone();
    object.set("code", StatusCode::CREATED.as_u16());
    object.into()
}

/// The answer to a deletion that is done.
pub(super) fn deleted(output: Output, served: &Served<'_>, name: &str, uid: &str) -> Response<Body> {
    let resource = served.resource;
    let mut details = crate::status::Details::of(resource.group(), resource.plural(), name);
    details.uid = uid.to_owned();
    render::status(output, &Status::success(Some(details)))
}
