//! A stand-in for the cluster's API: who is who, who may what, which streams exist, and when it fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

/// The user that a request without a token is.
pub(crate) const ANONYMOUS: &str = "system:anonymous";

#[derive(Default)]
pub(crate) struct State {
    /// User names by token.
    pub(crate) users: BTreeMap<String, String>,
    /// What users may do, as `user verb resource[/subresource] namespace/name`; a name of `*` is any.
    pub(crate) grants: BTreeSet<String>,
    /// Existing namespaces.
    pub(crate) namespaces: BTreeSet<String>,
    /// Tags with their images, the newest first, by `namespace/name` of the stream.
    pub(crate) streams: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// How often each stream was made; part of its uid.
    pub(crate) made: BTreeMap<String, u32>,
    /// What `imagestreams/layers` adds to the history.
    pub(crate) layers: BTreeMap<String, Vec<String>>,
    /// The children of images that are indexes.
    pub(crate) children: BTreeMap<String, Vec<String>>,
    /// Images by name.
    pub(crate) images: BTreeMap<String, Value>,
    /// Every request, as `user METHOD path`.
    pub(crate) calls: Vec<String>,
    /// Answers to give instead, once each: a part of `METHOD path`, the status and its reason and message.
    pub(crate) failures: Vec<(&'static str, u16, &'static str, &'static str)>,
    /// Nothing works.
    pub(crate) down: bool,
    /// How long each answer takes.
    pub(crate) delay: std::time::Duration,
}

/// A handle to the API.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, std::io::Error>> + Send>>;

impl Api {
    /// An API with the registry's own account and one project.
    pub(crate) fn new() -> Self {
        let api = Self::default();
        api.state()
            .users
            .insert("registry-token".to_owned(), "registry".to_owned());
        api.state().namespaces.insert("demo".to_owned());
        api
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with it")
    }

    /// Lets whoever has `token` in as `user`.
    pub(crate) fn user(&self, token: &str, user: &str) -> &Self {
        self.state().users.insert(token.to_owned(), user.to_owned());
        self
    }

    pub(crate) fn grant(&self, grant: &str) -> &Self {
        self.state().grants.insert(grant.to_owned());
        self
    }

    /// What pushers have in a project.
    pub(crate) fn builder(&self, token: &str, user: &str, namespace: &str) -> &Self {
        self.user(token, user)
            .grant(&format!("{user} get imagestreams/layers {namespace}/*"))
            .grant(&format!("{user} update imagestreams/layers {namespace}/*"))
            .grant(&format!("{user} create imagestreams {namespace}/*"))
    }

    /// Calls since the last time, as `user METHOD path`.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    pub(crate) fn service(
        &self,
    ) -> impl tower::Service<
        Request<kube::client::Body>,
        Response = Response<Full<Bytes>>,
        Error = std::io::Error,
        Future = Answer,
    > + Clone
    + Send
    + Sync
    + 'static {
        let api = self.clone();
        tower::service_fn(move |request: Request<kube::client::Body>| {
            let api = api.clone();
            Box::pin(async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let delay = api.state().delay;
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                api.answer(&head, &body)
            }) as Answer
        })
    }

    fn answer(
        &self,
        head: &http::request::Parts,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let mut state = self.state();
        let token = head
            .headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().expect("text"));
        let token = token.map(|value| value.strip_prefix("Bearer ").expect("a bearer token"));
        let user = token.map_or(Some(ANONYMOUS.to_owned()), |token| {
            state.users.get(token).cloned()
        });
        let line = format!("{} {}", head.method, head.uri);
        state
            .calls
            .push(format!("{} {line}", user.as_deref().unwrap_or("?")));
        if state.down {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        }
        if let Some(at) = state.failures.iter().position(|(part, ..)| line.contains(part)) {
            let (_, code, reason, message) = state.failures.remove(at);
            return Ok(status(code, reason, message, ""));
        }
        let Some(user) = user else {
            return Ok(status(401, "Unauthorized", "Unauthorized", ""));
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        Ok(state.serve(&user, &head.method, head.uri.path(), &body))
    }
}

impl State {
    fn may(&self, user: &str, attributes: &Value) -> bool {
        let text = |key: &str| attributes[key].as_str().unwrap_or_default();
        let subresource = text("subresource");
        let slash = if subresource.is_empty() { "" } else { "/" };
        let what = format!("{user} {} {}{slash}{subresource}", text("verb"), text("resource"));
        assert_eq!(text("group"), "image.openshift.io", "{attributes}");
        [text("name"), "*"].iter().any(|name| {
            self.grants
                .contains(&format!("{what} {}/{name}", text("namespace")))
        })
    }

    fn serve(&mut self, user: &str, method: &Method, path: &str, body: &Value) -> Response<Full<Bytes>> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("POST", [.., "selfsubjectreviews"]) => created(
                &json!({"kind": "SelfSubjectReview", "status": {"userInfo": {"username": user, "uid": "u1"}}}),
            ),
            ("POST", [.., "selfsubjectaccessreviews"]) if user == ANONYMOUS || user == "scoped" => {
                status(403, "Forbidden", "anonymous may not ask", "")
            }
            ("POST", [.., "selfsubjectaccessreviews"]) => {
                let allowed = self.may(user, &body["spec"]["resourceAttributes"]);
                created(
                    &json!({"kind": "SelfSubjectAccessReview", "spec": {}, "status": {"allowed": allowed}}),
                )
            }
            ("POST", [.., "subjectaccessreviews"]) => {
                assert_eq!(user, "registry");
                let other = body["spec"]["user"].as_str().expect("a user");
                let allowed = self.may(other, &body["spec"]["resourceAttributes"]);
                created(&json!({"kind": "SubjectAccessReview", "spec": {}, "status": {"allowed": allowed}}))
            }
            ("GET", [.., "namespaces", namespace, "imagestreams", name]) => {
                match self.streams.get(&format!("{namespace}/{name}")) {
                    Some(tags) => ok(&stream(namespace, name, tags, &self.made)),
                    None => status(404, "NotFound", "imagestreams not found", "imagestreams"),
                }
            }
            ("GET", [.., "namespaces", namespace, "imagestreams", name, "layers"]) => {
                let key = format!("{namespace}/{name}");
                let Some(tags) = self.streams.get(&key) else {
                    return status(404, "NotFound", "imagestreams not found", "imagestreams");
                };
                let images: BTreeMap<&str, Value> = tags
                    .values()
                    .flatten()
                    .map(|image| {
                        let children = self.children.get(image);
                        (&**image, json!({"layers": null, "manifests": children}))
                    })
                    .collect();
                let blobs: BTreeMap<&str, Value> = self
                    .layers
                    .get(&key)
                    .into_iter()
                    .flatten()
                    .map(|blob| (&**blob, json!({"size": 1})))
                    .collect();
                ok(&json!({"kind": "ImageStreamLayers", "metadata": {}, "blobs": blobs, "images": images}))
            }
            ("PUT", [.., "namespaces", namespace, "imagestreams", name, "status"]) => {
                let attributes = json!({"verb": "update", "group": "image.openshift.io", "resource": "imagestreams",
                    "subresource": "status", "namespace": namespace, "name": name});
                if !self.may(user, &attributes) {
                    return status(403, "Forbidden", "cannot update resource", "imagestreams");
                }
                let lists = body["status"]["tags"].as_array().expect("tags").iter();
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                let images = |list: &Value| {
                    let events = list["items"].as_array().expect("items").iter();
                    events.map(|event| text(&event["image"])).collect()
                };
                let tags = lists.map(|list| (text(&list["tag"]), images(list))).collect();
                self.streams.insert(format!("{namespace}/{name}"), tags);
                ok(body)
            }
            ("POST", [.., "namespaces", namespace, "imagestreams"]) => {
                let name = body["metadata"]["name"].as_str().expect("a name");
                let attributes = json!({"verb": "create", "group": "image.openshift.io", "resource": "imagestreams", "namespace": namespace});
                if !self.may(user, &attributes) {
                    return status(
                        403,
                        "Forbidden",
                        &format!("User \"{user}\" cannot create resource \"imagestreams\""),
                        "imagestreams",
                    );
                }
                if !self.namespaces.contains(*namespace) {
                    return status(
                        404,
                        "NotFound",
                        &format!("namespaces \"{namespace}\" not found"),
                        "namespaces",
                    );
                }
                if self
                    .streams
                    .insert(format!("{namespace}/{name}"), BTreeMap::new())
                    .is_some()
                {
                    return status(409, "AlreadyExists", "exists", "imagestreams");
                }
                *self.made.entry(format!("{namespace}/{name}")).or_default() += 1;
                created(body)
            }
            ("POST", [.., "namespaces", namespace, "imagestreammappings"]) => {
                assert_eq!(user, "registry");
                if !self.namespaces.contains(*namespace) {
                    return status(
                        404,
                        "NotFound",
                        &format!("namespaces \"{namespace}\" not found"),
                        "namespaces",
                    );
                }
                let name = body["metadata"]["name"].as_str().expect("a name");
                let Some(tags) = self.streams.get_mut(&format!("{namespace}/{name}")) else {
                    return status(404, "NotFound", "not found", "imagestreammappings");
                };
                let image = body["image"]["metadata"]["name"].as_str().expect("an image");
                tags.entry(body["tag"].as_str().expect("a tag").to_owned())
                    .or_default()
                    .insert(0, image.to_owned());
                self.images.insert(image.to_owned(), body["image"].clone());
                created(&json!({"kind": "Status", "status": "Success"}))
            }
            ("POST", [.., "images"]) => {
                assert_eq!(user, "registry");
                let name = body["metadata"]["name"].as_str().expect("a name").to_owned();
                if self.images.contains_key(&name) {
                    return status(409, "AlreadyExists", "exists", "images");
                }
                self.images.insert(name, body.clone());
                created(body)
            }
            ("DELETE", [.., "namespaces", namespace, "imagestreamtags", name]) => {
                assert_eq!(user, "registry");
                let (stream, tag) = name.split_once(':').expect("a tag");
                match self
                    .streams
                    .get_mut(&format!("{namespace}/{stream}"))
                    .and_then(|tags| tags.remove(tag))
                {
                    Some(_) => ok(&json!({"kind": "Status", "status": "Success"})),
                    None => status(404, "NotFound", "not found", "imagestreamtags"),
                }
            }
            ("GET", [.., "namespaces", _, "limitranges"]) => ok(
                &json!({"kind": "LimitRangeList", "apiVersion": "v1", "metadata": {}, "items": [
                    {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "10"}}]}}
                ]}),
            ),
            _ => status(404, "NotFound", &format!("no such path {path}"), ""),
        }
    }
}

fn stream(
    namespace: &str,
    name: &str,
    tags: &BTreeMap<String, Vec<String>>,
    made: &BTreeMap<String, u32>,
) -> Value {
    let uid = format!(
        "{namespace}/{name}#{:?}",
        made.get(&format!("{namespace}/{name}"))
    );
    let events = |images: &Vec<String>| {
        images
            .iter()
            .map(|image| json!({"image": image}))
            .collect::<Vec<_>>()
    };
    let tags: Vec<Value> = tags
        .iter()
        .map(|(tag, images)| json!({"tag": tag, "items": events(images)}))
        .collect();
    json!({"kind": "ImageStream", "metadata": {"name": name, "namespace": namespace, "uid": uid}, "status": {"tags": tags}})
}

fn ok(body: &Value) -> Response<Full<Bytes>> {
    respond(200, body)
}

fn created(body: &Value) -> Response<Full<Bytes>> {
    respond(201, body)
}

fn status(code: u16, reason: &str, message: &str, kind: &str) -> Response<Full<Bytes>> {
    let details = json!({"kind": kind});
    respond(
        code,
        &json!({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "details": details, "code": code}),
    )
}

fn respond(code: u16, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(code)
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("valid")
}
