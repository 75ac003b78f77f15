//! The toy: `widgets.toys.example.com`, namespaced, with a status, a field to select by and a computed field.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::database::Database;
use berth_apimachinery::field::{FieldError, FieldErrors};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::{Endpoint, Resource, Subresource};
use berth_apimachinery::rest::{List, Rest, Verbs};
use berth_apimachinery::server::{ApiServer, Body, Builder, Version};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::stored_rest::StoredRest;
use berth_apimachinery::strategy::Strategy;
use berth_apimachinery::table::{Column, Table, age};
use berth_store::{MemoryStore, Store};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) const WIDGETS: &str = "/apis/toys.example.com/v1/namespaces/default/widgets";
pub(crate) const ALL_WIDGETS: &str = "/apis/toys.example.com/v1/widgets";

/// Raises the generation when the spec changes, keeps the status of a spec update, computes `status.shout`.
pub(crate) struct Widgets;

#[async_trait]
impl Strategy for Widgets {
    fn defaults(&self, object: &mut Object) {
        let spec = object
            .fields_mut()
            .entry("spec")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Value::Object(spec) = spec {
            spec.entry("color").or_insert_with(|| "grey".into());
        }
    }

    async fn prepare_for_create(&self, _: &Context, object: &mut Object) -> Result<(), Status> {
        object.remove("status");
        object.set_generation(1);
        Ok(())
    }

    async fn prepare_for_update(&self, _: &Context, object: &mut Object, old: &Object) -> Result<(), Status> {
        match old.get("status") {
            Some(status) => object.set("status", status.clone()),
            None => drop(object.remove("status")),
        }
        if object.get("spec") != old.get("spec") {
            object.set_generation(old.generation() + 1);
        }
        Ok(())
    }

    fn validate(&self, object: &Object, _: Option<&Object>) -> FieldErrors {
        match object.str_at(&["spec", "color"]) {
            "red" | "green" | "grey" => Vec::new(),
            other => vec![FieldError::not_supported(
                "spec.color",
                other,
                &["red", "green", "grey"],
            )],
        }
    }

    fn decorates(&self) -> bool {
        true
    }

    fn decorate(&self, object: &mut Object) {
        let shout = object.name().to_uppercase();
        let status = object
            .fields_mut()
            .entry("status")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        status["shout"] = shout.into();
    }

    fn selectable_fields(&self, object: &Object) -> Vec<(&'static str, String)> {
        vec![("spec.color", object.str_at(&["spec", "color"]).to_owned())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["spec.color"]
    }
}

/// Keeps the spec, takes the status.
struct WidgetStatus;

#[async_trait]
impl Strategy for WidgetStatus {
    async fn prepare_for_update(&self, _: &Context, object: &mut Object, old: &Object) -> Result<(), Status> {
        if let Some(spec) = old.get("spec") {
            object.set("spec", spec.clone());
        }
        if let Some(Value::Object(status)) = object.fields_mut().get_mut("status") {
            status.remove("shout");
        }
        Ok(())
    }
}

struct Plain;
impl Strategy for Plain {}

/// A resource that only lists what it makes up.
struct Echoes;

#[async_trait]
impl Rest for Echoes {
    fn verbs(&self) -> Verbs {
        Verbs {
            list: true,
            create: true,
            ..Verbs::NONE
        }
    }

    async fn list(&self, _: &Context, _: &berth_apimachinery::options::ListOptions) -> Result<List, Status> {
        Ok(List::default())
    }

    async fn create(
        &self,
        _: &Context,
        _: Option<&str>,
        _: Object,
    ) -> Result<Arc<berth_apimachinery::entry::Entry>, Status> {
        let status =
            serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
        Ok(Object::from_value(status).unwrap().into())
    }
}

pub(crate) struct Toy {
    pub(crate) server: ApiServer,
    pub(crate) storage: Storage,
    pub(crate) store: Arc<MemoryStore>,
    stop: CancellationToken,
    feed: tokio::task::JoinSet<()>,
}

impl Drop for Toy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.feed.abort_all();
    }
}

pub(crate) fn widgets() -> Resource {
    let columns = vec![
        Column::name(),
        Column::new("Color", "The color."),
        Column::age().wide(),
    ];
    Resource::namespaced("toys.example.com", "v1", "Widget", "widgets")
        .with_short_names(&["wd"])
        .with_categories(&["all"])
        .with_table(Table::new(columns, |object, now| {
            vec![
                object.name().into(),
                object.str_at(&["spec", "color"]).into(),
                age(object, now).into(),
            ]
        }))
}

impl Toy {
    pub(crate) async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    pub(crate) async fn on(store: Arc<MemoryStore>) -> Self {
        Self::with(store, |builder| builder).await
    }

    pub(crate) async fn with(store: Arc<MemoryStore>, more: impl FnOnce(Builder) -> Builder) -> Self {
        let (database, mut feed) = Database::new(Arc::clone(&store) as Arc<dyn Store>);
        let storage = Storage::new(&database, widgets(), Arc::new(Widgets));
        let namespaces = Resource::cluster("", "v1", "Namespace", "namespaces").with_short_names(&["ns"]);
        let namespaces = Storage::new(&database, namespaces, Arc::new(Plain));
        let configs = Resource::namespaced("", "v1", "ConfigMap", "configmaps").with_short_names(&["cm"]);
        let configs = Storage::lean(&database, configs, Arc::new(Plain));
        let status = StoredRest::subresource(storage.clone(), Arc::new(WidgetStatus));
        let endpoint = |storage: &Storage| {
            Endpoint::new(
                storage.resource().clone(),
                Arc::new(StoredRest::new(storage.clone())),
            )
        };
        let widget_endpoint = endpoint(&storage).with_subresource(Subresource::new(
            "status",
            widgets().gvk().clone(),
            Arc::new(status),
        ));
        let echoes = Resource::namespaced("toys.example.com", "v1", "Echo", "echoes");
        let builder = ApiServer::builder(Version::kubernetes(32, "toy", "1"))
            .endpoint(endpoint(&namespaces))
            .endpoint(endpoint(&configs))
            .endpoint(widget_endpoint)
            .endpoint(Endpoint::new(echoes, Arc::new(Echoes)));
        let server = more(builder).build();
        feed.load().await.unwrap();
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        let token = stop.clone();
        tasks.spawn(async move { feed.run(token).await.unwrap() });
        Self {
            server,
            storage,
            store,
            stop,
            feed: tasks,
        }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Body> {
        self.server.handle(request).await
    }

    /// Sends and returns code and JSON.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let media_type = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        self.ask_as(method, path, media_type, &body.to_string()).await
    }

    pub(crate) async fn ask_as(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &str,
    ) -> (u16, Value) {
        let body = if body == "null" { "" } else { body };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media_type)
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let response = self.send(request).await;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        (code, value)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, Value::Null).await
    }

    pub(crate) async fn get_accepting(&self, path: &str, accept: &str) -> (u16, String, String) {
        let request = Request::builder()
            .uri(path)
            .header("accept", accept)
            .body(Full::new(Bytes::new()))
            .unwrap();
        let response = self.send(request).await;
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, media_type, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Creates a widget and returns it.
    pub(crate) async fn widget(&self, name: &str, color: &str) -> Value {
        let (code, body) = self.ask("POST", WIDGETS, widget(name, color)).await;
        assert_eq!(code, 201, "{body}");
        body
    }

    /// Opens a watch.
    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let request = Request::builder()
            .uri(path)
            .body(Full::new(Bytes::new()))
            .unwrap();
        let response = self.send(request).await;
        assert_eq!(response.status(), 200);
        Watch {
            body: response.into_body(),
            held: Vec::new(),
        }
    }
}

pub(crate) fn widget(name: &str, color: &str) -> Value {
    serde_json::json!({
        "kind": "Widget",
        "apiVersion": "toys.example.com/v1",
        "metadata": {"name": name, "labels": {"color": color}},
        "spec": {"color": color},
    })
}

pub(crate) struct Watch {
    body: Body,
    held: Vec<u8>,
}

impl Watch {
    /// The next event; none when the watch ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.held.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame())
                .await
                .unwrap();
            self.held.extend_from_slice(&frame?.unwrap().into_data().unwrap());
        }
    }

    /// Type and name of the next event.
    pub(crate) async fn step(&mut self) -> (String, String) {
        let event = self.next().await.unwrap();
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        (event["type"].as_str().unwrap().to_owned(), name.to_owned())
    }
}
