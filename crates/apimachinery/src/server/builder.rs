//! [`Builder`]: puts a server together.
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use super::{ApiServer, Inner, RawHandler};
use crate::access::Authorizer;
use crate::admission::Admission;
use crate::discovery::Catalog;
use crate::health::{Check, Named, Scope};
use crate::identity::Authenticator;
use crate::metrics::Metrics;
use crate::protobuf;
use crate::resource::Endpoint;

/// What `/version` says. Clients compare `major` and `minor` with their own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Major version of the Kubernetes API that is spoken.
    pub major: String,
    /// Minor version of the Kubernetes API that is spoken.
    pub minor: String,
    /// Semantic version with a leading `v`; build metadata may name the program.
    pub git_version: String,
    /// Commit the program was built from; may be empty.
    pub git_commit: String,
    /// `clean`, or empty.
    pub git_tree_state: String,
    /// When the program was built; may be empty.
    pub build_date: String,
    /// Version of the compiler, in the field that Kubernetes has for Go's.
    pub go_version: String,
    /// The compiler.
    pub compiler: String,
    /// Operating system and architecture.
    pub platform: String,
}

impl Version {
    /// A version that speaks as Kubernetes 1.`minor` and names the program.
    #[must_use]
    pub fn kubernetes(minor: u32, program: &str, program_version: &str) -> Self {
        Self {
            major: "1".into(),
            minor: minor.to_string(),
            git_version: format!("v1.{minor}.0+{program}.{program_version}"),
            git_commit: String::new(),
            git_tree_state: "clean".into(),
            build_date: String::new(),
            go_version: String::new(),
            compiler: "rustc".into(),
            platform: format!("{}/{}", std::env::consts::OS, go_arch()),
        }
    }
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Puts a server together.
pub struct Builder {
    version: Version,
    endpoints: Vec<Endpoint>,
    authenticator: Option<Arc<dyn Authenticator>>,
    authorizer: Option<Arc<dyn Authorizer>>,
    admission: Option<Arc<dyn Admission>>,
    raw: Vec<(String, Arc<dyn RawHandler>)>,
    checks: Vec<Named>,
    protobuf: protobuf::Kinds,
}

impl Builder {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            endpoints: Vec::new(),
            authenticator: None,
            authorizer: None,
            admission: None,
            raw: Vec::new(),
            checks: Vec::new(),
            protobuf: protobuf::Kinds::default(),
        }
    }

    /// Serves a resource.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// What is served so far, for documents that describe it.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Finds out who asks. Without it, everybody is anonymous.
    #[must_use]
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Decides who may do what. Without it, everybody may do everything.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// Checks writes.
    #[must_use]
    pub fn admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(admission);
        self
    }

    /// Serves a path and what is below it. Earlier registrations win.
    #[must_use]
    pub fn raw(mut self, prefix: &str, handler: Arc<dyn RawHandler>) -> Self {
        self.raw.push((prefix.to_owned(), handler));
        self
    }

    /// The kinds that are read as protobuf. Without it, those of Kubernetes.
    #[must_use]
    pub fn protobuf(mut self, kinds: protobuf::Kinds) -> Self {
        self.protobuf = kinds;
        self
    }

    /// Adds a health check.
    #[must_use]
    pub fn check(mut self, name: &str, scope: Scope, check: Arc<dyn Check>) -> Self {
        self.checks.push(Named {
            name: name.to_owned(),
            scope,
            check,
        });
        self
    }

    /// The server.
    #[must_use]
    pub fn build(mut self) -> ApiServer {
        let closing = CancellationToken::new();
        let shutdown = Arc::new(Open(closing.clone()));
        self.checks.push(Named {
            name: "shutdown".into(),
            scope: Scope::Ready,
            check: shutdown,
        });
        ApiServer(Arc::new(Inner {
            catalog: Catalog::new(&self.endpoints),
            authenticator: self.authenticator,
            authorizer: self.authorizer,
            admission: self.admission,
            raw: self.raw,
            checks: self.checks,
            version: self.version,
            metrics: Metrics::default(),
            limits: Limits::new(),
            protobuf: self.protobuf,
            closing,
        }))
    }
}

/// Fails once the server is closing.
struct Open(CancellationToken);

#[async_trait]
impl Check for Open {
    async fn check(&self) -> Result<(), String> {
        if self.0.is_cancelled() {
            Err("the server is shutting down".into())
        } else {
            Ok(())
        }
    }
}
