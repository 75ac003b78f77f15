//! A server with everything that logging in needs, in memory.
use std::sync::Arc;

use berth_apimachinery::authn::{TokenAuthenticator as _, TokenError};
use berth_apimachinery::context::Context;
use berth_apimachinery::database::Database;
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Resource;
use berth_apimachinery::server::RawHandler;
use berth_apimachinery::storage::Storage;
use berth_apimachinery::strategy::Strategy;
use berth_oauth::kinds::{self, AccessTokenStrategy, AuthorizeTokenStrategy, ClientStrategy};
use berth_oauth::{
    AccessTokenAuthenticator, ClientAddress, Config, MappingMethod, OAuth, ProviderConfig, ProviderKind,
    Stores,
};
use berth_store::MemoryStore;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const ISSUER: &str = "https://api.test";
/// The password of everybody in the files of these tests.
pub(crate) const PASSWORD: &str = "secret";
/// [`PASSWORD`] as `htpasswd -s` writes it.
pub(crate) const HASH: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// Any name will do.
struct Anything;

impl Strategy for Anything {
    fn validate_name(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) oauth: OAuth,
    pub(crate) stores: Stores,
    handler: Arc<dyn RawHandler>,
    authenticator: AccessTokenAuthenticator,
    scratch: tempfile::TempDir,
    _feed: JoinSet<Result<(), berth_store::Error>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn location(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// A parameter of the address it redirects to, in the query or in the fragment.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let url: url::Url = self.location().parse().ok()?;
        let all = format!(
            "{}&{}",
            url.query().unwrap_or_default(),
            url.fragment().unwrap_or_default()
        );
        url::form_urlencoded::parse(all.as_bytes())
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// A request in the making.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) form: Vec<(&'a str, &'a str)>,
    pub(crate) from: &'a str,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Ask {
            method: "GET",
            path: "/",
            headers: Vec::new(),
            form: Vec::new(),
            from: "192.0.2.1",
        }
    }
}

impl World {
    /// Users `ann` and `ben` of the provider `local`, mapped by `claim`.
    pub(crate) async fn new() -> World {
        World::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> World {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("users");
        std::fs::write(&file, format!("ann:{HASH}\nben:{HASH}\n")).unwrap();
        let mut config = Config::new(ISSUER, b"key".to_vec());
        config.audiences = vec!["https://kubernetes.default.svc".to_owned()];
        config.providers.push(ProviderConfig {
            name: "local".to_owned(),
            mapping: MappingMethod::Claim,
            kind: ProviderKind::Htpasswd { file },
        });
        config.kubeadmin = Some(Arc::new(|_: &str| Ok("kubeadmin-password".to_owned())));
        change(&mut config);
        let (database, mut feed) = Database::new(Arc::new(MemoryStore::new()));
        let any = |resource: Resource| Storage::new(&database, resource, Arc::new(Anything));
        let user = |kind, plural| any(Resource::cluster("user.openshift.io", "v1", kind, plural));
        let stores = Stores {
            access_tokens: Storage::new(&database, kinds::access_tokens(), Arc::new(AccessTokenStrategy)),
            authorize_tokens: Storage::new(
                &database,
                kinds::authorize_tokens(),
                Arc::new(AuthorizeTokenStrategy),
            ),
            clients: Storage::new(&database, kinds::clients(), Arc::new(ClientStrategy)),
            users: user("User", "users"),
            identities: user("Identity", "identities"),
            groups: user("Group", "groups"),
            secrets: any(Resource::namespaced("", "v1", "Secret", "secrets")),
            namespaces: any(Resource::cluster("", "v1", "Namespace", "namespaces")),
        };
        let oauth = OAuth::new(config, stores.clone()).unwrap();
        feed.load().await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(feed.run(CancellationToken::new()));
        put(&stores.namespaces, json!({"metadata": {"name": "kube-system"}})).await;
        oauth.bootstrap().await.unwrap();
        let handler = oauth.handlers().remove(0).1;
        let authenticator = oauth.authenticator();
        World {
            oauth,
            stores,
            handler,
            authenticator,
            scratch,
            _feed: tasks,
        }
    }

    /// A second server over the same objects.
    pub(crate) async fn start_again(&self) {
        self.oauth.bootstrap().await.unwrap();
    }

    pub(crate) fn write_users(&self, text: &str) {
        std::fs::write(self.scratch.path().join("users"), text).unwrap();
    }

    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Answer {
        let mut request = http::Request::builder().method(ask.method).uri(ask.path);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        request = request.extension(ClientAddress(ask.from.parse().unwrap()));
        let mut body = String::new();
        if !ask.form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            body = url::form_urlencoded::Serializer::new(body)
                .extend_pairs(&ask.form)
                .finish();
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let cx = Context::for_user(Arc::new(UserInfo::anonymous()));
        let response = match self.handler.handle(&cx, &parts, Bytes::from(body)).await {
            Ok(response) => response,
            Err(status) => {
                let (status, text) = (status.http(), status.message().to_owned());
                return Answer {
                    status,
                    headers: HeaderMap::new(),
                    text,
                };
            }
        };
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Ask {
            path,
            ..Ask::default()
        })
        .await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.ask(Ask {
            method: "POST",
            path,
            form: form.to_vec(),
            ..Ask::default()
        })
        .await
    }

    /// As a command-line client with a name and a password; `query` is added to what it asks.
    pub(crate) async fn challenge(&self, user: &str, password: &str, query: &str) -> Answer {
        let path = format!("/oauth/authorize?client_id=openshift-challenging-client&{query}");
        let headers = vec![
            ("X-CSRF-Token", "1".to_owned()),
            ("Authorization", basic(user, password)),
        ];
        self.ask(Ask {
            path: &path,
            headers,
            ..Ask::default()
        })
        .await
    }

    /// A token for somebody of the file.
    pub(crate) async fn token(&self, user: &str) -> String {
        let answer = self.challenge(user, PASSWORD, "response_type=token").await;
        answer
            .parameter("access_token")
            .unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// Whom a token stands for, or why for nobody.
    pub(crate) async fn whoami(&self, token: &str) -> Result<Arc<UserInfo>, String> {
        match self.authenticator.identify(token, &[]).await {
            Ok(found) => Ok(found.expect("a token of this kind").user),
            Err(TokenError::Invalid(cause) | TokenError::Unavailable(cause)) => Err(cause),
        }
    }
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Stores an object.
pub(crate) async fn put(storage: &Storage, object: Value) -> Arc<berth_apimachinery::entry::Entry> {
    storage.create(Object::from_value(object).unwrap()).await.unwrap()
}
