//! Who is let in, and who may do what.
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_apimachinery::access::{Attributes, Authorizer, Decision, Target};
use berth_apimachinery::admission::Admission;
use berth_apimachinery::context::Context;
use berth_apimachinery::identity::{Authenticator, UserInfo};
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::GroupResource;
use berth_apimachinery::server::{Body, RawHandler};
use berth_apimachinery::status::Status;
use berth_store::MemoryStore;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::support::{Toy, WIDGETS, widget};

/// Believes the header `user`; `nobody` has bad credentials.
struct Trusting;

#[async_trait]
impl Authenticator for Trusting {
    async fn authenticate(&self, request: &http::request::Parts) -> Result<Option<Arc<UserInfo>>, Status> {
        match request.headers.get("user").and_then(|value| value.to_str().ok()) {
            None => Ok(None),
            Some("nobody") => Err(Status::unauthorized("")),
            Some(name) => Ok(Some(Arc::new(UserInfo {
                name: name.into(),
                ..UserInfo::default()
            }))),
        }
    }
}

/// Allows everything to `root` and to those who are impersonated, and writes down what it is asked.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

#[async_trait]
impl Authorizer for Asked {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let what = match attributes.target {
            Target::Path(path) => path.to_owned(),
            Target::Resource {
                group,
                version,
                resource,
                subresource,
                namespace,
                name,
            } => {
                format!("{group}|{version}|{resource}|{subresource}|{namespace}|{name}")
            }
        };
        let user = &attributes.user.name;
        let groups = attributes.user.groups.join("+");
        self.0
            .lock()
            .unwrap()
            .push(format!("{user} [{groups}] {} {what}", attributes.verb));
        let allowed = user == "root" || attributes.user.in_group("friends");
        if allowed {
            Decision::allow("")
        } else {
            Decision::no_opinion("")
        }
    }
}

/// Stamps what is created and keeps widgets called `sealed` from changing.
struct Gate;

#[async_trait]
impl Admission for Gate {
    async fn create(&self, cx: &Context, object: &mut Object) -> Result<(), Status> {
        object.set_annotation("by", &cx.user.name);
        Ok(())
    }

    async fn update(&self, _: &Context, _: &mut Object, old: &Object) -> Result<(), Status> {
        refuse(old.name())
    }

    async fn delete(&self, _: &Context, name: &str) -> Result<(), Status> {
        refuse(name)
    }
}

fn refuse(name: &str) -> Result<(), Status> {
    if name == "sealed" {
        return Err(Status::forbidden(
            &GroupResource::new("toys.example.com", "widgets"),
            name,
            "it is sealed",
        ));
    }
    Ok(())
}

struct Door {
    open: bool,
}

#[async_trait]
impl RawHandler for Door {
    async fn handle(
        &self,
        cx: &Context,
        request: &http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, Status> {
        let text = format!("{} {} {}", cx.user.name, request.uri.path(), body.len());
        Ok(Response::new(text.into()))
    }

    fn open(&self) -> bool {
        self.open
    }
}

struct House {
    toy: Toy,
    asked: Arc<Asked>,
}

impl House {
    async fn new() -> Self {
        let asked = Arc::new(Asked::default());
        let authorizer = Arc::clone(&asked);
        let toy = Toy::with(Arc::new(MemoryStore::new()), move |builder| {
            builder
                .authenticator(Arc::new(Trusting))
                .authorizer(authorizer)
                .admission(Arc::new(Gate))
                .raw("/login", Arc::new(Door { open: true }))
                .raw("/inside", Arc::new(Door { open: false }))
        })
        .await;
        Self { toy, asked }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let response = self.toy.send(request.body(Full::new(body.into())).unwrap()).await;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (
            code,
            serde_json::from_slice(&bytes).unwrap_or(Value::String(text)),
        )
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.0.lock().unwrap())
    }
}

#[tokio::test]
async fn requests_are_authorized_by_what_they_name() {
    let house = House::new().await;
    for (method, path, want) in [
        (
            "GET",
            "/apis/toys.example.com/v1/widgets",
            "list toys.example.com|v1|widgets|||",
        ),
        (
            "GET",
            "/apis/toys.example.com/v1/widgets?watch=1",
            "watch toys.example.com|v1|widgets|||",
        ),
        ("GET", WIDGETS, "list toys.example.com|v1|widgets||default|"),
        (
            "GET",
            "/apis/toys.example.com/v1/namespaces/default/widgets?fieldSelector=metadata.name%3Da",
            "list toys.example.com|v1|widgets||default|a",
        ),
        (
            "HEAD",
            "/apis/toys.example.com/v1/namespaces/default/widgets/a",
            "get toys.example.com|v1|widgets||default|a",
        ),
        (
            "PATCH",
            "/apis/toys.example.com/v1/namespaces/default/widgets/a/status",
            "patch toys.example.com|v1|widgets|status|default|a",
        ),
        (
            "DELETE",
            WIDGETS,
            "deletecollection toys.example.com|v1|widgets||default|",
        ),
        ("GET", "/api/v1/unknowns/x", "get |v1|unknowns|||x"),
        ("GET", "/version", "get /version"),
        ("POST", "/inside/x", "post /inside/x"),
    ] {
        let (code, body) = house.ask(method, path, &[("user", "eve")], Value::Null).await;
        assert_eq!(code, 403, "{method} {path}: {body}");
        assert_eq!(house.asked(), [format!("eve [] {want}")], "{method} {path}");
    }
    let (code, body) = house.ask("GET", WIDGETS, &[], Value::Null).await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "widgets.toys.example.com is forbidden: User \"system:anonymous\" cannot list resource \"widgets\" in API group \
         \"toys.example.com\" in the namespace \"default\""
    );
    assert_eq!(
        house
            .ask("GET", WIDGETS, &[("user", "nobody")], Value::Null)
            .await
            .0,
        401
    );
    assert_eq!(
        house
            .ask("GET", WIDGETS, &[("user", "root")], Value::Null)
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn impersonation_asks_for_every_part() {
    let house = House::new().await;
    let headers = [
        ("user", "root"),
        ("impersonate-user", "alice"),
        ("impersonate-group", "friends"),
        ("impersonate-group", "others"),
        ("impersonate-extra-scopes", "view"),
        ("impersonate-uid", "7"),
    ];
    assert_eq!(house.ask("GET", WIDGETS, &headers, Value::Null).await.0, 200);
    assert_eq!(
        house.asked(),
        [
            "root [] impersonate |v1|users|||alice",
            "root [] impersonate |v1|groups|||friends",
            "root [] impersonate |v1|groups|||others",
            "root [] impersonate authentication.k8s.io|v1|uids|||7",
            "root [] impersonate authentication.k8s.io|v1|userextras|scopes||view",
            "alice [friends+others+system:authenticated] list toys.example.com|v1|widgets||default|",
        ]
    );
    let account = [
        ("user", "root"),
        ("impersonate-user", "system:serviceaccount:ns:bot"),
    ];
    let (code, _) = house.ask("GET", WIDGETS, &account, Value::Null).await;
    assert_eq!(code, 403);
    assert_eq!(
        house.asked(),
        [
            "root [] impersonate |v1|serviceaccounts||ns|bot",
            "system:serviceaccount:ns:bot [system:serviceaccounts+system:serviceaccounts:ns+system:authenticated] list \
             toys.example.com|v1|widgets||default|",
        ]
    );
    let (code, body) = house
        .ask(
            "GET",
            WIDGETS,
            &[("user", "eve"), ("impersonate-user", "root")],
            Value::Null,
        )
        .await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "users \"root\" is forbidden: User \"eve\" cannot impersonate resource \"users\" in API group \"\" at the cluster \
         scope"
    );
    let groups_alone = [("user", "root"), ("impersonate-group", "friends")];
    assert_eq!(house.ask("GET", WIDGETS, &groups_alone, Value::Null).await.0, 500);
}

#[tokio::test]
async fn admission_sees_writes() {
    let house = House::new().await;
    let root = [("user", "root")];
    let (code, body) = house.ask("POST", WIDGETS, &root, widget("sealed", "red")).await;
    assert_eq!(
        (code, &body["metadata"]["annotations"]["by"]),
        (201, &json!("root"))
    );
    let item = format!("{WIDGETS}/sealed");
    let mut changed = body.clone();
    changed["spec"]["color"] = "green".into();
    for (method, path, body) in [("PUT", &item, changed), ("DELETE", &item, Value::Null)] {
        let (code, body) = house.ask(method, path, &root, body).await;
        assert_eq!(code, 403, "{method}");
        assert_eq!(
            body["message"], "widgets.toys.example.com \"sealed\" is forbidden: it is sealed",
            "{method}"
        );
    }
    assert_eq!(house.ask("GET", &item, &root, Value::Null).await.1, body);
}

#[tokio::test]
async fn raw_paths_are_open_or_not() {
    let house = House::new().await;
    let (code, body) = house.ask("POST", "/login/form?x=y", &[], json!("abc")).await;
    assert_eq!((code, body), (200, json!("system:anonymous /login/form 5")));
    assert!(house.asked().is_empty());
    assert_eq!(house.ask("GET", "/inside", &[], Value::Null).await.0, 403);
    assert_eq!(
        house
            .ask("GET", "/inside", &[("user", "root")], Value::Null)
            .await
            .1,
        json!("root /inside 0")
    );
    assert_eq!(
        house
            .ask("GET", "/insider", &[("user", "root")], Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn large_bodies_share_what_memory_there_is() {
    use berth_apimachinery::server::BODIES_IN_MEMORY;
    let toy = Toy::new().await;
    // A body that never ends holds what it has sent; enough of them leave no room for another.
    let size = 2 << 20;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..BODIES_IN_MEMORY / size {
        let server = toy.server.clone();
        let frames = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(http_body::Frame::data(
            Bytes::from(vec![b' '; size]),
        ))]);
        let endless = futures_util::StreamExt::chain(frames, futures_util::stream::pending());
        let request = Request::post(WIDGETS)
            .body(http_body_util::StreamBody::new(Box::pin(endless)))
            .unwrap();
        waiting.spawn(async move { server.handle(request).await.status().as_u16() });
    }
    let answered = tokio::time::timeout(std::time::Duration::from_millis(100), waiting.join_next()).await;
    assert!(answered.is_err(), "a body that has not ended was answered");
    let padded = format!("{}{}", widget("big", "red"), " ".repeat(1 << 20));
    assert_eq!(
        toy.ask_as("POST", WIDGETS, "application/json", &padded).await.0,
        429
    );
    toy.widget("small", "red").await;
    waiting.shutdown().await;
    assert_eq!(
        toy.ask_as("POST", WIDGETS, "application/json", &padded).await.0,
        201
    );
}
