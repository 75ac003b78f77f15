//! The authorization server: its endpoints, and what they share.
mod authorize;
mod bootstrap;
mod callback;
mod display;
mod issue;
mod login;
mod passwords;
mod sweep;
mod token;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use berth_apimachinery::context::Context;
use berth_apimachinery::server::{Body, RawHandler};
use berth_apimachinery::status::Status;
use berth_apimachinery::storage::Storage;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::authenticate::{self, AccessTokenAuthenticator};
use crate::config::{Config, PasswordKeeper};
use crate::kinds::Client;
use crate::kubeadmin::Kubeadmin;
use crate::mapping::Mapper;
use crate::membership::Membership;
use crate::page::{self, Page};
use crate::provider::{self, Provider};
use crate::session::Sessions;
use crate::spent::Spent;
use crate::throttle::Throttle;
use crate::{request, scope};

/// The objects that logging in reads and writes.
#[derive(Clone)]
pub struct Stores {
    /// `oauth.openshift.io` `OAuthAccessToken`.
    pub access_tokens: Storage,
    /// `oauth.openshift.io` `OAuthAuthorizeToken`.
    pub authorize_tokens: Storage,
    /// `oauth.openshift.io` `OAuthClient`.
    pub clients: Storage,
    /// `user.openshift.io` `User`.
    pub users: Storage,
    /// `user.openshift.io` `Identity`.
    pub identities: Storage,
    /// `user.openshift.io` `Group`.
    pub groups: Storage,
    /// Core `Secret`.
    pub secrets: Storage,
    /// Core `Namespace`.
    pub namespaces: Storage,
}

/// Extension of a request: where it comes from. Without it, requests count as coming from one unknown place.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The authorization server. Cheap to clone.
#[derive(Clone)]
pub struct OAuth(Arc<Inner>);

struct Inner {
    issuer: String,
    audiences: Vec<String>,
    providers: Arc<[Provider]>,
    kubeadmin: Kubeadmin,
    keeper: Option<PasswordKeeper>,
    mapper: Mapper,
    activity: Activity,
    spent: Spent,
    throttle: Throttle,
    sessions: Sessions,
    token_lifetime: SignedDuration,
    stores: Stores,
}

/// The paths that are served, with what is below them.
const PATHS: [&str; 5] = [DISCOVERY, "/oauth", LOGIN, "/logout", CALLBACK];
const DISCOVERY: &str = "/.well-known/oauth-authorization-server";
const AUTHORIZE: &str = "/oauth/authorize";
const TOKEN: &str = "/oauth/token";
const TOKEN_REQUEST: &str = "/oauth/token/request";
const TOKEN_DISPLAY: &str = "/oauth/token/display";
const TOKEN_IMPLICIT: &str = "/oauth/token/implicit";
const LOGIN: &str = "/login";
const CALLBACK: &str = "/oauth2callback";

impl OAuth {
    /// Over the stored objects, which need not be loaded yet.
    ///
    /// # Errors
    /// When a provider cannot be used as configured.
    pub fn new(config: Config, stores: Stores) -> Result<OAuth, provider::Error> {
        let membership = Membership::of(&stores.groups);
        let mapper = Mapper {
            users: stores.users.clone(),
            identities: stores.identities.clone(),
            groups: stores.groups.clone(),
            membership,
        };
        Ok(OAuth(Arc::new(Inner {
            providers: Provider::all(&config.providers)?,
            kubeadmin: Kubeadmin::new(stores.secrets.clone()),
            keeper: config.kubeadmin,
            mapper,
            activity: Activity::new(stores.clients.clone(), config.inactivity_timeout),
            spent: Spent::of(&stores.access_tokens),
            throttle: Throttle::default(),
            sessions: Sessions::new(&config.session_key),
            issuer: config.issuer,
            audiences: config.audiences,
            token_lifetime: config.token_lifetime,
            stores,
        })))
    }

    /// Knows the tokens that are given out.
    #[must_use]
    pub fn authenticator(&self) -> AccessTokenAuthenticator {
        AccessTokenAuthenticator::new(authenticate::Inner {
            tokens: self.0.stores.access_tokens.clone(),
            users: self.0.stores.users.clone(),
            membership: self.0.mapper.membership.clone(),
            kubeadmin: self.0.kubeadmin.clone(),
            activity: self.0.activity.clone(),
            audiences: self.0.audiences.clone(),
        })
    }

    /// Brings the clients and, the first time, the password of `kubeadmin` into being. The objects must be loaded.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn bootstrap(&self) -> Result<(), Status> {
        bootstrap::run(self).await
    }

    /// What serves the endpoints, by path; each is open to everybody.
    #[must_use]
    pub fn handlers(&self) -> Vec<(&'static str, Arc<dyn RawHandler>)> {
        let handler: Arc<dyn RawHandler> = Arc::new(self.clone());
        PATHS.iter().map(|path| (*path, Arc::clone(&handler))).collect()
    }

    /// Records uses of tokens and removes what has ended, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        sweep::run(&self, &stop).await;
    }

    /// What clients are told about this server (RFC 8414).
    fn discovery(&self) -> Response<Body> {
        let issuer = &self.0.issuer;
        json_response(
            StatusCode::OK,
            &json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}{AUTHORIZE}"),
                "token_endpoint": format!("{issuer}{TOKEN}"),
                "scopes_supported": scope::KNOWN,
                "response_types_supported": ["code", "token"],
                "grant_types_supported": ["authorization_code", "implicit"],
                "code_challenge_methods_supported": ["plain", "S256"],
            }),
        )
    }

    fn client(&self, name: &str) -> Option<Client> {
        // An empty name would be a list.
        let entry = self.0.stores.clients.get("", name).filter(|_| !name.is_empty())?;
        Client::read(entry.object())
    }
}

/// A request to one of the endpoints.
struct Call<'a> {
    request: &'a Parts,
    body: &'a Bytes,
    address: IpAddr,
    now: Timestamp,
}

#[async_trait]
impl RawHandler for OAuth {
    async fn handle(&self, cx: &Context, request: &Parts, body: Bytes) -> Result<Response<Body>, Status> {
        let address = request.extensions.get::<ClientAddress>();
        let call = Call {
            request,
            body: &body,
            address: address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0),
            now: cx.now,
        };
        let path = request.uri.path();
        let path = path
            .strip_suffix('/')
            .filter(|path| !path.is_empty())
            .unwrap_or(path);
        match (&request.method, path) {
            (&Method::GET, DISCOVERY) => Ok(self.discovery()),
            (&Method::GET | &Method::POST, AUTHORIZE) => self.authorize(&call).await,
            (&Method::POST, TOKEN) => self.token(&call).await,
            (&Method::GET, TOKEN_REQUEST) => self.request_token(&call),
            (&Method::GET | &Method::POST, TOKEN_DISPLAY) => self.display_token(&call).await,
            (&Method::GET, TOKEN_IMPLICIT) => Ok(page::arrived().respond()),
            (&Method::GET | &Method::POST, "/logout") => self.logout(&call),
            (
                _,
                DISCOVERY | AUTHORIZE | TOKEN | TOKEN_REQUEST | TOKEN_DISPLAY | TOKEN_IMPLICIT | "/logout",
            ) => Err(Status::method_not_allowed()),
            (method, path) => {
                let below = |prefix| {
                    path.strip_prefix(prefix)
                        .and_then(|rest: &str| rest.strip_prefix('/'))
                };
                match (method, path == LOGIN, below(LOGIN), below(CALLBACK)) {
                    (&Method::GET, true, ..) => self.choose_provider(&call),
                    (&Method::GET | &Method::POST, _, Some(provider), _) => self.login(&call, provider).await,
                    (&Method::GET, _, _, Some(provider)) => self.callback(&call, provider).await,
                    _ => Ok(Page::problem(StatusCode::NOT_FOUND, "There is no such page.").respond()),
                }
            }
        }
    }

    fn open(&self) -> bool {
        true
    }
}

fn json_response(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    page::guard(response.headers_mut());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error for a program (RFC 6749, section 5.2).
fn error_response(status: StatusCode, error: &request::Error) -> Response<Body> {
    json_response(
        status,
        &json!({"error": error.code, "error_description": error.description}),
    )
}

/// Text for a program that shows it to a person.
fn text_response(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    page::guard(response.headers_mut());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Sends a browser elsewhere.
fn redirect_to(location: &str) -> Result<Response<Body>, Status> {
    let location = HeaderValue::try_from(location)
        .map_err(|_| Status::bad_request("the address cannot be redirected to"))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    page::guard(response.headers_mut());
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The same answer, which also sets cookies.
fn with_cookies(
    mut response: Response<Body>,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Response<Body> {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn retry_after(mut response: Response<Body>, seconds: u64) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
